"""Chromium: third_party/blink/renderer/core/loader/resource/multipart_image_resource_parser.cc."""

from tests.system.reference.base import EOI, SOI, GaveUp, Picture, Reader, Steps


class Chromium(Reader):
    """Searches for the boundary, and paints a part when the header block of the next one is complete."""

    def run(self) -> Steps:
        yield from self.until(self.boundary)
        yield from self.until(b"\r\n\r\n")
        while True:
            part = (yield from self.until(self.boundary)).removesuffix(self.boundary).removesuffix(b"\r\n")
            if (yield from self.exactly(1)) == b"-":
                return
            yield from self.until(b"\r\n\r\n")
            if not (part.startswith(SOI) and part.endswith(EOI)):
                raise GaveUp("a part that is no picture breaks the <img> for good")
            yield Picture(part)
