"""The pictures every server sends: `python frames.py FOLDER [SET ...]` writes FOLDER/SET/NNN.jpg.

60 distinct frames a set, with moving content, of the sizes real UVC cameras give. The JPEG quality is fixed; the size
is reached by a level of noise, found by bisection. A set that is there already is left alone.
"""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

COUNT = 60
_BISECTIONS = 9
_LOUDEST = 40.0

Pixels = NDArray[np.uint8]
Plane = NDArray[np.float32]


@dataclass(frozen=True)
class FrameSet:
    """A picture size, and the JPEG quality and mean file size to make it with."""

    width: int
    height: int
    quality: int
    size: int


SETS = {
    "1080p": FrameSet(1920, 1080, quality=90, size=300_000),
    "720p": FrameSet(1280, 720, quality=85, size=120_000),
    "480p": FrameSet(640, 480, quality=80, size=40_000),
}


def main(arguments: list[str]) -> None:
    """Write the sets named on the command line, all of them where none is."""
    folder = Path(arguments[0])
    for name in arguments[1:] or SETS:
        if not (folder / name).exists():
            _write(SETS[name], folder / name)


def _write(frames: FrameSet, folder: Path) -> None:
    """Fill a folder beside the final one first, so that an interrupted run leaves no half set."""
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    noise = _noise_for(frames)
    random = np.random.default_rng(2)
    for index in range(COUNT):
        (partial / f"{index:03}.jpg").write_bytes(_jpeg(frames, index, noise, random))
    partial.rename(folder)


def _noise_for(frames: FrameSet) -> float:
    """The noise at which a frame has the wanted size."""
    low, high = 0.0, _LOUDEST
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if len(_jpeg(frames, 0, middle, np.random.default_rng(1))) < frames.size:
            low = middle
        else:
            high = middle
    return low


def _jpeg(frames: FrameSet, index: int, noise: float, random: np.random.Generator) -> bytes:
    pixels = _background(frames, index)
    _draw(pixels, frames, index)
    grain = noise * _grain(frames, random)[..., None]
    noisy = np.clip(pixels.astype(np.float32) + grain, 0, 255).astype(np.uint8)
    return cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, frames.quality])[1].tobytes()


def _background(frames: FrameSet, index: int) -> Pixels:
    """Soft waves that move, one pattern a colour."""
    y, x = np.mgrid[0 : frames.height, 0 : frames.width].astype(np.float32)
    y, x, t = y / frames.height, x / frames.width, _phase(index)
    waves = np.sin(x * 7 + t) * np.cos(y * 5), np.sin((x + y) * 4.5 - t), np.cos(y * 6 + t) * np.sin(x * 3)
    return (128 + 80 * np.stack(waves, -1)).astype(np.uint8)


def _draw(pixels: Pixels, frames: FrameSet, index: int) -> None:
    """Sharp-edged things that move, and the frame's number."""
    width, height, t = frames.width, frames.height, _phase(index)
    for k in range(12):
        x = int((0.5 + 0.42 * np.sin(t + k)) * width)
        y = int((0.5 + 0.42 * np.cos(t * (1 + k % 3) + 2 * k)) * height)
        cv2.circle(pixels, (x, y), height // 16 + 4 * k, (37 * k % 255, 91 * k % 255, 200 - 13 * k), -1)
        corner = width - x, height - y
        opposite = corner[0] + height // 10, corner[1] + height // 14
        cv2.rectangle(pixels, corner, opposite, (20 * k, 255 - 20 * k, 90), 3)
    place, white = (width // 20, height // 8), (255, 255, 255)
    cv2.putText(pixels, f"frame {index:02}", place, cv2.FONT_HERSHEY_SIMPLEX, height / 300, white, 3)


def _grain(frames: FrameSet, random: np.random.Generator) -> Plane:
    """Noise of two grain sizes, as a sensor's after denoising."""
    fine = random.normal(0, 1, (frames.height, frames.width)).astype(np.float32)
    coarse = cv2.GaussianBlur(fine, (0, 0), 1.5)
    return np.asarray(fine + 2 * coarse, np.float32)


def _phase(index: int) -> float:
    """Where in the loop of `COUNT` frames this one is, as an angle."""
    return 2 * np.pi * index / COUNT


if __name__ == "__main__":
    main(sys.argv[1:])
