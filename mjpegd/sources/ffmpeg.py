"""Whatever OpenCV's FFmpeg opens: files (looping at their own pace), RTSP, HTTP."""

import os
import threading
from pathlib import Path
from time import monotonic

os.environ.setdefault("OPENCV_LOG_LEVEL", "OFF")  # read by OpenCV when it is imported; its messages would hold URLs
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET

import cv2

from mjpegd.config.schema import CameraConfig
from mjpegd.errors import SourceError, SourceStalled
from mjpegd.pixels import as_bytes
from mjpegd.sources.base import Grab, Granted
from mjpegd.sources.pace import Pace

DEFAULT_FPS = 25.0
"""For files that do not tell their rate: FFmpeg's own default."""
FASTEST = 1000.0
"""A rate above this is a time base, not a rate."""


def open_source(spec: str, camera: CameraConfig, stop: threading.Event) -> "FFmpegSource":
    """Open a file or URL. The reason FFmpeg had is not to be had from OpenCV, so the words stay general."""
    if "://" not in spec and not Path(spec).is_file():
        raise SourceError("no such file")
    return FFmpegSource(spec, camera, stop)


def _open(spec: str, camera: CameraConfig) -> cv2.VideoCapture:
    limits = (
        (cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, camera.open_timeout),
        (cv2.CAP_PROP_READ_TIMEOUT_MSEC, camera.stale_after),
    )
    capture = cv2.VideoCapture(spec, cv2.CAP_FFMPEG, [item for key, s in limits for item in (key, round(s * 1000))])
    if not capture.isOpened():
        raise SourceError("cannot be reached, or sends no video" if "://" in spec else "FFmpeg cannot read this file")
    return capture


class FFmpegSource:
    """An open `cv2.VideoCapture`; what has an end, a file, is paced by its own frame rate and begins again there."""

    def __init__(self, spec: str, camera: CameraConfig, stop: threading.Event) -> None:
        self._spec, self._camera = spec, camera
        self._capture = _open(spec, camera)
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        width, height = self._capture.get(cv2.CAP_PROP_FRAME_WIDTH), self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT)
        self._ends = "://" not in spec or self._capture.get(cv2.CAP_PROP_FRAME_COUNT) > 0
        self.granted = Granted(int(width), int(height), fps, "BGR", "file" if self._ends else "network")
        self._pace = Pace(1 / (fps if 0 < fps <= FASTEST else DEFAULT_FPS), stop)

    def read(self, *, pixels: bool = True) -> Grab | None:
        """The next picture: of a file when it is due, of a network source when it comes."""
        if self._ends and self._pace.stopped():
            return None
        began = monotonic()
        done, image = self._capture.read()
        if not done and self._ends:
            self._capture.release()
            self._capture = _open(self._spec, self._camera)  # sought to its start, many a format stays at its end
            done, image = self._capture.read()
        if not done:
            raise self._ended(monotonic() - began)
        height, width = image.shape[:2]
        return Grab(as_bytes(image.astype("uint8", copy=False)), "BGR", monotonic(), 0, width, height)

    def close(self) -> None:
        """Close the file or connection."""
        self._capture.release()

    def _ended(self, waited: float) -> SourceError:
        if self._ends:
            return SourceError("the file holds no picture")
        if waited >= self._camera.stale_after:
            return SourceStalled(f"no frames for {self._camera.stale_after:g} s")
        return SourceError("the connection ended")
