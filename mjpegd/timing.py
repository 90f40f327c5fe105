"""Two small meters: how long a step takes, and how often something happens.

Both are written by one thread and read by another: a `deque` appends and copies atomically.
"""

from collections import deque
from time import monotonic

WINDOW = 512
"""Samples kept: 17 s of one camera at 30 fps."""


class Timing:
    """The last `WINDOW` durations of one step, in seconds; false before the first."""

    __slots__ = ("_samples", "add")

    def __init__(self) -> None:
        self._samples: deque[float] = deque(maxlen=WINDOW)
        self.add = self._samples.append

    def __len__(self) -> int:
        return len(self._samples)

    def percentile(self, share: float) -> float | None:
        """The nearest-rank percentile (`share` 0.5 is the median); None before the first sample."""
        samples = sorted(self._samples.copy())
        return samples[round(share * (len(samples) - 1))] if samples else None


class Rate:
    """Events per second, over the last few seconds."""

    __slots__ = ("_times",)

    SPAN = 3.0

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=WINDOW)

    def tick(self, now: float) -> None:
        """An event at `now` (monotonic seconds)."""
        self._times.append(now)

    def per_second(self, now: float | None = None) -> float:
        """The mean rate of the last `SPAN` seconds; 0 when they hold fewer than two events."""
        horizon = (monotonic() if now is None else now) - self.SPAN
        times = [time for time in self._times.copy() if time >= horizon]
        return (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 and times[-1] > times[0] else 0.0
