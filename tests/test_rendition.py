"""Frames at another pace or size, made once for all who asked for the same."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mjpegd import pixels, rendition
from mjpegd.camera import Camera
from mjpegd.config.schema import CameraConfig
from mjpegd.errors import BrokenPicture
from mjpegd.frame import Frame
from mjpegd.look import Look
from mjpegd.pace import Pace
from mjpegd.rendition import Rendition
from mjpegd.ring import Ring
from tests.daemon import SECONDS
from tests.pictures import decode, frame, jpeg

BIG = jpeg(128, 96)


def chosen(fps: float, taken: Sequence[float]) -> list[int]:
    """Which of the frames taken at these moments a pace chooses."""
    pace = Pace(fps)
    return [number for number, moment in enumerate(taken) if pace.wants(moment)]


def even(fps: float, seconds: float = 4, start: float = 1000.0) -> list[float]:
    """The moments of a camera that is on time."""
    return [start + number / fps for number in range(round(seconds * fps))]


def jittered(fps: float, share: float, seed: int, seconds: float = 10) -> list[float]:
    """The same moments, each off by up to that share of the time between two."""
    random = Random(seed)
    return sorted(moment + random.uniform(-share, share) / fps for moment in even(fps, seconds))


@pytest.mark.parametrize(("fps", "camera", "each"), [(15, 30, 2), (10, 30, 3), (12.5, 25, 2), (20, 60, 3)])
def test_each_nth(fps: float, camera: int, each: int) -> None:
    """Where it divides, a pace is every n-th frame, from the first on."""
    taken = even(camera)

    assert chosen(fps, taken) == list(range(0, len(taken), each))


@pytest.mark.parametrize(("fps", "camera", "each"), [(5, 30, 6), (1, 30, 30), (1, 5, 5), (2, 60, 30)])
def test_each_nth_of_many(fps: float, camera: int, each: int) -> None:
    """So it is with a slow pace, but that the second frame may come a quarter of the pause early."""
    numbers = chosen(fps, even(camera, 20))
    gaps = [after - before for before, after in pairwise(numbers)]

    assert each * 0.75 <= gaps[0] <= each
    assert set(gaps[1:]) == {each}


@pytest.mark.parametrize(("fps", "camera"), [(30, 30), (30, 25), (60, 30), (0, 30), (29.97, 30), (30, 29.97)])
def test_no_more_than_there_are(fps: float, camera: float) -> None:
    """A pace that the camera only just reaches, or does not, takes every frame."""
    taken = even(camera)

    assert len(chosen(fps, taken)) >= len(taken) - 1


def test_two_of_three() -> None:
    """20 of 30 is two frames of each three, and nowhere three in a row or two left out."""
    numbers = chosen(20, even(30, 10))

    assert len(numbers) == pytest.approx(200, abs=1)
    assert {after - before for before, after in pairwise(numbers)} == {1, 2}
    assert all(after - before == 3 for before, after in zip(numbers, numbers[2:], strict=False))


@pytest.mark.parametrize("fps", [5, 7, 10, 15, 20, 24])
@pytest.mark.parametrize("seed", range(5))
def test_jitter(fps: float, seed: int) -> None:
    """Frames that come a little early or late are chosen at the pace all the same, without bursts or holes."""
    taken = jittered(30, 0.2, seed)
    moments = [taken[number] for number in chosen(fps, taken)]
    gaps = [after - before for before, after in pairwise(moments)]

    assert len(moments) == pytest.approx(10 * fps, abs=4)
    assert min(gaps) > 0.4 / fps
    assert max(gaps) < 1 / fps + 1.5 / 30


@given(st.floats(0.5, 60), st.lists(st.floats(0.001, 2), max_size=200))
def test_never_above_the_pace(fps: float, pauses: Sequence[float]) -> None:
    """However irregular a camera is, no stretch of time has more than one frame above what the pace allows."""
    taken = [1000.0]
    for pause in pauses:
        taken.append(taken[-1] + pause)
    moments = [taken[number] for number in chosen(fps, taken)]

    for first, begin in enumerate(moments):
        for last in range(first, len(moments)):
            assert last - first <= (moments[last] - begin) * fps + 1.01


def test_after_a_pause() -> None:
    """What was missed in a pause is not made up: the pace begins anew with the first frame that comes."""
    taken = [*even(30, 1), *even(30, 2, start=1010.0)]
    later = [number - 30 for number in chosen(10, taken) if number >= 30]

    assert later == list(range(0, 60, 3))


def test_no_pace() -> None:
    """Without a pace every frame is wanted, also two of one moment."""
    pace = Pace(0)

    assert all(pace.wants(moment) for moment in (5.0, 5.0, 5.1, 9.0))


@pytest.mark.parametrize(
    ("look", "name"),
    [
        (Look(), "passthrough"),
        (Look(640), "w640"),
        (Look(fps=5), "5fps"),
        (Look(640, 12.5), "w640 12.5fps"),
        (Look(0, 0), "passthrough"),
    ],
)
def test_name(look: Look, name: str) -> None:
    """A look's name says width and pace, if it has any."""
    assert look.name == name


@pytest.fixture
async def source() -> Ring:
    """A camera's ring."""
    return Ring(asyncio.get_running_loop())


@pytest.fixture
async def made(source: Ring) -> AsyncIterator[Callable[..., Rendition]]:
    """Makes renditions of that ring, and stops them."""
    loop, renditions = asyncio.get_running_loop(), list[Rendition]()

    def make(width: int = 0, fps: float = 0) -> Rendition:
        renditions.append(Rendition("porch", source, Look(width, fps), 80, loop))
        return renditions[-1]

    yield make
    for each in renditions:
        each.stop()
    await asyncio.gather(*(each._task for each in renditions), return_exceptions=True)


Make = Callable[..., Rendition]


def soon() -> float:
    """A deadline that no test is meant to reach."""
    return asyncio.get_running_loop().time() + 10 * SECONDS


async def turns(count: int = 10) -> None:
    """Let the loop go round a few times."""
    for _ in range(count):
        await asyncio.sleep(0)


def big(seq: int, *, live: bool = True, taken: float | None = None) -> Frame:
    """A frame of 128x96."""
    plain = replace(frame(seq, (BIG,)), width=128, height=96, missing="" if live else "lost")
    return plain if taken is None else replace(plain, taken=taken)


async def test_scales(source: Ring, made: Make) -> None:
    """A wider frame is made as wide as asked, in its proportions; number and moments stay."""
    shown = made(64).ring.next(0, soon())
    await turns()
    original = big(7)
    source.publish(original)
    small = await shown

    assert small is not None
    assert (small.width, small.height, small.seq, small.live) == (64, 48, 7, True)
    assert decode(bytes(small.jpeg)).shape == (48, 64, 3)
    assert (small.captured, small.taken) == (original.captured, original.taken)
    assert small.ready >= original.ready


@pytest.mark.parametrize("width", [128, 129, 7680, 0])
async def test_never_up(width: int, source: Ring, made: Make) -> None:
    """A frame that is no wider than asked is passed on as it is, not a byte copied."""
    shown = made(width, fps=30).ring.next(0, soon())
    await turns()
    original = big(1)
    source.publish(original)

    assert await shown is original


async def test_pixels_are_not_for_the_loop(source: Ring, made: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scaling happens in another thread: the loop goes on serving."""
    threads, scale = [], pixels.scale

    def noted(data: memoryview, have: int, width: int, quality: int) -> tuple[memoryview, int, int]:
        threads.append((threading.current_thread(), width, quality))
        return scale(data, have, width, quality)

    monkeypatch.setattr(pixels, "scale", noted)
    shown = made(64).ring.next(0, soon())
    await turns()
    source.publish(big(1))
    await shown

    ((thread, width, quality),) = threads
    assert thread is not threading.current_thread()
    assert (width, quality) == (64, 80)


class Counting:
    """A waiter that takes every frame it is shown and asks for the next."""

    def __init__(self, ring: Ring) -> None:
        self.seen: list[int] = []
        self.positions: list[int] = []
        self.ended = False
        self._ring = ring
        ring.ask(self, 0, soon())

    def show(self, frame: Frame | None) -> None:
        """Take it."""
        if frame is None:
            self.ended = True
            return
        self.seen.append(frame.seq)
        self.positions.append(self._ring.position)
        self._ring.ask(self, frame.seq, soon())


async def publish(ring: Ring, frames: Sequence[Frame]) -> None:
    """A camera that gives these, each when the last was seen by all."""
    for each in frames:
        ring.publish(each)
        await turns()


async def until(ring: Ring, seq: int) -> None:
    """Wait until everybody was shown that frame."""
    last = 0
    while last != seq:
        shown = await ring.next(last, soon())
        assert shown is not None
        last = shown.seq
    await turns()


async def test_paces(source: Ring, made: Make) -> None:
    """Of a camera's frames only those of the pace are passed on."""
    viewer = Counting(made(fps=10).ring)
    await turns()
    await publish(source, [big(seq, taken=1000 + seq / 30) for seq in range(1, 31)])

    assert len(viewer.seen) == pytest.approx(10, abs=1)


async def test_what_the_pace_leaves_out_is_not_skipped(source: Ring, made: Make) -> None:
    """A rendition's ring counts its own frames: who saw all of them has skipped none."""
    viewer = Counting(made(fps=5).ring)
    await turns()
    await publish(source, [big(seq, taken=1000 + seq / 30) for seq in range(1, 61)])

    assert len(viewer.seen) > 5
    assert [after - before for before, after in pairwise(viewer.positions)] == [1] * (len(viewer.seen) - 1)


async def test_a_card_is_always_passed_on(source: Ring, made: Make) -> None:
    """That the camera is lost is shown at once, whatever the pace."""
    viewer = Counting(made(fps=1).ring)
    await turns()
    await publish(source, [big(1, taken=1000.0), big(2, taken=1000.1), big(3, taken=1000.2, live=False)])

    assert viewer.seen == [1, 3]


async def test_a_scaled_card_is_a_card(source: Ring, made: Make) -> None:
    """A card stays one when it is made smaller."""
    shown = made(64).ring.next(0, soon())
    await turns()
    source.publish(big(1, live=False))
    small = await shown

    assert small is not None
    assert (small.width, small.live) == (64, False)


async def test_time_never_runs_backwards(source: Ring, made: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames leave in the order in which they were taken, also where one takes longer to scale than the next."""
    slow, scale = threading.Event(), pixels.scale

    def uneven(data: memoryview, have: int, width: int, quality: int) -> tuple[memoryview, int, int]:
        slow.wait(10 * SECONDS)
        return scale(data, have, width, quality)

    monkeypatch.setattr(pixels, "scale", uneven)
    paced = made(64)
    viewer = Counting(paced.ring)
    await turns()
    for seq in range(1, 6):
        source.publish(big(seq))
        await turns()
    slow.set()
    await until(paced.ring, 5)

    assert viewer.seen == sorted(set(viewer.seen))
    assert viewer.seen[-1] == 5


async def test_a_slow_scaler_skips(source: Ring, made: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where scaling is slower than the camera, frames are left out, none is queued: the next one made is the newest."""
    slow, scale = threading.Event(), pixels.scale

    def waits(data: memoryview, have: int, width: int, quality: int) -> tuple[memoryview, int, int]:
        slow.wait(10 * SECONDS)
        return scale(data, have, width, quality)

    monkeypatch.setattr(pixels, "scale", waits)
    paced = made(64)
    viewer = Counting(paced.ring)
    await turns()
    await publish(source, [big(seq) for seq in range(1, 100)])
    slow.set()
    await until(paced.ring, 99)

    assert viewer.seen == [1, 99]


async def test_a_broken_picture(source: Ring, made: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture that cannot be scaled is left out, and the next one comes."""
    viewer = Counting((paced := made(64)).ring)
    await turns()
    source.publish(replace(frame(1, (b"\xff\xd8 no picture \xff\xd9",)), width=128, height=96))
    await turns()
    waiting = paced.ring.next(0, soon())
    source.publish(big(2))
    await waiting
    await turns()

    assert viewer.seen == [2]


@pytest.mark.parametrize("error", [BrokenPicture("torn"), RuntimeError("a bug"), MemoryError()])
async def test_whatever_goes_wrong(error: Exception, source: Ring, made: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever error one picture raises, it costs that picture, and those who watch see the next."""
    scale, failing, failed = pixels.scale, [error], threading.Event()

    def fails(data: memoryview, have: int, width: int, quality: int) -> tuple[memoryview, int, int]:
        if failing:
            failed.set()
            raise failing.pop()
        return scale(data, have, width, quality)

    monkeypatch.setattr(pixels, "scale", fails)
    paced = made(64)
    source.publish(big(1))
    assert await asyncio.to_thread(failed.wait, 10 * SECONDS)
    source.publish(big(2))
    shown = await paced.ring.next(0, asyncio.get_running_loop().time() + SECONDS)

    assert shown is not None
    assert shown.seq == 2


async def test_the_camera_ends(source: Ring, made: Make) -> None:
    """With the camera's ring the rendition's is closed, and who waits is told."""
    viewer = Counting((paced := made(64)).ring)
    await turns()
    source.close()
    await turns()

    assert paced.ring.closed
    assert viewer.ended


async def test_silence(source: Ring, made: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A camera that gives nothing for as long as one wait lasts is waited for again."""
    monkeypatch.setattr(rendition, "PATIENCE", 0.0)
    shown = made(fps=5).ring.next(0, soon())
    await turns(50)
    source.publish(big(1))

    assert (await shown) is source.newest


def pattern() -> Camera:
    """A camera that was not started."""
    return Camera("porch", CameraConfig(source="pattern", quality=33), asyncio.get_running_loop())


async def test_made_once_for_all() -> None:
    """Who asks for the same look gets the same ring, who asks for another one another."""
    camera = pattern()
    with ExitStack() as stack:
        rings = [stack.enter_context(camera.watch(Look(640, 5))) for _ in range(3)]
        other = stack.enter_context(camera.watch(Look(640, 6)))

        assert rings[0] is rings[1] is rings[2] is not other
        assert camera.ring not in (*rings, other)


async def test_the_cameras_own() -> None:
    """Who wants the frames as they are watches the camera's own ring, and nothing is made."""
    camera = pattern()
    with camera.watch(Look()) as ring:
        assert ring is camera.ring
        assert camera._renditions == {}


async def test_by_nobody_for_nobody() -> None:
    """A rendition stops with the last who watches, not before, and begins anew with the next."""
    camera = pattern()
    with camera.watch(Look(64)) as first:
        with camera.watch(Look(64)):
            pass
        (running,) = camera._renditions.values()
        await turns()
        assert not running._task.done()
    await turns()

    assert running._task.cancelled()
    assert camera._renditions == {}
    with camera.watch(Look(64)) as ring:
        assert ring is not first


async def test_who_comes_later_sees_at_once() -> None:
    """A rendition that is made while the camera is there begins with the newest frame, not with the next."""
    camera = pattern()
    camera.ring.publish(big(1))
    with camera.watch(Look(64)) as ring:
        shown = await ring.next(0, soon())

    assert shown is not None
    assert (shown.seq, shown.width) == (1, 64)
