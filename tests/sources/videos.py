"""Small video files of flat pictures, one grey level each."""

from pathlib import Path

import cv2
import numpy

from mjpegd import pixels
from mjpegd.sources.base import JPEG, Grab
from tests.pictures import decode

SHADES = tuple(range(20, 240, 24))
"""The grey levels, in order."""
FPS = 20
WIDTH, HEIGHT = 160, 120


def write(path: Path, codec: str) -> Path:
    """A video of as many pictures as there are shades."""
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*codec), FPS, (WIDTH, HEIGHT))
    for shade in SHADES:
        writer.write(numpy.full((HEIGHT, WIDTH, 3), shade, numpy.uint8))
    writer.release()
    assert path.stat().st_size > 1000
    return path


def shade(grab: Grab | None) -> int:
    """Which of the shades a picture has."""
    assert grab is not None
    image = decode(bytes(grab.data)) if grab.format == JPEG else pixels.to_bgr(grab)
    mean = float(image.mean())
    return min(range(len(SHADES)), key=lambda index: abs(SHADES[index] - mean))
