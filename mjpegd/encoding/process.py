"""The encoder process as the loop sees it: orders go in, pictures come out, and one day it ends."""

import asyncio
import os
import socket
import subprocess
import sys
from contextlib import ExitStack, suppress
from itertools import count
from pathlib import Path
from typing import NamedTuple, cast

from mjpegd.encoding import orders
from mjpegd.encoding.orders import ANSWER, FORGET, ORDER, Order, Outcome
from mjpegd.errors import BrokenPicture, EncoderLost
from mjpegd.frame import Frame
from mjpegd.look import Size

PATIENCE = 30.0
"""Seconds that one picture may take before the process is taken for stuck and is ended, whatever else it makes. It
takes a few hundredths; where other programs leave the process hardly any time, a few seconds."""

ROOM = 1 << 20
"""Bytes that a socket is asked to hold, so that a picture is written at once; the kernel grants what it likes."""
FAREWELL = 5.0
"""Seconds for its end."""
_SECRET = ("MJPEGD_", "NOTIFY_", "WATCHDOG_", "LISTEN_", "CREDENTIALS_")
"""What the environment holds that is none of its business."""
NICE = 10
"""How far it stands back behind cameras and viewers. Measured beside one that is always busy, on one core: viewers'
slowest frames take as long as without it from 10 on, up to three times as long at 5; and 10 leaves it a tenth of a core
that another program keeps busy, where 19 leaves it a hundredth."""
EXPENDABLE = 500
"""Of 1000: how far the kernel's killer of processes prefers it, where memory has run out (proc(5), oom_score_adj)."""
_SETTINGS = {
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(64 << 20),
    "OPENBLAS_NUM_THREADS": "1",
}
"""Pixels are freed and wanted again with each picture: malloc(3) is to keep them instead of having the kernel clear
pages anew (mallopt(3)), a seventh more pictures in the same time. And numpy needs no threads for what we do."""


class Made(NamedTuple):
    """A JPEG, and the seconds that decoding and encoding took."""

    jpeg: memoryview
    seconds: float


class _Due(NamedTuple):
    """Who waits for a picture, and the loop's time until which it may be waited for."""

    future: asyncio.Future[Made]
    until: float


class Child:
    """The process itself, and our end of the socket that is its standard input.

    Starting and ending it takes milliseconds and more, so neither is for the loop. Raises `OSError` where there is no
    more memory, or no more processes or files.
    """

    def __init__(self, threads: int) -> None:
        with ExitStack() as stack:
            self.connection, theirs = (stack.enter_context(end) for end in socket.socketpair())
            for end in self.connection, theirs:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, ROOM)
            environment = {name: value for name, value in os.environ.items() if not name.startswith(_SECRET)}
            self._process = subprocess.Popen(  # noqa: S603  (ourselves)
                [sys.executable, "-P", "-m", "mjpegd.encoding.worker", str(threads)],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                process_group=0,  # the terminal's Ctrl-C is for us: it ends when we do
                env={**environment, **_SETTINGS, "PYTHONPATH": os.pathsep.join(sys.path)},
            )
            stack.pop_all()
            theirs.close()
        self.pid = self._process.pid
        self._stand_back()

    def _stand_back(self) -> None:
        """Behind us for a core, and before us where memory has run out; where that may not be set, all stay equal."""
        with suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, self.pid, os.getpriority(os.PRIO_PROCESS, 0) + NICE)
        with suppress(PermissionError):
            Path(f"/proc/{self.pid}/oom_score_adj").write_text(str(EXPENDABLE))

    def end(self) -> str:
        """Have it end, and say how it did. It ends by itself once we have hung up, unless something holds it."""
        try:
            status = self._process.wait(FAREWELL)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        return f"signal {-status}" if status < 0 else f"exit status {status}"


class Process(asyncio.BufferedProtocol):
    """One encoder process, from its start to its end. Made and used on the loop."""

    def __init__(self) -> None:
        self.lost = False
        """Whether it makes no more pictures."""
        self.ended = asyncio.Event()
        """Set when it has hung up, or we have."""
        self._numbers = count(FORGET + 1)
        self._due: dict[int, _Due] = {}
        self._sent: dict[int, int] = {}
        self._transport: asyncio.Transport
        self._alarm: asyncio.TimerHandle | None = None
        self._answer: orders.Answer | None = None
        self._room, self._filled = memoryview(bytearray(ANSWER.size)), 0

    def make(self, camera: int, frame: Frame, size: Size, quality: int, *, bars: bool) -> asyncio.Future[Made]:
        """Order a picture of that frame of that camera.

        The future raises `BrokenPicture` if its JPEG cannot be decoded, `EncoderLost` if the process ends before.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Made] = loop.create_future()
        if self.lost:
            future.set_exception(EncoderLost("the encoder process has ended"))
            return future
        known = self._sent.get(camera) == frame.seq
        self._sent[camera] = frame.seq
        order = Order(
            number=next(self._numbers),
            camera=camera,
            have_width=frame.width,
            have_height=frame.height,
            width=size[0],
            height=size[1],
            quality=quality,
            bars=bars,
            length=0 if known else len(frame.jpeg),
        )
        self._due[order.number] = _Due(future, loop.time() + PATIENCE)
        self._watch()
        self._transport.write(ORDER.pack(*order))
        if not known:
            self._transport.write(frame.jpeg)
        return future

    def forget(self, camera: int) -> None:
        """Have it let go of that camera's JPEG and pixels: they are large."""
        if self._sent.pop(camera, None) is not None and not self.lost:
            self._transport.write(ORDER.pack(*Order(FORGET, camera)))

    def close(self) -> None:
        """Hang up: it ends by itself."""
        self.lost = True
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The transport's: it is there."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are none by inheritance

    def get_buffer(self, _hint: int) -> memoryview:
        """The transport's: where the next bytes belong."""
        return self._room[self._filled :]

    def buffer_updated(self, count: int) -> None:
        """The transport's: so many bytes came."""
        self._filled += count
        if self._filled < len(self._room):
            return
        if self._answer is None:
            self._answer = orders.answer(self._room)
            self._room, self._filled = memoryview(bytearray(self._answer.length)), 0
        if self._filled == len(self._room):
            answer, body, self._answer = self._answer, self._room, None
            self._room, self._filled = memoryview(bytearray(ANSWER.size)), 0
            self._settle(answer, body)

    def connection_lost(self, _error: Exception | None) -> None:
        """The transport's: what was ordered is not made any more."""
        self.lost = True
        due, self._due = self._due, {}
        self._watch()
        for future, _until in due.values():
            if not future.done():
                future.set_exception(EncoderLost("the encoder process has ended"))
        self.ended.set()

    def _settle(self, answer: orders.Answer, body: memoryview) -> None:
        future = self._due.pop(answer.number).future
        self._watch()
        if future.done():
            return
        if answer.outcome is Outcome.MADE:
            future.set_result(Made(body, answer.seconds))
        elif answer.outcome is Outcome.BROKEN:
            future.set_exception(BrokenPicture(str(body, "utf-8")))
        else:
            future.set_exception(RuntimeError(f"in the encoder process:\n{str(body, 'utf-8')}"))

    def _watch(self) -> None:
        """Be patient with the picture that has been due for the longest: nothing else tells of one stuck thread."""
        if self._alarm is not None:
            self._alarm.cancel()
        oldest = next(iter(self._due.values()), None)
        self._alarm = oldest and asyncio.get_running_loop().call_at(oldest.until, self._give_up)

    def _give_up(self) -> None:
        self._transport.abort()
