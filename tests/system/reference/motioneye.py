"""motionEye: motioneye/mjpgclient.py."""

import re

from tests.system.reference.base import GaveUp, Picture, Reader, Steps


class MotionEye(Reader):
    """Asks in HTTP/1.0, then only ever looks for `Content-Length:` in just that spelling and the first digits."""

    from_head = True

    def run(self) -> Steps:
        yield from self.until(b" 200 ")
        while True:
            yield from self.until(b"Content-Length:")
            digits = re.search(rb"\d+", (yield from self.until(b"\r\n\r\n")))
            if digits is None:
                raise GaveUp("could not find content length in mjpg header line")
            yield Picture((yield from self.exactly(int(digits[0]))))
