"""The threads that make renditions of all cameras, and how many renditions there may be."""

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from mjpegd import log
from mjpegd.config.schema import LimitsConfig
from mjpegd.errors import NoRoom

MOST_THREADS = 4
"""Where nobody says how many: the others are for cameras and viewers."""
NICE = 5
"""How far encoders stand back behind the threads of cameras and viewers: the slowest frames of viewers beside busy
encoders take a fifth to a third less. Not further: one that other programs keep from running while it holds the
interpreter's lock would hold up everybody; measured at 10 and 19."""

T = TypeVar("T")


class Encoders:
    """A small pool off the loop. Each rendition has one picture in it at most, so turns are fair by themselves."""

    def __init__(self, limits: LimitsConfig) -> None:
        self.limits = limits
        self.renditions = 0
        """How many there are now, of all cameras."""
        threads = limits.encoders or max(1, min(MOST_THREADS, len(os.sched_getaffinity(0)) - 1))
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="encoder", initializer=_stand_back)

    async def run(self, work: Callable[[], T]) -> T:
        """Its result, once a thread had time for it."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def enter(self, mine: int, *, bounded: bool) -> None:
        """Count one more beside the `mine` of its camera; `NoRoom` 503 if there is none and it is `bounded`."""
        if bounded:
            self._require("renditions", self.renditions, "this daemon makes")
            self._require("renditions_per_camera", mine, "this camera makes")
        self.renditions += 1

    def leave(self) -> None:
        """One less."""
        self.renditions -= 1

    def _require(self, key: str, there: int, who: str) -> None:
        most = getattr(self.limits, key)
        if most and there >= most:
            message = f"there are as many different renditions as {who}: ask for one that others watch"
            raise NoRoom(503, message, limit=key, most=most)

    def close(self) -> None:
        """Begin nothing new; what is under way is waited for at the end of the process only."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _stand_back() -> None:
    """Linux has a niceness for each thread (setpriority(2)); where it may not be changed, all stay equal."""
    thread = threading.get_native_id()
    try:
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + NICE)
    except PermissionError:
        log.get().debug("encoders cannot be made nicer than the rest")
