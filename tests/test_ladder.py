"""The rungs: in which order, how far down, and what they are expected to cost."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mjpegd.ladder import FASTEST, SLOWEST, Facts, Rung, ladder
from mjpegd.look import MIN_SIDE, Look

FULL_HD = Facts(30, 95, (1920, 1080))
RESIZABLE = pytest.mark.parametrize("resizable", [False, True])


def names(asked: Look = Look(), facts: Facts = FULL_HD, *, resizable: bool = False) -> list[str]:  # noqa: B008
    """What the rungs are called."""
    return [rung.look.name for rung in ladder(asked, facts, resizable=resizable)]


def size(rung: Rung, facts: Facts) -> tuple[int, int]:
    """How large its pictures are."""
    return rung.look.fitted(*facts.size)


looks = st.builds(
    Look,
    width=st.sampled_from([0, 16, 320, 640, 1920, 4000]),
    height=st.sampled_from([0, 16, 240, 1080]),
    quality=st.sampled_from([0, 1, 30, 75, 95, 100]),
    fps=st.sampled_from([0.0, 0.5, 5.0, 12.0, 30.0, 100.0]),
)
facts = st.builds(
    Facts,
    fps=st.sampled_from([0.2, 5.0, 7.5, 15.0, 25.0, 30.0, 60.0, 120.0]),
    quality=st.integers(1, 100),
    size=st.sampled_from([(16, 16), (640, 480), (1920, 1080), (7, 4000)]),
)


def test_fewer_then_worse_then_smaller() -> None:
    """First the pace falls, then the quality, and the size only for who takes pictures of any size."""
    assert names(resizable=True) == [
        *("passthrough", "20fps", "15fps", "q90 15fps", "q80 15fps", "q70 15fps"),
        *("w960 q70 15fps", "w960 q60 10fps", "w480 q60 10fps", "w480 q50 5fps"),
    ]
    assert names() == [
        *("passthrough", "20fps", "15fps", "q90 15fps", "q80 15fps", "q70 15fps"),
        *("q70 10fps", "q60 10fps", "q50 10fps", "q50 5fps", "q40 5fps", "q30 5fps"),
    ]


@given(asked=looks, facts=facts, resizable=st.booleans())
def test_every_ladder(asked: Look, facts: Facts, *, resizable: bool) -> None:
    """Costs fall from rung to rung; pace, quality and size never rise, and nothing is above what was asked for."""
    rungs = ladder(asked, facts, resizable=resizable)
    costs = [rung.cost(100_000, facts.fps) for rung in rungs]

    assert all(upper > lower for upper, lower in pairwise(costs))
    assert len({rung.look for rung in rungs}) == len(rungs)
    assert size(rungs[0], facts) == asked.fitted(*facts.size)
    for upper, lower in pairwise(rungs):
        assert lower.fps <= upper.fps
        assert (lower.look.quality or 101) <= (upper.look.quality or 101)
        assert all(small <= large for small, large in zip(size(lower, facts), size(upper, facts), strict=True))
        assert resizable or size(lower, facts) == size(upper, facts)


@given(asked=looks, facts=facts, resizable=st.booleans())
def test_from_60_to_5_frames(asked: Look, facts: Facts, *, resizable: bool) -> None:
    """Nobody is led above 60 frames a second, nor below 5 but where fewer were asked for or come."""
    least = min(SLOWEST, facts.fps, asked.fps or facts.fps)

    assert all(least <= rung.fps <= FASTEST for rung in ladder(asked, facts, resizable=resizable))


@RESIZABLE
def test_a_fast_camera_begins_at_60(*, resizable: bool) -> None:
    """Of a camera of 120 frames a second an adaptive viewer gets 60 at most, in the look that it asked for."""
    fast = Facts(120, 95, (1280, 720))
    pinned = Look(1280, 720, exact=True)

    assert names(facts=fast, resizable=resizable)[:3] == ["60fps", "30fps", "20fps"]
    assert ladder(pinned, fast, resizable=resizable)[0].look == Look(1280, 720, fps=60, exact=True)


@RESIZABLE
def test_equal_asks_share_every_look(*, resizable: bool) -> None:
    """Two viewers who asked for the same come down the same looks, and nearly so who asked for a slower pace."""
    assert ladder(Look(), FULL_HD, resizable=resizable) == ladder(Look(), FULL_HD, resizable=resizable)
    slower = set(names(Look(fps=20), resizable=resizable))
    assert slower <= set(names(resizable=resizable))
    assert len(slower) >= 9


@pytest.mark.parametrize(
    ("facts", "there"),
    [
        (Facts(15, 95, (640, 480)), ["passthrough", "q90", "q80", "q70", "q70 10fps"]),
        (Facts(5, 60, (640, 480)), ["passthrough", "q50", "q40", "q30"]),
        (Facts(12, 85, (640, 480)), ["passthrough", "q80", "q70", "q70 10fps"]),
        (Facts(2, 20, (640, 480)), ["passthrough"]),
    ],
)
def test_steps_that_change_nothing_are_left_out(facts: Facts, there: list[str]) -> None:
    """A camera that is slow or of low quality has fewer rungs: none promises less and gives the same."""
    assert names(facts=facts)[: len(there)] == there


def test_smaller_goes_out_from_what_was_asked_for() -> None:
    """Half the size is half of what the viewer has, which is never more than the camera gives."""
    assert names(Look(width=640), resizable=True)[-4:] == [
        *("w320 q70 15fps", "w320 q60 10fps", "w160 q60 10fps", "w160 q50 5fps")
    ]
    assert names(Look(width=4000), resizable=True)[-1] == "w480 q50 5fps"
    assert names(Look(height=540), resizable=True)[-1] == "w240 q50 5fps"


@pytest.mark.parametrize(
    ("asked", "widths"),
    [
        (Look(16), {16}),
        (Look(20), {20}),
        (Look(31), {31}),
        (Look(32), {32, 16}),
        (Look(40), {40, 20}),
        (Look(64), {64, 32, 16}),
        (Look(height=36), {64, 32, 16}),
    ],
)
def test_no_smaller_than_anybody_may_ask_for(asked: Look, widths: set[int]) -> None:
    """What is small already is not made smaller than a viewer may ask for: these steps are left out."""
    rungs = ladder(asked, FULL_HD, resizable=True)

    assert {size(rung, FULL_HD)[0] for rung in rungs} == widths
    assert min(widths) >= MIN_SIDE
    assert rungs[-1].look.quality <= 70


@RESIZABLE
def test_only_the_top_is_configured(*, resizable: bool) -> None:
    """Of a look that the configuration has, the rungs below are none that it has."""
    rungs = ladder(Look(640, 0, 80, 15, configured=True), FULL_HD, resizable=resizable)

    assert [rung.look.configured for rung in rungs] == [True] + [False] * (len(rungs) - 1)


def test_a_pinned_size_stays_as_it_is() -> None:
    """A viewer whose pictures have bars keeps the box and the bars on every rung."""
    rungs = ladder(Look(800, 600, exact=True), FULL_HD, resizable=False)

    assert len(rungs) > 5
    assert {(rung.look.width, rung.look.height, rung.look.exact) for rung in rungs} == {(800, 600, True)}


def test_costs() -> None:
    """A rung costs its pace times its share of the camera's bytes, and no more frames than come."""
    by_name = {rung.look.name: rung for rung in ladder(Look(), Facts(30, 90, (1920, 1080)), resizable=True)}

    assert by_name["passthrough"].cost(1000, 30) == 30_000
    assert by_name["15fps"].cost(1000, 30) == 15_000
    assert by_name["15fps"].cost(1000, 10) == 10_000
    assert by_name["q80 15fps"].cost(1000, 30) == pytest.approx(15_000 * 0.73)
    assert by_name["q70 15fps"].cost(1000, 30) == pytest.approx(15_000 * 0.54)
    assert by_name["w960 q70 15fps"].cost(1000, 30) == pytest.approx(15_000 * 0.54 * 0.25**0.82)


@pytest.mark.parametrize(("quality", "share"), [(100, 0.54 / 2.84), (95, 0.54 / 1.43), (72, 0.54 / 0.552)])
def test_what_quality_is_worth_depends_on_the_camera(quality: int, share: float) -> None:
    """The better the camera's own pictures are, the more is won by worse ones."""
    rungs = ladder(Look(), Facts(15, quality, (640, 480)), resizable=False)
    (rung,) = (rung for rung in rungs if rung.look.name == "q70")

    assert rung.weight == pytest.approx(share, rel=0.01)
