"""Choosing a camera, and standing in for one: with device nodes and cameras that the tests make up."""

import threading
from pathlib import Path

import pytest

from mjpegd import sources
from mjpegd.config.schema import CameraConfig
from mjpegd.errors import SourceError
from mjpegd.sources import devices, v4l2
from mjpegd.sources.base import Granted, Source
from mjpegd.sources.standin import LOOK_EVERY, TRY_EVERY, StandinSource


class Camera:
    """An open camera that nobody reads."""

    def __init__(self, node: str) -> None:
        self.granted = Granted(64, 48, 30.0, "MJPG", node)
        self.closed = False

    def close(self) -> None:
        """Remember it."""
        self.closed = True


class Bench:
    """Device nodes, and which of them can be used."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.nodes: list[str] = []
        self.usable: set[str] = set()
        self.opened: list[Camera] = []
        monkeypatch.setattr(devices, "nodes", lambda: [Path(node) for node in self.nodes])
        monkeypatch.setattr(v4l2, "open_source", self._open)

    def _open(self, node: str, *_: object) -> Camera:
        if node not in self.usable:
            raise SourceError("another program has it open")
        self.opened.append(Camera(node))
        return self.opened[-1]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    """No device at all, to begin with."""
    return Bench(monkeypatch)


def open_source(spec: str) -> Source:
    return sources.open_source(spec, CameraConfig(width=32, height=24, fps=1000), threading.Event())


@pytest.mark.parametrize("spec", ["auto", "camera"])
def test_the_first_usable_camera_is_taken(bench: Bench, spec: str) -> None:
    """Those that cannot be used are passed over."""
    bench.nodes, bench.usable = ["/dev/video0", "/dev/video2", "/dev/video4"], {"/dev/video2", "/dev/video4"}

    assert open_source(spec).granted.device == "/dev/video2"


def test_without_a_camera_auto_is_the_pattern(bench: Bench) -> None:
    """`auto` shows something in any case."""
    assert bench.nodes == []
    assert open_source("auto").granted.device == "pattern"


@pytest.mark.parametrize(
    ("nodes", "reason"), [([], "not plugged in"), (["/dev/video0"], "no usable camera .*/dev/video0 another program")]
)
def test_without_a_camera_camera_is_lost(bench: Bench, nodes: list[str], reason: str) -> None:
    """`camera` says why it has none."""
    bench.nodes = nodes

    with pytest.raises(SourceError, match=reason):
        open_source("camera")
    assert sources.is_absent("camera") is not bool(nodes)


@pytest.fixture
def standin(bench: Bench) -> StandinSource:
    """The pattern in place of a camera that another program has open."""
    bench.nodes = ["/dev/video0"]
    source = open_source("auto")
    assert isinstance(source, StandinSource)
    return source


def test_the_standin_goes_on_without_a_camera(standin: StandinSource, bench: Bench) -> None:
    """Looking for a camera and finding none costs no picture."""
    standin._look_at = standin._try_at = 0.0

    assert standin.read() is not None
    assert standin._look_at > LOOK_EVERY
    assert standin._try_at > TRY_EVERY
    assert bench.opened == []


def test_the_standin_gives_way_to_a_camera_plugged_in(standin: StandinSource, bench: Bench) -> None:
    """A device that was not there before ends it."""
    bench.nodes.append("/dev/video1")
    standin._look_at = 0.0

    with pytest.raises(SourceError, match="plugged in"):
        standin.read()


def test_the_standin_gives_way_to_a_camera_given_free(standin: StandinSource, bench: Bench) -> None:
    """A device that could not be used before, and can be now, ends it; it is closed again for whoever opens it next."""
    bench.usable = {"/dev/video0"}
    standin._look_at = standin._try_at = 0.0

    with pytest.raises(SourceError, match="can be used now"):
        standin.read()
    assert [camera.closed for camera in bench.opened] == [True]
