"""Who may have pictures made, and when; and how many renditions there may be."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from mjpegd.config.schema import LimitsConfig
from mjpegd.encoding.process import Made, Process
from mjpegd.encoding.workshop import Workshop
from mjpegd.errors import NoRoom
from mjpegd.frame import Frame
from mjpegd.look import Size

MOST_THREADS = 4
"""Where nobody says how many: the others are for cameras and viewers."""
LINGER = 600.0
"""Seconds for which the process, some 50 MB, is kept when there is no rendition: who polls snapshots finds it there."""


class Turn:
    """The right to have one picture made; given back when that is done, or unused."""

    def __init__(self, process: Process, give_back: Callable[[], None]) -> None:
        self.taken = False
        self._process, self._give_back = process, give_back

    def make(self, camera: int, frame: Frame, size: Size, quality: int, *, bars: bool) -> asyncio.Future[Made]:
        """Use it: see `Process.make`."""
        made = self._process.make(camera, frame, size, quality, bars=bars)
        self.taken = True
        made.add_done_callback(self._done)
        return made

    def _done(self, made: asyncio.Future[Made]) -> None:
        if not made.cancelled():
            made.exception()  # whoever asked may have left: asyncio would complain of an error that nobody looks at
        self._give_back()


class Encoders:
    """As many turns as there are threads, first come, first served. Made and used on the loop.

    Each rendition has one picture in it at most, so turns are fair by themselves.
    """

    def __init__(self, limits: LimitsConfig) -> None:
        self.limits = limits
        self.renditions = 0
        """How many there are now, of all cameras."""
        self.threads = limits.encoders or max(1, min(MOST_THREADS, len(os.sched_getaffinity(0)) - 1))
        self._free = asyncio.Semaphore(self.threads)
        self._workshop = Workshop(self.threads)
        self._idle: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Turn]:
        """Wait for a turn, which is given back at the end if it was not used."""
        await self._free.acquire()
        turn: Turn | None = None
        try:
            turn = Turn(await self._workshop.process(), self._free.release)
            yield turn
        finally:
            if turn is None or not turn.taken:
                self._free.release()

    def forget(self, camera: int) -> None:
        """Keep nothing of that camera's."""
        self._workshop.forget(camera)

    def enter(self, mine: int, *, bounded: bool) -> None:
        """Count one more beside the `mine` of its camera; `NoRoom` 503 if there is none and it is `bounded`."""
        if bounded:
            self._require("renditions", self.renditions, "this daemon makes")
            self._require("renditions_per_camera", mine, "this camera makes")
        self.renditions += 1
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def leave(self) -> None:
        """One less."""
        self.renditions -= 1
        if not self.renditions:
            self._idle = asyncio.get_running_loop().call_later(LINGER, self._workshop.close)

    def _require(self, key: str, there: int, who: str) -> None:
        most = getattr(self.limits, key)
        if most and there >= most:
            message = f"there are as many different renditions as {who}: ask for one that others watch"
            raise NoRoom(503, message, limit=key, most=most)

    def close(self) -> None:
        """Make no more."""
        if self._idle is not None:
            self._idle.cancel()
        self._workshop.close()
