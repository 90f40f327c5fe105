"""When a viewer is led down its ladder, and when up again: a pure function of what was seen of its connection.

Down at once where it is clear that it takes less than it is sent, as far as it must; up by one rung and only after a
while of ease. A rung that turned out too high is the ceiling: it is tried again after a while that doubles each time.
So a viewer between two rungs settles on the lower one and looks less and less often whether the upper one would do by
now, and one that fell deeper than that, for whatever reason, is soon below its ceiling again.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

MISSED = 0.15
"""Share of the frames not sent, as it was behind, above which the connection is too slow."""
EASE = 0.02
"""Share below which it is at ease."""
UNEASE = 4
"""Seconds of ease that a second without it costs: a frame lost now and then is no reason to stay below for ever."""
CERTAIN = 0.9
"""Seconds for which it must be too slow: a single stall of a radio link is none."""
HEADROOM = 0.85
"""Share of what a connection takes that a rung may cost."""
SETTLE = 1.0
"""Seconds after a step in which what was sent before still counts; nothing is judged."""
TRIPS = 5
"""Times there and back for which TCP may have to grow behind a step, before it takes what the link does."""
PATIENCE, LONGEST_PATIENCE = 2.5, 60.0
"""Seconds at ease before the next rung up is tried: at first, and at most."""
PROBATION = 30.0
"""Seconds after a step up for which a strain means that it was wrong."""
QUEUE = 0.5
"""Seconds that a frame may wait on its way where no `max_latency` says otherwise."""
NO_CEILING = -1


@dataclass(frozen=True, slots=True)
class Sample:
    """What was seen of a viewer in the last `seconds`.

    `sent` frames of its rendition, and `missed` ones that it was not sent. What is under way now will have arrived in
    `queue` seconds; inf if it stands still. `capacity` is how many bytes a second the connection takes, as far as was
    seen; 0 if it was not. `round_trip` is the least time there and back, in seconds.
    """

    seconds: float
    sent: int
    missed: int
    queue: float
    capacity: float
    round_trip: float = 0.0

    @property
    def settle(self) -> float:
        """Seconds after a step in which nothing is judged."""
        return SETTLE + TRIPS * self.round_trip

    @property
    def share(self) -> float:
        """Share of the frames that was missed."""
        return self.missed / max(1, self.sent + self.missed)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a viewer is on its ladder, 0 is its top, and why; all times in seconds.

    It has been at ease for `calm`, or strained for `strained`. `hold` is left until it is judged again. `ceiling` is
    the rung that turned out too high last, tried again after `patience`. The last step up is on probation for
    `probation` yet, and was the last one of all if it has `risen`.
    """

    rung: int = 0
    calm: float = 0.0
    strained: float = 0.0
    hold: float = 0.0
    ceiling: int = NO_CEILING
    patience: float = PATIENCE
    probation: float = 0.0
    risen: bool = False
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
        if strained < CERTAIN and not 2 * budget <= sample.queue < math.inf:
            return replace(now, calm=0.0, strained=strained)
        return _down(now, sample, costs, strain)
    if sample.share > EASE or sample.queue > budget / 2:
        calm, strained = now.calm - UNEASE * sample.seconds, now.strained - sample.seconds / 2
        return replace(now, calm=max(0.0, calm), strained=max(0.0, strained))
    calm = now.calm + sample.seconds
    if not now.rung or calm < (now.patience if now.rung - 1 == now.ceiling else PATIENCE):
        return replace(now, calm=calm, strained=0.0)
    return _up(now, sample, calm)


def _later(standing: Standing, seconds: float) -> Standing:
    """Time has passed. A ceiling that held for long enough is none; what happened long ago counts less and less."""
    probation = max(0.0, standing.probation - seconds)
    now = replace(standing, hold=max(0.0, standing.hold - seconds), probation=probation)
    if not standing.probation or probation:
        return now
    if NO_CEILING < now.ceiling < now.rung:
        return replace(now, risen=False)
    patience = max(PATIENCE, now.patience / 2)
    again = max(PROBATION, patience) if patience > PATIENCE else 0.0
    return replace(now, risen=False, ceiling=NO_CEILING, patience=patience, probation=again)


def _strain(sample: Sample, budget: float) -> str:
    """Why the connection is too slow, in words; empty if it is not."""
    if sample.queue > budget:
        return f"{sample.queue * 1000:.0f} ms under way" if math.isfinite(sample.queue) else "nothing is taken"
    if sample.share > MISSED:
        return f"{sample.share:.0%} of the frames missed"
    return ""


def _up(now: Standing, sample: Sample, calm: float) -> Standing:
    """To the next rung, on probation."""
    return replace(
        now,
        rung=now.rung - 1,
        calm=0.0,
        strained=0.0,
        hold=sample.settle,
        probation=SETTLE + max(PROBATION, now.patience),
        risen=True,
        reason=f"up: at ease for {calm:.0f} s",
    )


def _down(now: Standing, sample: Sample, costs: Sequence[float], strain: str) -> Standing:
    """To the first rung that fits what the connection takes: one at least, where there is one.

    By one only where nothing is known of that, or where the rung below did well a moment ago.
    """
    lowest = len(costs) - 1
    if now.rung >= lowest:
        return replace(now, calm=0.0, hold=sample.settle, strained=0.0)
    moves = math.isfinite(sample.queue)  # if not, that is nobody's fault
    relapse = now.risen and now.probation and moves
    patience = min(2 * now.patience, LONGEST_PATIENCE) if relapse else now.patience
    rung = now.rung + 1
    if sample.capacity and moves and not now.risen:
        fits = (rung for rung in range(rung, lowest) if costs[rung] <= HEADROOM * sample.capacity)
        rung = next(fits, lowest)
    return replace(
        now,
        rung=rung,
        calm=0.0,
        strained=0.0,
        hold=sample.settle,
        ceiling=now.rung,
        patience=patience,
        risen=False,
        reason=f"down: {strain}",
    )
