"""Pixels to JPEG, and the no-signal card: the place where OpenCV encodes. Imported only when pixels come up."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import cv2
import numpy
from numpy.typing import NDArray

from mjpegd.errors import BrokenPicture
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


def encode(image: Pixels, quality: int) -> memoryview:
    """A JPEG of BGR or grey pixels; `quality` is 1 to 100."""
    done, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise BrokenPicture("OpenCV could not encode it")
    return as_bytes(jpeg)


_REDUCED = ((8, cv2.IMREAD_REDUCED_COLOR_8), (4, cv2.IMREAD_REDUCED_COLOR_4), (2, cv2.IMREAD_REDUCED_COLOR_2))
"""What libjpeg can leave out while decoding, in the DCT domain: cheaper than a picture that is made small later."""


def scale(jpeg: memoryview, have: int, width: int, quality: int) -> tuple[memoryview, int, int]:
    """A JPEG of `have` pixels' width made `width` wide, in its proportions; with its new width and height."""
    flag = next((flag for factor, flag in _REDUCED if have >= factor * width), cv2.IMREAD_COLOR)
    image = cv2.imdecode(numpy.frombuffer(jpeg, numpy.uint8), flag)
    if image is None:
        raise BrokenPicture("OpenCV could not decode it")
    height = max(1, round(image.shape[0] * width / image.shape[1]))
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA).astype(numpy.uint8, copy=False)
    return encode(small, quality), width, height


def as_bytes(array: Pixels) -> memoryview:
    """An array's memory as plain bytes, without a copy."""
    return array.data.cast("B")


_INK, _SHADE, _PAPER, _STRIPE = (235, 235, 235), (150, 150, 150), (40, 34, 30), (52, 44, 39)


def card(width: int, height: int, name: str, reason: str, since: float) -> memoryview:
    """The picture shown in place of a missing one: the camera's name, why it is missing and since when, as a JPEG."""
    image = numpy.full((height, width, 3), _PAPER, numpy.uint8)
    step = max(8, height // 12)
    for offset in range(-height, width, 2 * step):
        corners = numpy.array(
            [(offset, height), (offset + step, height), (offset + step + height, 0), (offset + height, 0)], numpy.int32
        )
        cv2.fillPoly(image, [corners], _STRIPE)
    when = datetime.fromtimestamp(since).astimezone().strftime("since %H:%M:%S on %d %B %Y")
    for text, at, share, ink in (
        (name, 0.40, 0.80, _INK),
        (f"no signal: {_plain(reason)}", 0.54, 0.86, _INK),
        (when, 0.66, 0.6, _SHADE),
    ):
        _centred(image, text, round(height * at), room=width * share, tallest=height / 9, ink=ink)
    return encode(image, 80)


def _plain(text: str) -> str:
    """OpenCV's fonts know ASCII only."""
    return text.encode("ascii", "replace").decode()


def _centred(
    image: Pixels, text: str, baseline: int, *, room: float, tallest: float, ink: tuple[int, int, int]
) -> None:
    """Write one line, as large as `room` pixels of width and `tallest` of height allow."""
    font = cv2.FONT_HERSHEY_SIMPLEX
    (width, height), _ = cv2.getTextSize(text, font, 1.0, 1)
    scale = min(room / max(width, 1), tallest / max(height, 1))
    thickness = max(1, round(scale * 1.6))
    (drawn, _), _ = cv2.getTextSize(text, font, scale, thickness)
    left = (image.shape[1] - drawn) // 2
    cv2.putText(image, text, (left, baseline), font, scale, ink, thickness, cv2.LINE_AA)
