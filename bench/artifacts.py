"""What must be there before anything can be measured: the native programs and the frame sets. Both are kept."""

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

BENCH = Path(__file__).resolve().parent
NATIVE = BENCH / "native" / "build"
FRAMES = BENCH / "build" / "frames"
LOGS = BENCH / "build" / "logs"


def prepare(frame_sets: Iterable[str]) -> None:
    """Build what is missing or out of date."""
    subprocess.run(["make", "--silent", "-C", str(BENCH / "native")], check=True)
    LOGS.mkdir(parents=True, exist_ok=True)
    # A process of its own: the bench itself then needs neither OpenCV nor its memory.
    subprocess.run([sys.executable, str(BENCH / "frames.py"), str(FRAMES), *frame_sets], check=True)
