"""The test pattern in place of a camera that `auto` did not find; it gives way when one is plugged in."""

import threading
from time import monotonic

from mjpegd.config.schema import CameraConfig
from mjpegd.errors import SourceError
from mjpegd.sources import devices
from mjpegd.sources.base import Grab
from mjpegd.sources.pattern import PatternSource

LOOK_EVERY = 1.0
"""Seconds between two looks for a camera."""


class StandinSource(PatternSource):
    """A pattern that ends with `SourceError` once there is a device that was not there before."""

    def __init__(self, camera: CameraConfig, stop: threading.Event) -> None:
        super().__init__(camera, stop)
        self._known = set(devices.nodes())
        self._look_at = monotonic() + LOOK_EVERY

    def read(self) -> Grab | None:
        """The next picture of the pattern."""
        if monotonic() >= self._look_at:
            self._look_at = monotonic() + LOOK_EVERY
            nodes = set(devices.nodes())
            if nodes - self._known:
                raise SourceError("a camera was plugged in")
            self._known = nodes
        return super().read()
