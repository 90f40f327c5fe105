"""Pixels to JPEG, and the no-signal card: the place where OpenCV encodes. Imported only when pixels come up."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy
from numpy.typing import NDArray

from mjpegd.errors import BrokenPicture
from mjpegd.look import Size
from mjpegd.opencv import cv2
from mjpegd.sources.base import Grab

Pixels = NDArray[numpy.uint8]


@dataclass(frozen=True, slots=True)
class Layout:
    """How a raw format lies in memory: rows per picture row (3/2 for planar 4:2:0), bytes per pixel, OpenCV's code."""

    rows: float
    bytes: int
    code: int | None


LAYOUTS: Mapping[str, Layout] = {
    "BGR": Layout(1, 3, None),
    "GREY": Layout(1, 1, None),
    "RGB": Layout(1, 3, cv2.COLOR_RGB2BGR),
    "YUYV": Layout(1, 2, cv2.COLOR_YUV2BGR_YUYV),
    "UYVY": Layout(1, 2, cv2.COLOR_YUV2BGR_UYVY),
    "YVYU": Layout(1, 2, cv2.COLOR_YUV2BGR_YVYU),
    "NV12": Layout(1.5, 1, cv2.COLOR_YUV2BGR_NV12),
    "NV21": Layout(1.5, 1, cv2.COLOR_YUV2BGR_NV21),
    "I420": Layout(1.5, 1, cv2.COLOR_YUV2BGR_I420),
    "YV12": Layout(1.5, 1, cv2.COLOR_YUV2BGR_YV12),
}


def to_bgr(grab: Grab) -> Pixels:
    """The pixels of a grab as OpenCV wants them; `BrokenPicture` if there are too few bytes for its size."""
    layout = LAYOUTS[grab.format]
    rows, width = round(grab.height * layout.rows), grab.width * layout.bytes
    stride = max(grab.stride, width)
    if len(grab.data) < rows * stride:
        raise BrokenPicture(f"{len(grab.data)} bytes of {rows * stride}")
    lines = numpy.frombuffer(grab.data, numpy.uint8, rows * stride).reshape(rows, stride)[:, :width]
    image = lines.reshape(rows, grab.width, layout.bytes)
    return image if layout.code is None else cv2.cvtColor(image, layout.code).astype(numpy.uint8, copy=False)


Samples = NDArray[numpy.int16]

_STEP = 61
"""Of so many bytes one is looked at; a prime, so that rows and colours are met in turn."""
NOISE, FLICKER = 0.25, 8
"""Mean and greatest difference, in levels, of two pictures that may be one, encoded twice. Measured with H.264 at
4 Mbit/s: one picture encoded again and again, 0.14 to 0.16 and 6 to 7 after a few seconds; a still scene with noise of
one level, 0.6 and 11 to 15. What moves in it differs by more, however small it is."""


def samples(grab: Grab) -> Samples:
    """A few of a grab's bytes, of whatever layout, to tell whether the next one is the same picture."""
    return numpy.frombuffer(grab.data, numpy.uint8)[::_STEP].astype(numpy.int16)


def alike(one: Samples, other: Samples) -> bool:
    """Whether there is no noise between two pictures, and nothing that moved."""
    if one.shape != other.shape:
        return False
    differences = numpy.abs(one - other)
    return int(differences.max(initial=0)) <= FLICKER and float(differences.mean()) < NOISE


def encode(image: Pixels, quality: int) -> memoryview:
    """A JPEG of BGR or grey pixels; `quality` is 1 to 100."""
    done, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise BrokenPicture("OpenCV could not encode it")
    return as_bytes(jpeg)


_REDUCED = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}
"""What libjpeg can leave out while decoding, in the DCT domain: cheaper than a picture that is made small later."""


FACTORS = tuple(_REDUCED)
"""The factors by which it may be."""


def reduction(have: Size, want: Size) -> int:
    """By how much a picture may be decoded smaller and still be as large as wanted."""
    return max(
        factor for factor in _REDUCED if factor == 1 or (have[0] >= factor * want[0] and have[1] >= factor * want[1])
    )


def decode(jpeg: memoryview, factor: int = 1) -> Pixels:
    """Its pixels as BGR, made smaller by that factor of `reduction`, as they lie in the file (EXIF may turn them)."""
    try:
        image = cv2.imdecode(numpy.frombuffer(jpeg, numpy.uint8), _REDUCED[factor] | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:  # more pixels than OpenCV takes
        image = None
    if image is None:
        raise BrokenPicture("OpenCV could not decode it")
    return image.astype(numpy.uint8, copy=False)


def scale(image: Pixels, size: Size, *, bars: bool = False) -> Pixels:
    """An image of that size; with `bars` in its own proportions, on black."""
    width, height = size
    if not bars:
        return _resized(image, width, height)
    share = min(width / image.shape[1], height / image.shape[0])
    wide, tall = max(1, round(image.shape[1] * share)), max(1, round(image.shape[0] * share))
    left, top = (width - wide) // 2, (height - tall) // 2
    whole = numpy.zeros((height, width, 3), numpy.uint8)
    whole[top : top + tall, left : left + wide] = _resized(image, wide, tall)
    return whole


def _resized(image: Pixels, width: int, height: int) -> Pixels:
    if image.shape[:2] == (height, width):
        return image
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA).astype(numpy.uint8, copy=False)


def as_bytes(array: Pixels) -> memoryview:
    """An array's memory as plain bytes, without a copy."""
    return array.data.cast("B")


_INK, _SHADE, _PAPER, _STRIPE = (235, 235, 235), (150, 150, 150), (40, 34, 30), (52, 44, 39)


def card(width: int, height: int, lines: tuple[str, str, str]) -> memoryview:
    """The picture shown in place of a missing one, as a JPEG: the camera's name, what is the matter, since when."""
    image = numpy.full((height, width, 3), _PAPER, numpy.uint8)
    step = max(8, height // 12)
    for offset in range(-height, width, 2 * step):
        corners = numpy.array(
            [(offset, height), (offset + step, height), (offset + step + height, 0), (offset + height, 0)], numpy.int32
        )
        cv2.fillPoly(image, [corners], _STRIPE)
    for text, at, share, ink in zip(lines, (0.40, 0.54, 0.66), (0.80, 0.86, 0.6), (_INK, _INK, _SHADE), strict=True):
        _centred(image, text, round(height * at), room=width * share, tallest=height / 9, ink=ink)
    return encode(image, 80)


def banner(jpeg: memoryview, text: str, quality: int) -> tuple[memoryview, int, int]:
    """A picture with a line written over its lower edge, and its width and height."""
    image = decode(jpeg)
    height, width = image.shape[:2]
    top = height - max(12, height // 10)
    image[top:] = _PAPER
    tallest = (height - top) / 2
    _centred(image, text, round(height - tallest / 2), room=width * 0.9, tallest=tallest, ink=_INK)
    return encode(image, quality), width, height


def _plain(text: str) -> str:
    """OpenCV's fonts know ASCII only."""
    return text.encode("ascii", "replace").decode()


def _centred(
    image: Pixels, text: str, baseline: int, *, room: float, tallest: float, ink: tuple[int, int, int]
) -> None:
    """Write one line, as large as `room` pixels of width and `tallest` of height allow."""
    font = cv2.FONT_HERSHEY_SIMPLEX
    text = _plain(text)
    (width, height), _ = cv2.getTextSize(text, font, 1.0, 1)
    scale = min(room / max(width, 1), tallest / max(height, 1))
    thickness = max(1, round(scale * 1.6))
    (drawn, _), _ = cv2.getTextSize(text, font, scale, thickness)
    left = (image.shape[1] - drawn) // 2
    cv2.putText(image, text, (left, baseline), font, scale, ink, thickness, cv2.LINE_AA)
