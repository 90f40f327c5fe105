"""The first V4L2 camera that can be used."""

import threading

from mjpegd import log
from mjpegd.config.schema import CameraConfig
from mjpegd.errors import SourceError
from mjpegd.sources import devices, v4l2
from mjpegd.sources.base import Source


def open_source(spec: str, camera: CameraConfig, stop: threading.Event) -> Source:
    """Try each device in turn; `granted.device` of the result says which one was taken."""
    reasons = []
    for node in map(str, devices.nodes()):
        if stop.is_set():
            break
        try:
            source = v4l2.open_source(node, camera, stop)
        except SourceError as error:
            reasons.append(f"{node} {error}")
        else:
            log.get().info("using the first usable camera", device=devices.stable_name(node))
            return source
    raise SourceError(f"no usable camera ({'; '.join(reasons)})" if reasons else "not plugged in")
