"""One viewer's connection, as far as the kernel tells: how much it takes, and how long what is sent now will take."""

import asyncio
import math
from time import monotonic

from mjpegd.http import tcp

MEMORY = 0.5
"""Seconds after which what was seen counts about a third of what is seen now."""
STALL = 1.0
"""Seconds without a byte after which a connection stands still: that says nothing of what it takes when it moves."""
FAR = 0.01
"""Seconds to the peer and back from which on the kernel's own measurement is better, as it waits for nobody."""
HOPE = 1.5
"""Growth at each look of a connection that is not full, and of which the kernel tells nothing."""
_SHORTEST = 1e-9
"""Seconds that a byte takes at least: the kernel counts them in ticks, of which a quick one may have none."""


class Line:
    """Looked at a few times a second. `written` are the bytes that were written before it.

    What it takes is what arrived while anything was to be delivered: a line that was idle in between is not slow.
    """

    def __init__(self, writer: asyncio.StreamWriter, written: int) -> None:
        self._writer = writer
        self._told = tcp.told(writer)
        self.capacity = 0.0
        """Bytes a second that it takes, as far as was seen; 0 before that."""
        self._arrived = written - self._told.queued
        self._looked = self._moved = monotonic()
        self._still = 0.0
        self._spent = self._bytes = self._seconds = 0.0

    def look(self, written: int, least: float = 0.01) -> None:
        """Learn from what was written since the last look, of `written` bytes in all; not within `least` seconds."""
        now = monotonic()
        passed = now - self._looked
        if passed < least:
            return
        told = tcp.told(self._writer)
        came = written - told.queued - self._arrived
        self._spent += self._busy(told, came, passed)
        if came > 0:
            if now - self._moved < STALL + passed:
                self._learn(told, came, passed)
            self._spent, self._arrived = 0.0, written - told.queued
        if came > 0 or not told.queued:
            self._moved = now
        self._looked, self._told, self._still = now, told, now - self._moved

    @property
    def round_trip(self) -> float:
        """Seconds to the peer and back, 0 where nobody knows: a proxy's, if there is one."""
        return self._told.round_trip

    @property
    def distance(self) -> float:
        """Seconds to the peer that nobody can shorten: half of the least way there and back."""
        return self._told.least / 2

    def delay(self, more: int = 0, courage: float = 1.0) -> float:
        """Seconds until all that is under way, and `more` bytes behind it, will have arrived; inf if never.

        `courage` is how many times of what was seen it is held to take.
        """
        told = tcp.told(self._writer)
        if not told.queued + more:
            return 0.0
        if self._still > STALL or (self._told.queued and not self.capacity and not more):
            return math.inf
        pace = 1 / (courage * self.capacity) if self.capacity else 0.0
        sent = (told.queued - told.unsent) * pace  # behind a lost packet much of it waits with the peer
        return (told.unsent + more) * pace + max(told.round_trip, sent, self._still) - told.least / 2

    def _busy(self, told: tcp.Told, came: int, passed: float) -> float:
        """Seconds of those that passed in which there was anything to deliver."""
        if told.busy is not None and self._told.busy is not None:
            return min(passed, told.busy - self._told.busy)
        if (told.queued and self._told.queued) or not self.capacity:
            return passed
        return min(passed, max(came, 0) / (HOPE * self.capacity))

    def _learn(self, told: tcp.Told, came: int, passed: float) -> None:
        """Add what came in the time that was spent on it; on a long way most of that time is the way."""
        spent = self._spent
        if told.least > FAR and told.rate and not (told.unsent and self._told.unsent):
            spent = min(spent, came / told.rate)
        fading = math.exp(-passed / MEMORY)
        self._bytes = fading * self._bytes + came
        self._seconds = fading * self._seconds + max(spent, came * _SHORTEST)
        self.capacity = self._bytes / self._seconds
