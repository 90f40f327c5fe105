"""Five network cameras on two cores: `python bench/cameras.py [--quick] [--only MODE ...]`.

Exit status: 0 when every mode was measured, whatever the targets say; 1 when one could not be.
"""

import argparse
import json
import logging
import os
import platform
import signal
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from modes import MODES, TABLE  # noqa: E402  (the tests' servers play the cameras: found by the line above)
from report import Report  # noqa: E402
from rounds import FOREIGN_MOST, Entrant, play  # noqa: E402
from usage import CORES  # noqa: E402

from tests.rtsp import RtspServer  # noqa: E402
from tests.servers.loop import Loop  # noqa: E402

LOOPS = ROOT / "bench" / "build" / "loops"
CAMERA = Loop("h264", 1280, 720, 25, 10)
CAMERAS = 5

CAPTION = """# mjpegd bench, network cameras

{system}, Python {python}, cores {cores}. Medians of {rounds} x {seconds:g} s, modes in turn; the cameras, mjpegd and \
the viewers share the cores. CPU and memory are those of mjpegd's process tree. Latency is to the viewer's last byte \
of a picture: from mjpegd's own stamp, and from the moment at which the camera took it. Runs in which other programs \
used more than {foreign:g} % of a core are dropped."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return the exit status."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    # Unwind on SIGTERM as on Ctrl-C, so that no server is left behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    if not set(CORES) <= os.sched_getaffinity(0):
        sys.exit(f"bench: needs the cores {CORES}")
    os.sched_setaffinity(0, CORES)
    rounds, seconds = (options.rounds or 1, 3.0) if options.quick else (options.rounds or 3, 10.0)
    print(_caption(rounds, seconds, options.foreign), flush=True)
    with _cameras() as peers:
        modes = [mode for mode in MODES if mode.name in options.only]
        entrants = [Entrant(mode.name, partial(mode.run, peers, seconds)) for mode in modes]
        report = Report(TABLE, play(TABLE.name, entrants, rounds, options.foreign))
    print(f"\n{report.markdown()}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(report.data(), indent=1) + "\n")
    return int(report.failed)


def _cameras() -> RtspServer:
    try:
        return RtspServer(LOOPS, *[CAMERA] * CAMERAS)
    except pytest.skip.Exception as missing:
        sys.exit(f"bench: {missing}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench/cameras.py", description="Measure mjpegd with network cameras.")
    names = [mode.name for mode in MODES]
    parser.add_argument("--quick", action="store_true", help="one round of 3 s: a look, not a result")
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="MODE", help=", ".join(names))
    parser.add_argument("--rounds", type=int, help="3, or 1 with --quick")
    parser.add_argument("--foreign", type=float, default=FOREIGN_MOST, metavar="PERCENT", help="see the caption")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every run's figures there too")
    return parser


def _caption(rounds: int, seconds: float, foreign: float) -> str:
    return CAPTION.format(
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        cores=" and ".join(map(str, CORES)),
        rounds=rounds,
        seconds=seconds,
        foreign=foreign,
    )


if __name__ == "__main__":
    sys.exit(main())
