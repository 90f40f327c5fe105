"""What was made of a camera's newest frame: each thing once, whoever asks for it first."""

from asyncio import Future
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

from mjpegd.errors import EncoderLost

MOST = 16
"""Things kept of one frame: who asks for a hundred sizes of a still picture does not fill the memory with them."""

T = TypeVar("T")


class Prints(Generic[T]):
    """Pictures that renditions of one camera share, made or being made. For the loop."""

    def __init__(self) -> None:
        self.made = 0
        """How many were made so far."""
        self._seq = 0
        self._asked: dict[Hashable, Future[T]] = {}

    def get(self, seq: int, key: Hashable, make: Callable[[], Future[T]]) -> Future[T]:
        """What `make` gives for the frame of that number, or gave before."""
        if seq > self._seq:
            self._seq, self._asked = seq, {}
        asked = self._asked if seq == self._seq else {}  # of an older one nothing is kept
        if (found := asked.get(key)) is not None and not _is_lost(found):
            return found
        mine = asked[key] = make()
        mine.add_done_callback(self._count)
        if len(asked) > MOST:
            del asked[next((name for name, each in asked.items() if each.done()), key)]
        return mine

    def _count(self, asked: Future[T]) -> None:
        self.made += not asked.cancelled() and asked.exception() is None


def _is_lost(asked: Future[Any]) -> bool:
    """Whether it came to nothing through no fault of the frame's."""
    return asked.done() and (asked.cancelled() or isinstance(asked.exception(), EncoderLost))
