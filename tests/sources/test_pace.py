"""When pictures are due, and which of them are made."""

import threading
from time import monotonic

import pytest

from mjpegd.sources.pace import SPARED, Pace, Sparing
from tests.clock import Clock, stop_clocks
from tests.daemon import SECONDS


class Waiting(threading.Event):
    """A stop that nobody asks for, and a wait that is over at once."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def wait(self, timeout: float | None = None) -> bool:
        """Let the time go by."""
        assert timeout is not None
        self._clock.forward(timeout)
        return False


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock that a pace looks at."""
    clock = stop_clocks(monkeypatch, "mjpegd.sources.pace.monotonic")
    clock.now = 1000.0
    return clock


def due(clock: Clock, *works: float) -> list[float]:
    """When pictures are due that are a second apart, if each is worked on for so long."""
    pace, moments = Pace(1.0, Waiting(clock)), []
    for work in works:
        assert not pace.stopped()
        moments.append(round(clock.now - 1000, 3))
        clock.forward(work)
    return moments


@pytest.mark.parametrize(
    ("works", "moments"),
    [
        ((0.0, 0.3, 0.9, 0.0), [0, 1, 2, 3]),
        ((1.5, 0.0, 0.0, 0.0), [0, 1.5, 2, 3]),
        ((7.5, 0.0, 0.0), [0, 7.5, 7.5]),
    ],
    ids=["on time", "late once", "what was missed is not made up"],
)
def test_moments(works: tuple[float, ...], moments: list[float], clock: Clock) -> None:
    """The first is due at once, the others at even times, whatever the work took."""
    assert due(clock, *works) == moments


def test_a_stop_ends_the_wait() -> None:
    """Who waits for a moment far away is told of a stop at once."""
    stop = threading.Event()
    pace = Pace(3600, stop)
    assert not pace.stopped()
    timer = threading.Timer(0.05, stop.set)
    timer.start()
    began = monotonic()
    assert pace.stopped()
    timer.join()

    assert monotonic() - began < 30 * SECONDS


def wanted(*pictures: tuple[float, bool]) -> list[bool]:
    """Which pictures are made, each given as its moment and whether somebody looks."""
    sparing = Sparing()
    return [sparing.wants(moment, pixels=pixels) for moment, pixels in pictures]


def test_every_picture_for_somebody() -> None:
    """While somebody looks every picture is made."""
    assert wanted(*((tenth / 10, True) for tenth in range(30))) == [True] * 30


def test_one_a_second_for_nobody() -> None:
    """While nobody looks one a second is made, the first at once."""
    made = wanted(*((tenth / 10, False) for tenth in range(31)))

    assert SPARED == 1
    assert [place for place, each in enumerate(made) if each] == [0, 10, 20, 30]


def test_who_comes_and_goes() -> None:
    """Who comes gets the next picture, and the second counts from the last that was made for somebody."""
    assert wanted((0.0, False), (0.5, False), (0.6, True), (0.7, False), (1.5, False), (1.7, False)) == [
        *(True, False, True),
        *(False, False, True),
    ]
