"""The first usable V4L2 camera, else the test pattern, until a camera is plugged in."""

import threading
from time import monotonic

from mjpegd import log
from mjpegd.config.schema import CameraConfig
from mjpegd.errors import SourceError
from mjpegd.sources import devices, v4l2
from mjpegd.sources.base import Grab, Source
from mjpegd.sources.pattern import PatternSource

LOOK_EVERY = 1.0
"""Seconds between two looks for a camera while the pattern is shown."""


def open_source(spec: str, camera: CameraConfig, stop: threading.Event) -> Source:
    """Try each device in turn; `granted.device` of the result says what was chosen."""
    logger = log.get()
    for node in map(str, devices.nodes()):
        try:
            source = v4l2.open_source(node, camera, stop)
        except SourceError as error:
            logger.info("not this camera", device=node, reason=str(error))
        else:
            logger.info("using the first usable camera", device=devices.stable_name(node))
            return source
    logger.warning("no camera found: showing the test pattern until one is plugged in")
    return _Standin(camera, stop)


class _Standin(PatternSource):
    """The pattern, which gives way when a device node appears."""

    def __init__(self, camera: CameraConfig, stop: threading.Event) -> None:
        super().__init__(camera, stop)
        self._known = set(devices.nodes())
        self._look_at = monotonic() + LOOK_EVERY

    def read(self) -> Grab | None:
        """The next picture of the pattern; `SourceError` once there is a device that was not there before."""
        if monotonic() >= self._look_at:
            self._look_at = monotonic() + LOOK_EVERY
            nodes = set(devices.nodes())
            if nodes - self._known:
                raise SourceError("a camera was plugged in")
            self._known = nodes
        return super().read()
