"""The table of what is measured: who watches what, at which servers, and what mjpegd promises there.

A new scenario is a row of `SCENARIOS`; nothing else names one.
"""

from dataclasses import dataclass

from metrics import (
    AGE_MAX,
    AGE_P50,
    BOUNDARY_P50,
    CPU,
    CPU_PER_GB,
    CPU_PER_SENDS,
    FAULTS,
    FOREIGN_CPU,
    FPS_MIN,
    FPS_P50,
    LATENCY_P50,
    LATENCY_P99,
    LIMIT_RATIO,
    LOAD_CPU,
    PSS,
    PSS_PER_VIEWER,
    Metric,
)
from targets import Target


@dataclass(frozen=True)
class Video:
    """What the camera gives. `frames` names a frame set; None is mjpegd's own test pattern."""

    frames: str | None
    width: int
    height: int
    fps: int


@dataclass(frozen=True)
class Audience:
    """Who watches: viewers that read all they can, and slow ones that read `SLOW_RATE` bytes a second each."""

    fast: int = 0
    slow: int = 0

    @property
    def size(self) -> int:
        """All viewers."""
        return self.fast + self.slow


@dataclass(frozen=True)
class Scenario:
    """One table of the report. `settle` is the time in seconds from the last viewer's arrival to the first sample."""

    name: str
    about: str
    video: Video
    audience: Audience
    servers: tuple[str, ...]
    columns: tuple[Metric, ...]
    targets: tuple[Target, ...] = ()
    settle: float = 1.0
    rows: str = "server"


SLOW_RATE = 1_000_000

_FULL_HD_60 = Video("1080p", 1920, 1080, 60)
_FULL_HD_30 = Video("1080p", 1920, 1080, 30)
_VGA_30 = Video("480p", 640, 480, 30)
_TINY = Video(None, 320, 240, 1)

_ALL = ("limit", "mjpegd", "ustreamer", "ustreamer-nodelay")
_CAMERA = ("mjpegd", "ustreamer")

_NOISE = (LOAD_CPU, FOREIGN_CPU)
_FLOW = (FPS_MIN, FPS_P50, LATENCY_P50, LATENCY_P99, BOUNDARY_P50)
_COST = (CPU, CPU_PER_GB, CPU_PER_SENDS, LIMIT_RATIO, PSS, FAULTS, *_NOISE)

SCENARIOS = (
    Scenario(
        "many",
        "1080p60, 300 KB frames, 50 viewers",
        _FULL_HD_60,
        Audience(fast=50),
        _ALL,
        (*_FLOW, *_COST),
        (
            Target(FPS_MIN, ">=", 59),
            Target(CPU_PER_GB, "<=", 1.3, against="limit"),
            Target(CPU_PER_GB, "<=", 0.25, against="ustreamer"),
            Target(CPU_PER_GB, "<=", 0.25, against="ustreamer-nodelay"),
            Target(LATENCY_P50, "<=", 1.5),
            Target(LATENCY_P99, "<=", 4),
        ),
    ),
    Scenario(
        "one",
        "1080p60, 300 KB frames, one viewer",
        _FULL_HD_60,
        Audience(fast=1),
        _ALL,
        (*_FLOW, *_COST),
        (Target(LATENCY_P50, "<=", 0.35), Target(LATENCY_P99, "<=", 0.9)),
    ),
    Scenario(
        "slow",
        "1080p30, 300 KB frames, ten fast viewers and five that read 1 MB/s",
        _FULL_HD_30,
        Audience(fast=10, slow=5),
        _ALL,
        (*_FLOW, AGE_P50, AGE_MAX, *_COST),
        (Target(AGE_P50, "<=", 0.45), Target(FPS_MIN, ">=", 29.5), Target(LATENCY_P99, "<=", 2)),
        # A send buffer of 4 MB takes this long to fill and to show its age.
        settle=6.0,
    ),
    Scenario(
        "idle",
        "1080p30, passed through, no viewer",
        _FULL_HD_30,
        Audience(),
        _CAMERA,
        (CPU, PSS, FOREIGN_CPU),
        (Target(CPU, "<=", 3), Target(PSS, "<=", 90)),
        settle=2.0,
    ),
    Scenario(
        "viewers-memory",
        "320x240 test pattern, 1 fps, 500 viewers: what each adds to the server's memory",
        _TINY,
        Audience(fast=500),
        ("mjpegd",),
        (FPS_MIN, PSS, PSS_PER_VIEWER, FAULTS, *_NOISE),
        (Target(PSS_PER_VIEWER, "<=", 16),),
        settle=2.0,
    ),
    Scenario(
        "crowd",
        "480p30, 40 KB frames, 1000 viewers (for information)",
        _VGA_30,
        Audience(fast=1000),
        _ALL,
        (*_FLOW, *_COST),
    ),
)
