"""The looks that a viewer whose connection is too slow is led down: fewer pictures, then worse ones, then smaller ones.

The steps have fixed numbers, so that viewers who come down from the same look meet, and share what is made for them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from mjpegd.look import MIN_SIDE, Look, Size

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
_SLOW = (Step(SLOWEST, 50), Step(SLOWEST, 40), Step(SLOWEST, 30))
STEPS = {
    True: (*_PACE, *_QUALITY, Step(15, 70, 2), Step(10, 60, 2), Step(10, 60, 4), Step(SLOWEST, 50, 4)),
    False: (*_PACE, *_QUALITY, Step(10, 70), Step(10, 60), Step(10, 50), *_SLOW),
}
"""From the best down, for viewers whose pictures may change their size and for those whose may not."""

_WEIGHTS = (
    *((100, 2.84), (95, 1.43), (90, 1.0), (85, 0.87), (80, 0.73), (75, 0.57), (70, 0.54)),
    *((60, 0.47), (50, 0.40), (40, 0.34), (30, 0.29), (20, 0.23)),
)
"""Size of a JPEG by its quality, in terms of that at 90, below which it is made from that one as it is here.

Medians of nine photographs of 0.1 to 0.4 megapixels (those of scikit-image, scikit-learn and the Rust book) and
OpenCV's encoder; they differ by a tenth. The pictures of the benchmark, soft with noise on them, fall faster: 0.53 at
70, 0.29 at 50, 0.21 at 30.
"""
_DENSITY = 0.82
"""Power of the area that a picture's size goes with: smaller ones are sharper. Median of the same photographs, made two
and four times smaller; near 1 for the benchmark's."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a camera's pictures are like: frames a second, quality on libjpeg's scale, size."""

    fps: float
    quality: int
    size: Size


@dataclass(frozen=True, slots=True)
class Rung:
    """A look, and what is expected of it: at most `fps` frames a second, of `weight` times the camera's own bytes."""

    look: Look
    fps: float
    weight: float

    def cost(self, size: int, fps: float) -> float:
        """Bytes a second, where the camera's pictures are of that size and so many come."""
        return min(self.fps, fps) * self.weight * size


def ladder(asked: Look, facts: Facts, *, resizable: bool) -> Sequence[Rung]:
    """The look that was asked for and the rungs below it; each takes less than the one above."""
    top = replace(asked, fps=FASTEST) if (asked.fps or facts.fps) > FASTEST else asked
    rungs = [_rung(top, facts)]
    for step in STEPS[resizable]:
        if step.divisor > 1 and max(asked.fitted(*facts.size)) < MIN_SIDE * step.divisor:
            continue
        rung = _rung(_stepped(asked, step, facts), facts)
        if rung.cost(1, facts.fps) < rungs[-1].cost(1, facts.fps):
            rungs.append(rung)
    return rungs


def _stepped(asked: Look, step: Step, facts: Facts) -> Look:
    quality = step.quality if step.quality < (asked.quality or facts.quality) else asked.quality
    fps = step.fps if step.fps < (asked.fps or facts.fps) else asked.fps
    width, height = asked.width, asked.height
    if step.divisor > 1:
        wide, tall = asked.fitted(*facts.size)
        width, height = (wide // step.divisor, 0) if wide >= tall else (0, tall // step.divisor)
    return replace(asked, width=width, height=height, quality=quality, fps=fps, configured=False)


def _rung(look: Look, facts: Facts) -> Rung:
    """Coarse: it orders the rungs and chooses among them; what a picture really takes is known when it is there."""
    width, height = look.fitted(*facts.size)
    area = width * height / (facts.size[0] * facts.size[1])
    quality = min(look.quality or facts.quality, facts.quality)
    fps = min(look.fps or facts.fps, facts.fps)
    return Rung(look, fps, area**_DENSITY * _weight(quality) / _weight(facts.quality))


def _weight(quality: int) -> float:
    """Between the two nearest qualities in the table."""
    for (upper, heavy), (lower, light) in pairwise(_WEIGHTS):
        if quality >= lower:
            return light + (heavy - light) * (quality - lower) / (upper - lower)
    return _WEIGHTS[-1][1]
