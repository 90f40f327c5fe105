"""The picture shown where there is none: what is the matter with which camera, and since when."""

from datetime import datetime

from mjpegd.condition import State, Status
from mjpegd.errors import BrokenPicture
from mjpegd.frame import Frame

Drawn = tuple[memoryview, int, int]
"""A JPEG, its width and height."""


def draw(name: str, status: Status, size: tuple[int, int], last: Frame | None) -> Drawn:
    """A card of that size; of a frozen camera its `last` picture with a banner, since it may be a screen at rest."""
    from mjpegd import pixels

    when = datetime.fromtimestamp(status.since).astimezone().strftime("since %H:%M:%S on %d %B %Y")
    if status.state is State.FROZEN and last is not None:
        try:
            return pixels.banner(last.jpeg, f"{name}: {status.reason}, {when}", quality=85)
        except BrokenPicture:  # whole by its markers, and yet not to be decoded: the card it is
            pass
    return pixels.card(*size, (name, status.words, when)), *size
