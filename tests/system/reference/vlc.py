"""VLC: modules/demux/mjpeg.c. Its steps of 5 KiB are left out: no server can do anything about them."""

from tests.system.reference.base import GaveUp, Picture, Reader, Steps, fields


class Vlc(Reader):
    """Wants `--` as the first bytes, ignores Content-Length and ends a picture where the next boundary begins."""

    def run(self) -> Steps:
        separator: bytes | None = None
        while True:
            line = (yield from self.until(b"\n")).rstrip(b"\r\n")
            separator = separator or line
            if not line.startswith(b"--"):
                raise GaveUp("no MIME header: not a camera")
            headers = fields((yield from self.until(b"\r\n\r\n")))
            if not headers.get("content-type", "").lower().startswith("image/jpeg"):
                raise GaveUp("discard non-JPEG part: end of file")
            yield Picture(self.take((yield from self.find(separator))).removesuffix(b"\r\n"), headers)
