"""Fixtures of the system tests."""

from collections.abc import Iterator
from pathlib import Path
from time import sleep

import cv2
import numpy
import pytest

from tests.daemon import Daemon
from tests.system.fakecam import Camera


@pytest.fixture
def camera(fakecam: Path, camera_frames: Path, tmp_path: Path) -> Camera:
    """A V4L2 camera of 640x480 that a test can unplug, stall and damage."""
    control = tmp_path / "camera-control"
    control.mkdir()
    return Camera(fakecam, camera_frames, control)


@pytest.fixture(scope="session")
def small_frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of ten JPEGs of 80x60 for the camera, of about 3 KB: many fit into any buffer on the way."""
    folder = tmp_path_factory.mktemp("small")
    noise = numpy.random.default_rng(1)
    for number in range(10):
        cv2.imwrite(str(folder / f"{number:03}.jpg"), noise.integers(0, 256, (60, 80, 3), numpy.uint8))
    return folder


@pytest.fixture
def still(camera: Camera) -> Iterator[Daemon]:
    """A daemon whose camera has stopped after some frames, so that its newest picture stays the newest."""
    with camera.daemon({"camera.cam.stale_after": 600}) as daemon:
        daemon.wait_state("live")
        with camera.doing("stall"):
            sleep(0.1)  # a frame may be on its way
            yield daemon
