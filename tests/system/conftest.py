"""Fixtures of the system tests."""

from pathlib import Path

import pytest

from tests.system.fakecam import Camera


@pytest.fixture
def camera(fakecam: Path, camera_frames: Path, tmp_path: Path) -> Camera:
    """A V4L2 camera of 640x480 that a test can unplug, stall and damage."""
    control = tmp_path / "camera-control"
    control.mkdir()
    return Camera(fakecam, camera_frames, control)
