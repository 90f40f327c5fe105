"""One input that OpenCV's FFmpeg has opened: grabbed picture by picture, and decoded only where it is asked for.

MJPEG, whatever carries it (RTSP, AVI, Matroska), is not decoded at all: its packets are the pictures.
"""

import ssl
from collections.abc import Iterator
from pathlib import Path

from mjpegd import log
from mjpegd.config.schema import CameraConfig
from mjpegd.errors import SourceError
from mjpegd.opencv import cv2
from mjpegd.pixels import as_bytes
from mjpegd.sources import diagnosis
from mjpegd.sources.base import JPEG, NOTHING, Grab
from mjpegd.sources.ffoptions import options

DEFAULT_FPS = 25.0
"""For those that do not tell their rate: FFmpeg's own default."""
FASTEST = 1000.0
"""A rate above this is a time base, not a rate."""
_MJPEG = cv2.VideoWriter.fourcc(*"MJPG")
_RAW = -1
"""CAP_PROP_FORMAT for packets instead of pictures."""

ACCELERATORS = {
    "auto": cv2.VIDEO_ACCELERATION_ANY,
    "vaapi": cv2.VIDEO_ACCELERATION_VAAPI,
    "mfx": cv2.VIDEO_ACCELERATION_MFX,
    "drm": getattr(cv2, "VIDEO_ACCELERATION_DRM", cv2.VIDEO_ACCELERATION_ANY),
}
_NAMES = {value: name for name, value in ACCELERATORS.items() if name != "auto"}


class Input:
    """An open `cv2.VideoCapture`. `fps` is what it says of itself, or a guess; `decoder` is empty for MJPEG."""

    def __init__(self, spec: str, camera: CameraConfig, *, keyframes: bool = False, patience: float) -> None:
        self._capture = _open(spec, camera, patience, keyframes=keyframes)
        get = self._capture.get
        fps = get(cv2.CAP_PROP_FPS)
        self.fps = fps if 0 < fps <= FASTEST else DEFAULT_FPS
        self.size = int(get(cv2.CAP_PROP_FRAME_WIDTH)), int(get(cv2.CAP_PROP_FRAME_HEIGHT))
        self.has_end = get(cv2.CAP_PROP_FRAME_COUNT) > 0
        self.decoder = _NAMES.get(int(get(cv2.CAP_PROP_HW_ACCELERATION)), "software")
        self.format = "BGR"
        if int(get(cv2.CAP_PROP_FOURCC)) == _MJPEG and self._capture.set(cv2.CAP_PROP_FORMAT, _RAW):
            self.format, self.decoder = JPEG, ""

    def advance(self) -> bool:
        """Go on to the next picture, blocking; False at the end, after `patience` seconds, or when it broke off."""
        return self._capture.grab()

    @property
    def position(self) -> float:
        """The stream's own time of the picture, in seconds."""
        return self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000

    def picture(self, taken: float, skipped: int = 0, lag: float = 0.0) -> Grab | None:
        """The picture that was gone on to; None where the decoder has none."""
        done, image = self._capture.retrieve()
        if not done:
            return None
        data = as_bytes(image.astype("uint8", copy=False))
        if self.format == JPEG:
            return Grab(data, JPEG, taken, skipped, lag=lag)
        height, width = image.shape[:2]
        return Grab(data, "BGR", taken, skipped, width, height, lag=lag)

    def stop_decoding(self) -> None:
        """From now on `advance` reads packets only, and there are no pictures any more: there is no way back."""
        self._capture.set(cv2.CAP_PROP_FORMAT, _RAW)

    def unseen(self, taken: float, skipped: int = 0, lag: float = 0.0) -> Grab:
        """The same without the picture, for less."""
        return Grab(NOTHING, "BGR", taken, skipped, lag=lag)

    def close(self) -> None:
        """Close the file or connection."""
        self._capture.release()


def _open(spec: str, camera: CameraConfig, patience: float, *, keyframes: bool) -> cv2.VideoCapture:
    """With the accelerator that is wanted, else in software."""
    network = "://" in spec
    settings = {
        cv2.CAP_PROP_OPEN_TIMEOUT_MSEC: round(camera.open_timeout * 1000),
        cv2.CAP_PROP_READ_TIMEOUT_MSEC: round(patience * 1000),
    }
    if network and camera.low_delay:
        settings[cv2.CAP_PROP_N_THREADS] = 1  # each further one holds back a picture
    wanted = {cv2.CAP_PROP_HW_ACCELERATION: ACCELERATORS[camera.hwaccel]} if camera.hwaccel != "none" else {}
    text = "|".join(_options(spec, camera, keyframes=keyframes)) if network else ""
    for more in (wanted, {}) if wanted else ({},):
        with options(text):
            capture = cv2.VideoCapture(spec, cv2.CAP_FFMPEG, [n for item in {**settings, **more}.items() for n in item])
        if capture.isOpened():
            if wanted and int(capture.get(cv2.CAP_PROP_HW_ACCELERATION)) <= 0:
                log.get().warning("no such hardware decoder: decoding in software", hwaccel=camera.hwaccel)
            return capture
    raise SourceError(diagnosis.reason(spec) if network else "FFmpeg cannot read this file")


def _authorities() -> Iterator[str]:
    """The system's certificate authorities; FFmpeg's TLS, which the wheel brings, does not know where they are."""
    paths = ssl.get_default_verify_paths()
    bundle = Path(paths.cafile or f"{paths.capath}/ca-certificates.crt")
    if bundle.is_file():
        yield f"ca_file;{bundle}"


def _options(spec: str, camera: CameraConfig, *, keyframes: bool) -> Iterator[str]:
    """Without `nobuffer`: that throws away what was looked at while opening, and the next keyframe is a second off."""
    yield f"rtsp_transport;{camera.transport}"
    yield "allowed_media_types;video"
    if camera.low_delay:
        yield "fpsprobesize;0"  # else twenty pictures are waited for, to guess a rate that we do not need
        yield "analyzeduration;1000000"
    if keyframes:
        yield "avdiscard;nonkey"
    if camera.verify and spec.startswith(("https://", "rtsps://")):
        yield "tls_verify;1"
        yield from _authorities()
    for option in camera.ffmpeg_options:
        yield option.replace("=", ";", 1)
