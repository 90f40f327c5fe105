"""Whether anybody wants a camera's frames."""

import pytest

from mjpegd.demand import Demand
from tests.clock import Clock, stop_clocks


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock that a demand looks at."""
    return stop_clocks(monkeypatch, "mjpegd.demand.monotonic")


def test_nobody_ever(clock: Clock) -> None:
    """A camera that nobody ever looked at is not wanted, and was not, however far back is looked."""
    demand = Demand()

    assert (demand.now, demand.within(1e12), demand.paused) == (False, False, False)


def test_several(clock: Clock) -> None:
    """It is wanted as long as one is left of those who came."""
    demand = Demand()
    seen = []
    for step in (demand.enter, demand.enter, demand.leave, demand.leave):
        step()
        seen.append(demand.now)

    assert seen == [True, True, True, False]


def test_linger(clock: Clock) -> None:
    """For a while after the last one left it counts as wanted, counted from the last and not from the first."""
    demand = Demand()
    demand.enter()
    clock.forward(100)
    assert demand.within(1)
    demand.leave()
    clock.forward(9)
    demand.enter()
    demand.leave()
    clock.forward(9)

    assert (demand.now, demand.within(10), demand.within(8)) == (False, True, False)


def test_a_pause_is_apart(clock: Clock) -> None:
    """Who wants frames of a paused camera wants them still."""
    demand = Demand()
    demand.paused = True
    demand.enter()

    assert (demand.now, demand.paused) == (True, True)
