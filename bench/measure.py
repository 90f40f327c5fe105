"""One run: start a server on its core, let the audience watch, read the clocks, stop it."""

import http.client
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import load
import metrics
from artifacts import BENCH, LOGS
from metrics import Reading
from rounds import RunFailed
from scenarios import Scenario
from servers import Server
from usage import LOAD_CORE, SERVER_CORE, Snapshot, Usage, pss_kb

START_TIMEOUT = 15.0
STOP_TIMEOUT = 5.0


def measure(server: Server, scenario: Scenario, seconds: float) -> Reading:
    """Return the figures of one run, `seconds` of it measured."""
    with _running(server, scenario) as (pid, port):
        try:
            if not scenario.audience.size:
                return _unwatched(pid, scenario, seconds)
            return _watched(pid, f"http://127.0.0.1:{port}/stream", scenario, seconds)
        except OSError as error:
            raise RunFailed(f"ended while it was measured: {error}") from error


def _unwatched(pid: int, scenario: Scenario, seconds: float) -> Reading:
    time.sleep(scenario.settle)
    return _costs(_window(pid, None, seconds), pss_kb(pid))


def _watched(pid: int, url: str, scenario: Scenario, seconds: float) -> Reading:
    alone = pss_kb(pid)
    with load.watching(url, scenario, seconds) as audience:
        time.sleep(audience.opens + load.MARGIN / 2)
        usage = _window(pid, audience.process.pid, seconds)
        together = pss_kb(pid)
        figures = audience.figures()
    if not figures["frames"]:
        raise RunFailed("the viewers got no frame")
    growth = (together - alone) / scenario.audience.size
    return _costs(usage, together) | load.read(figures, usage) | {metrics.PSS_PER_VIEWER: growth}


def _window(server: int, audience: int | None, seconds: float) -> Usage:
    start = Snapshot.take(server, audience)
    time.sleep(seconds)
    return Usage.between(start, Snapshot.take(server, audience))


def _costs(usage: Usage, pss: int) -> Reading:
    return {metrics.CPU: usage.server * 100, metrics.FOREIGN_CPU: usage.foreign * 100, metrics.PSS: pss / 1024}


@contextmanager
def _running(server: Server, scenario: Scenario) -> Iterator[tuple[int, int]]:
    """The process id and port of a server that is ready; it is stopped at the end, with all it started."""
    port, log = _free_port(), LOGS / f"{scenario.name}-{server.name}.log"
    command, environment = server.command(scenario.video, port), server.environment(scenario.video)
    with log.open("wb") as output, _pinned(SERVER_CORE):
        process = subprocess.Popen(
            command, env=environment, cwd=BENCH.parent, stdout=output, stderr=output, start_new_session=True
        )
    try:
        _wait_ready(process, f"http://127.0.0.1:{port}{server.ready}", log.name)
        yield process.pid, port
    finally:
        _stop(process)


@contextmanager
def _pinned(core: int) -> Iterator[None]:
    """Children started within inherit the core, and so do all their threads."""
    os.sched_setaffinity(0, {core})
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


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
