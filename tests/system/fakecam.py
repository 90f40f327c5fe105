"""mjpegd with the LD_PRELOAD camera, and the camera's hands: unplug, stall, corrupt."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.daemon import Daemon, join

WIDTH, HEIGHT = 640, 480
STAMP = 40
"""Bytes of the COM segment that the camera puts behind SOI."""
_STAMP = re.compile(rb"\xff\xd8\xff\xfe\x00\x26T=(\d{20}) N=(\d{10})")


@dataclass(frozen=True)
class Stamp:
    """What the camera wrote into its picture: the time of capture in monotonic seconds, and its count."""

    taken: float
    number: int


def read_stamp(jpeg: bytes) -> Stamp | None:
    """The camera's stamp; None on a picture that is not the camera's, such as a card."""
    match = _STAMP.match(jpeg)
    return Stamp(int(match[1]) / 1e9, int(match[2])) if match else None


def unstamped(jpeg: bytes) -> bytes:
    """The picture as the camera's file has it."""
    return jpeg[:2] + jpeg[2 + STAMP :]


@dataclass(frozen=True)
class Camera:
    """The library, its pictures, and the folder through which it is told what to do."""

    library: Path
    frames: Path
    control: Path

    def daemon(self, sets: Mapping[str, object] | None = None, **switches: object) -> Daemon:
        """A daemon with one camera `cam` on /dev/video0; `switches` are FAKECAM_ variables without their prefix."""
        ours = {"source": "/dev/video0", "width": WIDTH, "height": HEIGHT, "fps": 30, "stale_after": 1}
        return Daemon(
            join({f"camera.cam.{key}": value for key, value in ours.items()}, sets or {}),
            environment=self.environment(**switches),
            preload=self.library,
        )

    def environment(self, **switches: object) -> dict[str, str]:
        """The camera's variables."""
        values = {"DIR": self.frames, "CTL": self.control, **switches}
        return {f"FAKECAM_{name.upper()}": str(value) for name, value in values.items()}

    def unplug(self) -> None:
        """Pull the cable."""
        (self.control / "unplug").touch()

    def plug(self) -> None:
        """Put it in."""
        (self.control / "unplug").unlink()

    @contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """`stall`, `corrupt` or `wedge` for as long as the block lasts."""
        (self.control / what).touch()
        try:
            yield
        finally:
            (self.control / what).unlink()

    def files(self) -> list[bytes]:
        """The pictures, in the camera's order."""
        return [path.read_bytes() for path in sorted(self.frames.glob("*.jpg"))]
