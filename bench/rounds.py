"""The order of play: servers in turn, round after round; a run that other programs disturbed is played again."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from measure import RunFailed, measure
from metrics import FOREIGN_CPU, Reading
from scenarios import Scenario
from servers import Server

FOREIGN_MOST = 15.0
"""Percent of a core that other programs may use in a run."""
REPEATS = 2

log = logging.getLogger(__name__)


@dataclass
class Result:
    """All runs of one server in one scenario. `dropped` counts the disturbed ones."""

    server: Server
    readings: list[Reading] = field(default_factory=list)
    dropped: int = 0
    failures: list[str] = field(default_factory=list)
    skipped: str | None = None

    @property
    def measured(self) -> bool:
        """Whether there is a run to report."""
        return bool(self.readings)


def play(scenario: Scenario, servers: Sequence[Server], rounds: int, seconds: float) -> list[Result]:
    """Measure each server `rounds` times, in turn, so that a change of the machine's mood meets all alike."""
    results = [Result(server, skipped=server.missing()) for server in servers]
    for number in range(1, rounds + 1):
        for result in results:
            if not result.skipped:
                log.info("%s: round %d of %d: %s", scenario.name, number, rounds, result.server.name)
                _turn(result, scenario, seconds)
    return results


def _turn(result: Result, scenario: Scenario, seconds: float) -> None:
    for _ in range(1 + REPEATS):
        try:
            reading = measure(result.server, scenario, seconds)
        except RunFailed as failure:
            log.warning("  %s", failure)
            result.failures.append(str(failure))
            return
        if reading[FOREIGN_CPU] <= FOREIGN_MOST:
            result.readings.append(reading)
            return
        log.warning("  disturbed: other programs used %.0f %% of a core", reading[FOREIGN_CPU])
        result.dropped += 1
