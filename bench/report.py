"""What was found: Markdown for people, JSON for programs. Medians are made here and nowhere else."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from metrics import CPU_PER_GB, LIMIT_RATIO, Metric, Reading, medians
from rounds import Result
from scenarios import Scenario
from targets import Verdict

LIMIT = "limit"


@dataclass(frozen=True)
class Report:
    """One scenario's results."""

    scenario: Scenario
    results: Sequence[Result]

    @property
    def medians(self) -> dict[str, Reading]:
        """By server, of those that were measured; with the ratio to the limit where that was."""
        found = {result.server.name: medians(result.readings) for result in self.results if result.measured}
        floor = found.get(LIMIT, {}).get(CPU_PER_GB)
        if floor:
            for reading in found.values():
                reading[LIMIT_RATIO] = reading[CPU_PER_GB] / floor
        return found

    @property
    def verdicts(self) -> list[Verdict]:
        """One for each target of the scenario."""
        found = self.medians
        return [target.judge(found) for target in self.scenario.targets]

    @property
    def failed(self) -> bool:
        """Whether a server that is there could not be measured."""
        return any(not result.measured and not result.skipped for result in self.results)

    def markdown(self) -> str:
        """Heading, table, targets."""
        title = f"## {self.scenario.name}: {self.scenario.about}"
        targets = "\n".join(f"- {verdict.text}" for verdict in self.verdicts)
        return "\n\n".join(part for part in (title, self._table(), targets) if part)

    def data(self) -> dict[str, Any]:
        """The same, with each run's figures."""
        return {
            "about": self.scenario.about,
            "servers": {result.server.name: self._runs(result) for result in self.results},
            "medians": {server: self._figures(reading) for server, reading in self.medians.items()},
            "targets": [{"reached": verdict.reached, "text": verdict.text} for verdict in self.verdicts],
        }

    def _table(self) -> str:
        columns, found = self.scenario.columns, self.medians
        rows = [["server", *(metric.heading for metric in columns), "runs"], ["---"] * (len(columns) + 2)]
        for result in self.results:
            reading = found.get(result.server.name, {})
            cells = (_cell(metric, reading) for metric in columns)
            rows.append([result.server.name, *cells, _count(result)])
        return "\n".join(f"| {' | '.join(row)} |" for row in rows)

    def _runs(self, result: Result) -> dict[str, Any]:
        return {
            "runs": [self._figures(reading) for reading in result.readings],
            "dropped": result.dropped,
            "failures": result.failures,
            "skipped": result.skipped,
        }

    def _figures(self, reading: Reading) -> dict[str, float]:
        return {metric.key: round(reading[metric], 6) for metric in self.scenario.columns if metric in reading}


def _cell(metric: Metric, reading: Reading) -> str:
    return f"{reading[metric]:.{metric.decimals}f}" if metric in reading else "-"


def _count(result: Result) -> str:
    """How many runs the medians are of, and what became of the others."""
    if result.skipped:
        return f"skipped: {result.skipped}"
    notes = [f"{result.dropped} disturbed, dropped"] if result.dropped else []
    if result.failures:
        notes.append(f"{len(result.failures)} failed: {result.failures[-1]}")
    return f"{len(result.readings)}" + (f" ({'; '.join(notes)})" if notes else "")
