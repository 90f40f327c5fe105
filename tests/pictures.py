"""Pictures, their segments, and frames made of them, for every test that needs one."""

from collections.abc import Iterator, Sequence
from time import monotonic
from typing import Any

import cv2
import numpy
from numpy.typing import NDArray

from mjpegd.frame import Frame
from mjpegd.wire import multipart

Pixels = NDArray[Any]

SOS = 0xDA


def picture(width: int = 64, height: int = 48, *, grey: bool = False) -> Pixels:
    """A smooth image with some noise: enough for a JPEG to use every one of its tables."""
    noise = numpy.random.default_rng(width * height).integers(0, 40, (height, width, 3))
    slope = numpy.linspace(0, 200, width)[None, :, None] * (1.0, 0.6, 0.3)
    image = (noise + slope).astype(numpy.uint8)
    return image[:, :, 0].copy() if grey else image


def jpeg(width: int = 64, height: int = 48, *, grey: bool = False, options: Sequence[int] = ()) -> bytes:
    """That image as OpenCV writes it."""
    done, data = cv2.imencode(".jpg", picture(width, height, grey=grey), [cv2.IMWRITE_JPEG_QUALITY, 80, *options])
    assert done
    return data.tobytes()


def decode(data: bytes) -> Pixels:
    """The pixels of a JPEG."""
    image = cv2.imdecode(numpy.frombuffer(data, numpy.uint8), cv2.IMREAD_UNCHANGED)
    assert image is not None
    return image


def segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker and bytes of each segment behind SOI; the last one is SOS with all that follows."""
    at = 2
    while data[at + 1] != SOS:
        after = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        yield data[at + 1], data[at:after]
        at = after
    yield SOS, data[at:]


def segment(marker: int, body: bytes) -> bytes:
    """One segment, its length in front."""
    return bytes((0xFF, marker)) + (len(body) + 2).to_bytes(2, "big") + body


def frame(seq: int = 1, pieces: Sequence[bytes] = (b"\xff\xd8picture\xff\xd9",), captured: float = 1.5) -> Frame:
    """A frame of these pieces, as a capture thread makes it."""
    return multipart.assemble(
        tuple(memoryview(piece) for piece in pieces),
        seq=seq,
        captured=captured,
        taken=monotonic(),
        width=64,
        height=48,
    )
