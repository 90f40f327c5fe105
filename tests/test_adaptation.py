"""When a viewer is led down and up: rule by rule, and on links that are simulated for minutes."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mjpegd.adaptation import (
    CERTAIN,
    LONGEST_PATIENCE,
    NO_CEILING,
    PATIENCE,
    PROBATION,
    QUEUE,
    SETTLE,
    Sample,
    Standing,
    decide,
)
from mjpegd.ladder import Facts, ladder
from mjpegd.look import Look
from mjpegd.pace import Pace

TICK = 0.5
COSTS = (1000.0, 800.0, 600.0, 400.0, 200.0, 100.0)
LOWEST = len(COSTS) - 1
WELL = Sample(TICK, sent=15, missed=0, queue=0.0, capacity=2000.0)
MISSING = Sample(TICK, sent=8, missed=7, queue=0.1, capacity=0.0)
SILENT = Sample(TICK, sent=0, missed=0, queue=0.0, capacity=500.0)
SECOND = Standing(1)
UNSURE = Standing(1, patience=5.0, probation=20.0)
EARLIER = Standing(2, ceiling=1, patience=20.0)


def after(standing: Standing, *samples: Sample) -> Standing:
    """Where it stands behind all these."""
    for sample in samples:
        standing = decide(standing, sample, COSTS)
    return standing


def seconds_until(standing: Standing, sample: Sample, rung: int) -> float:
    """How long the same must be seen until it comes to that rung."""
    ticks = 0
    while standing.rung != rung:
        standing, ticks = decide(standing, sample, COSTS), ticks + 1
        assert ticks < 1000, standing
    return ticks * TICK


# Down


def test_a_moment_of_strain_is_none() -> None:
    """Frames missed for less than 0.9 s move nobody, and it begins anew when they come again."""
    once = after(Standing(), MISSING)

    assert (once.rung, once.strained) == (0, TICK)
    assert after(once, WELL, MISSING).rung == 0
    assert after(once, MISSING).rung == 1
    assert CERTAIN == 0.9


@pytest.mark.parametrize(("queue", "rung"), [(2 * QUEUE, 1), (2 * QUEUE - 0.01, 0), (30.0, 1)])
def test_a_long_queue_is_certain_at_once(queue: float, rung: int) -> None:
    """Twice of what may be under way, and nobody waits for more evidence."""
    assert after(Standing(), replace(WELL, queue=queue, capacity=0.0)).rung == rung


@pytest.mark.parametrize(
    ("capacity", "rung"), [(1000.0, 1), (942.0, 1), (940.0, 2), (500.0, 3), (300.0, 4), (20.0, 5), (1e9, 1), (0.0, 1)]
)
def test_as_far_as_it_must(capacity: float, rung: int) -> None:
    """It goes to the first rung that takes 85 % of what arrives: one at least, and one where nothing is known of it."""
    sample = replace(MISSING, capacity=capacity)

    assert after(Standing(), sample, sample).rung == rung


def test_what_stands_still_says_nothing_of_its_capacity() -> None:
    """A connection that takes nothing is led down by one rung, after 0.9 s, whatever it took before."""
    still = replace(MISSING, queue=math.inf, capacity=20.0)

    assert after(Standing(), still).rung == 0
    assert after(Standing(), still, still).rung == 1


@pytest.mark.parametrize("rung", [0, 1, 2, 3, 4, 5])
def test_the_lowest_rung_is_the_end(rung: int) -> None:
    """There is always a rung to stand on, also where nothing fits or there is only one."""
    sample = replace(MISSING, capacity=1.0)

    assert after(Standing(rung), sample, sample).rung == LOWEST
    assert decide(Standing(), replace(sample, queue=9.0), COSTS[:1]).rung == 0


@pytest.mark.parametrize(
    ("sample", "strained"),
    [
        (replace(WELL, sent=85, missed=15), False),
        (replace(WELL, sent=84, missed=16), True),
        (replace(WELL, queue=QUEUE), False),
        (replace(WELL, queue=QUEUE + 0.001), True),
        (replace(WELL, sent=0, missed=1), True),
    ],
)
def test_what_strain_is(sample: Sample, *, strained: bool) -> None:
    """More than 15 % of the frames missed, or more than half a second under way."""
    assert bool(after(Standing(), sample).strained) is strained


def test_a_promise_is_the_limit() -> None:
    """Where a frame may be under way for a shorter time than half a second, less is strain."""
    sample = replace(WELL, queue=0.2)

    assert not decide(Standing(), sample, COSTS, 0.3).strained
    assert decide(Standing(), sample, COSTS, 0.1).rung == 1


@pytest.mark.parametrize(
    ("sample", "reason"),
    [
        (replace(WELL, queue=1.5, capacity=0.0), "down: 1500 ms under way"),
        (replace(WELL, sent=3, missed=1), "down: 25% of the frames missed"),
        (replace(WELL, queue=math.inf), "down: nothing is taken"),
    ],
)
def test_reasons_down(sample: Sample, reason: str) -> None:
    """It says in words why it went down."""
    assert after(Standing(), sample, sample).reason == reason


# Hold


def test_after_a_step_nothing_is_judged() -> None:
    """For a second behind a step what is seen was sent before it, and moves nobody."""
    stepped = Standing(1, hold=SETTLE)
    worst = replace(MISSING, queue=9.0, capacity=1.0)

    assert after(stepped, worst).rung == 1
    assert after(stepped, worst, worst).rung == LOWEST


@pytest.mark.parametrize("standing", [Standing(), SECOND, replace(SECOND, calm=2.4), replace(SECOND, strained=0.8)])
def test_without_evidence_nothing_happens(standing: Standing) -> None:
    """A camera that gives no frames says nothing of the connection."""
    assert after(standing, *[SILENT] * 100) == standing


def test_far_away_a_step_settles_later() -> None:
    """TCP needs some times there and back until it takes what the link does: so long nothing is judged."""
    far = replace(MISSING, round_trip=0.6)

    assert after(Standing(), far, far).hold == pytest.approx(SETTLE + 3.0)
    assert after(SECOND, *[replace(WELL, round_trip=0.6)] * 5).hold == pytest.approx(SETTLE + 3.0)


# Up


def test_up_after_a_while_of_ease() -> None:
    """After 2.5 s at ease it goes up by one rung, says so, and waits as long for the next."""
    assert seconds_until(SECOND, WELL, 0) == PATIENCE
    assert after(SECOND, *[WELL] * 5).reason == "up: at ease for 2 s"
    assert seconds_until(Standing(3), WELL, 0) == pytest.approx(3 * PATIENCE + 2 * SETTLE, abs=2 * TICK)


@pytest.mark.parametrize("sample", [replace(WELL, sent=97, missed=3), replace(WELL, queue=QUEUE / 2 + 0.01)])
def test_unease_is_not_strain(sample: Sample) -> None:
    """Some frames missed, or some time under way, neither lead down nor let up."""
    assert after(SECOND, *[sample] * 200).rung == 1


def test_a_frame_lost_now_and_then_is_no_obstacle() -> None:
    """A half second without ease costs two of those with it, not all of them."""
    calm = replace(SECOND, calm=2.4)

    assert after(calm, replace(WELL, missed=1)).calm == pytest.approx(0.4)
    assert after(SECOND, *[WELL] * 4, replace(WELL, missed=1), *[WELL] * 5).rung == 0


def test_the_top_is_the_end() -> None:
    """Nobody is led above what was asked for."""
    assert after(Standing(), *[WELL] * 1000).rung == 0


# Probation


def test_a_relapse_doubles_the_patience() -> None:
    """A rung that proves too high again and again is tried after 5, 10, 20, 40 and then 60 s."""
    standing, waits = SECOND, []
    for _ in range(7):
        up = after(standing, *[WELL] * round(seconds_until(standing, WELL, 0) / TICK))
        standing = after(up, *[MISSING] * 4)
        assert (standing.rung, standing.ceiling) == (1, 0)
        waits.append(standing.patience)

    assert waits == [5, 10, 20, 40, LONGEST_PATIENCE, LONGEST_PATIENCE, LONGEST_PATIENCE]


def test_a_relapse_is_one_rung_deep() -> None:
    """Back to the rung where it was at ease a moment ago, whatever the capacity is thought to be."""
    tried = Standing(1, probation=PROBATION, risen=True)
    low = replace(MISSING, capacity=1.0)

    assert after(tried, low, low).rung == 2
    assert after(Standing(1), low, low).rung == LOWEST


@pytest.mark.parametrize(
    ("standing", "queue"),
    [(replace(UNSURE, risen=True), math.inf), (UNSURE, 0.0)],
)
def test_what_is_no_relapse(standing: Standing, queue: float) -> None:
    """Neither a connection that stands still nor a further fall doubles the patience."""
    sample = replace(MISSING, queue=queue)

    assert after(standing, sample, sample).patience == 5.0


def test_only_the_ceiling_takes_patience() -> None:
    """Below the rung that proved too high every rung is tried after 2.5 s, and so is each one above it."""
    deep = Standing(4, ceiling=1, patience=40.0)
    above = Standing(1, ceiling=1, patience=40.0)

    assert seconds_until(deep, WELL, 2) < 3 * PATIENCE
    assert seconds_until(EARLIER, WELL, 1) == EARLIER.patience
    assert seconds_until(above, WELL, 0) == PATIENCE


@pytest.mark.parametrize("seconds", [29.0, 30.0])
def test_what_holds_is_right(seconds: float) -> None:
    """A ceiling that holds for 30 s is none any more, and patience is half; not a moment sooner."""
    tried = Standing(1, ceiling=1, patience=20.0, probation=PROBATION)
    uneasy = replace(WELL, queue=0.3)  # else it would go on up
    held = after(tried, *[uneasy] * round(seconds / TICK))

    assert (held.ceiling, held.patience) == ((NO_CEILING, 10.0) if seconds >= PROBATION else (1, 20.0))


def test_old_troubles_are_forgotten() -> None:
    """Patience falls to its half again and again while nothing happens, as far as it was at first."""
    tried = Standing(1, ceiling=1, patience=LONGEST_PATIENCE, probation=PROBATION)
    held = after(tried, *[replace(WELL, queue=0.3)] * round(5 * PROBATION / TICK))

    assert (held.patience, held.probation) == (PATIENCE, 0.0)


def test_falls_in_a_row_are_one() -> None:
    """Who is led down step by step, as nothing is known of the connection, is not held to have tried in vain."""
    standing = after(Standing(), *[MISSING] * 12)

    assert (standing.rung, standing.patience) == (4, PATIENCE)


def test_what_holds_below_the_ceiling_says_nothing_of_it() -> None:
    """To stand well below a rung that was too high does not make it tried sooner."""
    below = replace(EARLIER, probation=PROBATION)
    held = after(below, *[replace(WELL, queue=0.3)] * 100)

    assert (held.ceiling, held.patience) == (1, 20.0)


def test_a_connection_that_became_slower_is_no_relapse() -> None:
    """A rung that did well for long is tried again soon."""
    standing = after(Standing(), MISSING, MISSING)

    assert (standing.ceiling, standing.patience) == (0, PATIENCE)


# On a link

SECONDS, LAST = 300, 120
FPS, SIZE = 30, 300_000
FACTS = Facts(FPS, 90, (1920, 1080))
MBIT = 125_000
MOST_STEPS = 6
"""In the last two minutes of five. A ceiling is tried after 2.5, 5, 10, 20, 40 and then each 60 s, each time for 3 s at
most before it proves too high: by the third minute two tries with 60 s between them are left, four steps, and two to
spare."""
RESTLESS = 12
"""The same where a link is restless itself: of 400 that were simulated two in a hundred took more than 6, and the worst
took 11."""
CLIMB = LONGEST_PATIENCE + 14 * (PATIENCE + SETTLE + TICK)
"""Seconds to the top of a ladder of 14 rungs, where one of them has the greatest patience."""

Capacity = Callable[[float], float]


class Link:
    """A link with a queue of 50 ms, and a viewer that takes the next frame when the last has left."""

    def __init__(self, capacity: Capacity, *, resizable: bool = False, error: float = 1.0) -> None:
        self.rungs = ladder(Look(), FACTS, resizable=resizable)
        self.capacity = capacity
        self.error = error
        self.standing = Standing()
        self.history: list[tuple[float, int]] = []
        self._under_way = self._bytes = self._busy = 0.0

    def real(self, rung: int) -> float:
        """Bytes of a picture there: the ladder is wrong by `error` about all but the camera's own."""
        weight = self.rungs[rung].weight
        return SIZE * weight * (self.error if weight < 1 else 1.0)

    def cost(self, rung: int) -> float:
        """Bytes a second that rung really takes."""
        return self.real(rung) * self.rungs[rung].fps

    def run(self, seconds: float, start: float = 0.0) -> None:
        """Let it be watched so long."""
        expected = [rung.cost(SIZE, FPS) for rung in self.rungs]
        pace, seen = Pace(self.rungs[self.standing.rung].fps), [0, 0]
        for number in range(round(start * FPS), round((start + seconds) * FPS)):
            now = number / FPS
            capacity = self.capacity(now)
            self._drain(capacity / FPS, capacity)
            if pace.wants(now):
                is_behind = self._under_way > capacity * 0.05
                seen[is_behind] += 1
                self._under_way += 0 if is_behind else self.real(self.standing.rung)
            if number % (FPS * TICK) == 0:
                before, self.standing = self.standing, self._decided(seen, expected)
                pace = pace if before.rung == self.standing.rung else Pace(self.rungs[self.standing.rung].fps)
                seen = [0, 0]
                self.history.append((now, self.standing.rung))

    def _decided(self, seen: Sequence[int], expected: Sequence[float]) -> Standing:
        known = self._bytes / self._busy if self._busy else 0.0
        queue = self._under_way / known if known else 0.0
        return decide(self.standing, Sample(TICK, seen[0], seen[1], queue, known), expected)

    def _drain(self, room: float, capacity: float) -> None:
        """What arrived, and in which time: as `Line` has it."""
        took = min(room, self._under_way)
        self._under_way -= took
        if capacity:
            fading = math.exp(-1 / FPS / 0.5)
            self._bytes, self._busy = fading * self._bytes + took, fading * self._busy + took / capacity

    def stood(self, last: float = LAST) -> Counter[int]:
        """For how many ticks it stood where, at the end."""
        return Counter(rung for at, rung in self.history if at >= self.history[-1][0] - last)

    def steps(self, last: float = LAST) -> int:
        """How often it moved, at the end."""
        rungs = [rung for at, rung in self.history if at >= self.history[-1][0] - last]
        return sum(one != other for one, other in pairwise(rungs))

    def fits(self, rung: int, capacity: float) -> bool:
        """Whether that rung can be sent, or nothing could."""
        return self.cost(rung) <= 1.2 * capacity or rung == len(self.rungs) - 1


def constant(capacity: float) -> Capacity:
    """Always the same."""
    return lambda _: capacity


def noisy(capacity: float, share: float, seed: int) -> Capacity:
    """Another one each half second, off by up to that share."""
    random = Random(seed)
    values = [capacity * random.uniform(1 - share, 1 + share) for _ in range(4 * SECONDS)]
    return lambda now: values[int(now / TICK)]


capacities = st.floats(1.0, 50.0).map(lambda mbit: mbit * MBIT)
errors = st.floats(0.7, 1.4)


@given(capacity=capacities, resizable=st.booleans(), error=errors)
@settings(deadline=None, max_examples=60)
def test_it_settles_on_a_rung_that_fits(capacity: float, error: float, *, resizable: bool) -> None:
    """On any steady link it stands nine tenths of the time on what that takes, is not needlessly low, and is quiet."""
    link = Link(constant(capacity), resizable=resizable, error=error)
    link.run(SECONDS)
    stood = link.stood()
    usual = stood.most_common(1)[0][0]

    assert sum(count for rung, count in stood.items() if link.fits(rung, capacity)) > 0.9 * stood.total()
    assert usual == 0 or link.cost(usual - 1) > 0.75 * capacity
    assert link.steps() <= MOST_STEPS


@given(capacity=capacities, share=st.floats(0.0, 0.2), seed=st.integers(0, 1000), error=errors)
@settings(deadline=None, max_examples=60)
def test_noise_does_not_make_it_restless(capacity: float, share: float, seed: int, error: float) -> None:
    """On a link that varies by up to a fifth each half second it moves each ten seconds at most."""
    link = Link(noisy(capacity, share, seed), error=error)
    link.run(SECONDS)

    assert link.steps() <= RESTLESS, link.stood()


@given(capacity=capacities, slow_for=st.floats(5.0, 150.0), error=errors)
@settings(deadline=None, max_examples=60)
def test_it_climbs_back(capacity: float, slow_for: float, error: float) -> None:
    """When the link is free again it is back at the top within two minutes, however long and how slow it was."""
    link = Link(lambda now: capacity if now < slow_for else 120 * MBIT, error=error)
    link.run(slow_for + CLIMB)

    assert link.standing.rung == 0


@given(before=capacities, later=capacities)
@settings(deadline=None, max_examples=60)
def test_it_follows_a_link_that_becomes_slower(before: float, later: float) -> None:
    """Half a minute after a change for the worse it stands on what the link takes now."""
    slower, faster = sorted((before, later))
    link = Link(lambda now: faster if now < 60 else slower)
    link.run(90)

    assert any(link.fits(rung, slower) for rung in link.stood(5.0))


def test_a_cut_does_not_cost_more_than_it_lasts() -> None:
    """After a link stood still for five seconds the viewer is back at the top in twenty."""
    link = Link(lambda now: 0.0 if 30 <= now < 35 else 100 * MBIT)
    link.run(36)
    assert link.standing.rung > 0
    link.run(20, start=36)
    assert link.standing.rung == 0
