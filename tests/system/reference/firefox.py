"""Firefox: netwerk/streamconv/converters/nsMultiMixedConv.cpp."""

from tests.system.reference.base import GaveUp, Picture, Reader, Steps, fields


class Firefox(Reader):
    """Searches for the boundary, and paints at the end of its line; nothing else may stand on that line."""

    def run(self) -> Steps:
        yield from self.until(self.boundary + b"\r\n")
        while True:
            headers = fields((yield from self.until(b"\r\n\r\n")))
            if not headers.get("content-length", "0").isdigit():
                raise GaveUp("NS_ERROR_CORRUPTED_CONTENT: Content-Length is no number")
            part = (yield from self.until(b"\r\n" + self.boundary)).removesuffix(b"\r\n" + self.boundary)
            end = yield from self.exactly(2)
            if end not in (b"\r\n", b"--"):
                raise GaveUp("NS_ERROR_CORRUPTED_CONTENT: something behind the boundary")
            yield Picture(part[: int(headers.get("content-length", len(part)))], headers)
            if end == b"--":
                return
