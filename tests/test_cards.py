"""The picture shown where there is none."""

import numpy
import pytest

from mjpegd import cards
from mjpegd.condition import State, Status
from tests.pictures import decode, frame, jpeg

SIZE = (320, 240)
SINCE = 1_800_000_000.0
LAST = frame(pieces=(jpeg(200, 160),))


def drawn(state: State, reason: str = "unplugged", since: float = SINCE, name: str = "porch") -> bytes:
    """A card for a camera that once gave a picture."""
    data, *_ = cards.draw(name, Status(state, since, reason), SIZE, LAST)
    return bytes(data)


@pytest.mark.parametrize("state", [state for state in State if state is not State.FROZEN])
def test_card(state: State) -> None:
    """A card has the size that is asked for, whatever the last picture's."""
    data, *size = cards.draw("porch", Status(state, SINCE), SIZE, LAST)

    assert (*size,) == SIZE
    assert decode(bytes(data)).shape == (240, 320, 3)


@pytest.mark.parametrize("without", [None, frame(pieces=(b"\xff\xd8no picture\xff\xd9",))])
def test_frozen_without_a_picture(without: object) -> None:
    """Of a frozen camera without a picture, or with one that cannot be decoded, the card is one like any other."""
    data, *size = cards.draw("porch", Status(State.FROZEN, SINCE), SIZE, without)  # type: ignore[arg-type]

    assert (*size,) == SIZE
    assert decode(bytes(data)).shape == (240, 320, 3)


def test_frozen() -> None:
    """Of a frozen camera the last picture is shown in its own size, with a banner over its lower edge."""
    data, *size = cards.draw("porch", Status(State.FROZEN, SINCE, "the same picture for 60 s"), SIZE, LAST)
    before, after = decode(bytes(LAST.jpeg)).astype(int), decode(bytes(data)).astype(int)
    differs = numpy.abs(before - after).mean(axis=(1, 2))

    assert (*size,) == (200, 160)
    assert differs[:140].max() < 8
    assert differs[146:].min() > 20


@pytest.mark.parametrize(
    "other",
    [
        {"state": State.STALE, "reason": "no frames"},
        {"state": State.PAUSED},
        {"state": State.LOST, "since": SINCE + 86400},
        {"state": State.LOST, "name": "attic"},
    ],
)
def test_what_it_says(other: dict[str, object]) -> None:
    """A card shows the camera's name, what is the matter and since when: with another of them it is another card."""
    same = drawn(State.LOST)

    assert same == drawn(State.LOST)
    assert drawn(**other) != same  # type: ignore[arg-type]


def test_the_banner_says_why() -> None:
    """The banner shows the reason and since when."""
    assert len({drawn(State.FROZEN, reason, since) for reason in ("one", "two") for since in (SINCE, SINCE + 60)}) == 4
