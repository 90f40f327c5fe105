"""Whether a camera gives the same picture again and again: a sensor has noise, so a living one never does for long."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from mjpegd.backoff import Backoff
from mjpegd.errors import SourceFrozen
from mjpegd.frame import Frame
from mjpegd.sources.base import JPEG, Grab

LONGEST_PAUSE = 600.0
"""Longest time between two tries to wake a frozen camera by opening it again."""

Likeness = TypeVar("Likeness")


class Stillness(Generic[Likeness]):
    """Compares each picture with the last one that was another; `same` says whether two are one and the same."""

    def __init__(self, same: Callable[[Likeness, Likeness], bool]) -> None:
        self._same = same
        self._last: tuple[Likeness, float] | None = None

    def seconds(self, likeness: Likeness, taken: float) -> float:
        """How long the picture of that moment (monotonic seconds) has stood still; 0 for one that is new."""
        if self._last is not None and self._same(self._last[0], likeness):
            return taken - self._last[1]
        self._last = (likeness, taken)
        return 0.0


def identical(one: memoryview, other: memoryview) -> bool:
    """Byte by byte, where the lengths are equal: of living JPEGs that is one pair in a thousand."""
    return len(one) == len(other) and bytes(one) == bytes(other)


class Freeze:
    """Judges each picture of a camera. Once one has lasted for `limit` seconds it is held back until it is another."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._jpegs = Stillness(identical)
        self._pixels: Stillness[Any] | None = None
        self._pauses = Backoff(limit, max(limit, LONGEST_PAUSE))
        self._wake_at = 0.0

    def holds(self, grab: Grab, frame: Frame) -> bool:
        """Whether this is the picture that has been shown for too long.

        `SourceFrozen` at first, and then now and again: many a camera is woken by being opened anew.
        """
        if self._seconds(grab, frame) < self._limit:
            self._pauses.reset()
            self._wake_at = 0.0
            return False
        if frame.taken >= self._wake_at:
            self._wake_at = frame.taken + self._pauses.pause()
            raise SourceFrozen(f"the same picture for {self._limit:g} s")
        return True

    def _seconds(self, grab: Grab, frame: Frame) -> float:
        if grab.format == JPEG:
            return self._jpegs.seconds(frame.jpeg, frame.taken)
        from mjpegd import pixels

        if self._pixels is None:
            self._pixels = Stillness(pixels.alike)
        return self._pixels.seconds(pixels.samples(grab), frame.taken)
