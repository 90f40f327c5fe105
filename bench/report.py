"""What was found: Markdown for people, JSON for programs. Medians are made here and nowhere else."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from metrics import CPU_PER_GB, LIMIT_RATIO, Metric, Reading, medians
from rounds import Result
from targets import Target, Verdict

LIMIT = "limit"


class Table(Protocol):
    """What a table is of: a scenario, or the modes of a camera."""

    @property
    def name(self) -> str:
        """A word."""

    @property
    def about(self) -> str:
        """A line."""

    @property
    def rows(self) -> str:
        """What its rows are."""

    @property
    def columns(self) -> tuple[Metric, ...]:
        """The figures it shows."""

    @property
    def targets(self) -> tuple[Target, ...]:
        """What is promised of them."""


@dataclass(frozen=True)
class Report:
    """One table's results."""

    table: Table
    results: Sequence[Result]

    @property
    def medians(self) -> dict[str, Reading]:
        """By row, of those that were measured; with the ratio to the limit where that was."""
        found = {result.name: medians(result.readings) for result in self.results if result.measured}
        floor = found.get(LIMIT, {}).get(CPU_PER_GB)
        if floor:
            for reading in found.values():
                reading[LIMIT_RATIO] = reading[CPU_PER_GB] / floor
        return found

    @property
    def verdicts(self) -> list[Verdict]:
        """One for each target of the table."""
        found = self.medians
        return [target.judge(found) for target in self.table.targets]

    @property
    def failed(self) -> bool:
        """Whether something that is there could not be measured."""
        return any(not result.measured and not result.skipped for result in self.results)

    def markdown(self) -> str:
        """Heading, table, targets."""
        title = f"## {self.table.name}: {self.table.about}"
        targets = "\n".join(f"- {verdict.text}" for verdict in self.verdicts)
        return "\n\n".join(part for part in (title, self._table(), targets) if part)

    def data(self) -> dict[str, Any]:
        """The same, with each run's figures."""
        return {
            "about": self.table.about,
            f"{self.table.rows}s": {result.name: self._runs(result) for result in self.results},
            "medians": {name: self._figures(reading) for name, reading in self.medians.items()},
            "targets": [{"reached": verdict.reached, "text": verdict.text} for verdict in self.verdicts],
        }

    def _table(self) -> str:
        columns, found = self.table.columns, self.medians
        rows = [[self.table.rows, *(metric.heading for metric in columns), "runs"], ["---"] * (len(columns) + 2)]
        for result in self.results:
            reading = found.get(result.name, {})
            cells = (_cell(metric, reading) for metric in columns)
            rows.append([result.name, *cells, _count(result)])
        return "\n".join(f"| {' | '.join(row)} |" for row in rows)

    def _runs(self, result: Result) -> dict[str, Any]:
        return {
            "runs": [self._figures(reading) for reading in result.readings],
            "dropped": result.dropped,
            "failures": result.failures,
            "skipped": result.skipped,
        }

    def _figures(self, reading: Reading) -> dict[str, float]:
        return {metric.key: round(reading[metric], 6) for metric in self.table.columns if metric in reading}


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
