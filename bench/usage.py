"""What processes use: CPU time and memory, from the kernel's own counters."""

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

SERVER_CORE, LOAD_CORE = CORES = 0, 1
_TICK = os.sysconf("SC_CLK_TCK")
_IDLE_FIELDS = slice(4, 6)
"""Of a `cpuN` line in /proc/stat: idle, iowait."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Seconds on the clocks: the wall's, the CPU time of three parties, and the idle time of the cores in use."""

    wall: float
    server: float
    load: float
    bench: float
    idle: float

    @classmethod
    def take(cls, server: int, *loads: int) -> "Snapshot":
        """Read them all, for the process trees of these ids."""
        used = sum(map(cpu_seconds, loads))
        return cls(time.monotonic(), cpu_seconds(server), used, time.process_time(), _idle_seconds())


@dataclass(frozen=True, slots=True)
class Usage:
    """Shares of one core. `foreign` is all that is neither the server's, the load client's nor the bench's own."""

    server: float
    load: float
    bench: float
    foreign: float

    @classmethod
    def between(cls, start: Snapshot, end: Snapshot) -> "Usage":
        """The means over a window."""
        wall = end.wall - start.wall
        parties = start.server, start.load, start.bench
        server, load, bench = (
            (after - before) / wall for before, after in zip(parties, (end.server, end.load, end.bench), strict=True)
        )
        unused = (end.idle - start.idle) / wall
        return cls(server, load, bench, max(0.0, len(CORES) - unused - server - load - bench))


def cpu_seconds(root: int) -> float:
    """User and system time of a process tree, all threads.

    The same account as utime + stime in /proc/PID/stat, but in nanoseconds: that file's 10 ms are a third of what one
    viewer costs in three seconds. The clock's id is that of clock_getcpuclockid(3).
    """
    return sum(time.clock_gettime(~pid << 3 | 2) for pid in _tree(root))


def pss_kb(root: int) -> int:
    """The proportional set size of a process tree."""
    return sum(_pss_kb(pid) for pid in _tree(root))


def _pss_kb(pid: int) -> int:
    found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    return int(found[1]) if found else 0


def _tree(root: int) -> list[int]:
    lists = (path.read_text().split() for path in Path(f"/proc/{root}/task").glob("*/children"))
    return [root, *(pid for children in lists for child in children for pid in _tree(int(child)))]


def _idle_seconds() -> float:
    """Idle time is kept by the clock; the busy fields are sampled at ticks, which timed work can slip between."""
    lines = (line.split() for line in Path("/proc/stat").read_text().splitlines())
    names = {f"cpu{core}" for core in CORES}
    return sum(int(field) for words in lines if words[0] in names for field in words[_IDLE_FIELDS]) / _TICK
