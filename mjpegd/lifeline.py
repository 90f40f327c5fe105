"""The line between a capture thread and the loop: what the thread is told, and how it shows that it gets on."""

import math
import threading
from time import monotonic

from mjpegd.demand import Demand

SLICE = 1.0
"""Longest time between two looks of a thread that only waits."""


class Lifeline(threading.Event):
    """Asks a capture thread to end, or to let go of its source for a pause.

    Whoever works in the thread looks at it often, and so shows that it gets on.
    """

    def __init__(self, demand: Demand) -> None:
        super().__init__()
        self._demand = demand
        self._nudged = threading.Event()
        self._looked = monotonic()

    def set(self) -> None:
        """Ask it to end."""
        super().set()
        self._nudged.set()

    def nudge(self) -> None:
        """Have it look whether it is wanted again."""
        self._nudged.set()

    @property
    def ended(self) -> bool:
        """Whether it is to end; a look."""
        self._looked = monotonic()
        return super().is_set()

    def is_set(self) -> bool:
        """Whether to let go of the source; a look, for the thread alone."""
        return self.ended or self._demand.paused

    def wait(self, timeout: float | None = None) -> bool:
        """Wait in slices, each of them a look."""
        until = math.inf if timeout is None else monotonic() + timeout
        while not self.is_set() and (left := until - monotonic()) > 0:
            super().wait(min(left, SLICE))
        return self.is_set()

    def doze(self) -> None:
        """Wait for a nudge or the end, for a slice at most."""
        self._looked = monotonic()
        self._nudged.wait(SLICE)
        self._nudged.clear()

    def silent(self) -> float:
        """Seconds since the thread last looked; for everybody else."""
        return monotonic() - self._looked
