"""The relays that a picture came through, in a header field."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mjpegd.wire import via

ONE, TWO = "3fa94c01d2ee", "000000000000"
TAGS = st.lists(st.text("0123456789abcdef", min_size=12, max_size=12), max_size=via.MOST)


def test_render() -> None:
    """Each relay is a member with a comment that says what it is, the nearest last."""
    assert via.render((ONE, TWO)) == "1.1 3fa94c01d2ee (mjpegd), 1.1 000000000000 (mjpegd)"


@pytest.mark.parametrize(
    ("value", "relays"),
    [
        ("", ()),
        (f"1.1 {ONE} (mjpegd)", (ONE,)),
        (f"1.0 {ONE} (mjpegd)", (ONE,)),
        (f"1.1 {ONE} (mjpegd),1.1 {TWO} (mjpegd)", (ONE, TWO)),
        (f"1.1 proxy.example (nginx), 1.1 {ONE} (mjpegd) , 1.1 cache", (ONE,)),
        (f"1.1 {ONE}", ()),
        (f"2.0 {ONE} (mjpegd)", ()),
        (f"1.1 {ONE.upper()} (mjpegd)", ()),
        (f"1.1 {ONE}0 (mjpegd)", ()),
        (f"1.1 {ONE} (mjpegd) and more", ()),
        (",,, ,", ()),
    ],
)
def test_parse(value: str, relays: tuple[str, ...]) -> None:
    """Relays of our kind are found in their order, and other proxies left out."""
    assert via.parse(value) == relays


def test_an_endless_field() -> None:
    """What comes behind so many members is not looked at."""
    assert via.parse(via.render([ONE] * 5000)) == (ONE,) * via.MOST


@given(TAGS)
def test_round_trip(relays: list[str]) -> None:
    """What was written is read."""
    assert via.parse(via.render(relays)) == tuple(relays)


@given(st.text())
def test_any_field(value: str) -> None:
    """No value is an error."""
    assert all(len(relay) == 12 for relay in via.parse(value))
