"""One picture and its biography."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A JPEG as it is sent to every viewer; immutable, its three views share one read-only buffer.

    `seq` counts the camera's frames from 1. `captured` is Unix seconds; `taken` is the same moment and `ready` the
    moment this object was made, both in monotonic seconds, so that an age survives a clock that is set.
    `live` is False on a no-signal card. The views are explained in `mjpegd.wire.multipart`.
    """

    seq: int
    captured: float
    taken: float
    ready: float
    width: int
    height: int
    live: bool
    jpeg: memoryview
    part: memoryview
    advance: memoryview
