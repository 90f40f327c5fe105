"""Home Assistant: components/mjpeg/camera.py, the still picture taken out of a stream."""

from tests.system.reference.base import EOI, SOI, Picture, Reader, Steps

READ_TIMEOUT = 10.0
"""Seconds without a byte after which it closes a stream: the shortest patience of all clients."""


class HomeAssistant(Reader):
    """Takes all from the first SOI to the first EOI, wherever they stand; here again and again."""

    def run(self) -> Steps:
        while True:
            data = yield from self.until(EOI)
            yield Picture(data[data.index(SOI) :])
