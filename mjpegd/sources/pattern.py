"""A moving test picture: colour bars, a bouncing ball, a running clock and the frame's number."""

import threading
from datetime import datetime
from time import monotonic, time

import numpy

from mjpegd.config.schema import CameraConfig
from mjpegd.opencv import cv2
from mjpegd.pixels import Pixels, as_bytes
from mjpegd.sources.base import NOTHING, Grab, Granted
from mjpegd.sources.pace import Pace, Sparing

_BARS = ((191, 191, 191), (0, 191, 191), (191, 191, 0), (0, 191, 0), (191, 0, 191), (0, 0, 191), (191, 0, 0))
"""SMPTE's order at 75 %: grey, yellow, cyan, green, magenta, red, blue (here in BGR)."""


def open_source(spec: str, camera: CameraConfig, stop: threading.Event) -> "PatternSource":
    """A pattern of the size and rate asked for."""
    return PatternSource(camera, stop)


class PatternSource:
    """Draws one picture each 1/fps seconds."""

    def __init__(self, camera: CameraConfig, stop: threading.Event) -> None:
        self.granted = Granted(camera.width, camera.height, camera.fps, "BGR", "pattern")
        self._pace = Pace(1 / camera.fps, stop)
        self._sparing = Sparing()
        self._number = 0
        self._background = _bars(camera.width, camera.height)

    def read(self, *, pixels: bool = True) -> Grab | None:
        """The next picture, when it is due."""
        if self._pace.stopped():
            return None
        self._number += 1
        taken = monotonic()
        if not self._sparing.wants(taken, pixels=pixels):
            return Grab(NOTHING, "BGR", taken)
        image = _draw(self._background, self._number, taken)
        return Grab(as_bytes(image), "BGR", taken, 0, self.granted.width, self.granted.height)

    def close(self) -> None:
        """There is nothing to give back."""


def _bars(width: int, height: int) -> Pixels:
    row = numpy.array([_BARS[x * len(_BARS) // width] for x in range(width)], numpy.uint8)
    return numpy.broadcast_to(row, (height, width, 3)).copy()


def _draw(background: Pixels, number: int, seconds: float) -> Pixels:
    image = background.copy()
    height, width = image.shape[:2]
    radius = max(3, height // 12)
    centre = (_bounce(seconds * 0.23, radius, width), _bounce(seconds * 0.37, radius, height))
    cv2.circle(image, centre, radius, (255, 255, 255), -1, cv2.LINE_AA)
    top = height * 3 // 4
    image[top:] //= 4
    text = f"{datetime.fromtimestamp(time()).astimezone():%H:%M:%S.%f}"[:-3] + f"  #{number}"
    cv2.putText(
        image,
        text,
        (width // 40, top + height // 6),
        cv2.FONT_HERSHEY_SIMPLEX,
        width / 560,
        (255, 255, 255),
        max(1, width // 400),
        cv2.LINE_AA,
    )
    return image


def _bounce(phase: float, radius: int, span: int) -> int:
    """A position between two walls that moves evenly there and back, once per unit of `phase`."""
    swing = abs(phase % 1.0 * 2 - 1)
    return round(radius + swing * max(0, span - 2 * radius))
