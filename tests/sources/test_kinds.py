"""The shelf of sources: which spec means which kind."""

import importlib
import threading
from pathlib import Path

import pytest

from mjpegd import sources
from mjpegd.config.schema import CameraConfig
from mjpegd.errors import SourceError
from mjpegd.sources.base import Grab

CAMERA = CameraConfig(width=32, height=16, fps=1000)


@pytest.mark.parametrize(
    ("spec", "kind"),
    [
        ("auto", "auto"),
        ("pattern", "pattern"),
        ("/dev/video0", "v4l2"),
        ("/dev/v4l/by-id/usb-046d_0825_ABC-video-index0", "v4l2"),
        ("/dev/v4l/by-path/pci-0000:00:14.0-usb-0:1:1.0-video-index0", "v4l2"),
        ("usb:046d:0825", "v4l2"),
        ("usb:nonsense", "v4l2"),
        ("rtsp://me:secret@camera:554/stream?a=b", "ffmpeg"),
        ("http://camera/video.mjpg", "http"),
        ("https://me:secret@camera/", "http"),
        ("snapshot+http://camera/now.jpg", "poll"),
        ("snapshot+rtsp://camera/", "ffmpeg"),
        ("/home/me/film.mp4", "ffmpeg"),
        ("film.mp4", "ffmpeg"),
        ("automatic", "ffmpeg"),
        ("Pattern", "ffmpeg"),
        ("0", "ffmpeg"),
    ],
)
def test_kind_of(spec: str, kind: str) -> None:
    """The first row whose pattern fits the whole spec says what kind it is; a file or URL is what remains."""
    assert kind == sources.kind_of(spec).name


@pytest.mark.parametrize("kind", sources.KINDS, ids=lambda kind: kind.name)
def test_every_row(kind: sources.Kind) -> None:
    """Each row of the shelf has a module with `open_source`, and a sentence."""
    module = importlib.import_module(f"mjpegd.sources.{kind.module}")

    assert callable(module.open_source)
    assert len(kind.about.split()) > 2


def test_open_source() -> None:
    """What is opened gives pictures of what it says it gives, until it is stopped, and may be closed twice."""
    stop = threading.Event()
    source = sources.open_source("pattern", CAMERA, stop)
    grab = source.read()
    assert isinstance(grab, Grab)
    assert (32, 16) == (source.granted.width, source.granted.height) == (grab.width, grab.height)
    stop.set()

    assert source.read() is None
    source.close()
    source.close()


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("/dev/video999", "not plugged in"),
        ("usb:ffff:ffff", "not plugged in"),
        ("usb:nonsense", "is not usb:VID:PID"),
        ("/nowhere/film.mp4", "no such file"),
    ],
)
def test_what_cannot_be_opened(spec: str, reason: str) -> None:
    """A source that cannot be opened is a `SourceError` that says why."""
    with pytest.raises(SourceError, match=reason):
        sources.open_source(spec, CAMERA, threading.Event())


def test_absent(tmp_path: Path) -> None:
    """A device that is not plugged in is worth waiting for."""
    spec = f"/dev/..{tmp_path}/video0"
    assert sources.is_absent(spec)
    Path(spec).touch()

    assert not sources.is_absent(spec)


@pytest.mark.parametrize("spec", ["auto", "pattern", "rtsp://camera/", "/nowhere/film.mp4", "usb:nonsense"])
def test_never_absent(spec: str) -> None:
    """What is no device, or cannot be one, is tried again rather than waited for."""
    assert not sources.is_absent(spec)
