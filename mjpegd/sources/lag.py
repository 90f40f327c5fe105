"""How far a live stream has fallen behind its own clock."""

DRIFT = 5e-4
"""Seconds a second by which the stream's clock may be slower than ours; quartz is 20 times better."""


class Lag:
    """Compares stream time with ours: the least difference seen is no lag, what is above it is lag."""

    def __init__(self) -> None:
        self.seconds = 0.0
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
        return self.seconds
