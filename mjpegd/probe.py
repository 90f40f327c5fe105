"""Looking at sources without serving them: what cameras there are, what one gives, one picture of it."""

import math
import os
import threading
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from time import monotonic
from typing import TYPE_CHECKING

from msgspec import structs

from mjpegd import jpeg, sources
from mjpegd.config.schema import CameraConfig
from mjpegd.errors import BrokenPicture, SourceError
from mjpegd.masking import mask
from mjpegd.picture import to_picture
from mjpegd.sources import devices
from mjpegd.sources.base import Grab, Granted, Source

if TYPE_CHECKING:
    from linuxpy.video.device import FrameType

TRIAL_SECONDS = 1.0
"""How long pictures are read to measure their rate."""
PASSING = frozenset({"starting", "idle"})
"""What another mjpegd's camera is for a moment: it is opened because we look at it."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What a source gave when it was tried; `fps` is measured and 0 if only one picture came."""

    granted: Granted
    picture: bytes
    width: int
    height: int
    fps: float
    broken: int

    def describe(self) -> str:
        """One line for a person."""
        broken = f", {self.broken} broken" if self.broken else ""
        where = "" if self.granted.device in ("pattern", "file", "network") else f" from {mask(self.granted.device)}"
        return (
            f"ok: {self.width}x{self.height} {self.granted.format}{where}, "
            f"{self.fps:.1f} fps measured, {len(self.picture)} bytes a picture{broken}"
        )


def trial(config: CameraConfig, seconds: float = TRIAL_SECONDS) -> Trial:
    """Open a source, read it for `seconds` and close it; `SourceError` if it gives no good picture in time."""
    deadline = _Deadline()
    with closing(sources.open_source(config.source, config, deadline)) as source:
        return _read(source, config, seconds, deadline)


class _Deadline(threading.Event):
    """What a source is stopped by: set once its time is over, and that is never unless it is told."""

    def __init__(self) -> None:
        super().__init__()
        self._until = math.inf

    def put_off(self, seconds: float) -> None:
        """Be set in so many seconds."""
        self._until = monotonic() + seconds

    def is_set(self) -> bool:
        """Whether its time is over."""
        return monotonic() >= self._until

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the end of its time."""
        left = max(0.0, self._until - monotonic())
        super().wait(min(left, threading.TIMEOUT_MAX if timeout is None else timeout))
        return self.is_set()


def _read(source: Source, config: CameraConfig, seconds: float, deadline: _Deadline) -> Trial:
    """Until the first picture there is as much time as a camera behind the source needs to start; `seconds` then."""
    patience = config.open_timeout + config.stale_after
    deadline.put_off(patience)
    reading = _Reading(config, monotonic())
    while not deadline.is_set():
        if reading.took(source) and reading.good == 1:
            deadline.put_off(seconds)
    return reading.result(source.granted, f"no picture within {patience:g} s")


class _Reading:
    """What came of a source."""

    def __init__(self, config: CameraConfig, began: float) -> None:
        self.good = 0
        self._config, self._began = config, began
        self._first = self._last = 0.0
        self._broken = 0
        self._picture: jpeg.Picture | None = None
        self._trouble = ""

    def took(self, source: Source) -> bool:
        """Read once; whether that gave a good picture."""
        try:
            grab = source.read()
            if grab is None or not grab.data or self._is_card(grab):
                return False
            picture, _ = to_picture(grab, self._config)
            self._picture = replace(picture, pieces=(b"".join(picture.pieces),))  # the source uses its memory again
        except BrokenPicture as error:
            self._note_broken(error)
            return False
        self.good += 1
        self._last = monotonic()
        self._first = self._first or self._last
        return True

    def result(self, granted: Granted, trouble: str) -> Trial:
        """All of it; `SourceError` in these words, or better ones, where there was no picture."""
        picture = self._picture
        if picture is None:
            raise SourceError(self._trouble or trouble)
        spent = self._last - self._first
        fps = (self.good - 1) / spent if spent > 0 else 0.0
        return Trial(granted, b"".join(picture.pieces), picture.width, picture.height, fps, self._broken)

    def _is_card(self, grab: Grab) -> bool:
        """Whether this is no picture, and there may be one soon; `SourceError` if there will be none."""
        if not grab.missing:
            return False
        self._trouble = f"its camera is {grab.missing}: what it shows is a card"
        if grab.missing not in PASSING:
            raise SourceError(self._trouble)
        return True

    def _note_broken(self, error: BrokenPicture) -> None:
        self._broken += 1
        self._trouble = f"only broken pictures: {error}"
        if self._picture is None and monotonic() - self._began > self._config.stale_after:
            raise SourceError(self._trouble) from None


def picture(source: str, cameras: Mapping[str, CameraConfig], timeout: float) -> bytes:
    """One JPEG of a configured camera, of an HTTP address that answers with one, or of any source."""
    config = cameras.get(source) or CameraConfig(source=source)
    return trial(structs.replace(config, open_timeout=timeout, stale_after=timeout), seconds=0.0).picture


@dataclass(frozen=True, slots=True)
class Mode:
    """A size with the rates a camera offers for it, fastest first."""

    width: int
    height: int
    fps: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """A V4L2 camera and what it can do: its formats by name, each with its modes (none if any size will do)."""

    device: str
    name: str
    stable: str
    formats: Mapping[str, tuple[Mode, ...]]

    def describe(self) -> str:
        """A paragraph for a person, with the line to put into the configuration."""
        lines = [f"{self.device}: {self.name}", f'  source = "{self.stable}"']
        for name, modes in self.formats.items():
            lines.append(f"  {name}" if modes else f"  {name}, any size")
            for mode in modes:
                rates = ", ".join(f"{rate:g}" for rate in mode.fps) or "?"
                lines.append(f"    {mode.width}x{mode.height} at {rates} fps")
        return "\n".join(lines)


def cameras() -> list[Found]:
    """Every V4L2 capture device that can be opened."""
    return [found for node in devices.nodes() if (found := _examine(str(node))) is not None]


def _examine(node: str) -> Found | None:
    """What a device says of itself; None for one that cannot be opened or captures nothing.

    linuxpy's functions are used below its `Device`, which stumbles over drivers with other kinds of buffers (vivid).
    """
    from linuxpy.video import device as v4l2

    try:
        fd = os.open(node, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        capabilities = v4l2.read_capabilities(fd)
        if not capabilities.device_caps & v4l2.Capability.VIDEO_CAPTURE:
            return None
        formats = [form.pixel_format for form in v4l2.iter_read_formats(fd, v4l2.BufferType.VIDEO_CAPTURE)]
        modes = {form.name: _modes(v4l2.iter_read_pixel_formats_frame_intervals(fd, [form])) for form in formats}
        return Found(node, capabilities.card.decode(errors="replace"), devices.stable_name(node), modes)
    except OSError:
        return None
    finally:
        os.close(fd)


def _modes(frame_types: Iterable["FrameType"]) -> tuple[Mode, ...]:
    """One mode a size, its rates gathered."""
    rates: dict[tuple[int, int], set[float]] = {}
    for kind in frame_types:
        rates.setdefault((kind.width, kind.height), set()).update({float(kind.max_fps)} if kind.max_fps else ())
    return tuple(Mode(*size, fps=tuple(sorted(rates[size], reverse=True))) for size in sorted(rates))
