"""Waking the event loop from another thread."""

import asyncio
import os
import threading
from collections.abc import Callable


class Bell:
    """Has `heard` called on the loop soon after `ring` was called in any thread, once however often that was.

    `call_soon_threadsafe` does as much, but wakes the loop while the caller holds the interpreter's lock. On the
    caller's core the loop then runs at once, finds the lock taken, sleeps, and the scheduler may give the core to
    whoever else waits for it: with a busy encoder beside it that was 5 ms in one frame of ten. `os.eventfd_write` lets
    go of the lock first.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, heard: Callable[[], object]) -> None:
        self._loop = loop
        self._heard: Callable[[], object] | None = heard
        self._lock = threading.Lock()
        """Held while the descriptor is used by another thread: once closed, it may be anybody's."""
        self._descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        loop.add_reader(self._descriptor, self._hear)

    def ring(self) -> None:
        """Wake the loop; nothing once the bell is closed."""
        with self._lock:
            if self._descriptor >= 0:
                os.eventfd_write(self._descriptor, 1)

    def close(self) -> None:
        """Be heard no more. For the loop's thread."""
        with self._lock:
            descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            self._loop.remove_reader(descriptor)
            os.close(descriptor)
        self._heard = None

    def _hear(self) -> None:
        if self._heard is not None:
            os.eventfd_read(self._descriptor)
            self._heard()
