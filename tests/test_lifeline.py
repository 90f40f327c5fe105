"""How a capture thread is told to end or to let go, and how it shows that it gets on."""

import threading
from collections.abc import Callable
from time import monotonic

import pytest

from mjpegd import lifeline as module
from mjpegd.demand import Demand
from mjpegd.lifeline import Lifeline
from tests.clock import stop_clocks
from tests.daemon import SECONDS

LONG = 30 * SECONDS
"""No test is meant to wait that long."""


@pytest.fixture
def demand() -> Demand:
    """What its camera is asked for."""
    return Demand()


@pytest.fixture
def lifeline(demand: Demand) -> Lifeline:
    """One that nothing was asked through."""
    return Lifeline(demand)


def timed(work: Callable[[], object]) -> tuple[object, float]:
    """What it returns, and after how many seconds."""
    began = monotonic()
    return work(), monotonic() - began


@pytest.mark.parametrize(
    ("paused", "stopped", "ended", "is_set"),
    [
        (False, False, False, False),
        (True, False, False, True),
        (False, True, True, True),
        (True, True, True, True),
    ],
)
def test_what_is_asked(paused: bool, stopped: bool, ended: bool, is_set: bool) -> None:  # noqa: FBT001  (a row)
    """A pause asks a source to let go, and only a stop asks the thread to end."""
    demand = Demand()
    demand.paused = paused
    lifeline = Lifeline(demand)
    if stopped:
        lifeline.set()

    assert (lifeline.ended, lifeline.is_set()) == (ended, is_set)


def test_wait(lifeline: Lifeline) -> None:
    """A wait is as long as it was to be while nothing is asked."""
    asked, seconds = timed(lambda: lifeline.wait(0.05))

    assert asked is False
    assert 0.05 <= seconds < LONG


def test_a_stop_ends_a_wait(lifeline: Lifeline) -> None:
    """A stop ends a wait at once, be it one without an end."""
    timer = threading.Timer(0.05, lifeline.set)
    timer.start()
    asked, seconds = timed(lifeline.wait)
    timer.join()

    assert asked is True
    assert seconds < LONG


def test_a_pause_ends_a_wait(lifeline: Lifeline, demand: Demand, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pause ends a wait within a slice."""
    monkeypatch.setattr(module, "SLICE", 0.01)
    timer = threading.Timer(0.05, setattr, (demand, "paused", True))
    timer.start()
    asked, seconds = timed(lambda: lifeline.wait(LONG))
    timer.join()

    assert asked is True
    assert seconds < LONG / 2


@pytest.mark.parametrize("name", ["nudge", "set"])
def test_who_dozes_is_woken(name: str, lifeline: Lifeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """A nudge and a stop end a doze at once."""
    monkeypatch.setattr(module, "SLICE", LONG)
    timer = threading.Timer(0.05, getattr(lifeline, name))
    timer.start()
    _, seconds = timed(lifeline.doze)
    timer.join()

    assert seconds < LONG / 2


def test_a_nudge_wakes_once(lifeline: Lifeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """A nudge that came before the doze counts, once; the next doze is a whole slice."""
    monkeypatch.setattr(module, "SLICE", 0.1)
    lifeline.nudge()
    _, first = timed(lifeline.doze)
    _, second = timed(lifeline.doze)

    assert first < 0.1 <= second


@pytest.mark.parametrize(
    "look",
    [
        lambda lifeline: lifeline.ended,
        lambda lifeline: lifeline.is_set(),
        lambda lifeline: lifeline.wait(0),
        lambda lifeline: lifeline.doze(),
    ],
)
def test_silence(look: Callable[[Lifeline], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the thread asks is a sign of life; how long it was silent is not."""
    clock = stop_clocks(monkeypatch, "mjpegd.lifeline.monotonic")
    lifeline = Lifeline(Demand())
    lifeline.nudge()  # so that a doze is short
    clock.forward(7)
    silences = [lifeline.silent(), lifeline.silent()]
    look(lifeline)

    assert [*silences, lifeline.silent()] == [7, 7, 0]
