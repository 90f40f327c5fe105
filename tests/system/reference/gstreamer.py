"""GStreamer: gst/multipart/multipartdemux.c."""

from tests.system.reference.base import Bytes, GaveUp, Picture, Reader, Steps

TYPE, LENGTH = b"content-type:", b"content-length:"


class GStreamer(Reader):
    """Learns the boundary from the first line and wants it again exactly; waits for two bytes behind the picture."""

    def run(self) -> Steps:
        learnt: bytes | None = None
        while True:
            head = (yield from self.until(b"\r\n\r\n")).lstrip()
            boundary, *lines = head[:-4].split(b"\r\n")
            learnt = learnt or boundary
            if learnt is not None and boundary == learnt + b"--":
                return
            if boundary != learnt or not boundary.startswith(b"--"):
                raise GaveUp(f"boundary not found in the multipart header: {boundary!r}")
            headers = self._headers(lines)
            jpeg = yield from self._body(int(headers.get("content-length", "-1")), learnt)
            yield Picture(jpeg, headers)

    @staticmethod
    def _headers(lines: list[bytes]) -> dict[str, str]:
        headers = {}
        for line in lines:
            if line.lower().startswith(TYPE):  # the value is cut out behind exactly one space
                headers["content-type"] = line[len(TYPE) + 1 :].decode().partition(";")[0].lower()
            elif line.lower().startswith(LENGTH):
                headers["content-length"] = line[len(LENGTH) :].decode().strip()
        if headers.get("content-type") != "image/jpeg":
            raise GaveUp(f"a pad of another type: {headers}")
        return headers

    def _body(self, length: int, boundary: bytes) -> Bytes:
        if length >= 0:
            return (yield from self.exactly(length + 2))[:length]
        return self.take((yield from self.find(boundary))).removesuffix(b"\r\n")
