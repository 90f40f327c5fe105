"""How pictures are to be, by its name and in numbers."""

from dataclasses import fields
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mjpegd.look import MAX_SIDE, MIN_SIDE, Look, Size

SIDE = st.integers(1, 16_384)
BOUND = st.integers(MIN_SIDE, MAX_SIDE)
LOOKS = st.builds(
    Look,
    st.integers(0, MAX_SIDE),
    st.integers(0, MAX_SIDE),
    st.integers(0, 100),
    st.floats(0, 240),
    st.booleans(),
)


@pytest.mark.parametrize(
    ("look", "name"),
    [
        (Look(), "passthrough"),
        (Look(640), "w640"),
        (Look(height=480), "h480"),
        (Look(640, 480), "640x480"),
        (Look(quality=70), "q70"),
        (Look(fps=5), "5fps"),
        (Look(640, fps=12.5), "w640 12.5fps"),
        (Look(640, 480, 70, 15), "640x480 q70 15fps"),
        (Look(640, 480, exact=True), "640x480!"),
        (Look(0, 0), "passthrough"),
    ],
)
def test_name(look: Look, name: str) -> None:
    """A look's name says box, quality and pace, if it has any."""
    assert look.name == name


@pytest.mark.parametrize(
    ("look", "encodes"),
    [
        (Look(), False),
        (Look(fps=5), False),
        (Look(640), True),
        (Look(height=480), True),
        (Look(quality=100), True),
        (Look(640, 480, exact=True), True),
    ],
)
def test_encodes(look: Look, encodes: bool) -> None:  # noqa: FBT001  (a row)
    """To leave frames out no picture has to be made, for everything else one may have to be."""
    assert look.encodes is encodes


@pytest.mark.parametrize(
    ("look", "size", "fitted"),
    [
        (Look(), (1280, 720), (1280, 720)),
        (Look(640), (1280, 720), (640, 360)),
        (Look(height=360), (1280, 720), (640, 360)),
        (Look(640, 480), (1280, 720), (640, 360)),
        (Look(640, 480), (720, 1280), (270, 480)),
        (Look(640, 480), (640, 480), (640, 480)),
        (Look(1920, 1080), (1280, 720), (1280, 720)),
        (Look(1920, 360), (1280, 720), (640, 360)),
        (Look(641), (640, 480), (640, 480)),
        (Look(639), (640, 480), (639, 479)),
        (Look(16), (7680, 16), (16, 1)),
        (Look(640, 480, exact=True), (1280, 720), (640, 480)),
        (Look(640, 480, exact=True), (320, 240), (640, 480)),
        (Look(quality=50, fps=5), (1280, 720), (1280, 720)),
    ],
)
def test_fitted(look: Look, size: Size, fitted: Size) -> None:
    """A picture is made to fit into the box, in its proportions; an exact look is the box itself."""
    assert look.fitted(*size) == fitted


@given(SIDE, SIDE, st.just(0) | BOUND, st.just(0) | BOUND)
def test_proportions(width: int, height: int, most_wide: int, most_tall: int) -> None:
    """Whatever the box, a picture is never larger than it or than itself, and its sides are right to half a pixel."""
    wide, tall = Look(most_wide, most_tall).fitted(width, height)
    share = min(Fraction(1), Fraction(most_wide or width, width), Fraction(most_tall or height, height))

    assert 1 <= wide <= min(width, most_wide or width)
    assert 1 <= tall <= min(height, most_tall or height)
    for side, exact in ((wide, width * share), (tall, height * share)):
        assert abs(side - exact) <= (Fraction(1, 2) if exact >= 1 else 1)


@given(SIDE, SIDE, BOUND, BOUND)
def test_a_side_of_the_box_is_reached(width: int, height: int, most_wide: int, most_tall: int) -> None:
    """What is made smaller is as large as the box allows: it reaches one of its sides."""
    assume(width > most_wide or height > most_tall)
    wide, tall = Look(most_wide, most_tall).fitted(width, height)

    assert wide == most_wide or tall == most_tall


@pytest.mark.parametrize(
    ("look", "bound", "within"),
    [
        (Look(), Look(), Look()),
        (Look(640), Look(), Look(640)),
        (Look(), Look(640, 480, 70, 15), Look(640, 480, 70, 15)),
        (Look(320, 480, 90, 5), Look(640, 240, 70, 15), Look(320, 240, 70, 5)),
        (Look(fps=30), Look(fps=15), Look(fps=15)),
        (Look(fps=5), Look(fps=15), Look(fps=5)),
        (Look(640, 480, exact=True), Look(fps=5), Look(640, 480, fps=5, exact=True)),
    ],
)
def test_within(look: Look, bound: Look, within: Look) -> None:
    """Of each value the smaller one counts, and none is no bound."""
    assert look.within(bound) == within


@given(LOOKS, LOOKS)
def test_within_is_a_bound(look: Look, bound: Look) -> None:
    """A look within a bound is above neither of the two in any value, and stays what it is the second time."""
    within = look.within(bound)

    for name in (field.name for field in fields(Look) if field.name not in ("exact", "configured")):
        value = getattr(within, name)
        assert all(not most or 0 < value <= most for most in (getattr(look, name), getattr(bound, name)))
    assert within.within(bound) == within


def test_equal_looks_are_one_key() -> None:
    """Who asks for the same in whatever way shares one rendition: looks are compared by value."""
    assert {Look(640, 0, 0, 5): 1}[Look(width=640, fps=5.0)] == 1
    assert Look(640) != Look(640, exact=True)
    assert {Look(640): 1}[Look(640, configured=True)] == 1
    assert Look(640, configured=True).within(Look(fps=5)).configured
