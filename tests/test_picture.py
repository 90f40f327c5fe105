"""What a source gave becomes a JPEG."""

import cv2
import pytest

from mjpegd.config.schema import CameraConfig
from mjpegd.errors import BrokenPicture
from mjpegd.jpeg import quality
from mjpegd.picture import to_picture
from mjpegd.sources.base import JPEG, Grab
from tests.pictures import decode, jpeg, picture

WIDTH, HEIGHT = 64, 48


def grab(data: bytes, form: str) -> Grab:
    """What a source gives."""
    return Grab(memoryview(data), form, 0.0, 0, WIDTH, HEIGHT)


def test_a_cameras_own() -> None:
    """A JPEG is taken as it is, whatever the quality of what is encoded, and costs no time."""
    data = jpeg(WIDTH, HEIGHT)
    made, seconds = to_picture(grab(data, JPEG), CameraConfig(quality=1))

    assert b"".join(made.pieces) == data
    assert (made.width, made.height, seconds) == (WIDTH, HEIGHT, 0.0)


def test_pixels() -> None:
    """Pixels are encoded in the camera's quality, and the time that took is told."""
    image = picture(WIDTH, HEIGHT)
    made, seconds = to_picture(grab(image.tobytes(), "BGR"), CameraConfig(quality=90))
    data = b"".join(made.pieces)

    assert (made.width, made.height) == (WIDTH, HEIGHT)
    assert quality(memoryview(data)) == 90
    assert cv2.PSNR(decode(data), image) > 25
    assert seconds > 0


@pytest.mark.parametrize("complete", [True, False])
def test_a_picture_without_its_end(complete: bool) -> None:  # noqa: FBT001  (a row)
    """A JPEG without EOI is broken, except of cameras that never send one."""
    torn = grab(jpeg(WIDTH, HEIGHT)[:-2], JPEG)
    config = CameraConfig(complete_only=complete)
    if complete:
        with pytest.raises(BrokenPicture):
            to_picture(torn, config)
    else:
        assert to_picture(torn, config)[0].width == WIDTH


@pytest.mark.parametrize(("data", "form"), [(b"no picture", JPEG), (b"", JPEG), (b"\0" * 100, "YUYV"), (b"", "BGR")])
def test_broken(data: bytes, form: str) -> None:
    """What is no picture, or too few bytes of one, is said to be broken."""
    with pytest.raises(BrokenPicture):
        to_picture(grab(data, form), CameraConfig())
