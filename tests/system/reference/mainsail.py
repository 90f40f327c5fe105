"""Mainsail, Fluidd and others after aruntj/mjpeg-readable-stream: mjpegstreamer.worker.ts."""

from tests.system.reference.base import SOI, GaveUp, Parser, Picture


class Mainsail(Parser):
    """Walks through each read by itself: SOI must not be cut in two, and a picture takes one byte more than it has."""

    def __init__(self, boundary: str) -> None:
        super().__init__(boundary)
        self._headers, self._jpeg, self._length = bytearray(), bytearray(), -1

    def feed(self, data: bytes) -> list[Picture]:
        pictures = []
        for index, byte in enumerate(data):
            if data[index : index + 2] == SOI:
                self._length, self._jpeg = self._content_length(), bytearray()
            if self._length <= 0:
                self._headers.append(byte)
            elif len(self._jpeg) < self._length:
                self._jpeg.append(byte)
            else:
                pictures.append(Picture(bytes(self._jpeg)))
                self._headers, self._length = bytearray(), 0
        return pictures

    def _content_length(self) -> int:
        for line in self._headers.decode("latin-1").split("\n"):
            name, *value = line.split(":")
            if name.lower() == "content-length":
                return int(value[0])
        raise GaveUp("RangeError: new ArrayBuffer(-1)")
