"""FFmpeg's options for one opening, though OpenCV takes them from an environment variable, which all threads share.

OpenCV reads the variable in the first microseconds of an opening, which then may take as long as its timeout. So those
who want the same options go side by side, and who wants others waits until the last reading is over for certain.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

VARIABLE = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
READ_WITHIN = 1.0
"""Seconds after which an opening that began has read the variable, however busy the machine."""

# Here once, before any thread: glibc then changes it in place, and a getenv elsewhere never meets a moving list.
os.environ.setdefault(VARIABLE, "")

_turn = threading.Condition()
_readers: dict[object, float] = {}
"""Who may still be about to read, and until when."""


@contextmanager
def options(text: str) -> Iterator[None]:
    """Have what is opened within be given these options: `key;value|key;value`."""
    reader = object()
    with _turn:
        while (wait := _last_reading() - monotonic()) > 0 and os.environ[VARIABLE] != text:
            _turn.wait(wait)
        os.environ[VARIABLE] = text
        _readers[reader] = monotonic() + READ_WITHIN
    try:
        yield
    finally:
        with _turn:
            del _readers[reader]
            _turn.notify_all()


def _last_reading() -> float:
    return max(_readers.values(), default=0.0)
