"""The order of play: all in turn, round after round; a run that other programs disturbed is played again."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from metrics import FOREIGN_CPU, Reading

FOREIGN_MOST = 15.0
"""Percent of a core that other programs may use in a run."""
REPEATS = 2
"""How often such a run is played again, unless said."""

log = logging.getLogger(__name__)


class RunFailed(Exception):
    """Something could not be measured; the message says why."""


@dataclass(frozen=True)
class Entrant:
    """A row of a table: `take` makes one run; `skipped` says why there can be none."""

    name: str
    take: Callable[[], Reading]
    skipped: str | None = None


@dataclass
class Result:
    """All runs of one row. `dropped` counts the disturbed ones."""

    name: str
    readings: list[Reading] = field(default_factory=list)
    dropped: int = 0
    failures: list[str] = field(default_factory=list)
    skipped: str | None = None

    @property
    def measured(self) -> bool:
        """Whether there is a run to report."""
        return bool(self.readings)


def play(
    table: str, entrants: Sequence[Entrant], rounds: int, foreign_most: float = FOREIGN_MOST, repeats: int = REPEATS
) -> list[Result]:
    """Measure each `rounds` times, in turn, so that a change of the machine's mood meets all alike."""
    results = [Result(entrant.name, skipped=entrant.skipped) for entrant in entrants]
    for number in range(1, rounds + 1):
        for entrant, result in zip(entrants, results, strict=True):
            if not result.skipped:
                log.info("%s: round %d of %d: %s", table, number, rounds, result.name)
                _turn(result, entrant.take, foreign_most, repeats)
    return results


def _turn(result: Result, take: Callable[[], Reading], foreign_most: float, repeats: int) -> None:
    for _ in range(1 + repeats):
        try:
            reading = take()
        except RunFailed as failure:
            log.warning("  %s", failure)
            result.failures.append(str(failure))
            return
        if reading[FOREIGN_CPU] <= foreign_most:
            result.readings.append(reading)
            return
        log.warning("  disturbed: other programs used %.0f %% of a core", reading[FOREIGN_CPU])
        result.dropped += 1
