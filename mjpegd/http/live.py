"""One viewer: the newest frame, again and again, for as long as somebody looks.

A viewer holds at most one frame: the next one is asked for only when the last has left user space, and the kernel's
share is bounded by TCP_NOTSENT_LOWAT (see `server`). So a slow viewer skips whole frames, and none ever lags.
"""

import asyncio
from time import monotonic, time

from mjpegd import log
from mjpegd.camera import Tally
from mjpegd.config.schema import ServerConfig
from mjpegd.frame import Frame
from mjpegd.http.response import Play
from mjpegd.wire.conditional import http_date
from mjpegd.wire.http import render_head
from mjpegd.wire.multipart import CONTENT_TYPE, Pieces

PROBES = 2
PROBE_AFTER = 0.1
"""How often a frame is sent once more to a client whose FIN came, and the seconds between."""


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
        "_camera",
        "_early",
        "_frame",
        "_heartbeat",
        "_interval",
        "_log",
        "_probes",
        "_profile",
        "_reader",
        "_stall",
        "_tally",
        "_transport",
        "_waiter",
        "_writer",
    )

    def __init__(
        self, play: Play, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, settings: ServerConfig, peer: str
    ) -> None:
        self._camera, self._profile = play.camera, play.profile
        self._reader, self._writer, self._transport = reader, writer, writer.transport
        self._stall, self._heartbeat = settings.stall_timeout, settings.heartbeat
        self._early = min(play.repeat_after or self._heartbeat, self._heartbeat)
        self._interval = self._early
        self._log = log.get(camera=play.camera.name, viewer=peer, agent=play.agent[:120], profile=play.profile.name)
        self._tally = Tally()
        self._frame: Frame | None = None
        self._waiter: asyncio.Future[Frame | None] | None = None
        self._probes = 0

    async def play(self) -> None:
        """Send the head, then frames until the client leaves, stalls, or the camera's ring is closed."""
        began = monotonic()
        self._transport.set_write_buffer_limits(high=0)
        watcher = asyncio.create_task(self._watch(), name="viewer-watch")
        reason = "left"
        try:
            with self._camera.audience.seat() as self._tally:
                self._writer.write(stream_head() + self._profile.opening)
                reason = await self._frames()
        except ConnectionError:
            pass
        finally:
            watcher.cancel()
            lasted, tally = round(monotonic() - began, 1), self._tally
            self._log.info(f"viewer {reason}", seconds=lasted, frames=tally.frames, skipped=tally.skipped)

    async def _frames(self) -> str:
        """The loop of a viewer's life, and the hottest one of the daemon; returns why it ended."""
        ring, transport, tally, view = self._camera.ring, self._transport, self._tally, self._profile.view
        clock, note_send = asyncio.get_running_loop().time, self._camera.audience.send_time.add
        seq = ring.newest.seq - 1 if ring.newest is not None else 0
        while not transport.is_closing():
            waiter = self._waiter = ring.next(seq, clock() + self._interval)
            woken = not waiter.done()
            frame = await waiter
            if transport.is_closing():  # uvloop raises RuntimeError on a write to a closed transport
                break
            if frame is not None:
                part = view(frame)
                transport.write(part)
                tally.frames += 1
                tally.skipped += frame.seq - seq - 1
                tally.bytes += len(part)
                self._frame, self._interval, seq = frame, self._early, frame.seq
                if woken:
                    note_send(monotonic() - ring.woken)
            elif ring.closed:
                return await self._farewell()
            else:
                self._repeat()
            if transport.get_write_buffer_size() and not await self._drained():
                return "stalled"
        return "left"

    def _repeat(self) -> None:
        """The last frame once more: as heartbeat, for a browser that paints late, or to probe a client."""
        if self._frame is not None:
            self._write(self._profile.repeat(self._frame))
        self._probes = max(0, self._probes - 1)
        self._interval = PROBE_AFTER if self._probes else self._heartbeat

    def _write(self, pieces: Pieces) -> None:
        self._writer.writelines(pieces)
        self._tally.bytes += sum(map(len, pieces))

    async def _drained(self) -> bool:
        """Wait for the kernel to take the rest; False when it took nothing for `stall` seconds: the viewer is cut."""
        left = self._transport.get_write_buffer_size()
        while True:
            try:
                async with asyncio.timeout(self._stall):
                    await self._writer.drain()
                return True
            except TimeoutError:
                before, left = left, self._transport.get_write_buffer_size()
                if left >= before:
                    self._transport.abort()
                    return False

    async def _farewell(self) -> str:
        """The last frame once more with the closing delimiter: no client takes that for a torn picture."""
        if self._frame is not None:
            self._write(self._profile.last(self._frame))
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
        self._probes = PROBES
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
