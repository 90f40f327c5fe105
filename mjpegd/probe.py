"""Looking at sources without serving them: what cameras there are, what one gives, one picture of it."""

import http.client
import os
import threading
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit, urlunsplit

from msgspec import structs

from mjpegd import jpeg, sources
from mjpegd.capture import to_picture
from mjpegd.config.schema import CameraConfig
from mjpegd.errors import BrokenPicture, SourceError
from mjpegd.masking import mask
from mjpegd.sources import devices
from mjpegd.sources.base import Granted, Source

if TYPE_CHECKING:
    from linuxpy.video.device import FrameType

TRIAL_SECONDS = 1.0
"""How long pictures are read to measure their rate."""
LARGEST_PICTURE = 64 * 1024 * 1024
"""Bytes of a picture fetched over HTTP that we are ready to hold."""


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
    """Open a source, read it for `seconds` and close it; `SourceError` if it gives no good picture."""
    with closing(sources.open_source(config.source, config, threading.Event())) as source:
        return _read(source, config, seconds)


def _read(source: Source, config: CameraConfig, seconds: float) -> Trial:
    began, first, good, broken = monotonic(), 0.0, 0, 0
    picture = None
    while picture is None or monotonic() - first < seconds:
        try:
            grab = source.read()
            assert grab is not None, "nobody sets `stop` here"
            picture = to_picture(grab, config)
            data = b"".join(picture.pieces)
        except BrokenPicture as error:
            broken += 1
            if picture is None and monotonic() - began > max(seconds, config.stale_after):
                raise SourceError(f"only broken pictures: {error}") from None
            continue
        good += 1
        last = monotonic()
        first = first or last
    fps = (good - 1) / (last - first) if last > first else 0.0
    return Trial(source.granted, data, picture.width, picture.height, fps, broken)


def picture(source: str, cameras: Mapping[str, CameraConfig], timeout: float) -> bytes:
    """One JPEG of a configured camera, of an HTTP address that answers with one, or of any source."""
    if source.startswith(("http://", "https://")) and (fetched := _fetch(source, timeout)):
        return fetched
    config = cameras.get(source) or CameraConfig(source=source)
    return trial(structs.replace(config, open_timeout=timeout, stale_after=timeout), seconds=0.0).picture


def _fetch(url: str, timeout: float) -> bytes | None:
    """The picture at an address; None if something other than a picture is there, such as a stream."""
    try:
        with urllib.request.urlopen(_request(url), timeout=timeout) as answer:  # noqa: S310  (http and https only)
            if answer.headers.get_content_type() != "image/jpeg":
                return None
            data: bytes = answer.read(LARGEST_PICTURE + 1)
    except urllib.error.HTTPError as error:
        raise SourceError(f"answers {error.code} {error.reason}") from None
    except (OSError, http.client.HTTPException) as error:
        raise SourceError(f"cannot be read: {getattr(error, 'reason', None) or error}") from None
    if len(data) > LARGEST_PICTURE:
        raise SourceError(f"sends more than {LARGEST_PICTURE} bytes")
    try:
        return b"".join(jpeg.examine(memoryview(data)).pieces)
    except BrokenPicture as error:
        raise SourceError(f"sends a broken picture: {error}") from None


def _request(url: str) -> urllib.request.Request:
    """A request whose user and password, if the address has some, travel in a header (RFC 7617)."""
    parts = urlsplit(url)
    userinfo, at, host = parts.netloc.rpartition("@")
    request = urllib.request.Request(urlunsplit(parts._replace(netloc=host)))  # noqa: S310  (http and https only)
    if at:
        request.add_header("Authorization", f"Basic {b64encode(unquote(userinfo).encode()).decode()}")
    return request


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
