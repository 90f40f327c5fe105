"""Who may have pictures made, and when; and how many renditions there may be."""

import asyncio
import gc
import os
from asyncio import Future, Task
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from mjpegd.config.schema import LimitsConfig
from mjpegd.encoding import encoders as module
from mjpegd.encoding.encoders import Encoders, Turn
from mjpegd.encoding.process import Made, Process
from mjpegd.errors import RETRY_AFTER, BrokenPicture, EncoderLost, HttpError
from mjpegd.frame import Frame
from tests.daemon import SECONDS
from tests.pictures import decode, frame, jpeg

BIG = replace(frame(1, (jpeg(128, 96),)), width=128, height=96)


class Bench:
    """A workshop, and the process in it, that finishes a picture when a test says so."""

    def __init__(self) -> None:
        self.ordered: list[Future[Made]] = []
        self.opened = asyncio.Event()
        self.opened.set()
        self.forgotten: list[int] = []
        self.closed = 0

    async def process(self) -> "Bench":
        """Itself, once it is open."""
        await self.opened.wait()
        return self

    def make(self, *_order: object, **_bars: object) -> Future[Made]:
        """A picture that is not finished."""
        self.ordered.append(asyncio.get_running_loop().create_future())
        return self.ordered[-1]

    def forget(self, camera: int) -> None:
        """Note it."""
        self.forgotten.append(camera)

    def close(self) -> None:
        """Count it."""
        self.closed += 1


MADE = Made(memoryview(b"jpeg"), 0.1)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    """In place of the workshop of all encoders that are made."""
    bench = Bench()
    monkeypatch.setattr(module, "Workshop", lambda _threads: bench)
    return bench


@pytest.fixture
def single(bench: Bench) -> Encoders:
    """With one turn."""
    return Encoders(LimitsConfig(encoders=1))


def use(turn: Turn) -> Future[Made]:
    """Have a small picture made."""
    return turn.make(1, BIG, (64, 48), 80, bars=False)


async def rounds(count: int = 10) -> None:
    """Let the loop go round a few times."""
    for _ in range(count):
        await asyncio.sleep(0)


async def taking(encoders: Encoders, then: Callable[[Turn], object]) -> None:
    """Take a turn and do that with it."""
    async with encoders.turn() as turn:
        then(turn)


async def free(encoders: Encoders) -> int:
    """How many turns can be had at once."""
    had, gate = list[Turn](), asyncio.Event()

    async def hold() -> None:
        async with encoders.turn() as turn:
            had.append(turn)
            await gate.wait()

    asking = [asyncio.create_task(hold()) for _ in range(encoders.threads + 2)]
    await rounds()
    count = len(had)
    for each in asking:
        each.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    return count


@pytest.mark.parametrize(
    ("asked", "cores", "threads"), [(0, 1, 1), (0, 2, 1), (0, 3, 2), (0, 4, 3), (0, 64, 4), (1, 64, 1), (9, 2, 9)]
)
async def test_threads(asked: int, cores: int, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """There are as many threads as are asked for, else one for each core but one, and four at most: so many turns."""
    begun: list[int] = []

    def shop(threads: int) -> Bench:
        begun.append(threads)
        return Bench()

    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    monkeypatch.setattr(module, "Workshop", shop)
    encoders = Encoders(LimitsConfig(encoders=asked))

    assert encoders.threads == await free(encoders) == threads
    assert begun == [threads]


async def test_a_picture(encoders: Encoders) -> None:
    """Who has a turn has a picture made."""
    async with encoders.turn() as turn:
        making = use(turn)
    async with asyncio.timeout(10 * SECONDS):
        made = await making

    assert decode(bytes(made.jpeg)).shape == (48, 64, 3)
    assert made.seconds > 0


async def test_turns_in_order(single: Encoders) -> None:
    """Turns are had in the order in which they were asked for."""
    had: list[int] = []

    async def take(number: int) -> None:
        async with single.turn():
            had.append(number)
            await asyncio.sleep(0)

    await asyncio.gather(*(take(number) for number in range(20)))

    assert had == list(range(20))


async def test_an_unused_turn(single: Encoders, bench: Bench) -> None:
    """A turn that was not used is the next one's as soon as it is given back."""
    for _ in range(5):
        async with single.turn() as turn:
            assert not turn.taken

    assert await free(single) == 1
    assert bench.ordered == []


@pytest.mark.parametrize("answer", [MADE, BrokenPicture("torn"), EncoderLost("gone"), RuntimeError("a bug")])
async def test_a_used_turn(answer: Made | Exception, single: Encoders, bench: Bench) -> None:
    """A turn that was used is nobody else's before the picture is answered, well or not, and one again after that."""
    await taking(single, use)
    assert await free(single) == 0
    (making,) = bench.ordered
    if isinstance(answer, Exception):
        making.set_exception(answer)
    else:
        making.set_result(answer)
    await rounds(1)

    assert await free(single) == 1


async def test_the_asker_left(single: Encoders, bench: Bench) -> None:
    """Who leaves before the picture is answered does not give the turn back: the encoder is busy with it still."""

    async def ask() -> Made:
        async with single.turn() as turn:
            making = use(turn)
        return await asyncio.shield(making)

    asking = asyncio.create_task(ask())
    await rounds()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert await free(single) == 0
    bench.ordered[0].set_result(MADE)
    await rounds(1)

    assert await free(single) == 1


async def test_a_cancelled_picture(single: Encoders, bench: Bench) -> None:
    """A picture that was called off gives its turn back."""
    await taking(single, use)
    bench.ordered[0].cancel()
    await rounds(1)

    assert await free(single) == 1


@pytest.mark.parametrize("used", [True, False])
async def test_an_error_inside(used: bool, single: Encoders, bench: Bench) -> None:  # noqa: FBT001  (a row)
    """An error gives the turn back exactly once: at once, or where it was used with the picture."""

    def fail(turn: Turn) -> None:
        if used:
            use(turn)
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        await taking(single, fail)
    assert await free(single) == (0 if used else 1)
    for each in bench.ordered:
        each.set_result(MADE)
    await rounds()

    assert await free(single) == 1


async def test_an_order_that_fails(single: Encoders, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A turn with which nothing could be ordered was not used."""

    def fail(*_order: object, **_bars: object) -> Future[Made]:
        raise RuntimeError("a bug")

    monkeypatch.setattr(bench, "make", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        await taking(single, use)

    assert await free(single) == 1


async def test_nobody_looks_at_the_error(single: Encoders, bench: Bench) -> None:
    """An error of a picture whose asker has left is no complaint of the loop's."""
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    await taking(single, use)
    bench.ordered.pop().set_exception(EncoderLost("gone"))
    await rounds()
    gc.collect()

    assert complaints == []


async def cancelled(waiting: Task[Any]) -> None:
    """Let it wait, and end it."""
    await rounds()
    assert not waiting.done()
    waiting.cancel()
    with suppress(asyncio.CancelledError):
        await waiting


async def test_waiting_for_a_turn_is_given_up(single: Encoders) -> None:
    """Who waits for a turn and leaves takes nothing along, and keeps nobody behind them waiting."""
    async with single.turn():
        leaving = asyncio.create_task(taking(single, use))
        staying = asyncio.create_task(taking(single, lambda _turn: None))
        await cancelled(leaving)
        assert not staying.done()
    async with asyncio.timeout(10 * SECONDS):
        await staying

    assert await free(single) == 1


async def test_waiting_for_the_process_is_given_up(single: Encoders, bench: Bench) -> None:
    """Who has a turn, waits for the process to begin, and leaves gives it back."""
    bench.opened.clear()
    await cancelled(asyncio.create_task(taking(single, use)))
    bench.opened.set()

    assert await free(single) == 1
    assert bench.ordered == []


async def test_forget(single: Encoders, bench: Bench) -> None:
    """A camera that nobody needs made smaller is forgotten by the process."""
    single.forget(5)

    assert bench.forgotten == [5]


def refused(encoders: Encoders, mine: int) -> HttpError:
    """The error that tells one who comes too many."""
    with pytest.raises(HttpError) as caught:
        encoders.enter(mine, bounded=True)
    return caught.value


@pytest.mark.parametrize(
    ("limits", "there", "mine", "key", "most"),
    [
        (LimitsConfig(renditions=3), 3, 0, "renditions", 3),
        (LimitsConfig(renditions=3), 4, 0, "renditions", 3),
        (LimitsConfig(renditions_per_camera=2), 2, 2, "renditions_per_camera", 2),
        (LimitsConfig(renditions=2, renditions_per_camera=2), 2, 2, "renditions", 2),
        (LimitsConfig(), 64, 0, "renditions", 64),
        (LimitsConfig(), 16, 16, "renditions_per_camera", 16),
    ],
)
async def test_too_many(limits: LimitsConfig, there: int, mine: int, key: str, most: int) -> None:
    """One that is too many, in all or of its camera, is 503 that names the limit and says when to come again."""
    encoders = Encoders(limits)
    encoders.renditions = there
    error = refused(encoders, mine)

    assert (error.status, error.facts) == (503, {"limit": key, "most": most})
    assert error.headers["Retry-After"] == str(RETRY_AFTER)
    assert "ask for one that others watch" in str(error)
    assert encoders.renditions == there


async def test_room(encoders: Encoders) -> None:
    """Up to the limit there is room, and one that leaves makes room for the next."""
    encoders.limits = LimitsConfig(renditions=2)
    encoders.enter(0, bounded=True)
    encoders.enter(1, bounded=True)
    refused(encoders, 0)
    encoders.leave()
    encoders.enter(1, bounded=True)

    assert encoders.renditions == 2


async def test_no_limit(encoders: Encoders) -> None:
    """Where both limits are 0 there is always room."""
    encoders.limits = LimitsConfig(renditions=0, renditions_per_camera=0)
    for mine in range(100):
        encoders.enter(mine, bounded=True)

    assert encoders.renditions == 100


async def test_unbounded(encoders: Encoders) -> None:
    """What a viewer needs so that its pictures keep their size is made beyond the limit, and counted."""
    encoders.limits = LimitsConfig(renditions=1, renditions_per_camera=1)
    for mine in range(3):
        encoders.enter(mine, bounded=False)

    assert encoders.renditions == 3


LINGER = 0.02


async def lingered() -> None:
    """Wait until what was to happen after `LINGER` has: the loop calls in the order in which calls are due."""
    await asyncio.sleep(2 * LINGER)
    await rounds()


async def process_of(encoders: Encoders) -> Process:
    """Its process, begun if need be."""
    async with asyncio.timeout(10 * SECONDS):
        return await encoders._workshop.process()


async def test_idle(encoders: Encoders, monkeypatch: pytest.MonkeyPatch) -> None:
    """A while after the last rendition the process is ended, and begins anew for the next."""
    monkeypatch.setattr(module, "LINGER", LINGER)
    encoders.enter(0, bounded=True)
    first = await process_of(encoders)
    encoders.leave()
    async with asyncio.timeout(10 * SECONDS):
        await first.ended.wait()
    encoders.enter(0, bounded=True)
    async with encoders.turn() as turn:
        making = use(turn)
    async with asyncio.timeout(10 * SECONDS):
        made = await making

    assert decode(bytes(made.jpeg)).shape == (48, 64, 3)
    assert await process_of(encoders) is not first


async def test_not_idle_for_long(single: Encoders, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rendition that comes before that keeps the process, and so does one that stays when others leave."""
    monkeypatch.setattr(module, "LINGER", LINGER)
    for there in range(2):
        single.enter(there, bounded=True)
    single.leave()
    await lingered()
    assert bench.closed == 0
    single.leave()
    single.enter(0, bounded=True)
    await lingered()
    assert bench.closed == 0
    single.leave()
    await lingered()

    assert bench.closed == 1


async def test_closed_while_idle(single: Encoders, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the end the process is ended at once, and nothing is left that would happen later."""
    monkeypatch.setattr(module, "LINGER", LINGER)
    single.enter(0, bounded=True)
    single.leave()
    single.close()
    assert bench.closed == 1
    await lingered()

    assert bench.closed == 1


def small(seq: int) -> Frame:
    """Another frame of the same picture."""
    return replace(BIG, seq=seq)


async def test_busy(encoders: Encoders) -> None:
    """However many ask at once, each gets its picture, and all turns are there in the end."""

    async def ask(seq: int) -> Made:
        async with encoders.turn() as turn:
            making = turn.make(seq % 3, small(seq), (64, 48), 80, bars=False)
        return await making

    async with asyncio.timeout(30 * SECONDS):
        made = await asyncio.gather(*(ask(seq) for seq in range(30)))

    assert len({bytes(each.jpeg) for each in made}) == 1
    assert await free(encoders) == encoders.threads == 2
