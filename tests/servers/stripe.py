"""A number inside the picture that survives H.264 and JPEG: a row of black and white blocks along the upper edge.

From the left: white, black, `BITS` blocks with the number (the highest first, white is 1), and one that makes the
count of white ones among those even. A viewer that reads it knows which picture of a loop it sees.
"""

from typing import Any

import cv2
import numpy
from numpy.typing import NDArray

Pixels = NDArray[Any]

BITS = 13
BLOCKS = 2 + BITS + 1
HEIGHT = 9
"""The stripe is a ninth of the picture high, so that its blocks are square in 16:9."""


def draw(picture: Pixels, number: int) -> None:
    """Paint the stripe over the upper edge of a picture."""
    digits = [number >> place & 1 for place in reversed(range(BITS))]
    for place, bright in enumerate((1, 0, *digits, sum(digits) & 1)):
        rows, columns = _block(picture, place)
        picture[rows, columns] = 235 * bright + 10


def read(picture: Pixels) -> int | None:
    """The number in a picture; None where there is no stripe, as on a card."""
    white, black, *digits, parity = (_is_bright(picture, place) for place in range(BLOCKS))
    if (white, black) != (True, False) or sum(digits) & 1 != parity:
        return None
    return sum(digit << place for place, digit in enumerate(reversed(digits)))


def read_jpeg(jpeg: bytes) -> int | None:
    """The number in a JPEG, decoded no finer than needed."""
    picture = cv2.imdecode(numpy.frombuffer(jpeg, numpy.uint8), cv2.IMREAD_REDUCED_GRAYSCALE_4)
    return None if picture is None else read(picture)


def _block(picture: Pixels, place: int) -> tuple[slice, slice]:
    height, width = picture.shape[:2]
    return slice(0, height // HEIGHT), slice(place * width // BLOCKS, (place + 1) * width // BLOCKS)


def _is_bright(picture: Pixels, place: int) -> bool:
    """The middle half of a block, so that its neighbours do not colour it."""
    rows, columns = _block(picture, place)
    rim = (columns.stop - columns.start) // 4
    middle = picture[rows.stop // 4 : rows.stop - rows.stop // 4, columns.start + rim : columns.stop - rim]
    return bool(middle.mean() > 128)
