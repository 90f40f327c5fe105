"""The first usable V4L2 camera, else the test pattern until there is one."""

import threading

from mjpegd import log
from mjpegd.config.schema import CameraConfig
from mjpegd.errors import SourceError
from mjpegd.sources import anycamera, devices
from mjpegd.sources.base import Source


def open_source(spec: str, camera: CameraConfig, stop: threading.Event) -> Source:
    """Open a camera, or say that there is none and stand in for it."""
    known = devices.nodes()  # before the look: whatever comes later, and while OpenCV is loaded, is new
    try:
        return anycamera.open_source(spec, camera, stop)
    except SourceError as error:
        log.get().warning("no camera found: showing the test pattern until one is plugged in", reason=str(error))
    from mjpegd.sources.standin import StandinSource

    return StandinSource(camera, stop, known)
