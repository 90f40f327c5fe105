"""Whatever OpenCV's FFmpeg opens: files (looping at their own pace), RTSP, HTTP."""

import os
import threading
from pathlib import Path
from time import monotonic

os.environ.setdefault("OPENCV_LOG_LEVEL", "OFF")  # read by OpenCV when it is imported; its messages would hold URLs
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET

import cv2

from mjpegd.config.schema import CameraConfig
from mjpegd.errors import SourceError
from mjpegd.pixels import Pixels, as_bytes
from mjpegd.sources.base import Grab, Granted

DEFAULT_FPS = 25.0
"""For files that do not tell their rate: FFmpeg's own default."""


def open_source(spec: str, camera: CameraConfig, stop: threading.Event) -> "FFmpegSource":
    """Open a file or URL. The reason FFmpeg had is not to be had from OpenCV, so the words stay general."""
    is_file = "://" not in spec
    if is_file and not Path(spec).is_file():
        raise SourceError("no such file")
    parameters = [
        cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
        round(camera.open_timeout * 1000),
        cv2.CAP_PROP_READ_TIMEOUT_MSEC,
        round(camera.stale_after * 1000),
    ]
    capture = cv2.VideoCapture(spec, cv2.CAP_FFMPEG, parameters)
    if not capture.isOpened():
        raise SourceError("FFmpeg cannot read this file" if is_file else "cannot be reached, or sends no video")
    return FFmpegSource(capture, is_file=is_file, stop=stop)


class FFmpegSource:
    """An open `cv2.VideoCapture`; a file is paced by its own frame rate and begins again at its end."""

    def __init__(self, capture: cv2.VideoCapture, *, is_file: bool, stop: threading.Event) -> None:
        self._capture = capture
        self._stop = stop
        fps = capture.get(cv2.CAP_PROP_FPS)
        width, height = capture.get(cv2.CAP_PROP_FRAME_WIDTH), capture.get(cv2.CAP_PROP_FRAME_HEIGHT)
        self.granted = Granted(int(width), int(height), fps, "BGR", "file" if is_file else "network")
        self._is_file = is_file
        self._period = 1 / (fps if 0 < fps <= 1000 else DEFAULT_FPS) if is_file else 0.0
        self._due = monotonic()

    def read(self) -> Grab | None:
        """The next picture: of a file when it is due, of a network source when it comes."""
        if self._is_file and self._paced():
            return None
        done, image = self._capture.read()
        if not done and self._is_file:
            done, image = self._rewind()
        if not done:
            raise SourceError("the file holds no picture" if self._is_file else "the connection ended or fell silent")
        return self._grab(image.astype("uint8", copy=False))

    def close(self) -> None:
        """Close the file or connection."""
        self._capture.release()

    def _paced(self) -> bool:
        """Wait until the next picture is due; True if `stop` came first."""
        now = monotonic()
        self._due = max(self._due + self._period, now - self._period)
        return self._stop.wait(max(0.0, self._due - now))

    def _rewind(self) -> tuple[bool, Pixels]:
        self._capture.set(cv2.CAP_PROP_POS_FRAMES, 0)
        done, image = self._capture.read()
        return done, image  # type: ignore[return-value]  # OpenCV's stubs say only Mat

    def _grab(self, image: Pixels) -> Grab:
        height, width = image.shape[:2]
        return Grab(as_bytes(image), "BGR", monotonic(), 0, width, height)
