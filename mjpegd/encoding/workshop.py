"""The one encoder process: begun when it is first needed, and anew when it has ended."""

import asyncio
import math
from functools import partial

from mjpegd import log
from mjpegd.aside import aside
from mjpegd.backoff import Backoff
from mjpegd.encoding.process import Child, Process

LASTING = 60.0
"""Seconds after which a process that ends was no failed start: the next one begins at once."""
PAUSES = 0.5, 30.0
"""Seconds between failed starts, the shortest and the longest."""


class Workshop:
    """Made and used on the loop."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._process: Process | None = None
        self._beginning: asyncio.Task[None] | None = None
        self._endings: set[asyncio.Task[None]] = set()
        self._backoff, self._begun = Backoff(*PAUSES), -math.inf
        self._log = log.get()

    async def process(self) -> Process:
        """The process; waited for if it has to begin."""
        while self._process is None or self._process.lost:
            if self._beginning is None:
                self._beginning = asyncio.create_task(self._begin(), name="encoder-start")
            await asyncio.shield(self._beginning)  # others wait for it too
        return self._process

    def forget(self, camera: int) -> None:
        """Keep nothing of that camera's."""
        if self._process is not None:
            self._process.forget(camera)

    def close(self) -> None:
        """Let the process end, until it is needed again; one that is beginning ends when it has begun."""
        process, self._process, self._begun = self._process, None, -math.inf
        if process is not None:
            process.close()
        if self._beginning is not None:
            self._beginning.add_done_callback(lambda _: self.close())  # before whoever waits for it goes on

    async def _begin(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            await self._pause()
            self._begun = loop.time()
            child = await asyncio.wrap_future(aside(partial(Child, self._threads), "encoder-start"))
            process = Process()
            await loop.create_unix_connection(lambda: process, sock=child.connection)
        except (OSError, RuntimeError) as error:  # of a thread that cannot be started it is the latter
            self._log.error("cannot start the encoder process: no renditions meanwhile", reason=str(error))
        else:
            self._log.info("encoder process started", pid=child.pid, threads=self._threads)
            self._process = process
            ending = loop.create_task(self._see_off(process, child), name="encoder-end")
            self._endings.add(ending)
            ending.add_done_callback(self._endings.discard)
        finally:
            self._beginning = None

    async def _pause(self) -> None:
        """Before the next start, if the last one failed."""
        if asyncio.get_running_loop().time() - self._begun < LASTING:
            await asyncio.sleep(self._backoff.pause())
        else:
            self._backoff.reset()

    async def _see_off(self, process: Process, child: Child) -> None:
        """Wait for its end, and say of an unexpected one how it was."""
        await process.ended.wait()
        unexpected = process is self._process  # asked now: the next one may be there before this one is gone
        how = await asyncio.wrap_future(aside(child.end, "encoder-end"))
        if unexpected:
            self._log.warning("the encoder process ended: another one takes its place", pid=child.pid, how=how)
        else:
            self._log.info("encoder process ended", pid=child.pid, how=how)
