"""For how long a stream may be silent: by who sends it, and how often it was heard from."""

from itertools import accumulate

import pytest

from mjpegd.sources.client.patience import Patience

OURS, CAMERA = {"x-frame-id": "1"}, {"content-type": "image/jpeg"}
CARD = {"x-frame-id": "2", "x-source-state": "lost"}


def after(fields: dict[str, str], *gaps: float, stale_after: float = 2) -> float:
    """The patience behind parts that came with these gaps between them."""
    patience = Patience(stale_after)
    for moment in accumulate(gaps, initial=100.0):
        patience.note(fields, moment)
    return patience.seconds


def test_before_anything_came() -> None:
    """A server that has not said anything has `stale_after` for it."""
    assert Patience(2).seconds == 2


@pytest.mark.parametrize("gaps", [[], [5.0] * 10, [0.03] * 10])
def test_a_camera_is_stale_when_it_is_silent(gaps: list[float]) -> None:
    """Nobody else will say it."""
    assert after(CAMERA, *gaps) == 2


def test_a_moving_stream_of_our_kind() -> None:
    """Where pictures came fast, silence means the way is broken, and that soon."""
    assert after(OURS, *[1 / 30] * 4) == 2
    assert after(OURS, *[1 / 30] * 4, stale_after=0.5) == 0.5
    assert after(OURS, 5, 5, 5, *[1 / 30] * 4) == 2


@pytest.mark.parametrize("gap", [5.0, 60.0, 1.5])
def test_a_slow_stream_of_our_kind(gap: float) -> None:
    """Where pictures or heartbeats come rarely, one of them may be missing."""
    assert after(OURS, *[gap] * 4) == 2 * gap + 1
    assert after(OURS, gap, *[0.01] * 3) == 2 * gap + 1
    assert after(OURS, *[gap] * 4, stale_after=200) == 200


@pytest.mark.parametrize("gaps", [[], [0.3], [0.3, 0.1, 0.1]])
def test_a_stream_of_our_kind_that_just_began(gaps: list[float]) -> None:
    """Until it is known how fast a stream is, heartbeats are waited for."""
    assert after(OURS, *gaps) == 11


def test_a_card() -> None:
    """Behind a card nothing comes but heartbeats, however fast the pictures before it were."""
    assert after(CARD, *[1 / 30] * 4) == 15
    assert after(CARD, stale_after=20) == 20
