"""How far a live stream has fallen behind its own clock."""

DRIFT = 5e-4
"""Seconds a second by which the stream's clock may be slower than ours; quartz is 20 times better."""


STEADY, WINDOW = 0.1, 20.0
"""A lag that for so many seconds has changed by less than this is the network's: what falls behind falls further, and
what is caught up with shrinks.
"""


class Lag:
    """Compares stream time with ours: the least difference seen is no lag, what is above it is lag."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._window: tuple[float, float, float] | None = None
        self._best: float | None = None
        self._last = (0.0, 0.0)

    def note(self, position: float, now: float) -> float:
        """A picture of that stream time (seconds) came at `now` (monotonic seconds); its lag in seconds.

        A stream whose time stands still has none to compare, and no lag.
        """
        before, at = self._last
        self._last = (position, now)
        difference = now - position
        if self._best is None or position == before:
            self._best = difference
        self._best = min(difference, self._best + DRIFT * (now - at))
        self.seconds = difference - self._best
        if self._is_steady(now):
            self._best = difference
        return self.seconds

    def _is_steady(self, now: float) -> bool:
        """Whether it has stayed where it is for a whole window."""
        lag = self.seconds
        began, low, high = self._window or (now, lag, lag)
        low, high = min(low, lag), max(high, lag)
        if high - low >= STEADY:
            began, low, high = now, lag, lag
        self._window = (began, low, high)
        return lag >= STEADY and now - began >= WINDOW
