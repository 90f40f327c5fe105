"""Whether anybody wants a camera's frames, and whether they may have any: said on the loop, heeded by its thread."""

import math
from time import monotonic


class Demand:
    """Counts who wants frames. It outlives the captures of its camera, and so does a pause."""

    def __init__(self) -> None:
        self.paused = False
        """Nobody is to have pictures, whoever wants them."""
        self._wanting = 0
        self._left = -math.inf

    @property
    def now(self) -> bool:
        """Whether anybody wants frames."""
        return self._wanting > 0

    def within(self, seconds: float) -> bool:
        """Whether anybody does, or did so in the last `seconds`."""
        return self._wanting > 0 or monotonic() - self._left < seconds

    def enter(self) -> None:
        """One more wants them."""
        self._wanting += 1

    def leave(self) -> None:
        """One less."""
        self._left = monotonic()
        self._wanting -= 1
