"""Leads one viewer down its ladder and up again, and keeps the promise that nothing it gets is too old.

What is to be done is decided in `adaptation`; here it is measured and carried out.
"""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any, Protocol

from mjpegd import jpeg
from mjpegd.adaptation import QUEUE, SETTLE, TRIPS, Sample, Standing, decide
from mjpegd.camera import Camera, Tally
from mjpegd.frame import Frame
from mjpegd.http.line import Line
from mjpegd.ladder import Facts, Rung, ladder
from mjpegd.look import Look, Size

TICK = 0.5
"""Seconds between two looks at a connection."""
LOOK = 0.1
"""Least seconds between two looks where a promise is to be kept."""
MARGIN = 0.85
"""Share of what was promised that a frame is expected to take at most: nobody knows what a connection will take."""
DARING = 1.0
"""Seconds without a frame after which a connection is dared to take twice of what it took."""
LEAST = 0.05
"""Seconds that a frame may wait at least, however far its way is."""
ASSUMED_QUALITY = 90
"""Of a camera's own pictures, where their tables say nothing of it."""


class Governed(Protocol):
    """A viewer as it is seen from here."""

    @property
    def tally(self) -> Tally:
        """What it was sent so far."""

    def missed(self) -> int:
        """Frames that it was not sent so far, those that are passing now included."""

    def move(self, look: Look) -> bool:
        """Show it that look from now on; False if it is one rendition too many."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a viewer is to have: the best look, whether others may take its place, of another size too, and a promise.

    `budget` is `max_latency` in seconds, or None where nothing is promised.
    """

    asked: Look
    adapts: bool
    resizable: bool
    budget: float | None


class Governor:
    """One viewer's."""

    def __init__(self, viewer: Governed, camera: Camera, line: Line, terms: Terms) -> None:
        self._viewer, self._camera, self._line = viewer, camera, line
        self._terms, asked = terms, terms.asked
        self._look = asked
        self._standing = Standing(hold=2 * TRIPS * line.distance)
        self._rungs: Sequence[Rung] = ()
        self._key: tuple[Size, float] | None = None
        self._fps = 0.0
        self._stale = 0
        self._looked = self._last_sent = monotonic()
        self._counted = (0, 0)
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to look."""
        self._timer = asyncio.get_running_loop().call_later(TICK, self.tick)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def tick(self) -> None:
        """One look, and the next one after a while."""
        self.start()
        sample, newest = self._sample(), self._camera.ring.newest
        if newest is None or not newest.live:
            return
        self._set_rungs(newest)
        fps = min(self._fps, self._camera.capture.rate.per_second() or self._fps)  # fewer come in the dark
        costs = [rung.cost(len(newest.jpeg), fps) for rung in self._rungs]
        promised = self._terms.budget
        budget = QUEUE if promised is None else max(LEAST, promised - self._line.distance)
        self._follow(decide(self._standing, sample, costs, budget))

    def keeps(self, frame: Frame, size: int, patience: float) -> bool:
        """Whether the promise allows that frame, of `size` bytes: it would not arrive too old.

        What is refused is dared the more the longer nothing was sent, and after `patience` seconds at the latest: else
        nobody would learn that it may be again.
        """
        budget = self._terms.budget
        if budget is None:
            return True
        now = monotonic()
        self._line.look(self._viewer.tally.bytes, least=LOOK)
        idle, age = now - self._last_sent, now - frame.taken
        courage = 2.0 ** min(idle / DARING, 30.0)
        if age + self._line.delay(size, courage) > MARGIN * budget and idle < patience:
            self._stale += age > MARGIN * budget
            return False
        self._last_sent = now
        return True

    def pin(self, look: Look) -> None:
        """Go on in the size of that look: the camera's pictures have another one than this viewer can take."""
        self._look, asked = look, self._terms.asked.of_size(look.width, look.height)
        self._terms, self._key = replace(self._terms, asked=asked), None

    def report(self) -> dict[str, Any]:
        """What `/clients` shows of it; `goodput` is in bytes a second, times are in milliseconds."""
        line, queue = self._line, self._line.delay()
        return {
            "rung": self._standing.rung,
            "rungs": len(self._rungs),
            "step": self._standing.reason,
            "goodput": round(line.capacity),
            "round_trip": round(line.round_trip * 1000, 1),
            "queue": round(queue * 1000, 1) if math.isfinite(queue) else None,
        }

    def _follow(self, standing: Standing) -> None:
        """Move the viewer; where there is no room for another rendition, to the next lower one that there is."""
        lowest = len(self._rungs) if standing.rung > self._standing.rung else standing.rung + 1
        for rung in range(standing.rung, lowest):
            look = self._rungs[rung].look
            if look == self._look or self._viewer.move(look):
                self._look, self._standing = look, replace(standing, rung=rung)
                return
        self._standing = replace(self._standing, calm=0.0, hold=SETTLE, reason="no room for another rendition")

    def _sample(self) -> Sample:
        """What was seen since the last one; the way itself is nobody's delay.

        A frame that was too old before it was sent is none that the connection was too slow for.
        """
        now, tally, line = monotonic(), self._viewer.tally, self._line
        line.look(tally.bytes)
        seconds, self._looked = now - self._looked, now
        before, self._counted = self._counted, (tally.frames, self._viewer.missed())
        sent, missed = (max(0, after - earlier) for earlier, after in zip(before, self._counted, strict=True))
        stale, self._stale = self._stale, 0
        return Sample(
            seconds,
            sent + stale,
            max(0, missed - stale),
            max(0.0, line.delay() - line.distance),
            line.capacity,
            2 * line.distance,
        )

    def _set_rungs(self, newest: Frame) -> None:
        """Make the ladder for the camera as it is; its quality is looked at once, since some change it all along."""
        granted, size = self._camera.capture.granted, (newest.width, newest.height)
        fps = (granted.fps if granted is not None else 0.0) or self._camera.config.fps
        if self._key == (size, fps):
            return
        self._key, self._fps = (size, fps), fps
        facts = Facts(fps, jpeg.quality(newest.jpeg) or ASSUMED_QUALITY, size)
        rungs = ladder(self._terms.asked, facts, resizable=self._terms.resizable)
        self._rungs = rungs if self._terms.adapts else rungs[:1]
        self._standing = replace(self._standing, rung=min(self._standing.rung, len(self._rungs) - 1))
