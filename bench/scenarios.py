"""The table of what is measured: who watches what, at which servers, and what mjpegd promises there.

A new scenario is a row of `SCENARIOS`, and its name in the programme that plays it.
"""

from dataclasses import dataclass

from metrics import (
    AGE_MAX,
    AGE_P50,
    BOUNDARY_P50,
    CPU,
    CPU_PER_GB,
    CPU_PER_SENDS,
    ENCODES,
    ENCODES_TO_DUE,
    ENCODES_TO_SENT,
    FAULTS,
    FOREIGN_CPU,
    FPS_MIN,
    FPS_P50,
    FPS_TO_DUE,
    LATENCY_P50,
    LATENCY_P99,
    LIMIT_RATIO,
    LOAD_CPU,
    PSS,
    PSS_PER_VIEWER,
    THROUGHPUT,
    Metric,
)
from setups import Audience, Setup, Video, side_by_side, situation
from targets import Target


@dataclass(frozen=True)
class Scenario:
    """One table of the report. `settle` is the time in seconds from the last viewer's arrival to the first sample.

    Its windows are `stretch` times as long as the others.
    """

    name: str
    about: str
    video: Video
    setups: tuple[Setup, ...]
    columns: tuple[Metric, ...]
    targets: tuple[Target, ...] = ()
    settle: float = 1.0
    rows: str = "server"
    stretch: int = 1


_FULL_HD_60 = Video("1080p", 1920, 1080, 60)
_FULL_HD_30 = Video("1080p", 1920, 1080, 30)
_VGA_30 = Video("480p", 640, 480, 30)
_TINY = Video(None, 320, 240, 1)

_ALL = ("limit", "mjpegd", "ustreamer", "ustreamer-nodelay")
_CAMERA = ("mjpegd", "ustreamer")

_LOOKS = {"width=640": 13, "width=320": 13, "width=960&quality=50": 12, "width=800&fps=10": 12}
"""Four renditions and their viewers. All differ in size: what two have in common is made once, and counted once."""
_HEAVY = tuple(f"quality={quality}" for quality in (80, 70, 60, 50, 40, 30))
"""Full size, each picture encoded anew: more than one core can make."""

_LOOKED_AT = Audience(fast=20)
_DISTURBERS = (Audience(slow=50, rate=0, look="width=640"), *(Audience(fast=1, look=look) for look in _HEAVY))

_NOISE = (LOAD_CPU, FOREIGN_CPU)
_FLOW = (FPS_MIN, FPS_P50, LATENCY_P50, LATENCY_P99, BOUNDARY_P50)
_COST = (CPU, CPU_PER_GB, CPU_PER_SENDS, LIMIT_RATIO, PSS, FAULTS, *_NOISE)

SCENARIOS = (
    Scenario(
        "many",
        "1080p60, 300 KB frames, 50 viewers",
        _FULL_HD_60,
        side_by_side(_ALL, Audience(fast=50)),
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
        side_by_side(_ALL, Audience(fast=1)),
        (*_FLOW, *_COST),
        (Target(LATENCY_P50, "<=", 0.35), Target(LATENCY_P99, "<=", 0.9)),
    ),
    Scenario(
        "slow",
        "1080p30, 300 KB frames, ten fast viewers and five that read 1 MB/s",
        _FULL_HD_30,
        side_by_side((*_ALL, "aiohttp"), Audience(fast=10, slow=5)),
        (*_FLOW, AGE_P50, AGE_MAX, *_COST),
        (
            Target(AGE_P50, "<=", 0.45),
            Target(AGE_MAX, "<=", 0.6),
            Target(FPS_MIN, ">=", 29.5),
            Target(LATENCY_P99, "<=", 2),
        ),
        # A send buffer of 4 MB takes this long to fill and to show its age.
        settle=6.0,
    ),
    Scenario(
        "idle",
        "1080p30, passed through, no viewer",
        _FULL_HD_30,
        side_by_side(_CAMERA),
        (CPU, PSS, FOREIGN_CPU),
        (Target(CPU, "<=", 3), Target(PSS, "<=", 90)),
        settle=2.0,
    ),
    Scenario(
        "viewers-memory",
        "320x240 test pattern, 1 fps, 500 viewers: what each adds to the server's memory",
        _TINY,
        side_by_side(("mjpegd",), Audience(fast=500)),
        (FPS_MIN, PSS, PSS_PER_VIEWER, FAULTS, *_NOISE),
        (Target(PSS_PER_VIEWER, "<=", 16),),
        settle=2.0,
    ),
    Scenario(
        "crowd",
        "480p30, 40 KB frames, 1000 viewers",
        _VGA_30,
        side_by_side(_ALL, Audience(fast=1000)),
        (*_FLOW, PSS_PER_VIEWER, *_COST),
        (
            Target(FPS_MIN, ">=", 29.5),
            Target(CPU_PER_SENDS, "<=", 1.4, against="limit"),
            Target(CPU_PER_SENDS, "<=", 0.4, against="ustreamer"),
            Target(LATENCY_P99, "<=", 13),
        ),
    ),
    Scenario(
        "hundred",
        "1080p60, 300 KB frames, 100 viewers",
        _FULL_HD_60,
        side_by_side(_ALL, Audience(fast=100)),
        (*_FLOW, *_COST),
        (Target(CPU_PER_GB, "<=", 1.15, against="limit"), Target(LATENCY_P99, "<=", 6)),
    ),
    Scenario(
        "flood",
        "1080p60, 300 KB frames, 400 viewers: how much one core can send",
        _FULL_HD_60,
        side_by_side(("limit", *_CAMERA), Audience(fast=400)),
        (THROUGHPUT, *_FLOW, *_COST),
        (Target(THROUGHPUT, ">=", 0.95, against="limit"),),
    ),
    Scenario(
        "renditions",
        "1080p30 in four renditions, watched by one each and by 50",
        _FULL_HD_30,
        (
            situation("one each", *(Audience(fast=1, look=look) for look in _LOOKS)),
            situation("50 viewers", *(Audience(fast=fast, look=look) for look, fast in _LOOKS.items())),
        ),
        (FPS_TO_DUE, ENCODES, ENCODES_TO_DUE, ENCODES_TO_SENT, CPU, PSS, FAULTS, *_NOISE),
        (
            Target(FPS_TO_DUE, ">=", 0.98, subject="50 viewers"),
            Target(ENCODES_TO_DUE, "<=", 1.05, subject="50 viewers"),
            Target(ENCODES_TO_SENT, "<=", 0.1, subject="50 viewers"),
        ),
        settle=2.0,
        rows="situation",
    ),
    Scenario(
        "isolation",
        "1080p30, 20 viewers of the camera's own pictures, alone and beside trouble",
        _FULL_HD_30,
        (
            situation("alone", _LOOKED_AT),
            situation("troubled", _LOOKED_AT, *_DISTURBERS),
            situation("alone, both cores", _LOOKED_AT, both_cores=True),
            situation("troubled, both cores", _LOOKED_AT, *_DISTURBERS, both_cores=True),
        ),
        (*_FLOW, ENCODES, ENCODES_TO_DUE, CPU, PSS, FAULTS, *_NOISE),
        tuple(
            target
            for cores in ("", ", both cores")
            for target in (
                Target(FPS_MIN, ">=", 29.5, subject=f"troubled{cores}"),
                Target(LATENCY_P99, "<=", 1.2, subject=f"troubled{cores}", against=f"alone{cores}"),
            )
        ),
        settle=2.0,
        rows="situation",
        # A hundredth of the frames, which all viewers get at once: of 5 s it is one or two.
        stretch=2,
    ),
)

PROGRAMMES = {
    "servers": ("many", "one", "slow", "idle", "viewers-memory", "crowd"),
    "viewers": ("crowd", "hundred", "slow", "renditions", "flood", "isolation"),
}
"""What is played in one run, by what is asked."""
