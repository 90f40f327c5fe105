"""Waking the loop from another thread."""

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial

import pytest
import uvloop

from mjpegd.bell import Bell
from tests.daemon import SECONDS, descriptors


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def loop(request: pytest.FixtureRequest) -> Iterator[asyncio.AbstractEventLoop]:
    """A loop of each kind; what goes wrong in a callback is raised at the end."""
    loop, errors = request.param(), list[dict[str, object]]()
    loop.set_exception_handler(lambda _, context: errors.append(context))
    yield loop
    loop.close()
    assert errors == []


def in_thread(work: Callable[[], object]) -> threading.Thread:
    """A thread that does it."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def ring(bell: Bell, times: int) -> None:
    """Ring it that often."""
    for _ in range(times):
        bell.ring()


def test_heard(loop: asyncio.AbstractEventLoop) -> None:
    """What a thread rings is heard on the loop's thread, while that waits for nothing else."""
    heard: list[threading.Thread] = []

    async def listen() -> None:
        rung = asyncio.Event()

        def hear() -> None:
            heard.append(threading.current_thread())
            rung.set()

        bell = Bell(loop, hear)
        in_thread(bell.ring)
        async with asyncio.timeout(10 * SECONDS):
            await rung.wait()
        bell.close()

    loop.run_until_complete(listen())

    assert heard == [threading.current_thread()]


def test_once(loop: asyncio.AbstractEventLoop) -> None:
    """However often it is rung before the loop comes to it, it is heard once, and rung again heard again."""
    heard: list[int] = []

    async def listen() -> None:
        bell = Bell(loop, lambda: heard.append(1))
        for _ in range(3):
            in_thread(partial(ring, bell, 5)).join()
            await asyncio.sleep(0.01 * SECONDS)
        bell.close()

    loop.run_until_complete(listen())

    assert len(heard) == 3


def test_closed(loop: asyncio.AbstractEventLoop) -> None:
    """A closed bell is heard no more, also what was rung before, and no ring reaches whose its descriptor is now."""
    heard: list[int] = []

    async def listen() -> int:
        bell = Bell(loop, lambda: heard.append(1))
        bell.ring()
        bell.close()
        bell.close()
        reader, writer = os.pipe()  # one of these has the number that the bell's had
        bell.ring()
        await asyncio.sleep(0.01 * SECONDS)
        os.set_blocking(reader, False)
        with pytest.raises(BlockingIOError):
            os.read(reader, 8)
        os.close(reader)
        os.close(writer)
        return len(heard)

    assert loop.run_until_complete(listen()) == 0


def test_rung_while_it_is_closed(loop: asyncio.AbstractEventLoop) -> None:
    """Threads that go on ringing while bells are closed under their hands write into nobody's file."""
    ended = threading.Event()
    bells: list[Bell] = []

    def keep_ringing() -> None:
        while not ended.is_set():
            for bell in bells:
                bell.ring()

    async def open_and_close() -> bytes:
        got = b""
        for _ in range(200):
            bells[:] = [Bell(loop, lambda: None) for _ in range(5)]
            await asyncio.sleep(0)
            with ExitStack() as stack:
                for bell in bells:
                    bell.close()
                    reader, writer = os.pipe()
                    stack.callback(os.close, reader)
                    stack.callback(os.close, writer)
                    os.set_blocking(reader, False)
                    await asyncio.sleep(0)
                    try:
                        got += os.read(reader, 8)
                    except BlockingIOError:
                        continue
        return got

    threads = [in_thread(keep_ringing) for _ in range(2)]
    got = loop.run_until_complete(open_and_close())
    ended.set()
    for thread in threads:
        thread.join()

    assert got == b""


def test_nothing_stays_open(loop: asyncio.AbstractEventLoop) -> None:
    """A closed bell has given its descriptor back."""

    async def open_and_close() -> tuple[int, int]:
        before = descriptors()
        bells = [Bell(loop, lambda: None) for _ in range(20)]
        during = descriptors()
        for bell in bells:
            bell.close()
        return during - before, descriptors() - before

    assert loop.run_until_complete(open_and_close()) == (20, 0)
