"""Whether a camera gives the same picture again and again: a sensor has noise, so a living one never does for long."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from mjpegd.backoff import Backoff
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

    def lasts(self, taken: float) -> float:
        """The same for a picture that is known to be the last one once more."""
        return taken - self._last[1] if self._last is not None else 0.0


def identical(one: memoryview, other: memoryview) -> bool:
    """Byte by byte, where the lengths are equal: of living JPEGs that is one pair in a thousand."""
    return len(one) == len(other) and bytes(one) == bytes(other)


class Freeze:
    """Judges each picture of a camera, and says when a frozen one is worth being opened again: ever more rarely."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._jpegs = Stillness(identical)
        self._pixels: Stillness[Any] | None = None
        self._pauses = Backoff(limit, max(limit, LONGEST_PAUSE))
        self._wake_at = 0.0

    def has_frozen(self, grab: Grab, frame: Frame | None) -> bool:
        """Whether the picture has been the same for `limit` seconds. `frame` is what was made of it, if it is new."""
        if self._seconds(grab, frame) >= self._limit:
            return True
        self._pauses.reset()
        self._wake_at = 0.0
        return False

    def is_to_be_woken(self, now: float) -> bool:
        """Whether it is time to open a frozen camera again: at first, and then after pauses that grow."""
        if now < self._wake_at:
            return False
        self._wake_at = now + self._pauses.pause()
        return True

    def _seconds(self, grab: Grab, frame: Frame | None) -> float:
        if frame is None:
            return self._jpegs.lasts(grab.taken)
        if grab.format == JPEG:
            return self._jpegs.seconds(frame.jpeg, frame.taken)
        from mjpegd import pixels

        if self._pixels is None:
            self._pixels = Stillness(pixels.alike)
        return self._pixels.seconds(pixels.samples(grab), frame.taken)
