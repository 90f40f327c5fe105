"""FFmpeg, OpenCV, ffplay, Frigate: libavformat/mpjpegdec.c."""

from collections.abc import Generator

from tests.system.reference.base import Bytes, GaveUp, Headers, Picture, Reader, Steps

LINE = 127
"""Bytes of a line that fit `char line[128]`; the rest of it is dropped."""
BLOCK = 2048
"""Bytes read at once in search of the end of a part without a length."""


class Ffmpeg(Reader):
    """Wants `--` where a part begins and exactly image/jpeg; reads by length, else far beyond the picture."""

    def run(self) -> Steps:
        while True:
            headers = yield from self._part_head()
            length = int(headers.get("content-length", "0"))
            jpeg = yield from (self.exactly(length) if length > 0 else self._scan())
            yield Picture(jpeg, headers)

    def _part_head(self) -> Headers:
        while not (line := (yield from self._line())):
            pass
        if not line.startswith("--"):
            raise GaveUp(f"expected boundary '--' not found, but a line of {len(line)} bytes")
        headers = {}
        while line := (yield from self._line()):
            name, colon, value = line.partition(":")
            if not colon:
                raise GaveUp(f"a header line without a colon: {line!r}")
            headers[name.rstrip().lower()] = value.strip()
        if headers.get("content-type", "").lower() != "image/jpeg":
            raise GaveUp(f"unexpected Content-Type: {headers}")
        return headers

    def _line(self) -> Generator[None, None, str]:
        return (yield from self.until(b"\n"))[:LINE].decode("latin-1").rstrip()

    def _scan(self) -> Bytes:
        blocks = BLOCK
        while len(self.pending) < blocks or b"\r\n--" not in self.pending[:blocks]:
            if len(self.pending) < blocks:
                yield None
            else:
                blocks += BLOCK
        return self.take(self.pending.index(b"\r\n--"))
