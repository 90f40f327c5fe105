"""The one encoder process, a real one: how it begins, how it ends, and what becomes of those who wait for it."""

import asyncio
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
import structlog.testing

from mjpegd import log
from mjpegd.backoff import Backoff
from mjpegd.encoding import process as process_module
from mjpegd.encoding import workshop
from mjpegd.encoding.process import Child, Made, Process
from mjpegd.encoding.workshop import Workshop
from mjpegd.errors import BrokenPicture, EncoderLost
from tests.conftest import Inside
from tests.daemon import SECONDS
from tests.pictures import decode, frame, jpeg

BIG = replace(frame(1, (jpeg(128, 96),)), width=128, height=96)
PATIENCE = 20 * SECONDS

Lines = list[dict[str, Any]]


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Lines:
    """What was logged."""
    captured = structlog.testing.LogCapture()
    monkeypatch.setattr(
        log, "get", lambda **context: structlog.wrap_logger(None, processors=[captured]).bind(**context)
    )
    return captured.entries  # type: ignore[return-value]


@pytest.fixture
async def shop(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Workshop]:
    """One with a thread, that begins again soon."""
    monkeypatch.setattr(workshop, "PAUSES", (0.01, 0.01))
    shop = Workshop(1)
    yield shop
    await emptied(shop)


async def emptied(shop: Workshop) -> None:
    """Close it, and wait until all its processes are gone."""
    async with asyncio.timeout(PATIENCE):
        shop.close()
        if shop._beginning is not None:
            await shop._beginning
        await asyncio.sleep(0)
        await asyncio.gather(*shop._endings)


async def begun(shop: Workshop) -> Process:
    """Its process, begun if need be."""
    async with asyncio.timeout(PATIENCE):
        return await shop.process()


def ask(process: Process) -> asyncio.Future[Made]:
    """Order a small picture; that it was lost need not be looked at."""
    asked = process.make(1, BIG, (64, 48), 80, bars=False)
    asked.add_done_callback(lambda asked: asked.cancelled() or asked.exception())
    return asked


async def makes(shop: Workshop) -> None:
    """Have a picture made: what ran once the process was up has run then."""
    process = await begun(shop)
    async with asyncio.timeout(PATIENCE):
        made = await ask(process)
    assert decode(bytes(made.jpeg)).shape == (48, 64, 3)


def events(lines: Lines, level: str) -> list[str]:
    """What was logged at that level."""
    return [line["event"] for line in lines if line["log_level"] == level]


def pids(lines: Lines) -> list[int]:
    """Of the processes that were begun."""
    return [line["pid"] for line in lines if line["event"] == "encoder process started"]


class Watched:
    """A process that is ours, or a stranger's, whose number nobody else gets while we watch."""

    def __init__(self, pid: int) -> None:
        self._descriptor = os.pidfd_open(pid)

    def close(self) -> None:
        """Watch no more."""
        os.close(self._descriptor)

    def is_over(self, within: float = 0.0) -> bool:
        """Whether it has ended, or does so in time."""
        with select.epoll() as polled:
            polled.register(self._descriptor, select.EPOLLIN)
            return bool(polled.poll(within))

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        signal.pidfd_send_signal(self._descriptor, number)


@contextmanager
def watched(pid: int) -> Iterator[Watched]:
    """Watch a process."""
    with closing(Watched(pid)) as process:
        yield process


async def over(process: Watched) -> bool:
    """Whether it has ended, or does so in time, while the loop goes on."""
    return await asyncio.to_thread(process.is_over, PATIENCE)


def proc(pid: int, name: str = "") -> Path:
    """What the kernel tells of a process."""
    return Path(f"/proc/{pid}") / name


def stat(path: Path) -> list[str]:
    """The fields of proc_pid_stat(5) from the third on."""
    return path.read_text().rpartition(")")[2].split()


async def test_a_picture(shop: Workshop, lines: Lines) -> None:
    """Pictures are made in a process of its own, one for all, that is a child of ours and is said to have begun."""
    for _ in range(3):
        await makes(shop)
    (pid,) = pids(lines)

    assert lines == [{"event": "encoder process started", "log_level": "info", "pid": pid, "threads": 1}]
    assert stat(proc(pid, "stat"))[1] == str(os.getpid())
    assert "mjpegd.encoding.worker" in proc(pid, "cmdline").read_text()


async def test_a_broken_picture(shop: Workshop) -> None:
    """A picture that cannot be decoded is told to who asked for it, and the process goes on."""
    process = await begun(shop)
    broken = replace(BIG, seq=2, jpeg=memoryview(b"\xff\xd8 no picture \xff\xd9"))
    with pytest.raises(BrokenPicture, match="could not decode"):
        async with asyncio.timeout(PATIENCE):
            await process.make(1, broken, (64, 48), 80, bars=False)
    await makes(shop)

    assert await begun(shop) is process


async def test_it_stands_back(shop: Workshop, lines: Lines) -> None:
    """It is nicer than we are, each of its threads, and nothing of ours is changed."""
    before = os.getpriority(os.PRIO_PROCESS, 0)
    await makes(shop)
    (pid,) = pids(lines)
    threads = [stat(each / "stat") for each in proc(pid, "task").iterdir()]

    assert len(threads) > 1
    assert {int(thread[16]) for thread in threads} == {min(19, before + process_module.NICE)}
    assert os.getpriority(os.PRIO_PROCESS, 0) == before


async def test_where_niceness_may_not_be_changed(shop: Workshop, lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the kernel allows no niceness, pictures are made all the same, by one that does not stand back."""

    def refuse(*_given: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "setpriority", refuse)
    await makes(shop)
    (pid,) = pids(lines)

    assert int(stat(proc(pid, "stat"))[16]) == os.getpriority(os.PRIO_PROCESS, 0)


async def test_it_goes_first(shop: Workshop, lines: Lines) -> None:
    """Where memory has run out it is killed before the daemon, for which nothing is changed."""
    before = proc(os.getpid(), "oom_score_adj").read_text()
    await begun(shop)
    (pid,) = pids(lines)

    assert int(proc(pid, "oom_score_adj").read_text()) == process_module.EXPENDABLE > int(before)
    assert proc(os.getpid(), "oom_score_adj").read_text() == before


async def test_ctrl_c_is_not_for_it(shop: Workshop, lines: Lines) -> None:
    """It is in a process group of its own: a terminal's signals reach the daemon alone."""
    await begun(shop)
    (pid,) = pids(lines)

    assert os.getpgid(pid) == pid != os.getpgid(0)


async def test_it_has_no_secrets(shop: Workshop, lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    """What our environment says of keys, credentials and our own manager is not in its environment, all else is."""
    for name in ("MJPEGD_KEY", "NOTIFY_SOCKET", "WATCHDOG_USEC", "LISTEN_FDS", "CREDENTIALS_DIRECTORY"):
        monkeypatch.setenv(name, "hunter2")
    monkeypatch.setenv("MALLOC_ARENA_MAX", "3")
    await makes(shop)
    (pid,) = pids(lines)
    environment = proc(pid, "environ").read_text().split("\0")
    names = {each.partition("=")[0] for each in environment}

    assert [each for each in environment if "hunter2" in each] == []
    assert [each for each in names if each.startswith(("MJPEGD_", "NOTIFY_", "WATCHDOG_", "LISTEN_"))] == []
    assert "MALLOC_ARENA_MAX=3" in environment
    assert {*process_module._SETTINGS, "PYTHONPATH", "PATH"} <= names
    assert "hunter2" not in proc(pid, "cmdline").read_text()


async def test_it_holds_nothing_of_ours(shop: Workshop, lines: Lines, tmp_path: Path) -> None:
    """Cameras, viewers and files that we have open are not open in it, also where they would be inherited."""
    with (tmp_path / "ours").open("w") as file, socket.create_server(("127.0.0.1", 0)) as server:
        for each in file, server:
            os.set_inheritable(each.fileno(), True)
        await makes(shop)
        (pid,) = pids(lines)
        held = {path.name: os.readlink(path) for path in proc(pid, "fd").iterdir()}  # noqa: PTH115
        ours = {os.readlink(f"/proc/self/fd/{each.fileno()}") for each in (file, server)}  # noqa: PTH115

    assert held["1"] == os.devnull
    assert held["0"].startswith("socket:")
    assert not ours & set(held.values())
    assert len([each for each in held.values() if each.startswith("socket:")]) == 2  # the one, and its copy


async def test_killed(shop: Workshop, lines: Lines) -> None:
    """When it is killed, what is due is lost, that is said, and another one makes the next picture."""
    await makes(shop)
    process = await begun(shop)
    with watched(pids(lines)[0]) as child:
        child.send(signal.SIGSTOP)
        due = [ask(process), ask(process)]
        child.send(signal.SIGKILL)
        async with asyncio.timeout(PATIENCE):
            for each in due:
                with pytest.raises(EncoderLost):
                    await each
        await makes(shop)
    first, second = pids(lines)
    await emptied(shop)

    assert first != second
    assert [line for line in lines if line["log_level"] == "warning"] == [
        {
            "event": "the encoder process ended: another one takes its place",
            "log_level": "warning",
            "pid": first,
            "how": "signal 9",
        }
    ]
    assert [(line["pid"], line["how"]) for line in lines if line["event"] == "encoder process ended"] == [
        (second, "exit status 0")
    ]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_signals(number: signal.Signals, shop: Workshop, lines: Lines) -> None:
    """What a terminal or a service manager sends to the whole group does not end it: that is for the daemon to do."""
    await makes(shop)
    (pid,) = pids(lines)
    os.kill(pid, number)
    for _ in range(2):
        await makes(shop)

    assert pids(lines) == [pid]
    assert events(lines, "warning") == []


def descriptors() -> set[str]:
    """What we have open."""
    return {f"{path.name} {os.readlink(path)}" for path in Path("/proc/self/fd").iterdir() if path.is_symlink()}  # noqa: PTH115


async def test_close(shop: Workshop, lines: Lines) -> None:
    """When it is closed the process ends by itself, and nothing is left of it, no zombie and no open file."""
    await asyncio.to_thread(int)  # threads that asyncio keeps are there
    before = descriptors()
    await makes(shop)
    (pid,) = pids(lines)
    assert proc(pid).exists()
    await emptied(shop)

    assert events(lines, "info") == ["encoder process started", "encoder process ended"]
    assert lines[-1]["how"] == "exit status 0"
    assert not proc(pid).exists()
    assert descriptors() == before


async def test_closed_and_needed_again(shop: Workshop, lines: Lines) -> None:
    """After it was closed another process begins as soon as one is needed."""
    await makes(shop)
    shop.close()
    await makes(shop)

    assert len(set(pids(lines))) == 2
    assert events(lines, "warning") == []


async def test_closed_while_it_begins(shop: Workshop, lines: Lines) -> None:
    """Where it is closed while the process is beginning, that is not kept either."""
    asking = asyncio.create_task(shop.process())
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.sleep(0)
    shop.close()
    async with asyncio.timeout(PATIENCE):
        while "encoder process ended" not in events(lines, "info"):  # noqa: ASYNC110  (a thread's)
            await asyncio.sleep(0.01)

    assert events(lines, "warning") == []


DAEMON = """
import asyncio
from mjpegd.encoding.workshop import Workshop

async def main():
    shop = Workshop(1)
    await shop.process()
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_daemon_is_killed(number: signal.Signals) -> None:
    """When the daemon ends, however suddenly, the process ends by itself."""
    daemon = subprocess.Popen([sys.executable, "-c", DAEMON], stdout=subprocess.PIPE, text=True)
    assert daemon.stdout is not None
    try:
        started = daemon.stdout.readline()
        (pid,) = (int(each.partition("=")[2]) for each in started.split() if each.startswith("pid="))
        with watched(pid) as child:
            assert not child.is_over()
            daemon.send_signal(number)
            daemon.wait(PATIENCE)
            assert child.is_over(PATIENCE)
    finally:
        daemon.kill()
        daemon.wait()
        daemon.stdout.close()


async def test_stuck(shop: Workshop, lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is stuck is killed, that is said, and another one makes the next picture, also before that."""
    gate, end = threading.Event(), Child.end

    def late(child: Child) -> str:
        assert gate.wait(PATIENCE)
        return end(child)

    monkeypatch.setattr(Child, "end", late)
    monkeypatch.setattr(process_module, "FAREWELL", 0.1)
    await makes(shop)
    process, before = await begun(shop), descriptors()
    with watched(pids(lines)[0]) as child:
        child.send(signal.SIGSTOP)
        with monkeypatch.context() as patch:
            patch.setattr(process_module, "PATIENCE", 0.1)
            due = ask(process)
        with pytest.raises(EncoderLost):
            async with asyncio.timeout(PATIENCE):
                await due
        await makes(shop)
        assert not child.is_over()
        gate.set()
        assert await over(child)
    await emptied(shop)

    assert [(line["pid"], line["how"]) for line in lines if line["log_level"] == "warning"] == [
        (pids(lines)[0], "signal 9")
    ]
    assert len(pids(lines)) == 2
    assert len(descriptors()) < len(before)


class Failing:
    """Fails so many times, and does it then; knows when it was tried."""

    def __init__(self, do: Callable[..., Any], error: Exception, times: int) -> None:
        self.tried: list[float] = []
        self._do, self._error, self._times = do, error, times

    def __call__(self, *given: Any) -> Any:
        self.tried.append(monotonic())
        if len(self.tried) <= self._times:
            raise self._error
        return self._do(*given)


PAUSE = 0.05


@pytest.fixture
async def inside(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Workshop]:
    """One whose process is a thread, and begins again after a pause."""
    monkeypatch.setattr(workshop, "PAUSES", (PAUSE, PAUSE))
    monkeypatch.setattr(workshop, "Child", Inside)
    shop = Workshop(1)
    yield shop
    await emptied(shop)


@pytest.mark.parametrize(
    ("name", "error"),
    [("Child", OSError(12, "Cannot allocate memory")), ("aside", RuntimeError("can't start new thread"))],
)
async def test_a_start_that_fails(
    name: str, error: Exception, inside: Workshop, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start that fails, for want of memory, processes or threads, is said, and tried again after a pause."""
    failing = Failing(getattr(workshop, name), error, 3)
    monkeypatch.setattr(workshop, name, failing)
    async with asyncio.timeout(PATIENCE):
        first, second = await asyncio.gather(inside.process(), inside.process())
    await makes(inside)

    assert first is second
    assert len(failing.tried) == 4
    assert min(after - before for before, after in pairwise(failing.tried)) > 0.7 * PAUSE
    assert (
        lines[:3]
        == [
            {
                "event": "cannot start the encoder process: no renditions meanwhile",
                "log_level": "error",
                "reason": str(error),
            }
        ]
        * 3
    )
    assert events(lines, "info") == ["encoder process started"]


async def test_pauses_between_starts(inside: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that has lasted is followed by the next at once, one that has just begun after a pause."""
    starts = Failing(Inside, OSError(), 0)
    monkeypatch.setattr(workshop, "Child", starts)
    (await begun(inside)).close()
    (await begun(inside)).close()
    assert starts.tried[1] - starts.tried[0] > 0.7 * PAUSE
    monkeypatch.setattr(workshop, "LASTING", 0.0)
    monkeypatch.setattr(Backoff, "pause", None)
    await begun(inside)

    assert len(starts.tried) == 3


async def test_begun_once(inside: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many need it at once, one is begun; who leaves meanwhile does not take it from the others."""
    starts = Failing(Inside, OSError(), 0)
    monkeypatch.setattr(workshop, "Child", starts)
    asking = [asyncio.create_task(inside.process()) for _ in range(5)]
    await asyncio.sleep(0)
    asking[0].cancel()
    async with asyncio.timeout(PATIENCE):
        left, *others = await asyncio.gather(*asking, return_exceptions=True)

    assert isinstance(left, asyncio.CancelledError)
    assert others == [await inside.process()] * 4
    assert len(starts.tried) == 1


async def test_forget(inside: Workshop) -> None:
    """To forget begins no process; where there is one, it is told."""
    inside.forget(1)
    assert inside._beginning is None
    process = await begun(inside)
    asked = ask(process)
    inside.forget(1)
    async with asyncio.timeout(PATIENCE):
        await asked
        await ask(process)
