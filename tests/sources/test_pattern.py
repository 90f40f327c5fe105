"""The moving test picture, and the one that stands in for a camera."""

import threading
from collections.abc import Callable
from time import monotonic

import pytest

from mjpegd import pixels
from mjpegd.config.schema import CameraConfig
from mjpegd.sources.base import Source
from mjpegd.sources.pattern import PatternSource
from mjpegd.sources.standin import StandinSource

CAMERA = CameraConfig(width=64, height=48, fps=100)
SIZE = 64 * 48 * 3

Open = Callable[[threading.Event], Source]
OPEN: dict[str, Open] = {
    "pattern": lambda stop: PatternSource(CAMERA, stop),
    "stand-in": lambda stop: StandinSource(CAMERA, stop, []),
}


@pytest.fixture(params=OPEN)
def opening(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Open:
    """Opens a pattern, on a machine without cameras."""
    monkeypatch.setattr("mjpegd.sources.devices.nodes", list)
    return OPEN[request.param]


def test_it_moves(opening: Open) -> None:
    """No two pictures are alike, at the rate and of the size asked for."""
    source = opening(threading.Event())
    began = monotonic()
    images = []
    for _ in range(10):
        grab = source.read()
        assert grab is not None
        images.append(pixels.to_bgr(grab).copy())

    assert monotonic() - began >= 0.08
    assert {image.shape for image in images} == {(48, 64, 3)}
    assert len({image.tobytes() for image in images}) == 10


def test_nobody_watches(opening: Open) -> None:
    """While nobody watches most pictures are not drawn, and come at their rate; who comes has the next one drawn."""
    source = opening(threading.Event())
    began = monotonic()
    grabs = [source.read(pixels=False) for _ in range(30)]
    took = monotonic() - began
    seen = source.read()

    assert took >= 0.28
    assert [len(grab.data) for grab in grabs if grab][:2] == [SIZE, 0]
    assert sum(bool(grab and grab.data) for grab in grabs) <= 1 + took
    assert {grab.format for grab in grabs if grab} == {"BGR"}
    assert seen is not None
    assert len(seen.data) == SIZE


def test_stopped(opening: Open) -> None:
    """It ends when it is asked to, and may be closed at any time."""
    stop = threading.Event()
    source = opening(stop)
    source.close()
    stop.set()

    assert source.read() is None
