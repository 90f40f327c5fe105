"""Pictures made of pictures. What several of one frame have in common is done once."""

import threading
from time import monotonic

from mjpegd import pixels
from mjpegd.encoding.orders import Order
from mjpegd.look import Size


class Original:
    """A camera's JPEG, and the pixels that were made of it so far. For any thread."""

    def __init__(self, jpeg: memoryview) -> None:
        self._jpeg = jpeg
        self._decoding = {factor: threading.Lock() for factor in pixels.FACTORS}
        self._decoded: dict[int, tuple[pixels.Pixels, float]] = {}

    def pixels(self, factor: int) -> tuple[pixels.Pixels, float]:
        """Its pixels, smaller by that factor of `pixels.reduction`, and the seconds that decoding took when it was
        done: who comes while another does it waits for that. `BrokenPicture` if it cannot be.
        """
        with self._decoding[factor]:
            if factor not in self._decoded:
                began = monotonic()
                image = pixels.decode(self._jpeg, factor)
                self._decoded[factor] = image, monotonic() - began
            return self._decoded[factor]


def make(order: Order, original: Original) -> tuple[memoryview, float]:
    """The picture that was ordered, as a JPEG, and the seconds that it took; `BrokenPicture` if it cannot be."""
    size: Size = order.width, order.height
    factor = pixels.reduction((order.have_width, order.have_height), size)
    image, decoding = original.pixels(factor)
    began = monotonic()
    picture = pixels.encode(pixels.scale(image, size, bars=order.bars), order.quality)
    return picture, decoding + monotonic() - began
