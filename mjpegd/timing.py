"""Two small meters: how long a step takes, and how often something happens.

Both are written by one thread and read by another: a `deque` appends and copies atomically.
"""

from collections import deque
from collections.abc import Collection, Iterable
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
        return percentile(self._samples.copy(), share)

    def percentiles(self) -> dict[str, float | None]:
        """`percentiles` of its samples."""
        return percentiles(self._samples.copy())


def percentile(samples: Iterable[float], share: float) -> float | None:
    """The nearest-rank percentile of some samples; None of none."""
    ranked = sorted(samples)
    return ranked[round(share * (len(ranked) - 1))] if ranked else None


def percentiles(seconds: Collection[float]) -> dict[str, float | None]:
    """p50 and p95 in milliseconds; None while nothing was measured."""
    values = {f"p{share}": percentile(seconds, share / 100) for share in (50, 95)}
    return {name: None if value is None else round(value * 1000, 3) for name, value in values.items()}


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
