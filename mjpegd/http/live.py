"""One viewer: the newest frame, again and again, for as long as somebody looks.

A viewer holds at most one frame: the next one is asked for only when the last has left user space, and the kernel's
share is bounded by TCP_NOTSENT_LOWAT (see `tcp`). So a slow viewer skips whole frames, and none ever lags.
"""

import asyncio
from time import monotonic, time

from mjpegd import log
from mjpegd.camera import Tally
from mjpegd.config.schema import ServerConfig
from mjpegd.frame import Frame
from mjpegd.http import tcp
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
    """An open stream on one connection; `play` returns when it is over.

    A viewer that keeps up lives in `show`, called by the ring once a frame. Its coroutine sleeps until the viewer falls
    behind, leaves, or is sent home.
    """

    __slots__ = (
        "_attention",
        "_camera",
        "_clock",
        "_early",
        "_frame",
        "_heartbeat",
        "_interval",
        "_log",
        "_probes",
        "_profile",
        "_reader",
        "_seq",
        "_stall",
        "_tally",
        "_transport",
        "_writer",
    )

    def __init__(
        self, play: Play, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, settings: ServerConfig, peer: str
    ) -> None:
        self._camera, self._profile = play.camera, play.profile
        self._reader, self._writer, self._transport = reader, writer, writer.transport
        self._clock = asyncio.get_running_loop().time
        self._stall, self._heartbeat = settings.stall_timeout, settings.heartbeat
        self._early = min(play.repeat_after or self._heartbeat, self._heartbeat)
        self._interval = self._early
        self._log = log.get(camera=play.camera.name, viewer=peer, agent=play.agent[:120], profile=play.profile.name)
        self._tally = Tally()
        self._attention = asyncio.Event()
        newest = play.camera.ring.newest
        self._seq = newest.seq - 1 if newest is not None else 0
        self._frame: Frame | None = None
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
                reason = await self._attend()
        except OSError:
            reason = "cut" if self._camera.ring.closed else "left"
        finally:
            watcher.cancel()
            self._camera.ring.leave(self)
            lasted, tally = round(monotonic() - began, 1), self._tally
            self._log.info(f"viewer {reason}", seconds=lasted, frames=tally.frames, skipped=tally.skipped)

    def show(self, frame: Frame | None) -> None:
        """Send the newest frame, or the last one again; the hottest lines of the daemon."""
        transport, ring = self._transport, self._camera.ring
        if transport.is_closing() or ring.closed:  # uvloop raises RuntimeError on a write to a closed transport
            self._attention.set()
            return
        if frame is None:
            self._repeat()
        else:
            part = self._profile.view(frame)
            transport.write(part)
            tally = self._tally
            tally.frames += 1
            tally.skipped += frame.seq - self._seq - 1
            tally.bytes += len(part)
            self._frame, self._seq = frame, frame.seq
            self._interval = PROBE_AFTER if self._probes else self._early
        if transport.get_write_buffer_size() or transport.is_closing():
            self._attention.set()
        else:
            ring.ask(self, self._seq, self._clock() + self._interval)

    async def _attend(self) -> str:
        """What a viewer needs beside frames: patience while it is behind, and an end; returns why it ended."""
        ring, transport = self._camera.ring, self._transport
        while not transport.is_closing():
            if transport.get_write_buffer_size():
                if not await tcp.drained(self._writer, self._stall):
                    tcp.reset(self._writer)
                    return "stalled"
            elif ring.closed:
                return await self._farewell()
            else:
                self._attention.clear()
                ring.ask(self, self._seq, self._clock() + self._interval)
                await self._attention.wait()
        return "cut" if ring.closed else "left"

    def _repeat(self) -> None:
        """The last frame once more: as heartbeat, for a browser that paints late, or to probe a client."""
        if self._frame is not None:
            self._write(self._profile.repeat(self._frame))
        self._probes = max(0, self._probes - 1)
        self._interval = PROBE_AFTER if self._probes else self._heartbeat

    def _write(self, pieces: Pieces) -> None:
        self._writer.writelines(pieces)
        self._tally.bytes += sum(map(len, pieces))

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
        except OSError:  # also ETIMEDOUT of a pulled cable, EHOSTUNREACH
            self._transport.abort()
        self._probes = PROBES
        if self._camera.ring.leave(self):
            self.show(None)
        else:
            self._attention.set()
