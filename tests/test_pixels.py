"""Raw pixels become the right JPEG, and the card is a picture of the size asked for."""

import subprocess
import sys

import cv2
import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mjpegd import pixels
from mjpegd.errors import BrokenPicture
from mjpegd.look import Size
from mjpegd.sources.base import Grab
from tests.pictures import jpeg, picture

WIDTH, HEIGHT = 64, 48


def scene() -> pixels.Pixels:
    """Four flat quarters: survives chroma subsampling and JPEG nearly unharmed."""
    image = numpy.zeros((HEIGHT, WIDTH, 3), numpy.uint8)
    image[: HEIGHT // 2, : WIDTH // 2] = (200, 40, 40)
    image[: HEIGHT // 2, WIDTH // 2 :] = (40, 200, 40)
    image[HEIGHT // 2 :, : WIDTH // 2] = (40, 40, 200)
    image[HEIGHT // 2 :, WIDTH // 2 :] = (180, 180, 180)
    return image


def packed(order: str) -> bytes:
    """The scene as packed 4:2:2 in an order such as `YUYV`."""
    luma, red, blue = cv2.split(cv2.cvtColor(scene(), cv2.COLOR_BGR2YCrCb))
    planes = {"Y": luma, "U": blue, "V": red}
    out = numpy.zeros((HEIGHT, WIDTH * 2), numpy.uint8)
    first_y = order.index("Y")
    for place, letter in enumerate(order):
        offset = 0 if letter != "Y" or place == first_y else 1
        out[:, place::4] = planes[letter][:, offset::2]
    return out.tobytes()


def planar(layout: str) -> bytes:
    """The scene as 4:2:0 in one of OpenCV's planar layouts."""
    i420 = cv2.cvtColor(scene(), cv2.COLOR_BGR2YUV_I420).reshape(-1)
    size = WIDTH * HEIGHT
    luma, u, v = i420[:size], i420[size : size * 5 // 4], i420[size * 5 // 4 :]
    chroma = {
        "I420": (u, v),
        "YV12": (v, u),
        "NV12": (numpy.stack([u, v], -1).reshape(-1),),
        "NV21": (numpy.stack([v, u], -1).reshape(-1),),
    }[layout]
    return numpy.concatenate([luma, *chroma]).tobytes()


RAW = {
    "BGR": scene().tobytes(),
    "RGB": scene()[:, :, ::-1].tobytes(),
    **{order: packed(order) for order in ("YUYV", "UYVY", "YVYU")},
    **{layout: planar(layout) for layout in ("I420", "YV12", "NV12", "NV21")},
}


def grab(data: bytes, form: str, stride: int = 0) -> Grab:
    return Grab(memoryview(data), form, 0.0, 0, WIDTH, HEIGHT, stride)


@pytest.mark.parametrize("form", RAW)
def test_every_layout_shows_the_scene(form: str) -> None:
    """Each raw format is read in its own order: the quarters have their colours."""
    image = pixels.to_bgr(grab(RAW[form], form)).astype(int)
    assert image.shape == (HEIGHT, WIDTH, 3)
    for y in (HEIGHT // 4, HEIGHT * 3 // 4):
        for x in (WIDTH // 4, WIDTH * 3 // 4):
            assert abs(image[y, x] - scene()[y, x].astype(int)).max() < 25


def test_every_layout_is_tried_here() -> None:
    """A new row in the table needs its picture above (grey has none of the colours)."""
    assert set(RAW) | {"GREY"} == set(pixels.LAYOUTS)


def test_grey_stays_grey() -> None:
    """One byte a pixel becomes a one-channel JPEG."""
    data = bytes([90]) * (WIDTH * HEIGHT)
    jpeg = pixels.encode(pixels.to_bgr(grab(data, "GREY")), 90)
    decoded = cv2.imdecode(numpy.frombuffer(jpeg, numpy.uint8), cv2.IMREAD_UNCHANGED)
    assert decoded is not None
    assert decoded.shape[:2] == (HEIGHT, WIDTH)
    assert abs(int(decoded[5, 5].max()) - 90) < 5


def test_row_padding_is_cut_off() -> None:
    """Rows longer than the picture, as drivers align them, do not shear it."""
    stride = WIDTH * 2 + 32
    rows = numpy.frombuffer(RAW["YUYV"], numpy.uint8).reshape(HEIGHT, WIDTH * 2)
    padded = numpy.pad(rows, ((0, 0), (0, 32)), constant_values=7).tobytes()
    assert (pixels.to_bgr(grab(padded, "YUYV", stride)) == pixels.to_bgr(grab(RAW["YUYV"], "YUYV"))).all()


@pytest.mark.parametrize("form", RAW)
def test_too_few_bytes_are_a_broken_picture(form: str) -> None:
    """A buffer that the driver did not fill is refused rather than read beyond its end."""
    with pytest.raises(BrokenPicture):
        pixels.to_bgr(grab(RAW[form][:-1], form))


@pytest.mark.parametrize(("width", "height"), [(16, 16), (320, 240), (1920, 1080), (241, 999)])
@pytest.mark.parametrize("reason", ["unplugged", "x" * 500, "übergroß, kein Bild", ""])
def test_a_card_has_the_size_asked_for(width: int, height: int, reason: str) -> None:
    """Whatever the reason, the card is as large as the camera's pictures, and not blank."""
    jpeg = pixels.card(width, height, ("porch", reason, "since noon"))
    image = cv2.imdecode(numpy.frombuffer(jpeg, numpy.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    assert image.shape == (height, width, 3)
    assert image.std() > 1


@pytest.mark.parametrize(("width", "height"), [(16, 16), (320, 240), (241, 999)])
@pytest.mark.parametrize("text", ["porch: the same picture, since noon", "x" * 500, "übergroß", ""])
def test_banner(width: int, height: int, text: str) -> None:
    """A banner covers the lower edge of a picture, in its size, and leaves the rest alone."""
    white = numpy.full((height, width, 3), 255, numpy.uint8)
    jpeg, *size = pixels.banner(pixels.encode(white, 95), text, quality=95)
    image = cv2.imdecode(numpy.frombuffer(jpeg, numpy.uint8), cv2.IMREAD_COLOR)
    top = height - max(12, height // 10)

    assert (*size,) == (width, height)
    assert image is not None
    assert image.shape == (height, width, 3)
    assert (image[: max(0, top - 8)] > 240).all()
    assert image[min(height - 2, top + 8) :].mean() < 150


def test_banner_on_no_picture() -> None:
    """What cannot be decoded gets no banner."""
    with pytest.raises(BrokenPicture):
        pixels.banner(memoryview(b"\xff\xd8nothing\xff\xd9"), "text", quality=80)


NOISE = numpy.random.default_rng(1)
STILL = NOISE.integers(20, 230, (HEIGHT * 4, WIDTH * 4, 3)).astype(numpy.uint8)
"""A picture large enough for its samples to be many."""


def sampled(image: pixels.Pixels) -> pixels.Samples:
    """The samples of an image."""
    return pixels.samples(Grab(pixels.as_bytes(image), "BGR", 0.0, 0, image.shape[1], image.shape[0]))


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (STILL, True),
        (STILL.copy(), True),
        (STILL + NOISE.integers(0, 2, STILL.shape).astype(numpy.uint8), False),
        (STILL + 1, False),
        (STILL[:, ::-1].copy(), False),
        (STILL[: HEIGHT * 2].copy(), False),
    ],
    ids=["itself", "a copy", "noise of one grey level", "brighter by one", "mirrored", "another size"],
)
def test_alike(other: pixels.Pixels, same: bool) -> None:  # noqa: FBT001  (a row)
    """The same picture is alike, and one with the least noise that a sensor has is not."""
    assert pixels.alike(sampled(STILL), sampled(other)) is same


def test_what_is_small_moves_too() -> None:
    """A thing of a few pixels that moves before a still wall is no stillness."""
    moved = STILL.copy()
    moved[100:112, 200:212] ^= 64

    assert not pixels.alike(sampled(STILL), sampled(moved))


@pytest.mark.parametrize("form", RAW)
def test_samples_of_every_layout(form: str) -> None:
    """Samples are taken of any layout, of few bytes, and stay when the buffer is used again."""
    data = bytearray(RAW[form])
    before = pixels.samples(grab(bytes(data), form))
    view = pixels.samples(Grab(memoryview(data), form, 0.0, 0, WIDTH, HEIGHT))
    data[:] = bytes(len(data))

    assert pixels.alike(before, view)
    assert 0 < len(view) < len(data) / 50


@pytest.mark.parametrize(
    ("have", "want", "factor"),
    [
        ((1280, 720), (1280, 720), 1),
        ((1280, 720), (641, 361), 1),
        ((1280, 720), (640, 360), 2),
        ((1280, 720), (480, 270), 2),
        ((1280, 720), (320, 180), 4),
        ((1280, 720), (320, 181), 2),
        ((1280, 720), (160, 90), 8),
        ((1280, 720), (16, 9), 8),
        ((640, 480), (1280, 720), 1),
        ((1279, 719), (640, 360), 1),
    ],
)
def test_reduction(have: Size, want: Size, factor: int) -> None:
    """Whatever libjpeg can leave out is left out while decoding, and never more."""
    assert pixels.reduction(have, want) == factor


SIDES = st.integers(1, 300)


@given(st.tuples(SIDES, SIDES), st.tuples(SIDES, SIDES))
def test_reduction_is_never_too_much(have: Size, want: Size) -> None:
    """A picture that was decoded smaller is as large as is wanted still, and the next factor would be too much."""
    factor = pixels.reduction(have, want)

    assert factor == 1 or all(side >= factor * least for side, least in zip(have, want, strict=True))
    assert factor == 8 or any(side < 2 * factor * least for side, least in zip(have, want, strict=True))


@pytest.mark.parametrize(("width", "height"), [(64, 48), (65, 47), (8, 8), (127, 33)])
@pytest.mark.parametrize("factor", [1, 2, 4, 8])
def test_decode(width: int, height: int, factor: int) -> None:
    """A picture is decoded smaller by that factor, of which no part of a pixel is lost, and shows the same."""
    data = memoryview(jpeg(width, height))
    image = pixels.decode(data, factor)

    assert image.shape == (-(-height // factor), -(-width // factor), 3)
    tall, wide = height // factor, width // factor  # of whole blocks
    whole = pixels.decode(data)[: tall * factor, : wide * factor]
    assert image[:tall, :wide].mean() == pytest.approx(whole.mean(), abs=2)


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_decode_as_it_lies(orientation: int) -> None:
    """A picture that its EXIF turns is decoded as it lies in the file: its header's size is what is reckoned with."""
    tag = b"\x12\x01\x03\x00\x01\x00\x00\x00" + bytes((orientation, 0, 0, 0))
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0" + tag + bytes(4)
    data = jpeg(64, 48)
    turned = data[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + data[2:]

    assert (pixels.decode(memoryview(turned)) == pixels.decode(memoryview(data))).all()


def test_decode_grey() -> None:
    """A grey picture has three channels when it is decoded, as what follows wants it."""
    assert pixels.decode(memoryview(jpeg(64, 48, grey=True))).shape == (48, 64, 3)


@pytest.mark.parametrize("data", [b"", b"no picture", b"\xff\xd8nothing\xff\xd9", jpeg()[:300]])
@pytest.mark.parametrize("factor", [1, 8])
def test_decode_no_picture(data: bytes, factor: int) -> None:
    """What cannot be decoded is a broken picture."""
    with pytest.raises(BrokenPicture):
        pixels.decode(memoryview(data), factor)


NO_THREADS = """\
import os
import numpy
from mjpegd import pixels
image = numpy.zeros((2160, 3840, 3), numpy.uint8)
before = len(os.listdir("/proc/self/task"))
pixels.encode(pixels.scale(pixels.decode(pixels.encode(image, 80)), (1000, 700)), 80)
print(len(os.listdir("/proc/self/task")) - before)
"""


def test_no_threads_of_its_own() -> None:
    """OpenCV begins no threads for a large picture: how many there are is for `limits.encoders` to say."""
    ended = subprocess.run([sys.executable, "-c", NO_THREADS], check=True, capture_output=True, text=True)

    assert ended.stdout == "0\n"


@pytest.mark.parametrize("bars", [False, True])
@pytest.mark.parametrize("size", [(64, 48), (32, 24), (31, 23), (16, 48), (1, 1)])
def test_scale(size: Size, bars: bool) -> None:  # noqa: FBT001  (a row)
    """An image has the size that is wanted."""
    image = pixels.scale(picture(64, 48), size, bars=bars)

    assert image.shape == (size[1], size[0], 3)
    assert image.dtype == numpy.uint8


def test_scale_to_its_own_size() -> None:
    """An image of the right size is not touched."""
    image = picture(64, 48)

    assert pixels.scale(image, (64, 48)) is image


WHITE = numpy.full((48, 64, 3), 255, numpy.uint8)


@pytest.mark.parametrize(
    ("size", "top", "left"),
    [((64, 64), 8, 0), ((96, 48), 0, 16), ((32, 48), 12, 0), ((128, 128), 16, 0), ((64, 48), 0, 0), ((65, 48), 0, 0)],
)
def test_bars(size: Size, top: int, left: int) -> None:
    """With bars an image keeps its proportions, in the middle of black, also where it has to be made larger."""
    width, height = size
    image = pixels.scale(WHITE, size, bars=True)
    bottom, right = height - top, width - left

    assert (image[top:bottom, left : right - width % 2] == 255).all()
    assert not image[:top].any()
    assert not image[bottom:].any()
    assert not image[:, :left].any()
    assert not image[:, right:].any()


@given(st.tuples(SIDES, SIDES), st.tuples(SIDES, SIDES))
def test_bars_of_any_size(have: Size, want: Size) -> None:
    """Whatever the two sizes, there are bars on two sides at most, and they are even to a pixel."""
    image = pixels.scale(numpy.full((have[1], have[0], 3), 255, numpy.uint8), want, bars=True)
    lit = numpy.argwhere(image[:, :, 0])
    (top, left), (bottom, right) = lit.min(axis=0), lit.max(axis=0)

    assert image.shape == (want[1], want[0], 3)
    assert (left, right) == (0, want[0] - 1) or (top, bottom) == (0, want[1] - 1)
    assert abs(left - (want[0] - 1 - right)) <= 1
    assert abs(top - (want[1] - 1 - bottom)) <= 1
