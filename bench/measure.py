"""One run: start a server on its core, let the audience watch, read the clocks, stop it."""

import http.client
import os
import re
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import encodes
import load
import metrics
from artifacts import BENCH, LOGS
from encodes import Count
from metrics import Reading
from rounds import RunFailed
from scenarios import Scenario
from servers import Server
from setups import Setup
from usage import LOAD_CORE, Snapshot, Usage, pss_kb

START_TIMEOUT = 15.0
STOP_TIMEOUT = 5.0

COUNT_BEFORE = 0.2
"""Seconds before the viewers' window at which encoded pictures are counted; then once more when the viewers have left:
nothing is encoded from then on."""


def measure(server: Server, scenario: Scenario, setup: Setup, seconds: float) -> Reading:
    """Return the figures of one run, `seconds` of it measured."""
    with _running(server, scenario, setup) as (pid, port):
        sitting = Sitting(pid, f"http://127.0.0.1:{port}", scenario, setup, seconds * scenario.stretch)
        try:
            return sitting.watched() if setup.audiences else sitting.unwatched()
        except OSError as error:
            raise RunFailed(f"ended while it was measured: {error}") from error


@dataclass(frozen=True)
class Sitting:
    """A server that runs, by its process id and its address, and what is to be measured of it for `seconds`."""

    pid: int
    address: str
    scenario: Scenario
    setup: Setup
    seconds: float

    def unwatched(self) -> Reading:
        """What it costs by itself."""
        time.sleep(self.scenario.settle)
        return _costs(self._window(), pss_kb(self.pid))

    def watched(self) -> Reading:
        """What its viewers see, and what they cost."""
        alone = pss_kb(self.pid)
        with load.watching(self.address, self.setup, self.scenario.settle, self.seconds) as audience:
            opens = time.monotonic() + audience.opens
            _sleep_until(opens - COUNT_BEFORE)
            start = self._count()
            _sleep_until(opens + load.MARGIN / 2)
            usage = self._window(*audience.pids)
            together = pss_kb(self.pid)
            figures = audience.figures()
            end = self._count()
        if not figures[0]["frames"]:
            raise RunFailed("the viewers got no frame")
        growth = {metrics.PSS_PER_VIEWER: (together - alone) / self.setup.size}
        seen = load.read(figures, usage, self.setup, self.scenario.video)
        return _costs(usage, together) | self._encoded(start, end) | seen | growth

    def _count(self) -> Count | None:
        """What is encoded so far, if there are renditions: outside of the viewers' window, which it would disturb."""
        return Count.take(self.address) if self.setup.renditions else None

    def _encoded(self, start: Count | None, end: Count | None) -> Reading:
        return encodes.read(start, end, self.setup, self.scenario.video) if start and end else {}

    def _window(self, *audience: int) -> Usage:
        start = Snapshot.take(self.pid, *audience)
        time.sleep(self.seconds)
        return Usage.between(start, Snapshot.take(self.pid, *audience))


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))


def _costs(usage: Usage, pss: int) -> Reading:
    return {metrics.CPU: usage.server * 100, metrics.FOREIGN_CPU: usage.foreign * 100, metrics.PSS: pss / 1024}


@contextmanager
def _running(server: Server, scenario: Scenario, setup: Setup) -> Iterator[tuple[int, int]]:
    """The process id and port of a server that is ready; it is stopped at the end, with all it started."""
    port, log = _free_port(), LOGS / f"{scenario.name}-{_word(setup.name)}.log"
    command, environment = server.command(scenario.video, port), server.environment(scenario.video)
    with log.open("wb") as output, _pinned(setup.cores):
        process = subprocess.Popen(
            command, env=environment, cwd=BENCH.parent, stdout=output, stderr=output, start_new_session=True
        )
    try:
        _wait_ready(process, f"http://127.0.0.1:{port}{server.ready}", log.name)
        yield process.pid, port
    finally:
        _stop(process)


@contextmanager
def _pinned(cores: Collection[int]) -> Iterator[None]:
    """Children started within inherit the cores, and so do all their threads."""
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, {LOAD_CORE})


def _wait_ready(process: subprocess.Popen[bytes], url: str, log: str) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while not _answers(url):
        if process.poll() is not None:
            raise RunFailed(f"ended with status {process.returncode} before it was ready: see {log}")
        if time.monotonic() > deadline:
            raise RunFailed(f"not ready after {START_TIMEOUT:g} s: see {log}")
        time.sleep(0.05)


def _answers(url: str) -> bool:
    """Whether a GET of `url` is answered 200; a refusal of any kind is a "not yet"."""
    try:
        with urllib.request.urlopen(url, timeout=1) as response:  # noqa: S310  (an http address made here)
            return bool(response.status == 200)
    except (OSError, http.client.HTTPException):
        return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the server, then end what is left of its group."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_TIMEOUT)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _word(name: str) -> str:
    """A row's name as part of a file's."""
    return "-".join(re.findall(r"\w+", name))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
