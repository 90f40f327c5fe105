"""When pictures are due: at even times, for sources that no camera drives, and rarely, where nobody looks."""

import math
import threading
from time import monotonic

SPARED = 1.0
"""Seconds between two pictures that are made though nobody looks: so a first viewer has one at once, and a source
that gives nothing useful any more is noticed.
"""


class Pace:
    """One moment each `period` seconds, the first at once; on time rather than after a pause."""

    def __init__(self, period: float, stop: threading.Event) -> None:
        self._period, self._stop = period, stop
        self._due = monotonic() - period

    def stopped(self) -> bool:
        """Wait for the next moment; True if `stop` came first. What fell more than a period behind is not made up."""
        now = monotonic()
        self._due = max(self._due + self._period, now - self._period)
        return self._stop.wait(max(0.0, self._due - now))


class Sparing:
    """Wants every picture that is looked at, and of the others one a second."""

    def __init__(self) -> None:
        self._last = -math.inf

    def wants(self, now: float, *, pixels: bool) -> bool:
        """Whether the picture of that moment (monotonic seconds) is to be made."""
        if not pixels and now - self._last < SPARED:
            return False
        self._last = now
        return True
