"""An event loop that belongs to one thread and is run a step at a time: by whoever waits for that step.

Between two steps nothing happens, and so nothing that was received is moved.
"""

import asyncio
import socket
import threading
from collections.abc import Coroutine, Iterable
from functools import partial
from typing import Any, TypeVar

from mjpegd.aside import aside

SLICE = 0.2
"""Seconds between two looks at `stop`."""

TURNS = 4
"""Turns of the loop after which a TLS connection that was aborted has closed its socket."""

T = TypeVar("T")


class _Loop(asyncio.SelectorEventLoop):
    """A loop that resolves names in a thread which may be left behind: it may take half a minute."""

    async def getaddrinfo(self, *query: Any, **options: Any) -> Any:
        """As `socket.getaddrinfo`."""
        resolve = partial(socket.getaddrinfo, *query, **options)
        return await asyncio.wrap_future(aside(resolve, "resolve"), loop=self)


class PrivateLoop:
    """Runs coroutines to their end while looking at `stop`."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._loop = _Loop()

    def run(self, work: Coroutine[Any, Any, T], patience: float) -> T | None:
        """The result of `work`; None if `stop` was set first, `TimeoutError` if it takes more than `patience` seconds.

        In both cases the work is cancelled before this returns.
        """
        if self._stop.is_set():
            work.close()
            return None
        task = self._loop.create_task(work)
        deadline = self._loop.time() + patience
        timer: asyncio.TimerHandle | None = None

        def look() -> None:
            nonlocal timer
            left = deadline - self._loop.time()
            if self._stop.is_set() or left <= 0:
                task.cancel()
            else:
                timer = self._loop.call_later(min(SLICE, left), look)

        look()
        try:
            return self._loop.run_until_complete(task)
        except asyncio.CancelledError:
            if self._stop.is_set():
                return None
            raise TimeoutError from None
        finally:
            if timer is not None:
                timer.cancel()

    def close(self) -> None:
        """Cancel what is left and close; connections must have been aborted. A second call does nothing."""
        if self._loop.is_closed():
            return
        self._loop.run_until_complete(_finish(asyncio.all_tasks(self._loop)))
        self._loop.close()


async def _finish(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """End what an interrupt left behind, and take the turns that a connection needs from its abort to its end."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for _ in range(TURNS):
        await asyncio.sleep(0)
