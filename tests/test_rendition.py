"""Frames at another pace or size, made once for all who asked for the same."""

import asyncio
import threading
import weakref
from asyncio import Task
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import pairwise
from typing import Any

import cv2
import pytest

from mjpegd import pixels, rendition
from mjpegd.camera import Camera
from mjpegd.config.schema import CameraConfig, LimitsConfig
from mjpegd.encoding import workshop
from mjpegd.encoding.encoders import Encoders
from mjpegd.encoding.process import Made
from mjpegd.errors import BrokenPicture, HttpError
from mjpegd.frame import Frame
from mjpegd.jpeg import quality as estimated
from mjpegd.look import Look, Size
from mjpegd.prints import Prints
from mjpegd.rendition import Rendition
from mjpegd.ring import Ring
from tests.daemon import SECONDS
from tests.pictures import decode, frame, jpeg
from tests.test_jpeg import as_shown, exif

BIG = jpeg(128, 96)


@pytest.fixture
async def source() -> Ring:
    """A camera's ring."""
    return Ring(asyncio.get_running_loop())


def task_of(rendition: Rendition) -> Task[None]:
    """What runs it."""
    assert rendition._task is not None
    return rendition._task


@pytest.fixture
async def made(source: Ring, encoders: Encoders) -> AsyncIterator[Callable[..., Rendition]]:
    """Makes renditions of that ring that share their prints, and stops them."""
    prints, renditions, tasks = Prints[Made](), list[Rendition](), list[Task[None]]()

    def make(width: int = 0, **more: Any) -> Rendition:
        look = Look(width, **more)
        renditions.append(Rendition("porch", 1, source, look, prints, encoders=encoders, quality=80))
        tasks.append(task_of(renditions[-1]))
        return renditions[-1]

    yield make
    for each in renditions:
        each.stop()
    await asyncio.gather(*tasks, return_exceptions=True)


Make = Callable[..., Rendition]


def before_scaling(monkeypatch: pytest.MonkeyPatch, do: Callable[[], object]) -> None:
    """Have that done in the encoder's thread, each time before a picture is scaled."""
    scale = pixels.scale

    def hooked(image: pixels.Pixels, size: Size, *, bars: bool = False) -> pixels.Pixels:
        do()
        return scale(image, size, bars=bars)

    monkeypatch.setattr(pixels, "scale", hooked)


async def occupy(encoders: Encoders, gate: asyncio.Event) -> None:
    """Take a turn, and keep it until the gate is open."""
    async with encoders.turn():
        await gate.wait()


def soon() -> float:
    """A deadline that no test is meant to reach."""
    return asyncio.get_running_loop().time() + 10 * SECONDS


async def turns(count: int = 10) -> None:
    """Let the loop go round a few times."""
    for _ in range(count):
        await asyncio.sleep(0)


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait until that is so: what a thread is at the end of takes a moment."""
    async with asyncio.timeout(10 * SECONDS):
        while not condition():  # noqa: ASYNC110  (a thread's, and nobody tells)
            await asyncio.sleep(0.001)


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
    threads: list[threading.Thread] = []
    before_scaling(monkeypatch, lambda: threads.append(threading.current_thread()))
    shown = made(64).ring.next(0, soon())
    await turns()
    source.publish(big(1))
    await shown

    (thread,) = threads
    assert thread is not threading.current_thread()


@pytest.mark.parametrize(("asked", "expected"), [(0, 80), (35, 35), (95, 95)])
async def test_quality_of_what_is_scaled(asked: int, expected: int, source: Ring, made: Make) -> None:
    """What is made smaller has the quality that was asked for, else the camera's key."""
    shown = made(64, quality=asked).ring.next(0, soon())
    await turns()
    source.publish(big(1))
    small = await shown

    assert small is not None
    assert estimated(small.jpeg) == expected


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
    slow = threading.Event()
    before_scaling(monkeypatch, lambda: slow.wait(10 * SECONDS))
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
    begun, slow = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        slow.wait(10 * SECONDS)

    before_scaling(monkeypatch, wait)
    paced = made(64)
    viewer = Counting(paced.ring)
    await turns()
    source.publish(big(1))
    assert await asyncio.to_thread(begun.wait, 10 * SECONDS)
    await publish(source, [big(seq) for seq in range(2, 100)])
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
    failing, failed = [error], threading.Event()

    def fail() -> None:
        if failing:
            failed.set()
            raise failing.pop()

    before_scaling(monkeypatch, fail)
    paced = made(64)
    source.publish(big(1))
    assert await asyncio.to_thread(failed.wait, 10 * SECONDS)
    source.publish(big(2))
    shown = await paced.ring.next(0, asyncio.get_running_loop().time() + SECONDS)

    assert shown is not None
    assert shown.seq == 2


@pytest.mark.parametrize("look", [{}, {"fps": 5}])
async def test_its_process_ends(
    look: dict[str, Any], source: Ring, made: Make, encoders: Encoders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A picture that was lost with the encoder process is made by the next one, also of a camera that stands still."""
    begun, slow = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        slow.wait(10 * SECONDS)

    monkeypatch.setattr(workshop, "PAUSES", (0.0, 0.0))
    before_scaling(monkeypatch, wait)
    shown = made(64, **look).ring.next(0, soon())
    source.publish(big(1))
    assert await asyncio.to_thread(begun.wait, 10 * SECONDS)
    (await encoders._workshop.process())._transport.abort()
    slow.set()
    small = await shown

    assert small is not None
    assert (small.seq, small.width) == (1, 64)


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


@pytest.fixture
async def camera(encoders: Encoders) -> Camera:
    """A camera that was not started."""
    return Camera("porch", CameraConfig(source="pattern", quality=33), asyncio.get_running_loop(), encoders)


async def test_made_once_for_all(camera: Camera) -> None:
    """Who asks for the same look gets the same ring, who asks for another one another."""
    with ExitStack() as stack:
        rings = [stack.enter_context(camera.watch(Look(640, fps=5))) for _ in range(3)]
        other = stack.enter_context(camera.watch(Look(640, fps=6)))

        assert rings[0] is rings[1] is rings[2] is not other
        assert camera.ring not in (*rings, other)


async def test_the_cameras_own(camera: Camera) -> None:
    """Who wants the frames as they are watches the camera's own ring, and nothing is made."""
    with camera.watch(Look()) as ring:
        assert ring is camera.ring
        assert len(camera.renditions) == 0


async def test_by_nobody_for_nobody(camera: Camera) -> None:
    """A rendition stops with the last who watches, not before, and begins anew with the next."""
    with camera.watch(Look(64)) as first:
        with camera.watch(Look(64)):
            pass
        (running,) = camera.renditions
        await turns()
        task = task_of(running)
        assert not task.done()
    await turns()

    assert task.cancelled()
    assert running.ring.closed
    assert len(camera.renditions) == 0
    with camera.watch(Look(64)) as ring:
        assert ring is not first


async def test_who_comes_later_sees_at_once(camera: Camera) -> None:
    """A rendition that is made while the camera is there begins with the newest frame, not with the next."""
    camera.ring.publish(big(1))
    with camera.watch(Look(64)) as ring:
        shown = await ring.next(0, soon())

    assert shown is not None
    assert (shown.seq, shown.width) == (1, 64)


async def one(running: Rendition, source: Ring, original: Frame) -> Frame:
    """What a rendition makes of that frame."""
    shown = running.ring.next(0, soon())
    await turns()
    source.publish(original)
    made = await shown
    assert made is not None
    return made


@pytest.mark.parametrize(
    ("look", "size"),
    [
        (Look(64), (64, 48)),
        (Look(height=24), (32, 24)),
        (Look(64, 24), (32, 24)),
        (Look(63), (63, 47)),
        (Look(16), (16, 12)),
        (Look(64, 64, exact=True), (64, 64)),
        (Look(256, 96, exact=True), (256, 96)),
    ],
)
async def test_size(look: Look, size: Size, source: Ring, made: Make) -> None:
    """Whatever the box, the picture that comes out has the size that its frame says."""
    small = await one(made(look.width, height=look.height, exact=look.exact), source, big(1))

    assert (small.width, small.height) == size
    assert decode(bytes(small.jpeg)).shape == (size[1], size[0], 3)


async def test_bars(source: Ring, made: Make) -> None:
    """An exact look shows the whole picture in the middle of black bars."""
    boxed = decode(bytes((await one(made(64, height=64, exact=True), source, big(1))).jpeg)).astype(int)

    assert boxed[:6].max() < 16
    assert boxed[-6:].max() < 16
    assert abs(boxed[8:56] - decode(jpeg(64, 48)).astype(int)).mean() < 30


@pytest.mark.parametrize(("quality", "smaller"), [(20, True), (79, True), (80, False), (90, False), (100, False)])
async def test_quality(quality: int, smaller: bool, source: Ring, made: Make) -> None:  # noqa: FBT001  (a row)
    """Without another size only what is of a higher quality is made anew; the camera's own is never made worse."""
    original = big(1)
    shown = await one(made(quality=quality), source, original)

    assert (shown is not original) is smaller
    assert len(shown.jpeg) < len(original.jpeg) or not smaller
    assert (shown.width, shown.height) == (128, 96)


@pytest.mark.parametrize(("quality", "same"), [(79, True), (10, False)])
async def test_never_larger(quality: int, same: bool, source: Ring, made: Make) -> None:  # noqa: FBT001  (a row)
    """Where a lower quality would take more bytes all the same, the camera's own is passed on."""
    squeezed = jpeg(128, 96, options=(cv2.IMWRITE_JPEG_OPTIMIZE, 1))
    original = replace(frame(1, (squeezed,)), width=128, height=96)
    shown = await one(made(quality=quality), source, original)

    assert (shown is original) is same
    assert len(shown.jpeg) <= len(original.jpeg)


@pytest.mark.parametrize("look", [{"width": 64}, {"quality": 20}, {"width": 64, "height": 64, "exact": True}])
async def test_turned(look: dict[str, Any], source: Ring, made: Make) -> None:
    """What is made of a picture that is shown turned is shown turned, its pixels lying as the camera's do."""
    original = replace(frame(1, (BIG[:2], exif(6), BIG[2:])), width=128, height=96)
    shown = await one(made(**look), source, original)

    assert shown is not original
    assert as_shown(bytes(shown.jpeg)) == (shown.width, shown.height)


class Counted:
    """How often the functions of `pixels` are called."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: Counter[str] = Counter()
        for name in ("decode", "encode"):
            monkeypatch.setattr(pixels, name, self._counting(name, getattr(pixels, name)))

    def _counting(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*given: Any) -> Any:
            self.calls[name] += 1
            return call(*given)

        return counted


@pytest.mark.parametrize(
    ("asked", "made_of"),
    [
        ([{"width": 64}, {"width": 64, "fps": 30}], (1, 1)),
        ([{"width": 64, "quality": 80}, {"width": 64}, {"height": 48}, {"width": 64, "height": 96}], (1, 1)),
        ([{"width": 64, "quality": 50}, {"width": 64, "quality": 60}], (1, 2)),
        ([{"width": 64}, {"width": 60}, {"width": 33}], (1, 3)),
        ([{"width": 64}, {"width": 32}], (2, 2)),
        ([{"quality": 50}, {"width": 128, "quality": 50}, {"width": 500, "quality": 50, "fps": 30}], (1, 1)),
        ([{"width": 64, "height": 48}, {"width": 64, "height": 48, "exact": True}], (1, 2)),
        ([{"fps": 30}, {"width": 128}, {"quality": 90}], (0, 0)),
    ],
)
async def test_work_is_shared(
    asked: list[dict[str, Any]], made_of: tuple[int, int], source: Ring, made: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes out the same is encoded once, and what is made of the same pixels decoded once, for each frame."""
    counted = Counted(monkeypatch)
    running = [made(**look) for look in asked]
    for seq in (1, 2, 3):
        shown = [each.ring.next(seq - 1, soon()) for each in running]
        await turns()
        source.publish(big(seq, taken=1000.0 + seq))
        await asyncio.gather(*shown)

        assert counted.calls == Counter(decode=seq * made_of[0], encode=seq * made_of[1])
    assert sum(each.encodes for each in running) == 3 * made_of[1]


@pytest.mark.parametrize(("width", "factor"), [(127, 1), (65, 1), (64, 2), (33, 2), (32, 4), (17, 4), (16, 8)])
async def test_reduced(width: int, factor: int, source: Ring, made: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture that is wanted at half its size or less is never decoded in full."""
    factors: list[int] = []
    decoded = pixels.decode

    def noted(data: memoryview, factor: int = 1) -> pixels.Pixels:
        factors.append(factor)
        return decoded(data, factor)

    monkeypatch.setattr(pixels, "decode", noted)
    small = await one(made(width), source, big(1))

    assert (factors, small.width) == ([factor], width)


async def test_the_newest_when_its_turn_comes(source: Ring, made: Make, encoders: Encoders) -> None:
    """Where the encoders are busy with others, what is made in the end is the newest frame, not the one of before."""
    gate = asyncio.Event()
    busy = [asyncio.create_task(occupy(encoders, gate)) for _ in range(2)]
    await turns()
    viewer = Counting((paced := made(64)).ring)
    await turns()
    await publish(source, [big(seq) for seq in range(1, 6)])
    assert viewer.seen == []
    gate.set()
    await asyncio.gather(*busy)
    await until(paced.ring, 5)

    assert viewer.seen == [5]


async def test_stopped_while_a_picture_is_made(source: Ring, made: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture that is ready when nobody wants it any more is dropped."""
    begun, slow, done = threading.Event(), threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        slow.wait(10 * SECONDS)
        done.set()

    before_scaling(monkeypatch, wait)
    viewer = Counting((stopped := made(64)).ring)
    source.publish(big(1))
    assert await asyncio.to_thread(begun.wait, 10 * SECONDS)
    stopped.stop()
    slow.set()
    assert await asyncio.to_thread(done.wait, 10 * SECONDS)
    await turns()

    assert stopped.ring.closed
    assert (viewer.seen, viewer.ended, stopped.ring.newest) == ([], True, None)


async def test_forgotten_while_it_waits_for_its_turn(source: Ring, made: Make, encoders: Encoders) -> None:
    """A camera that has no newest frame any more, since nobody watched for a moment, has the one of before made."""
    gate = asyncio.Event()
    busy = [asyncio.create_task(occupy(encoders, gate)) for _ in range(2)]
    await turns()
    shown = made(64).ring.next(0, soon())
    source.publish(big(1))
    await turns()
    source.forget()
    gate.set()
    await asyncio.gather(*busy)
    small = await shown

    assert small is not None
    assert (small.seq, small.width) == (1, 64)


async def test_how_long_it_took(source: Ring, made: Make) -> None:
    """A frame that was made says how long that took, on top of what the camera's own encoding did."""
    running = made(64)
    small = await one(running, source, replace(big(1), encode=5.0))

    assert 5.0 < small.encode < 5.0 + SECONDS
    assert (running.encodes, len(running.encode_time)) == (1, 1)


async def test_waiting_is_not_encoding(source: Ring, made: Make, encoders: Encoders) -> None:
    """The time for which a picture waits for a thread, or for another's print, is none that encoding took.

    Who gets a picture that was made for another is told how long that took.
    """
    wait, gate = 0.5, asyncio.Event()
    small, same, other = made(64), made(64, fps=30), made(64, quality=30)
    busy = [asyncio.create_task(occupy(encoders, gate)) for _ in range(2)]
    await turns()
    shown = [each.ring.next(0, soon()) for each in (small, same, other)]
    source.publish(big(1))
    await asyncio.sleep(wait)
    gate.set()
    await asyncio.gather(*busy)
    frames = [frame for frame in await asyncio.gather(*shown) if frame is not None]

    assert frames[0].encode == frames[1].encode > 0
    assert all(0 < frame.encode < wait / 2 for frame in frames)
    assert all(frame.ready - frame.taken > wait for frame in frames)


async def test_quality_of_the_camera_changes(source: Ring, made: Make) -> None:
    """A rendition that says nothing of quality follows the camera's key from the next frame on."""
    running = made(64)
    before = await one(running, source, big(1))
    running.quality = 30
    source.publish(big(2))
    after = await running.ring.next(1, soon())

    assert after is not None
    assert (estimated(before.jpeg), estimated(after.jpeg)) == (80, 30)


async def test_watchers_and_encodes_are_counted(camera: Camera) -> None:
    """A camera knows its renditions and their viewers, and counts what was encoded for those that are gone too."""
    camera.ring.publish(big(1))
    with camera.watch(Look(64)) as ring, camera.watch(Look(64)), camera.watch(Look(fps=5)):
        shown = await ring.next(0, soon())
        assert shown is not None
        told = {each.look.name: (each.watchers, each.encodes) for each in camera.renditions}

    assert told == {"w64": (2, 1), "5fps": (1, 0)}
    assert (len(camera.renditions), camera.renditions.encodes) == (0, 1)


async def test_what_is_under_way_at_the_end_is_counted(camera: Camera, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture that is being made when the last viewer leaves is counted once it is made."""
    begun, slow = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        slow.wait(10 * SECONDS)

    before_scaling(monkeypatch, wait)
    with camera.watch(Look(64)):
        camera.ring.publish(big(1))
        assert await asyncio.to_thread(begun.wait, 10 * SECONDS)
    assert camera.renditions.encodes == 0
    slow.set()
    await eventually(lambda: camera.renditions.encodes == 1)


@pytest.mark.parametrize("look", [Look(64), Look(64, fps=5), Look(fps=5), Look(quality=20), Look(96, 96, exact=True)])
@pytest.mark.parametrize("seen", [True, False])
async def test_all_of_it_goes_with_the_last_viewer(
    look: Look,
    seen: bool,  # noqa: FBT001  (a row)
    camera: Camera,
    uncollected: None,
) -> None:
    """Rendition, ring and pictures are gone when nobody watches any more, without the collector's help."""
    with camera.watch(look) as ring:
        kept: list[weakref.ref[Any]] = [weakref.ref(ring), *(weakref.ref(each) for each in camera.renditions)]
        if seen:
            camera.ring.publish(big(1))
            shown = await ring.next(0, soon())
            assert shown is not None
            kept += [weakref.ref(shown.jpeg)] * look.encodes
            await turns()
            del shown
    del ring
    await eventually(lambda: [each() for each in kept] == [None] * (2 + seen * look.encodes))


async def test_all_of_it_goes_where_a_picture_is_under_way(
    camera: Camera, uncollected: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So it goes when the last viewer leaves while a picture is made, and the pixels that it is made of go too."""
    begun, slow, decoded, decode = threading.Event(), threading.Event(), list[weakref.ref[Any]](), pixels.decode

    def late(data: memoryview, factor: int = 1) -> pixels.Pixels:
        begun.set()
        slow.wait(10 * SECONDS)
        image = decode(data, factor)
        decoded.append(weakref.ref(image))
        return image

    monkeypatch.setattr(pixels, "decode", late)
    with camera.watch(Look(64)):
        (running,) = (weakref.ref(each) for each in camera.renditions)
        camera.ring.publish(big(1))
        assert await asyncio.to_thread(begun.wait, 10 * SECONDS)
    slow.set()
    await eventually(lambda: running() is None)

    assert [each() for each in decoded] == [None]


async def test_closed_with_its_camera(camera: Camera, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a camera ends, those who watch a rendition are let go at once, also while a picture is made for them."""
    begun, slow = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        slow.wait(10 * SECONDS)

    before_scaling(monkeypatch, wait)
    with camera.watch(Look(64)) as ring, camera.watch(Look(fps=5)) as paced:
        viewer = Counting(ring)
        camera.ring.publish(big(1))
        assert await asyncio.to_thread(begun.wait, 10 * SECONDS)
        camera.stop()
        assert ring.closed
        assert paced.closed
        assert viewer.ended
        slow.set()

    assert len(camera.renditions) == 0


async def test_one_too_many(camera: Camera, encoders: Encoders) -> None:
    """Who asks for one rendition too many is told so; who asks for one that is there, or for none, is let in."""
    encoders.limits = LimitsConfig(renditions_per_camera=2)
    with camera.watch(Look(64)), camera.watch(Look(32)):
        with pytest.raises(HttpError) as caught, camera.watch(Look(48)):
            pass
        with camera.watch(Look(64)), camera.watch(Look()):
            pass
        with camera.watch(Look(48), bounded=False):
            assert len(camera.renditions) == 3
    with camera.watch(Look(48)):
        assert encoders.renditions == 1

    assert (caught.value.status, encoders.renditions) == (503, 0)
    assert not camera.demand.now


async def test_what_encodes_nothing_is_not_counted(camera: Camera, encoders: Encoders) -> None:
    """Paces alone take nobody's place and find one always: nothing is encoded for them."""
    encoders.limits = LimitsConfig(renditions=2, renditions_per_camera=2)
    with ExitStack() as stack:
        for fps in range(1, 40):
            stack.enter_context(camera.watch(Look(fps=fps)))
        stack.enter_context(camera.watch(Look(64)))
        stack.enter_context(camera.watch(Look(32)))
        stack.enter_context(camera.watch(Look(fps=50)))
        with pytest.raises(HttpError), camera.watch(Look(48)):
            pass

        assert (encoders.renditions, len(camera.renditions)) == (2, 42)
    assert (encoders.renditions, len(camera.renditions)) == (0, 0)


async def test_what_the_configuration_has_is_never_refused(camera: Camera, encoders: Encoders) -> None:
    """However many sizes viewers have thought of, what the configuration has by a name is given, and counted."""
    encoders.limits = LimitsConfig(renditions=2, renditions_per_camera=2)
    with camera.watch(Look(64)), camera.watch(Look(32)):
        with camera.watch(Look(48, configured=True)) as one, camera.watch(Look(48)) as other:
            assert one is other
            assert encoders.renditions == 3
        with pytest.raises(HttpError), camera.watch(Look(48)):
            pass

    assert encoders.renditions == 0


async def test_of_all_cameras(encoders: Encoders) -> None:
    """The limit on all renditions counts those of every camera."""
    encoders.limits = LimitsConfig(renditions=2)
    loop = asyncio.get_running_loop()
    porch, attic = (Camera(name, CameraConfig(source="pattern"), loop, encoders) for name in ("porch", "attic"))
    with porch.watch(Look(64)), attic.watch(Look(64)), pytest.raises(HttpError) as caught, attic.watch(Look(32)):
        pass

    assert caught.value.facts == {"limit": "renditions", "most": 2}
    assert encoders.renditions == 0
