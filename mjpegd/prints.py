"""What was made of a camera's newest frame: each thing once, whoever asks for it first."""

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import TypeVar, cast

from mjpegd.frame import Frame

MOST = 16
"""Things kept of one frame: who asks for a hundred sizes of a still picture does not fill the memory with them."""

T = TypeVar("T")


class Prints:
    """Pixels or pictures that renditions of one camera share. For any thread."""

    def __init__(self) -> None:
        self.made = 0
        """How many were made so far."""
        self._lock = threading.Lock()
        self._seq = 0
        self._made: dict[Hashable, Future[object]] = {}

    def get(self, frame: Frame, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` gives for that frame, or gave before; what it raises, each one who asked is raised."""
        mine: Future[object] = Future()
        future = self._entered(frame.seq, key, mine)
        try:
            if future is mine:  # else it is being made, in a thread that runs already
                try:
                    made = make()
                except BaseException as error:  # noqa: BLE001  (handed to all who wait)
                    mine.set_exception(error)
                else:
                    self._count()
                    mine.set_result(made)
            return cast("T", future.result())
        finally:
            del mine, future  # they hold the error, whose traceback holds this call: frame and pixels would stay

    def _entered(self, seq: int, key: Hashable, mine: "Future[object]") -> "Future[object]":
        """What is kept by that key: `mine` from now on, if nothing is."""
        with self._lock:
            if seq > self._seq:
                self._seq, self._made = seq, {}
            if seq < self._seq:
                return mine
            future = self._made.setdefault(key, mine)
            if len(self._made) > MOST:
                oldest = next((name for name, each in self._made.items() if each.done()), key)
                del self._made[oldest]
            return future

    def _count(self) -> None:
        with self._lock:
            self.made += 1
