"""When a viewer is led down its ladder, and when up again: a pure function of what was seen of its connection.

Down at once where it is clear that it takes less than it is sent, as far as it must; up by one rung and only after a
while of ease, which doubles each time that a rung turned out too high. So a viewer between two rungs settles on the
lower one and looks less and less often whether the upper one would do by now.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

MISSED = 0.15
"""Share of the frames not sent, as it was behind, above which the connection is too slow."""
EASE = 0.02
"""Share below which it is at ease."""
CERTAIN = 0.9
"""Seconds for which it must be too slow: a single stall of a radio link is none."""
HEADROOM = 0.85
"""Share of what a connection takes that a rung may cost."""
SETTLE = 1.0
"""Seconds after a step in which what was sent before still counts; nothing is judged."""
PATIENCE, LONGEST_PATIENCE = 2.5, 60.0
"""Seconds at ease before the next rung up is tried: at first, and at most."""
PROBATION = 10.0
"""Seconds after which a rung that was tried is held to be right."""
QUEUE = 0.5
"""Seconds that a frame may wait on its way where no `max_latency` says otherwise."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What was seen of a viewer in the last `seconds`.

    `sent` frames of its rendition, and `missed` ones that it was not sent. What is under way now will have arrived in
    `queue` seconds. `capacity` is how many bytes a second the connection takes, as far as was seen; 0 if it was not.
    """

    seconds: float
    sent: int
    missed: int
    queue: float
    capacity: float

    @property
    def share(self) -> float:
        """Share of the frames that was missed."""
        return self.missed / max(1, self.sent + self.missed)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a viewer is on its ladder, 0 is its top, and why; all times in seconds.

    It has been at ease for `calm`, or strained for `strained`. `hold` is left until it is judged again, `patience` is
    how long it must be at ease before it goes up, and the rung it went up to last is on probation for `probation` yet.
    """

    rung: int = 0
    calm: float = 0.0
    strained: float = 0.0
    hold: float = 0.0
    patience: float = PATIENCE
    probation: float = 0.0
    reason: str = ""


def decide(standing: Standing, sample: Sample, costs: Sequence[float], budget: float = QUEUE) -> Standing:
    """Where the viewer is to stand next.

    `costs` are the bytes a second of each rung, falling; `budget` is how many seconds a frame may be under way.
    """
    now = _later(standing, sample.seconds)
    if now.hold or not (sample.sent or sample.missed or sample.queue):  # or no camera: nothing is known
        return now
    if strain := _strain(sample, budget):
        strained = now.strained + sample.seconds
        if strained < CERTAIN and sample.queue < 2 * budget:
            return replace(now, calm=0.0, strained=strained)
        return _down(now, sample, costs, strain)
    if sample.share > EASE or sample.queue > budget / 2:
        return replace(now, calm=0.0, strained=0.0)
    calm = now.calm + sample.seconds
    if not now.rung or calm < now.patience:
        return replace(now, calm=calm, strained=0.0)
    return _up(now, calm)


def _later(standing: Standing, seconds: float) -> Standing:
    """Time has passed; a rung that held for long enough is right, and the next one up may be tried soon."""
    probation = max(0.0, standing.probation - seconds)
    held = standing.probation and not probation
    patience = PATIENCE if held else standing.patience
    return replace(standing, hold=max(0.0, standing.hold - seconds), probation=probation, patience=patience)


def _strain(sample: Sample, budget: float) -> str:
    """Why the connection is too slow, in words; empty if it is not."""
    if sample.queue > budget:
        return f"{sample.queue * 1000:.0f} ms under way" if math.isfinite(sample.queue) else "nothing is taken"
    if sample.share > MISSED:
        return f"{sample.share:.0%} of the frames missed"
    return ""


def _up(now: Standing, calm: float) -> Standing:
    """To the next rung; if this one was on probation yet, it did well so far."""
    patience = max(PATIENCE, now.patience / 2) if now.probation else now.patience
    reason = f"up: at ease for {calm:.0f} s"
    return Standing(
        now.rung - 1, hold=SETTLE, patience=patience, probation=SETTLE + max(PROBATION, patience), reason=reason
    )


def _down(now: Standing, sample: Sample, costs: Sequence[float], strain: str) -> Standing:
    """To the first rung that fits what the connection takes: one at least, where there is one."""
    lowest = len(costs) - 1
    fits = (rung for rung in range(now.rung + 1, lowest) if costs[rung] <= HEADROOM * sample.capacity)
    rung = min(next(fits, lowest) if sample.capacity else now.rung + 1, lowest)
    patience = min(2 * now.patience, LONGEST_PATIENCE) if now.probation else now.patience
    if rung == now.rung:
        return replace(now, calm=0.0, hold=SETTLE, strained=0.0, patience=patience, probation=0.0)
    return Standing(rung, hold=SETTLE, patience=patience, reason=f"down: {strain}")
