"""What was made of a camera's newest frame: each thing once, whoever asks for it first."""

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import TypeVar, cast

from mjpegd.frame import Frame

T = TypeVar("T")


class Prints:
    """Pixels and pictures that renditions of one camera share. For any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seq = 0
        self._made: dict[Hashable, Future[object]] = {}

    def get(self, frame: Frame, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` gives for that frame, or gave before; what it raises, each one who asked is raised."""
        with self._lock:
            if frame.seq > self._seq:
                self._seq, self._made = frame.seq, {}
            mine: Future[object] = Future()
            future = self._made.setdefault(key, mine) if frame.seq == self._seq else mine
        if future is mine:  # else it is being made, in a thread that runs already
            try:
                mine.set_result(make())
            except BaseException as error:  # noqa: BLE001  (handed to all who wait)
                mine.set_exception(error)
        return cast("T", future.result())

    def clear(self) -> None:
        """Keep nothing: nobody asks any more."""
        with self._lock:
            self._made = {}
