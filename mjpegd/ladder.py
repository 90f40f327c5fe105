"""The looks that a viewer whose connection is too slow is led down: fewer pictures, then worse ones, then smaller ones.

The steps have fixed numbers, so that viewers who come down from the same look meet, and share what is made for them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mjpegd.look import Look, Size

SLOWEST, FASTEST = 5.0, 60.0
"""Frames a second that an adaptive viewer gets at least, if that many are made, and at most."""


@dataclass(frozen=True, slots=True)
class Step:
    """At most so many frames a second, of that quality, and `1 / divisor` of the width and height."""

    fps: float
    quality: int = 100
    divisor: int = 1


_PACE = (Step(FASTEST), Step(30), Step(20), Step(15))
_QUALITY = (Step(15, 90), Step(15, 80), Step(15, 70))
STEPS = {
    True: (*_PACE, *_QUALITY, Step(15, 70, 2), Step(10, 60, 2), Step(10, 60, 4), Step(5, 50, 4)),
    False: (*_PACE, *_QUALITY, Step(10, 70), Step(10, 60), Step(10, 50), Step(5, 50), Step(5, 40), Step(5, 30)),
}
"""From the best down, for viewers whose pictures may change their size and for those whose may not."""

_WEIGHTS = ((100, 2.6), (95, 1.5), (90, 1.0), (80, 0.64), (70, 0.49), (60, 0.41), (50, 0.36), (40, 0.31), (30, 0.26))
"""Size of a JPEG by its quality, in terms of that at 90; measured with photographs of 1080p."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a camera's pictures are like: frames a second, quality on libjpeg's scale, size."""

    fps: float
    quality: int
    size: Size


@dataclass(frozen=True, slots=True)
class Rung:
    """A look, and what it is expected to take: `weight` times the bytes of the camera's own picture each second."""

    look: Look
    weight: float


def ladder(asked: Look, facts: Facts, *, resizable: bool) -> Sequence[Rung]:
    """The look that was asked for and the rungs below it; each takes less than the one above."""
    rungs = [_rung(asked if facts.fps <= FASTEST else asked.within(Look(fps=FASTEST)), facts)]
    for step in STEPS[resizable]:
        rung = _rung(_stepped(asked, step, facts), facts)
        if rung.weight < rungs[-1].weight:
            rungs.append(rung)
    return rungs


def _stepped(asked: Look, step: Step, facts: Facts) -> Look:
    quality = step.quality if step.quality < (asked.quality or facts.quality) else asked.quality
    fps = step.fps if step.fps < (asked.fps or facts.fps) else asked.fps
    width, height = asked.width, asked.height
    if step.divisor > 1:
        fitted, _ = asked.fitted(*facts.size)
        width, height = max(1, fitted // step.divisor), 0
    return replace(asked, width=width, height=height, quality=quality, fps=fps)


def _rung(look: Look, facts: Facts) -> Rung:
    """Coarse: it orders the rungs and chooses among them; what a picture really takes is known when it is there."""
    width, height = look.fitted(*facts.size)
    area = width * height / (facts.size[0] * facts.size[1])
    quality = min(look.quality or facts.quality, facts.quality)
    fps = min(look.fps or facts.fps, facts.fps)
    return Rung(look, fps * area * _weight(quality) / _weight(facts.quality))


def _weight(quality: int) -> float:
    """Of the nearest quality in the table."""
    return min(_WEIGHTS, key=lambda row: abs(row[0] - quality))[1]
