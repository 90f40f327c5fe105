"""The promises: each a bound on a median of mjpegd, as a number or as a multiple of another server's median."""

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
    """`metric` of mjpegd `relation` `bound`, in units of the median of `against` where that is named."""

    metric: Metric
    relation: Literal["<=", ">="]
    bound: float
    against: str | None = None

    def judge(self, medians: Mapping[str, Reading]) -> Verdict:
        """Compare with the medians, by server."""
        value = medians.get(SUBJECT, {}).get(self.metric)
        unit = medians.get(self.against, {}).get(self.metric) if self.against else 1.0
        if value is None or not unit:
            return Verdict(None, f"not judged: {self} ({SUBJECT if value is None else self.against} was not measured)")
        measured = value / unit
        reached = (le if self.relation == "<=" else ge)(measured, self.bound)
        return Verdict(reached, f"{'reached' if reached else 'NOT reached'}: {self} (measured {measured:.4g})")

    def __str__(self) -> str:
        """The promise in a few words."""
        return f"{self.metric.heading} {self.relation} {self.bound:g}" + (f" x {self.against}" if self.against else "")
