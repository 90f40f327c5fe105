"""go2rtc, also inside Frigate and Home Assistant: pkg/mpjpeg/multipart.go."""

from tests.system.reference.base import GaveUp, Picture, Reader, Steps, fields


class Go2rtc(Reader):
    """CRLF only, one colon a header line, and no part without Content-Length."""

    def run(self) -> Steps:
        while True:
            line = yield from self.until(b"\n")
            if line == b"\r\n":
                continue
            if not line.startswith(b"--"):
                raise GaveUp(f"multipart: wrong boundary: {line!r}")
            headers = fields((yield from self.until(b"\r\n\r\n")))
            if "content-length" not in headers:
                raise GaveUp("multipart: no content length")
            yield Picture((yield from self.exactly(int(headers["content-length"]))), headers)
