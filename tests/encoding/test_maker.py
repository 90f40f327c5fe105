"""Pictures made of pictures."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from mjpegd import pixels
from mjpegd.encoding.maker import Original, make
from mjpegd.encoding.orders import Order
from mjpegd.errors import BrokenPicture
from mjpegd.jpeg import quality as estimated
from mjpegd.look import Size
from tests.clock import Clock, stop_clocks
from tests.daemon import SECONDS
from tests.pictures import decode, jpeg

BIG = jpeg(128, 96)


def order(width: int = 64, height: int = 48, quality: int = 80, *, bars: bool = False) -> Order:
    """Of a picture of 128x96."""
    return Order(1, 1, 128, 96, width, height, quality, bars, len(BIG))


def original(data: bytes = BIG) -> Original:
    """A camera's picture."""
    return Original(memoryview(data))


class Decoding:
    """Counts what is decoded, and by which factor; takes until `gate` is open."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.factors: list[int] = []
        self.begun, self.gate = threading.Event(), threading.Event()
        self.gate.set()
        self._decode = pixels.decode
        monkeypatch.setattr(pixels, "decode", self)

    def __call__(self, data: memoryview, factor: int = 1) -> pixels.Pixels:
        self.factors.append(factor)
        self.begun.set()
        assert self.gate.wait(10 * SECONDS)
        return self._decode(data, factor)


@pytest.fixture
def decoding(monkeypatch: pytest.MonkeyPatch) -> Decoding:
    """What is decoded."""
    return Decoding(monkeypatch)


@pytest.mark.parametrize(("size", "quality"), [((64, 48), 80), ((63, 47), 35), ((128, 96), 95), ((16, 12), 1)])
def test_made(size: Size, quality: int) -> None:
    """A picture has the size and the quality that were ordered."""
    picture, seconds = make(order(*size, quality), original())

    assert decode(bytes(picture)).shape == (size[1], size[0], 3)
    assert estimated(picture) == quality
    assert 0 < seconds < 10 * SECONDS


def test_bars() -> None:
    """Only where bars are ordered the picture keeps its proportions in another shape."""
    boxed = decode(bytes(make(order(64, 64, bars=True), original())[0]))
    filled = decode(bytes(make(order(64, 64), original())[0]))

    assert boxed[:6].max() < 16 < filled[:6].max()
    assert boxed.shape == filled.shape == (64, 64, 3)


def test_decoded_once(decoding: Decoding) -> None:
    """What is made of the same pixels is decoded once, and never larger than it has to be."""
    source = original()
    for width, height in (64, 48), (60, 45), (33, 24), (32, 24), (128, 96), (127, 95):
        make(order(width, height), source)
    make(order(64, 48, 10), source)

    assert decoding.factors == [2, 4, 1]


def test_each_original_is_decoded(decoding: Decoding) -> None:
    """Another picture is decoded for itself."""
    for _ in range(2):
        make(order(), original())

    assert decoding.factors == [2, 2]


def test_who_comes_meanwhile_waits(decoding: Decoding) -> None:
    """What comes while the same is decoded in another thread waits for that, and gets the very pixels."""
    source = original()
    decoding.gate.clear()
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(source.pixels, 2) for _ in range(4)]
        assert decoding.begun.wait(10 * SECONDS)
        assert not any(each.done() for each in asked)
        decoding.gate.set()
        got = [each.result(10 * SECONDS) for each in asked]

    assert decoding.factors == [2]
    assert all(each is got[0] for each in got)


def test_other_pixels_do_not_wait(decoding: Decoding) -> None:
    """What is decoded smaller by another factor is decoded beside it."""
    source = original()
    decoding.gate.clear()
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(source.pixels, 1)
        assert decoding.begun.wait(10 * SECONDS)
        decoding.begun.clear()
        beside = pool.submit(source.pixels, 4)
        assert decoding.begun.wait(10 * SECONDS)
        decoding.gate.set()
        shapes = [each.result(10 * SECONDS)[0].shape for each in (slow, beside)]

    assert shapes == [(96, 128, 3), (24, 32, 3)]


def timed(monkeypatch: pytest.MonkeyPatch, clock: Clock, **seconds: float) -> None:
    """Have functions of `pixels` take so long."""

    def slow(name: str) -> None:
        call = getattr(pixels, name)

        def called(*given: Any, **more: Any) -> Any:
            clock.forward(seconds[name])
            return call(*given, **more)

        monkeypatch.setattr(pixels, name, called)

    for name in seconds:
        slow(name)


def test_how_long_it_took(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoding counts for each picture that was made of it, as long as it took when it was done."""
    clock = stop_clocks(monkeypatch, "mjpegd.encoding.maker.monotonic")
    timed(monkeypatch, clock, decode=4.0, scale=2.0, encode=1.0)
    source = original()

    assert [make(order(*size), source)[1] for size in ((64, 48), (60, 45))] == [7.0, 7.0]


@pytest.mark.parametrize("data", [b"\xff\xd8 no picture \xff\xd9", BIG[: len(BIG) // 20], b"\0", bytes(100)])
def test_a_broken_picture(data: bytes) -> None:
    """What cannot be decoded is said to be broken to each who asks for it, whichever thread asks."""
    source = original(data)
    with ThreadPoolExecutor(2) as pool:
        for _ in range(4):
            asked = pool.submit(make, order(), source)
            assert isinstance(asked.exception(10 * SECONDS), BrokenPicture)
