"""How long to wait before the next try."""

import random


class Backoff:
    """Pauses that double from `low` to `high` seconds, shortened at random so that cameras do not retry in step."""

    def __init__(self, low: float, high: float) -> None:
        self._low, self._high = low, high
        self._tries = 0

    def pause(self) -> float:
        """The next pause."""
        full = min(self._high, self._low * 2.0 ** min(self._tries, 32))
        self._tries += 1
        return full * random.uniform(0.75, 1.0)  # noqa: S311  (jitter, no secret)

    def reset(self) -> None:
        """Begin at the shortest again."""
        self._tries = 0
