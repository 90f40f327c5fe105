"""One viewer: the newest frame, again and again, for as long as somebody looks.

A viewer holds at most one frame: the next one is asked for only when the last has left user space, and the kernel's
share is bounded by TCP_NOTSENT_LOWAT (see `server`). So a slow viewer skips whole frames, and none ever lags.
"""

import asyncio
from time import monotonic, time

from mjpegd import log
from mjpegd.frame import Frame
from mjpegd.http.response import Play
from mjpegd.wire.conditional import http_date
from mjpegd.wire.http import render_head
from mjpegd.wire.multipart import CONTENT_TYPE, Pieces

PROBE_AFTER = 0.1
"""Seconds between the two repeats that tell a client which left from one which only closed its sending side."""
PROBES = 2
FOR_EVER = 86_400.0


def stream_head() -> bytes:
    """The head of every stream: never cached, never buffered by nginx, delimited by the connection's end."""
    return render_head(
        200,
        (
            ("Date", http_date(time())),
            ("Server", "mjpegd"),
            ("Content-Type", CONTENT_TYPE),
            ("Cache-Control", "no-store, no-cache, must-revalidate, max-age=0"),
            ("Pragma", "no-cache"),
            ("Connection", "close"),
            ("X-Accel-Buffering", "no"),
            ("Vary", "Accept"),
            ("X-Content-Type-Options", "nosniff"),
            ("Cross-Origin-Resource-Policy", "cross-origin"),
        ),
    )


class Viewer:
    """An open stream on one connection. `play` returns when it is over."""

    __slots__ = (
        "_eof",
        "_frame",
        "_heartbeat",
        "_log",
        "_loop",
        "_play",
        "_reader",
        "_repeats",
        "_sent",
        "_skipped",
        "_stall",
        "_transport",
        "_waiter",
        "_writer",
    )

    def __init__(
        self,
        play: Play,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        heartbeat: float,
        stall: float,
        peer: str,
    ) -> None:
        self._play, self._reader, self._writer = play, reader, writer
        self._transport = writer.transport
        self._heartbeat, self._stall = heartbeat, stall
        self._loop = asyncio.get_running_loop()
        self._log = log.get(camera=play.camera.name, viewer=peer, agent=play.agent[:120], profile=play.profile.name)
        self._frame: Frame | None = None
        self._waiter: asyncio.Future[Frame | None] | None = None
        self._repeats = self._sent = self._skipped = 0
        self._eof = False

    async def play(self) -> None:
        """Send the head, then frames until the client leaves, stalls, or the camera's ring is closed."""
        viewers = self._play.camera.viewers
        viewers.now += 1
        viewers.total += 1
        began = monotonic()
        self._transport.set_write_buffer_limits(high=0)
        watcher = self._loop.create_task(self._watch(), name="viewer-watch")
        reason = "left"
        try:
            self._writer.write(stream_head() + self._play.profile.opening)
            reason = await self._frames()
        except ConnectionError:
            pass
        finally:
            watcher.cancel()
            viewers.now -= 1
            self._log.info(
                "viewer " + reason, seconds=round(monotonic() - began, 1), frames=self._sent, skipped=self._skipped
            )

    async def _frames(self) -> str:
        """The loop of a viewer's life; returns why it ended."""
        camera, profile, transport = self._play.camera, self._play.profile, self._transport
        ring, viewers = camera.ring, camera.viewers
        seq = 0
        while not transport.is_closing():
            waiter = self._waiter = ring.next(seq, self._deadline())
            waited = not waiter.done()
            frame = await waiter
            if ring.closed:
                return await self._farewell()
            if frame is None:
                self._repeat()
            else:
                self._frame = frame
                part = profile.part(frame)
                transport.write(part)
                viewers.frames_sent += 1
                viewers.bytes_sent += len(part)
                self._count(frame.seq - seq if seq else 1)
                seq = frame.seq
                if waited:
                    viewers.send_time.add(monotonic() - ring.woken)
            if transport.get_write_buffer_size() and not await self._drained():
                return "stalled"
        return "left"

    def _count(self, step: int) -> None:
        self._repeats = 0
        self._sent += 1
        self._skipped += step - 1
        self._play.camera.viewers.frames_skipped += step - 1

    def _deadline(self) -> float:
        """When the last frame is to be sent once more."""
        now = self._loop.time()
        if self._frame is None:
            return now + FOR_EVER
        if self._eof and self._repeats < PROBES:
            return now + PROBE_AFTER
        early = self._play.repeat_after
        return now + (early if early is not None and not self._repeats else self._heartbeat)

    def _repeat(self) -> None:
        if self._frame is not None and not self._transport.is_closing():
            self._repeats += 1
            self._write(self._play.profile.repeat(self._frame))

    def _write(self, pieces: Pieces) -> None:
        self._writer.writelines(pieces)
        self._play.camera.viewers.bytes_sent += sum(map(len, pieces))

    async def _drained(self) -> bool:
        """Wait for the kernel to take the rest; False when it took nothing for `stall` seconds, and the viewer is cut."""
        left = self._transport.get_write_buffer_size()
        while left:
            try:
                async with asyncio.timeout(self._stall):
                    await self._writer.drain()
                return True
            except TimeoutError:
                before, left = left, self._transport.get_write_buffer_size()
                if left >= before:
                    self._transport.abort()
                    return False
        return True

    async def _farewell(self) -> str:
        """The last frame once more with the closing delimiter: no client takes that for a torn picture."""
        if self._frame is not None and not self._transport.is_closing():
            self._write(self._play.profile.last(self._frame))
            await self._writer.drain()
        return "sent home"

    async def _watch(self) -> None:
        """Read and throw away what a viewer sends, to learn at once that it left.

        A FIN may also come from a client that only closed its sending side (`nc`, some Android apps). The frame sent
        once more tells them apart: the one answers RST, the other goes on looking.
        """
        try:
            while await self._reader.read(4096):
                pass
        except ConnectionError:
            self._transport.abort()
        self._eof, self._repeats = True, 0
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
