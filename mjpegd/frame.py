"""One picture and its biography."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A JPEG as it is sent to every viewer; immutable, its three views share one read-only buffer.

    `seq` counts the camera's frames from 1. `captured` is Unix seconds; `taken` is the same moment and `ready` the
    moment this object was made, both in monotonic seconds, so that an age survives a clock that is set. `encode` is the
    time in seconds that encoding took of it.
    `missing` is empty on a picture; on a card it is the state of the camera that has none, and `live` is False. The
    views are explained in `mjpegd.wire.multipart`.
    """

    seq: int
    captured: float
    taken: float
    ready: float
    width: int
    height: int
    jpeg: memoryview
    part: memoryview
    advance: memoryview
    missing: str = ""
    encode: float = 0.0

    @property
    def live(self) -> bool:
        """Whether it is a picture, and no card."""
        return not self.missing
