"""The threads that make renditions, and how many renditions there may be."""

import asyncio
import os
import threading
from functools import partial

import pytest

from mjpegd import encoders as module
from mjpegd.config.schema import LimitsConfig
from mjpegd.encoders import Encoders
from mjpegd.errors import RETRY_AFTER, HttpError
from tests.daemon import SECONDS


async def test_work_is_done_off_the_loop(encoders: Encoders) -> None:
    """What is run gives its result, in a thread that is named for what it does."""
    thread = await encoders.run(threading.current_thread)

    assert thread is not threading.current_thread()
    assert thread.name.startswith("encoder")


async def test_an_error_comes_back(encoders: Encoders) -> None:
    """What the work raises, who asked for it is raised, and the next one is done."""

    def fail() -> None:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        await encoders.run(fail)

    assert await encoders.run(lambda: 5) == 5


@pytest.mark.parametrize(
    ("asked", "cores", "threads"), [(0, 1, 1), (0, 2, 1), (0, 3, 2), (0, 4, 3), (0, 64, 4), (1, 64, 1), (9, 2, 9)]
)
async def test_threads(asked: int, cores: int, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """There are as many threads as are asked for, else one for each core but one, and four at most."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    encoders, all_here = Encoders(LimitsConfig(encoders=asked)), threading.Barrier(threads, timeout=10 * SECONDS)

    def work() -> str:
        all_here.wait()
        return threading.current_thread().name

    names = await asyncio.gather(*(encoders.run(work) for _ in range(3 * threads)))
    encoders.close()

    assert len(set(names)) == threads


async def test_turns() -> None:
    """Work is done in the order in which it was asked for."""
    encoders, done = Encoders(LimitsConfig(encoders=1)), list[int]()
    await asyncio.gather(*(encoders.run(partial(done.append, number)) for number in range(20)))
    encoders.close()

    assert done == list(range(20))


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
def test_too_many(limits: LimitsConfig, there: int, mine: int, key: str, most: int) -> None:
    """One that is too many, in all or of its camera, is 503 that names the limit and says when to come again."""
    encoders = Encoders(limits)
    encoders.renditions = there
    error = refused(encoders, mine)

    assert (error.status, error.facts) == (503, {"limit": key, "most": most})
    assert error.headers["Retry-After"] == str(RETRY_AFTER)
    assert "ask for one that others watch" in str(error)
    assert encoders.renditions == there


def test_room(encoders: Encoders) -> None:
    """Up to the limit there is room, and one that leaves makes room for the next."""
    encoders.limits = LimitsConfig(renditions=2)
    encoders.enter(0, bounded=True)
    encoders.enter(1, bounded=True)
    refused(encoders, 0)
    encoders.leave()
    encoders.enter(1, bounded=True)

    assert encoders.renditions == 2


def test_no_limit(encoders: Encoders) -> None:
    """Where both limits are 0 there is always room."""
    encoders.limits = LimitsConfig(renditions=0, renditions_per_camera=0)
    for mine in range(100):
        encoders.enter(mine, bounded=True)

    assert encoders.renditions == 100


def test_unbounded(encoders: Encoders) -> None:
    """What a viewer needs so that its pictures keep their size is made beyond the limit, and counted."""
    encoders.limits = LimitsConfig(renditions=1, renditions_per_camera=1)
    for mine in range(3):
        encoders.enter(mine, bounded=False)

    assert encoders.renditions == 3


async def test_close() -> None:
    """What waits when it is closed is never begun, and what is under way is not waited for."""
    encoders, begun, gate = Encoders(LimitsConfig(encoders=1)), threading.Event(), threading.Event()
    begun_late: list[int] = []

    def work() -> None:
        begun.set()
        gate.wait(10 * SECONDS)

    running = asyncio.create_task(encoders.run(work))
    waiting = asyncio.create_task(encoders.run(lambda: begun_late.append(1)))
    await asyncio.to_thread(begun.wait, 10 * SECONDS)
    encoders.close()
    assert not gate.is_set()
    gate.set()
    await running
    with pytest.raises(asyncio.CancelledError):
        await waiting

    assert begun_late == []


async def test_encoders_stand_back(encoders: Encoders) -> None:
    """The threads of cameras and viewers come first: an encoder's is nicer, and no other thread is changed."""

    def niceness() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    before = niceness()

    assert await encoders.run(niceness) == min(19, before + module.NICE)
    assert niceness() == before
