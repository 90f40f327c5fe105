"""The promises: each a bound on a median of one row of a table, as a number or as a multiple of another row's."""

from collections.abc import Mapping
from dataclasses import dataclass
from operator import ge, le
from typing import Literal

from metrics import Metric, Reading

SUBJECT = "mjpegd"


@dataclass(frozen=True)
class Verdict:
    """What became of a target: `reached` is None where a figure it needs was not measured."""

    reached: bool | None
    text: str


@dataclass(frozen=True)
class Target:
    """`metric` of `subject` `relation` `bound`, in units of the median of `against` where that is named."""

    metric: Metric
    relation: Literal["<=", ">="]
    bound: float
    against: str | None = None
    subject: str = SUBJECT

    def judge(self, medians: Mapping[str, Reading]) -> Verdict:
        """Compare with the medians, by row."""
        value = medians.get(self.subject, {}).get(self.metric)
        unit = medians.get(self.against, {}).get(self.metric) if self.against else 1.0
        if value is None or not unit:
            return Verdict(
                None, f"not judged: {self} ({self.subject if value is None else self.against} was not measured)"
            )
        measured = value / unit
        reached = (le if self.relation == "<=" else ge)(measured, self.bound)
        return Verdict(reached, f"{'reached' if reached else 'NOT reached'}: {self} (measured {measured:.4g})")

    def __str__(self) -> str:
        """The promise in a few words."""
        whose = "" if self.subject == SUBJECT else f"{self.subject}: "
        unit = f" x {self.against}" if self.against else ""
        return f"{whose}{self.metric.heading} {self.relation} {self.bound:g}{unit}"
