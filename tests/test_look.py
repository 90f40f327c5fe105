"""How pictures are to be, by its name and in numbers."""

import pytest

from mjpegd.look import Look


@pytest.mark.parametrize(
    ("look", "name"),
    [
        (Look(), "passthrough"),
        (Look(640), "w640"),
        (Look(fps=5), "5fps"),
        (Look(640, fps=12.5), "w640 12.5fps"),
        (Look(0, 0), "passthrough"),
    ],
)
def test_name(look: Look, name: str) -> None:
    """A look's name says width and pace, if it has any."""
    assert look.name == name
