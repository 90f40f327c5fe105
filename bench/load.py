"""The audience: one run of the load client `mjload`, and its figures."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import metrics
from artifacts import NATIVE
from metrics import Metric, Reading
from scenarios import SLOW_RATE, Scenario
from usage import Usage

ARRIVALS_PER_SECOND = 500
"""Slow enough for the shortest listen queue in use (128) to be emptied in time."""

MARGIN = 0.1
"""Seconds by which mjload's window is longer than ours, so that it is still running when ours is read."""

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
    """A running mjload: its window opens `opens` seconds after the start."""

    process: subprocess.Popen[str]
    opens: float

    def figures(self) -> dict[str, Any]:
        """Wait for its end, and return what it printed."""
        output, _ = self.process.communicate()
        found: dict[str, Any] = json.loads(output)
        return found


@contextmanager
def watching(url: str, scenario: Scenario, seconds: float) -> Iterator[Load]:
    """Let the scenario's audience watch `url`, `seconds` of it measured."""
    arrival = 0.2 + scenario.audience.size / ARRIVALS_PER_SECOND
    times = {"-R": arrival, "-w": scenario.settle, "-d": seconds + MARGIN}
    who = {"-n": scenario.audience.fast, "-k": scenario.audience.slow, "-r": SLOW_RATE}
    options = [str(word) for option in {**who, **times}.items() for word in option]
    with subprocess.Popen([str(NATIVE / "mjload"), *options, url], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Load(process, arrival + scenario.settle)
        finally:
            process.kill()


def read(figures: dict[str, Any], usage: Usage) -> Reading:
    """What the viewers saw, and what it cost the server. Rates throughout: the two windows differ by `MARGIN`."""
    fast = figures["fast"]
    reading = {
        metrics.FPS_MIN: fast["fps_min"],
        metrics.FPS_P50: fast["fps_p50"],
        metrics.CPU_PER_GB: usage.server / figures["rx_gbytes_s"],
        metrics.CPU_PER_SENDS: usage.server / figures["frames_s"] * 1000,
        metrics.FAULTS: float(sum(figures[key] for key in _FAULTS) + sum(fast[key] for key in _FRAME_FAULTS)),
        metrics.LOAD_CPU: usage.load * 100,
    }
    return reading | _percentiles(figures)


def _percentiles(figures: dict[str, Any]) -> dict[Metric, float]:
    """Absent where there is nobody to have them, or frames without a stamp."""
    present = [row for row in _PERCENTILES if figures.get(row[1])]
    return {metric: figures[group][percentile] / unit for metric, group, percentile, unit in present}
