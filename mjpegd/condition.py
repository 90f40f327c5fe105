"""What can be said of a camera: a state, since when, and why."""

from dataclasses import dataclass
from enum import StrEnum
from time import time


class State(StrEnum):
    """`stale` is open but silent, `frozen` gives the same picture again and again, `lost` cannot be opened or read;
    `paused` was closed by somebody, `idle` because nobody watches.
    """

    STARTING = "starting"
    LIVE = "live"
    STALE = "stale"
    FROZEN = "frozen"
    LOST = "lost"
    PAUSED = "paused"
    IDLE = "idle"


OUTAGES = frozenset({State.STALE, State.FROZEN, State.LOST})
"""There should be pictures, and there are none."""
SHOWING = frozenset({State.LIVE, State.FROZEN})
"""There are pictures; what is a card all the same says so itself."""
HEALTHY = frozenset({State.LIVE, State.IDLE})
"""There are pictures, or would be if somebody asked."""


@dataclass(frozen=True, slots=True)
class Status:
    """A state, since when (Unix seconds; of an outage: its beginning), and why in words."""

    state: State
    since: float
    reason: str = ""

    def then(self, state: State, reason: str = "") -> "Status":
        """What follows it now: itself if nothing changed."""
        if (self.state, self.reason) == (state, reason):
            return self
        goes_on = state == self.state or {state, self.state} <= OUTAGES
        return Status(state, self.since if goes_on else time(), reason)

    @property
    def words(self) -> str:
        """The line on a card."""
        return f"no signal: {self.reason}" if self.state in OUTAGES else self.reason or str(self.state)
