"""The audiences: runs of the load client `mjload`, one for each, and their figures."""

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import metrics
from artifacts import NATIVE
from metrics import Metric, Reading
from setups import Audience, Setup, Video
from usage import Usage

ARRIVALS_PER_SECOND = 500
"""Slow enough for the shortest listen queue in use (128) to be emptied in time."""

MARGIN = 0.1
"""Seconds by which mjload's window is longer than ours, so that it is still running when ours is read."""

FIRST = ("chrt", "--fifo", "1")
"""Puts viewers before a server on their core: on a network they would have cores of their own."""

Figures = dict[str, Any]
"""What one mjload printed."""

_PERCENTILES = (
    (metrics.LATENCY_P50, "lat_us", "p50", 1e3),
    (metrics.LATENCY_P99, "lat_us", "p99", 1e3),
    (metrics.BOUNDARY_P50, "lat_boundary_us", "p50", 1e3),
    (metrics.AGE_P50, "slow_lat_us", "p50", 1e6),
    (metrics.AGE_MAX, "slow_lat_us", "max", 1e6),
)
_FAULTS = ("connect_fail", "closed_by_server", "http_not_200")
_FRAME_FAULTS = ("dup", "backwards", "bad")


@dataclass(frozen=True)
class Load:
    """Running mjloads, one for each audience: their windows open `opens` seconds after the start."""

    processes: Sequence[subprocess.Popen[str]]
    opens: float

    @property
    def pids(self) -> list[int]:
        """Their process ids."""
        return [process.pid for process in self.processes]

    def figures(self) -> list[Figures]:
        """Wait for their end, and return what they printed."""
        return [json.loads(process.communicate()[0]) for process in self.processes]


@contextmanager
def watching(server: str, setup: Setup, settle: float, seconds: float) -> Iterator[Load]:
    """Let all audiences watch the server at that address, `seconds` of it measured."""
    arrival = 0.2 + max(audience.size for audience in setup.audiences) / ARRIVALS_PER_SECOND
    times = {"-R": arrival, "-w": settle, "-d": seconds + MARGIN}
    before = FIRST if setup.shares_core else ()
    commands = [[*before, *_command(server, audience, times)] for audience in setup.audiences]
    with ExitStack() as stack:
        processes = [stack.enter_context(_running(command)) for command in commands]
        yield Load(processes, arrival + settle)


def missing(setup: Setup) -> str | None:
    """Why these audiences cannot watch here; None when they can."""
    if not setup.shares_core or not subprocess.run([*FIRST, "true"], capture_output=True, check=False).returncode:
        return None
    return "viewers may not run with real-time priority"


def _command(server: str, audience: Audience, times: dict[str, float]) -> list[str]:
    options = {"-n": audience.fast, "-k": audience.slow, "-r": audience.rate, **times}
    words = (str(word) for option in options.items() for word in option)
    return [str(NATIVE / "mjload"), *words, f"{server}/stream" + f"?{audience.look}" * bool(audience.look)]


@contextmanager
def _running(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def read(found: Sequence[Figures], usage: Usage, setup: Setup, video: Video) -> Reading:
    """What the viewers saw, and what it cost the server. Rates throughout: the two windows differ by `MARGIN`."""
    first = found[0]["fast"]
    gigabytes, frames = (sum(figures[key] for figures in found) for key in ("rx_gbytes_s", "frames_s"))
    reading = {
        metrics.FPS_MIN: first["fps_min"],
        metrics.FPS_P50: first["fps_p50"],
        metrics.FPS_TO_DUE: _share(found, setup, video),
        metrics.THROUGHPUT: gigabytes,
        metrics.CPU_PER_GB: usage.server / gigabytes,
        metrics.CPU_PER_SENDS: usage.server / frames * 1000,
        metrics.FAULTS: sum(map(_faults, found)),
        metrics.LOAD_CPU: usage.load * 100,
    }
    return reading | _percentiles(found[0])


def _share(found: Sequence[Figures], setup: Setup, video: Video) -> float:
    """Of the frames that are due to a fast viewer, what the one with the fewest gets."""
    pairs = zip(setup.audiences, found, strict=True)
    return min(float(figures["fast"]["fps_min"]) / audience.pace(video) for audience, figures in pairs if audience.fast)


def _faults(figures: Figures) -> float:
    return float(sum(figures[key] for key in _FAULTS) + sum(figures["fast"][key] for key in _FRAME_FAULTS))


def _percentiles(figures: Figures) -> dict[Metric, float]:
    """Absent where there is nobody to have them, or frames without a stamp."""
    present = [row for row in _PERCENTILES if figures.get(row[1])]
    return {metric: figures[group][percentile] / unit for metric, group, percentile, unit in present}
