"""Raw pixels become the right JPEG, and the card is a picture of the size asked for."""

import cv2
import numpy
import pytest

from mjpegd import pixels
from mjpegd.errors import BrokenPicture
from mjpegd.sources.base import Grab

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
