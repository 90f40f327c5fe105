"""Fixtures of the system tests."""

from collections.abc import Iterator
from pathlib import Path
from time import sleep

import pytest

from tests.daemon import Daemon
from tests.system.fakecam import Camera


@pytest.fixture
def camera(fakecam: Path, camera_frames: Path, tmp_path: Path) -> Camera:
    """A V4L2 camera of 640x480 that a test can unplug, stall and damage."""
    control = tmp_path / "camera-control"
    control.mkdir()
    return Camera(fakecam, camera_frames, control)


@pytest.fixture
def still(camera: Camera) -> Iterator[Daemon]:
    """A daemon whose camera has stopped after some frames, so that its newest picture stays the newest."""
    with camera.daemon({"camera.cam.stale_after": 600}) as daemon:
        daemon.wait_state("live")
        with camera.doing("stall"):
            sleep(0.1)  # a frame may be on its way
            yield daemon
