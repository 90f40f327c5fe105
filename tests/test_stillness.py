"""Whether a camera gives the same picture again and again."""

from collections.abc import Callable
from itertools import pairwise

import numpy
import pytest

from mjpegd.frame import Frame
from mjpegd.sources.base import JPEG, Grab
from mjpegd.stillness import LONGEST_PAUSE, Freeze, Stillness, identical
from mjpegd.wire import multipart
from tests.pictures import jpeg, picture

LIMIT = 10.0
ONE, OTHER = jpeg(64, 48), jpeg(80, 60)
GREY = numpy.full(64 * 48 * 3, 100, numpy.uint8)
NOISY = (GREY + numpy.random.default_rng(1).integers(0, 2, GREY.size)).astype(numpy.uint8)

Show = Callable[[float], tuple[Grab, Frame]]
"""A picture as it is at some moment."""


def shown(data: bytes, form: str, taken: float) -> tuple[Grab, Frame]:
    """A grab and the frame made of it; the JPEG of pixels is the same whatever the pixels are."""
    grab = Grab(memoryview(data), form, taken, 0, 64, 48)
    pieces = (memoryview(data if form == JPEG else ONE),)
    return grab, multipart.assemble(pieces, seq=1, captured=0.0, taken=taken, width=64, height=48)


KINDS: dict[str, tuple[Show, Show]] = {
    "jpeg": (lambda taken: shown(ONE, JPEG, taken), lambda taken: shown(OTHER, JPEG, taken)),
    "pixels": (
        lambda taken: shown(GREY.tobytes(), "BGR", taken),
        lambda taken: shown(NOISY.tobytes(), "BGR", taken),
    ),
}
"""Two pictures of each kind of camera."""


@pytest.fixture(params=KINDS)
def pictures(request: pytest.FixtureRequest) -> tuple[Show, Show]:
    """Two different pictures of one camera."""
    return KINDS[request.param]


def judged(freeze: Freeze, picture: tuple[Grab, Frame]) -> str:
    """What is said of a picture: `shown`, or it has `frozen` and is to be woken now, or `held` if not now."""
    grab, frame = picture
    if not freeze.has_frozen(grab, frame):
        return "shown"
    return "frozen" if freeze.is_to_be_woken(grab.taken) else "held"


def test_seconds() -> None:
    """A picture has stood still since it was first seen, and one that is another begins anew, seen before or not."""
    stillness = Stillness[str](str.__eq__)

    assert [stillness.seconds(*seen) for seen in (("a", 5.0), ("a", 6.0), ("a", 9.0), ("b", 9.5), ("a", 10.0))] == [
        *(0, 1, 4),
        *(0, 0),
    ]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [(b"abc", b"abc", True), (b"abc", b"abd", False), (b"abc", b"abcd", False), (b"", b"", True)],
)
def test_identical(one: bytes, other: bytes, same: bool) -> None:  # noqa: FBT001  (a row)
    """Two JPEGs are one picture where every byte is the same."""
    assert identical(memoryview(one), memoryview(bytearray(other))) is same


def test_a_living_camera(pictures: tuple[Show, Show]) -> None:
    """Pictures that differ are shown, however long they come."""
    freeze = Freeze(LIMIT)

    assert {judged(freeze, pictures[second % 2](float(second))) for second in range(100)} == {"shown"}


def test_frozen(pictures: tuple[Show, Show]) -> None:
    """A picture that lasts is shown until the limit, then said to be frozen once, and held back from then on."""
    freeze, (one, _) = Freeze(LIMIT), pictures
    said = [judged(freeze, one(100.0 + second)) for second in range(16)]

    assert said == ["shown"] * 10 + ["frozen"] + ["held"] * 5


def test_the_same_by_its_own_word() -> None:
    """A source that says itself that nothing is new freezes too."""
    freeze = Freeze(LIMIT)
    again = [Grab(memoryview(b""), JPEG, 100.0 + second) for second in (5, 10)]
    assert not freeze.has_frozen(again[0], None)
    assert not freeze.has_frozen(*shown(ONE, JPEG, 100.0))

    assert [freeze.has_frozen(grab, None) for grab in again] == [False, True]


def test_another_picture_ends_it(pictures: tuple[Show, Show]) -> None:
    """Another picture is shown at once, and the limit counts from there."""
    freeze, (one, other) = Freeze(LIMIT), pictures
    for second in (0.0, 15.0):
        judged(freeze, one(second))
    said = [judged(freeze, other(second)) for second in (16.0, 17.0, 25.9, 26.0, 26.1)]

    assert said == ["shown"] * 3 + ["frozen", "held"]


def test_woken_at_growing_pauses(pictures: tuple[Show, Show]) -> None:
    """It is opened anew at pauses that double, each shortened by up to a quarter, up to the longest."""
    freeze, (one, _) = Freeze(LIMIT), pictures
    tries = [second for second in range(4000) if judged(freeze, one(float(second))) == "frozen"]
    pauses = [later - sooner for sooner, later in pairwise(tries)]

    assert tries[0] == LIMIT
    for pause, full in zip(pauses, (10, 20, 40, 80, 160, 320, LONGEST_PAUSE, LONGEST_PAUSE), strict=False):
        assert 0.75 * full <= pause <= full + 1
    assert len(pauses) >= 8


def test_pauses_are_short_again(pictures: tuple[Show, Show]) -> None:
    """Once it lived, a camera that freezes again is woken after the shortest pause."""
    freeze, (one, other) = Freeze(LIMIT), pictures
    for second in range(500):
        judged(freeze, one(float(second)))
    judged(freeze, other(500.0))
    tries = [second for second in range(501, 540) if judged(freeze, one(float(second))) == "frozen"]

    assert tries[0] == 511
    assert 7 <= tries[1] - tries[0] <= 11


def test_a_limit_above_the_longest_pause() -> None:
    """With a limit of an hour the pauses are of that length too."""
    freeze = Freeze(3600)
    freeze.has_frozen(*shown(ONE, JPEG, 0.0))

    assert judged(freeze, shown(ONE, JPEG, 3600.0)) == "frozen"
    assert judged(freeze, shown(ONE, JPEG, 3600.0 + 2699)) == "held"
    assert judged(freeze, shown(ONE, JPEG, 3600.0 + 3600)) == "frozen"


def test_pixels_are_compared_before_they_are_encoded() -> None:
    """Noise of a grey level, that no JPEG may show, is a sign of life."""
    freeze = Freeze(LIMIT)
    rng = numpy.random.default_rng(7)
    image = picture(64, 48)
    said = set()
    for second in range(30):
        noisy = (image + rng.integers(0, 2, image.shape)).astype(numpy.uint8)
        said.add(judged(freeze, shown(noisy.tobytes(), "BGR", float(second))))

    assert said == {"shown"}
