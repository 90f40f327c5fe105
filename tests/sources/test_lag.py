"""How far a stream is behind its own clock."""

import pytest

from mjpegd.sources.lag import DRIFT, Lag

FRAME = 1 / 25


def noted(*pictures: tuple[float, float]) -> list[float]:
    """The lag at each picture, given as its stream time and the moment it came, to a millisecond."""
    lag = Lag()
    return [round(lag.note(position, 1000 + came), 3) for position, came in pictures]


@pytest.mark.parametrize(
    ("pictures", "expected"),
    [
        ([(0, 0), (1, 1), (2, 2)], [0, 0, 0]),
        ([(700, 0), (701, 1), (702, 2)], [0, 0, 0]),
        ([(0, 0), (1, 1.5), (2, 2)], [0, 0.5, 0]),
        ([(0, 0), (0.04, 2), (0.08, 2), (0.12, 2), (2, 2)], [0, 1.959, 1.919, 1.879, 0]),
        ([(0, 0.3), (1, 1), (2, 2.3)], [0, 0, 0.299]),
        ([(0, 0), (0, 5), (0, 9)], [0, 0, 0]),
    ],
    ids=["live", "live, begun long ago", "late once", "a stall and what it held up", "opened late", "no clock"],
)
def test_lag(pictures: list[tuple[float, float]], expected: list[float]) -> None:
    """The least difference between the two clocks is no lag, and what is above it is."""
    assert noted(*pictures) == pytest.approx(expected, abs=0.0011)


@pytest.mark.parametrize("share", [-DRIFT, -DRIFT / 2, 0, DRIFT])
def test_clocks_that_differ(share: float) -> None:
    """A camera's clock that is a little faster or slower than ours is no lag, however long it runs."""
    day = range(0, 86_400, 10)

    assert max(noted(*((second * (1 + share), second) for second in day))) <= 0.001


def test_a_stream_that_crawls_behind() -> None:
    """A stream that falls behind by a second a minute is seen to do so."""
    lag = noted(*((second, second * (1 + 1 / 60)) for second in range(121)))

    assert lag[-1] == pytest.approx(2, abs=0.1)


def test_a_longer_way() -> None:
    """A lag that stays as it is for a while is the network's, and none any more."""
    lag = noted(*((second, second + (0.8 if second > 5 else 0)) for second in range(40)))

    assert lag[10] == pytest.approx(0.8, abs=0.01)
    assert lag[-1] < 0.01


def test_what_is_known() -> None:
    """The last lag is kept for those who ask later."""
    lag = Lag()
    assert lag.seconds == 0
    lag.note(1, 1)
    lag.note(2, 4)

    assert lag.seconds == pytest.approx(2, abs=0.01)
