"""Text as the value that it stands for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mjpegd.config.scalar import scalar


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10", 10),
        ("-5", -5),
        ("+7", 7),
        ("007", 7),
        ("true", True),
        ("False", False),
        ("1.5", "1.5"),
        ("", ""),
        ("on", "on"),
        ("50 Hz", "50 Hz"),
        ("\u0661", "\u0661"),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_scalar(text: str, expected: object) -> None:
    """Whole numbers and the words true and false are read as such, anything else is itself."""
    assert expected == scalar(text)
    assert type(expected) is type(scalar(text))


@given(st.text())
def test_any_text(text: str) -> None:
    """No text is an error, and none that is not read as something else is changed."""
    value = scalar(text)
    assert value == text if isinstance(value, str) else str(value).casefold().strip("-") in text.casefold()


@given(st.integers(-(2**62), 2**62))
def test_any_number(number: int) -> None:
    """Every number of a control is read from its digits."""
    assert scalar(str(number)) == number
