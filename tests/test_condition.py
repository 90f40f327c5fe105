"""What follows a state, and how it is said."""

import pytest

from mjpegd.condition import HEALTHY, OUTAGES, State, Status
from tests.clock import stop_clocks

BEGAN, NOW = 1_700_000_000.0, 1_800_000_000.0


@pytest.mark.parametrize(
    ("before", "after", "since"),
    [
        ((State.LIVE, ""), (State.LOST, "unplugged"), NOW),
        ((State.LOST, "unplugged"), (State.LIVE, ""), NOW),
        ((State.LOST, "unplugged"), (State.LOST, "busy"), BEGAN),
        ((State.LOST, "unplugged"), (State.STALE, "no frames"), BEGAN),
        ((State.STALE, "no frames"), (State.FROZEN, "the same picture"), BEGAN),
        ((State.FROZEN, "the same picture"), (State.LOST, "unplugged"), BEGAN),
        ((State.LOST, "unplugged"), (State.PAUSED, "paused"), NOW),
        ((State.PAUSED, "paused"), (State.STARTING, ""), NOW),
        ((State.STARTING, "opening again"), (State.STARTING, ""), BEGAN),
        ((State.IDLE, "nobody watches"), (State.LOST, "unplugged"), NOW),
    ],
)
def test_then(
    before: tuple[State, str], after: tuple[State, str], since: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another state begins now; the same one for another reason, and an outage that turns into another, go on."""
    stop_clocks(monkeypatch, "mjpegd.condition.time")
    (state, reason), (other, why) = before, after

    assert Status(state, BEGAN, reason).then(other, why) == Status(other, since, why)


@pytest.mark.parametrize("state", State)
def test_nothing_changed(state: State) -> None:
    """What is the same in state and reason is the same object, so that a change can be seen."""
    status = Status(state, BEGAN, "why")

    assert status.then(state, "why") is status


@pytest.mark.parametrize(
    ("state", "reason", "words"),
    [
        (State.LOST, "unplugged", "no signal: unplugged"),
        (State.STALE, "no frames for 2 s", "no signal: no frames for 2 s"),
        (State.FROZEN, "the same picture for 60 s", "no signal: the same picture for 60 s"),
        (State.PAUSED, "paused", "paused"),
        (State.STARTING, "", "starting"),
        (State.STARTING, "opening again", "opening again"),
        (State.IDLE, "nobody watches", "nobody watches"),
    ],
)
def test_words(state: State, reason: str, words: str) -> None:
    """A card says of an outage that there is no signal and why, of the rest the reason, else the state."""
    assert Status(state, BEGAN, reason).words == words


def test_groups() -> None:
    """No state is an outage and healthy at once; a pause, meant as it is, is neither, and nor is the beginning."""
    assert not OUTAGES & HEALTHY
    assert set(State) - OUTAGES - HEALTHY == {State.STARTING, State.PAUSED}
