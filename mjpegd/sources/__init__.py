"""The shelf of sources: a source is one file here and one row in `KINDS`.

A row names its module, imported when first opened: a daemon that only passes JPEG through never loads OpenCV (40 MB).
"""

import importlib
import re
import threading
from dataclasses import dataclass

from mjpegd.config.schema import CameraConfig
from mjpegd.sources import devices
from mjpegd.sources.base import OpenSource, Source


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of source, the specs that mean it, and the module with its `open_source`."""

    name: str
    spec: re.Pattern[str]
    module: str
    about: str


KINDS = (
    Kind("auto", re.compile(r"auto"), "auto", "the first usable V4L2 camera, else the test pattern"),
    Kind("camera", re.compile(r"camera"), "anycamera", "the first usable V4L2 camera, waited for if there is none"),
    Kind("pattern", re.compile(r"pattern"), "pattern", "a moving test picture with a clock"),
    Kind(
        "v4l2",
        re.compile(r"/dev/.+|usb:.+"),
        "v4l2",
        "a camera: /dev path, by-id or by-path link, usb:VID:PID[:SERIAL]",
    ),
    Kind("poll", re.compile(r"snapshot\+https?://.+"), "poll", "an HTTP address of single pictures, asked for in turn"),
    Kind("http", re.compile(r"https?://.+"), "web", "an HTTP address: MJPEG passed through, single pictures, or video"),
    Kind("ffmpeg", re.compile(r".+"), "ffmpeg", "a file, RTSP or other URL: whatever OpenCV's FFmpeg opens"),
)
"""The first row that matches wins."""

NEVER_FROZEN = frozenset({"pattern", "file"})
"""`Granted.device` of what no sensor makes: its pictures may be the same for good reasons."""


def kind_of(spec: str) -> Kind:
    """The row for a `source` key; the last one takes anything."""
    return next(kind for kind in KINDS if kind.spec.fullmatch(spec))


def open_source(spec: str, camera: CameraConfig, stop: threading.Event) -> Source:
    """Open what `spec` names; `SourceError` says in words why it cannot be."""
    opener: OpenSource = importlib.import_module(f"{__name__}.{kind_of(spec).module}").open_source
    return opener(spec, camera, stop)


def is_absent(spec: str) -> bool:
    """Whether `spec` names a device that is not plugged in: worth waiting for rather than trying again."""
    kind = kind_of(spec).name
    try:
        return (kind == "v4l2" and devices.resolve(spec) is None) or (kind == "camera" and not devices.nodes())
    except (ValueError, OSError):  # malformed, or nothing to look with: no plugging in will help
        return False
