"""One viewer's connection, as far as the kernel tells: how much it takes, and how long what is sent now will take."""

import asyncio
import math
from time import monotonic

from mjpegd.http import tcp

HALF = 0.5
"""Weight of what was seen last, where the connection was full."""
HOPE = 1.1
"""Growth at each look of a connection that is not full, and of which the kernel tells nothing."""


class Line:
    """Looked at a few times a second. `written` are the bytes that were written before it."""

    def __init__(self, writer: asyncio.StreamWriter, written: int) -> None:
        self.capacity = 0.0
        """Bytes a second that it takes, as far as was seen; 0 before that."""
        self.round_trip = 0.0
        """Seconds to the peer and back, 0 where nobody knows: a proxy's, if there is one."""
        self._writer = writer
        self._looked, self._queued = monotonic(), tcp.backlog(writer)
        self._arrived = written - self._queued
        self._was_full = False

    def look(self, written: int, least: float = 0.01) -> None:
        """Learn from what was written since the last look, of `written` bytes in all; not within `least` seconds."""
        now = monotonic()
        if now - self._looked < least:
            return
        queued, told = tcp.backlog(self._writer), tcp.told(self._writer)
        rate = max(0, written - queued - self._arrived) / (now - self._looked)
        full = bool(queued and self._queued)
        if full:
            self.capacity = HALF * rate + (1 - HALF) * self.capacity if self._was_full else rate
        elif rate:
            self.capacity = max(rate, told.rate or HOPE * self.capacity)
        self._was_full = full
        self.round_trip = told.round_trip
        self._looked, self._queued, self._arrived = now, queued, written - queued

    def delay(self, more: int = 0) -> float:
        """Seconds until all that is under way, and `more` bytes behind it, will have arrived; inf if never."""
        waiting = tcp.backlog(self._writer) + more
        if not waiting:
            return 0.0
        if not self.capacity:
            return math.inf if self._queued and not more else 0.0
        return waiting / self.capacity + self.round_trip / 2
