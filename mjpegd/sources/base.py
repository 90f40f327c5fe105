"""What a source is: opened, read until it fails, and closed. Retry, stamping, cards and counting are capture's."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from mjpegd.config.schema import CameraConfig

JPEG = "JPEG"
"""`Grab.format` of pictures that are passed through; every other name is a row of `pixels.LAYOUTS`."""
NOTHING = memoryview(b"")
"""`Grab.data` of a picture that was not made, or is the one before."""


@dataclass(frozen=True, slots=True)
class Granted:
    """What the source gives, as far as it says: 0 where it does not. `device` is where it was found.

    `decoder` is what decodes it, `software` or the name of an accelerator; empty for pictures passed through. `name` is
    what the device calls itself. `via` has the relays of our kind between the camera and us, the nearest last (RFC 9110
    7.6.3).
    """

    width: int
    height: int
    fps: float
    format: str
    device: str
    decoder: str = ""
    name: str = ""
    via: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Grab:
    """One picture as the source gave it: JPEG or raw pixels, in a buffer that the next `read` may reuse.

    `taken` is the moment of capture in monotonic seconds; `skipped` counts the pictures lost since the one before.
    Size and `stride` (bytes a row, 0 for no padding) are needed for pixels; a JPEG tells its own. What else some know:

    - `captured` is the moment of capture in Unix seconds, where the source itself says it.
    - A JPEG without `data` is the one before once more, by the source's own word.
    - `missing` is not empty on a card which a source shows because its own camera has no picture: that camera's state.
    - `lag` is by how many seconds a stream has fallen behind its own clock.
    - `patience` is how many seconds more than usual the next picture may take.
    """

    data: memoryview
    format: str
    taken: float
    skipped: int = 0
    width: int = 0
    height: int = 0
    stride: int = 0
    captured: float | None = None
    lag: float = 0.0
    patience: float = 0.0
    missing: str = ""


class Source(Protocol):
    """An open picture source; made by the `open_source` of its module, used by one thread."""

    granted: Granted

    def read(self, *, pixels: bool = True) -> Grab | None:
        """The next picture, blocking; None if there is nothing new: `stop` was set, or only a sign of life came.

        Without `pixels` nobody needs this one decoded: a source of pixels may give it with no `data`, for less.

        `BrokenPicture` for one that the driver flags as bad, `SourceStalled` after `stale_after` seconds of silence,
        `SourceError` when the source is gone.
        """

    def close(self) -> None:
        """Give the device back. A second call does nothing."""


OpenSource = Callable[[str, CameraConfig, threading.Event], Source]
"""`open_source(spec, camera, stop)` of a source's module. `SourceError` says in words why it cannot be opened."""
