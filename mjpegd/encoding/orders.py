"""What the daemon and its encoder process say to each other, over one Unix socket: native byte order, no padding.

An order is `ORDER` and, behind it, the JPEG that it is for, left out where that camera's last order had the same. An
answer is `ANSWER` and, behind it, the picture, or in UTF-8 why there is none.
"""

import struct
from enum import IntEnum
from typing import NamedTuple

ORDER = struct.Struct("=QIIIIIB?I")
ANSWER = struct.Struct("=QBdI")

FORGET = 0
"""The number of an order that asks for no picture: that camera's JPEG is to be let go."""


class Order(NamedTuple):
    """A picture that is to be made of a camera's JPEG, `have_width` by `have_height` pixels and `length` bytes.

    `bars` keep its proportions in another shape. `number` is what the answer is known by, `camera` any number.
    """

    number: int
    camera: int
    have_width: int = 0
    have_height: int = 0
    width: int = 0
    height: int = 0
    quality: int = 0
    bars: bool = False
    length: int = 0


class Outcome(IntEnum):
    """How it went."""

    MADE = 0
    BROKEN = 1
    """That JPEG cannot be decoded."""
    BUG = 2
    """Any other error: its traceback is what follows."""


class Answer(NamedTuple):
    """What became of an order, the seconds that it took to decode and encode, and how many bytes follow."""

    number: int
    outcome: Outcome
    seconds: float
    length: int


def answer(head: bytes | bytearray | memoryview) -> Answer:
    """The answer in `ANSWER.size` bytes."""
    number, outcome, seconds, length = ANSWER.unpack(head)
    return Answer(number, Outcome(outcome), seconds, length)
