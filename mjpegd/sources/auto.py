"""The first usable V4L2 camera, else the test pattern, until a camera is plugged in."""

import threading

from mjpegd import log
from mjpegd.config.schema import CameraConfig
from mjpegd.errors import SourceError
from mjpegd.sources import devices, v4l2
from mjpegd.sources.base import Source


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
    from mjpegd.sources.standin import StandinSource

    return StandinSource(camera, stop)
