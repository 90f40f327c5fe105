"""Pictures that are due at even times: for sources that no camera drives."""

import threading
from time import monotonic


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
