"""Which frames are taken where fewer are wanted than come."""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mjpegd.pace import Pace


def chosen(fps: float, taken: Sequence[float]) -> list[int]:
    """Which of the frames taken at these moments a pace chooses."""
    pace = Pace(fps)
    return [number for number, moment in enumerate(taken) if pace.wants(moment)]


def kept(fps: float, taken: Sequence[float]) -> list[float]:
    """The moments of those."""
    return [taken[number] for number in chosen(fps, taken)]


def even(fps: float, seconds: float = 4, start: float = 1000.0) -> list[float]:
    """The moments of a camera that is on time."""
    return [start + number / fps for number in range(round(seconds * fps))]


def jittered(fps: float, share: float, seed: int, seconds: float = 10) -> list[float]:
    """The same moments, each off by up to that share of the time between two."""
    random = Random(seed)
    return sorted(moment + random.uniform(-share, share) / fps for moment in even(fps, seconds))


@pytest.mark.parametrize(("fps", "camera", "each"), [(15, 30, 2), (10, 30, 3), (12.5, 25, 2), (20, 60, 3)])
def test_each_nth(fps: float, camera: int, each: int) -> None:
    """Where it divides, a pace is every n-th frame, from the first on."""
    taken = even(camera)

    assert chosen(fps, taken) == list(range(0, len(taken), each))


@pytest.mark.parametrize(("fps", "camera", "each"), [(5, 30, 6), (1, 30, 30), (1, 5, 5), (2, 60, 30)])
def test_each_nth_of_many(fps: float, camera: int, each: int) -> None:
    """So it is with a slow pace, but that the second frame may come a quarter of the pause early."""
    numbers = chosen(fps, even(camera, 20))
    gaps = [after - before for before, after in pairwise(numbers)]

    assert each * 0.75 <= gaps[0] <= each
    assert set(gaps[1:]) == {each}


@pytest.mark.parametrize(("fps", "camera"), [(30, 30), (30, 25), (60, 30), (0, 30), (29.97, 30), (30, 29.97)])
def test_no_more_than_there_are(fps: float, camera: float) -> None:
    """A pace that the camera only just reaches, or does not, takes every frame."""
    taken = even(camera)

    assert len(chosen(fps, taken)) >= len(taken) - 1


def test_two_of_three() -> None:
    """20 of 30 is two frames of each three, and nowhere three in a row or two left out."""
    numbers = chosen(20, even(30, 10))

    assert len(numbers) == pytest.approx(200, abs=1)
    assert {after - before for before, after in pairwise(numbers)} == {1, 2}
    assert all(after - before == 3 for before, after in zip(numbers, numbers[2:], strict=False))


@pytest.mark.parametrize("fps", [5, 7, 10, 15, 20, 24])
@pytest.mark.parametrize("seed", range(5))
def test_jitter(fps: float, seed: int) -> None:
    """Frames that come a little early or late are chosen at the pace all the same, without bursts or holes."""
    taken = jittered(30, 0.2, seed)
    moments = kept(fps, taken)
    gaps = [after - before for before, after in pairwise(moments)]

    assert len(moments) == pytest.approx(10 * fps, abs=4)
    assert min(gaps) > 0.4 / fps
    assert max(gaps) < 1 / fps + 1.5 / 30


@pytest.mark.parametrize(
    ("fps", "camera", "jitter", "lost"),
    [
        (30, 30, 0.003, 0.001),
        (30, 30, 0.008, 0.001),
        (30, 30.1, 0.003, 0.002),
        (30, 30.3, 0.005, 0.005),
        (30, 31, 0.005, 0.005),
        (30, 33, 0.005, 0.005),
        (30, 30.5, 0.01, 0.03),
        (25, 25.1, 0.003, 0.002),
        (25, 25.1, 0.005, 0.002),
        (15, 15.1, 0.01, 0.005),
        (60, 60.2, 0.003, 0.005),
        (29, 30, 0.003, 0.002),
        (29.97, 30, 0.003, 0.002),
        (30, 29.97, 0.005, 0.0005),
        (30, 25, 0.005, 0.0005),
    ],
)
def test_jitter_of_a_camera_in_step(fps: float, camera: float, jitter: float, lost: float) -> None:
    """Of a camera that is as fast as the pace, or a little faster, nearly as many frames are taken as the pace allows.

    That they come early and late costs none but where two of them come too close together.
    """
    random = Random(7)
    taken = sorted(moment + random.uniform(-jitter, jitter) for moment in even(camera, 60))
    moments = kept(fps, taken)
    gaps = [after - before for before, after in pairwise(moments)]

    assert min(fps, camera) * (1 - lost) < len(moments) / 60 <= fps + 1 / 30
    assert min(gaps) >= 0.5 / fps
    assert max(gaps) < 2.5 / fps


@given(st.floats(0.5, 60), st.lists(st.floats(0.001, 2), max_size=200))
def test_never_above_the_pace(fps: float, pauses: Sequence[float]) -> None:
    """However irregular a camera is, no stretch of time has more than one frame above what the pace allows."""
    moments = kept(fps, list(accumulate(pauses, initial=1000.0)))

    for first, begin in enumerate(moments):
        for last in range(first, len(moments)):
            assert last - first <= (moments[last] - begin) * fps + 1.01


def test_after_a_pause() -> None:
    """What was missed in a pause is not made up: the pace begins anew with the first frame that comes."""
    taken = [*even(30, 1), *even(30, 2, start=1010.0)]
    later = [number - 30 for number in chosen(10, taken) if number >= 30]

    assert later == list(range(0, 60, 3))


@given(st.floats(0.5, 60), st.lists(st.floats(0.001, 2), max_size=200))
def test_never_too_close(fps: float, pauses: Sequence[float]) -> None:
    """However irregular a camera is, two frames are half a gap apart at least."""
    moments = kept(fps, list(accumulate(pauses, initial=1000.0)))

    assert all(after - before > 0.4999 / fps for before, after in pairwise(moments))


def test_no_pace() -> None:
    """Without a pace every frame is wanted, also two of one moment."""
    pace = Pace(0)

    assert all(pace.wants(moment) for moment in (5.0, 5.0, 5.1, 9.0))
