"""One viewer: the newest frame, again and again, for as long as somebody looks.

A viewer holds at most one frame: the next one is asked for only when the last has left user space, and the kernel's
share is bounded by TCP_NOTSENT_LOWAT (see `tcp`). So a slow viewer skips whole frames, and none ever lags.
"""

import asyncio
import math
from collections import deque
from collections.abc import Mapping
from contextlib import ExitStack
from time import monotonic
from typing import Any

from mjpegd import log
from mjpegd.camera import Tally
from mjpegd.config.schema import Config
from mjpegd.errors import NoRoom
from mjpegd.frame import Frame
from mjpegd.http import tcp
from mjpegd.http.clients import Clients
from mjpegd.http.governor import Governor, Terms
from mjpegd.http.line import Line
from mjpegd.http.response import Play, stream_head
from mjpegd.http.tcp import push
from mjpegd.look import Look
from mjpegd.timing import percentiles
from mjpegd.wire import via
from mjpegd.wire.multipart import Pieces, with_lines

HOPELESS, GOODBYE = 2.0, 5.0
"""Seconds that a frame may be under way before nobody waits for its end; and the whole farewell at most."""
AGES = 32
"""Frames of each viewer whose ages are kept."""
OVERDUE = 1.5
"""Gaps between two frames of a look after which the next one is late."""
PROBES = 2
PROBE_AFTER = 0.1
"""How often a frame is sent once more to a client whose FIN came, and the seconds between."""


class Viewer:
    """An open stream on one connection; `play` returns when it is over.

    A viewer that keeps up lives in `show`, called by the ring once a frame. Its coroutine sleeps until the viewer falls
    behind, leaves, or is sent home. `number` and `asked` are how others know it.
    """

    __slots__ = (
        "_ages",
        "_attention",
        "_began",
        "_behind",
        "_camera",
        "_deadline",
        "_descriptor",
        "_dismissed",
        "_early",
        "_fps",
        "_frame",
        "_gone",
        "_governor",
        "_heartbeat",
        "_height",
        "_interval",
        "_log",
        "_look",
        "_marked",
        "_place",
        "_plain",
        "_probes",
        "_profile",
        "_reader",
        "_relays",
        "_ring",
        "_sent",
        "_seq",
        "_shown",
        "_stall",
        "_transport",
        "_view",
        "_width",
        "_writer",
        "_wrote",
        "asked",
        "number",
        "tally",
    )

    def __init__(
        self, play: Play, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, config: Config, peer: str
    ) -> None:
        self.asked, self.number = play, 0
        self._camera, self._profile, self._ring = play.camera, play.profile, play.camera.ring
        self._reader, self._writer, self._transport = reader, writer, writer.transport
        self._stall = config.limits.stall_timeout
        self._heartbeat = play.camera.config.heartbeat or config.server.heartbeat
        self._log = log.get(camera=play.camera.name, viewer=peer, agent=play.agent[:120], profile=play.profile.name)
        self._relays: tuple[str, ...] = ()
        self.tally = Tally()
        self._look, self._place = play.look, ExitStack()
        self._early = self._interval = self._early_repeat()
        self._width = self._height = 0
        self._view = self._verbose_part if play.verbose else play.profile.view
        self._governor = self._made_governor()
        self._plain = self._governor is None
        self._ages: deque[float] = deque(maxlen=AGES)
        self._attention = asyncio.Event()
        self._frame: Frame | None = None
        self._probes = self._seq = self._shown = 0
        self._behind, self._descriptor = tcp.behind(writer), tcp.descriptor(writer)
        self._dismissed, self._gone = "", False
        self._deadline: asyncio.TimerHandle | None = None
        self._began = self._sent = self._wrote = monotonic()
        self._marked, self._fps = (self._began, 0), 0.0

    async def play(self, clients: Clients, config: Config, headers: Mapping[str, str]) -> None:
        """Send the head, then frames until the client leaves, stalls, or the camera's ring is closed.

        Raises `NoRoom`, before anything is sent, if there is no room.
        """
        with ExitStack() as stack:
            stack.callback(self._let_go)
            self._ring = self._place.enter_context(self._camera.watch(self._look))
            self.number = clients.enter(self, config.limits)  # the last: it ends the stream that this one follows
            stack.callback(clients.leave, self)
            self.tally = stack.enter_context(self._camera.audience.seat())
            if self._governor is not None:
                self._governor.start()
                stack.callback(self._governor.stop)
            if config.limits.duration:
                loop = asyncio.get_running_loop()
                stack.callback(loop.call_later(config.limits.duration, self.dismiss, "timed out").cancel)
            await self._run(headers)

    async def _run(self, headers: Mapping[str, str]) -> None:
        tcp.hold_nothing(self._writer)
        watcher = asyncio.create_task(self._watch(), name="viewer-watch")
        reason = "left"
        try:
            self._relays = self._camera.via
            self._writer.write(stream_head(self._relays, headers) + self._profile.opening)
            reason = await self._attend()
        except OSError:
            reason = "cut" if self._ring.closed else "left"
        finally:
            watcher.cancel()
            if self._deadline is not None:
                self._deadline.cancel()
            self._ring.leave(self)
            lasted, tally = round(monotonic() - self._began, 1), self.tally
            text = f"viewer {self._dismissed or reason}"
            self._log.info(text, seconds=lasted, frames=tally.frames, skipped=tally.skipped)

    def dismiss(self, reason: str) -> None:
        """End it from outside, in order: behind the frame that is under way; at once if that does not get through."""
        self._dismissed = reason
        if self.waiting() > HOPELESS:
            tcp.reset(self._writer)
        elif self._deadline is None:
            self._deadline = asyncio.get_running_loop().call_later(GOODBYE, tcp.reset, self._writer)
        self._attention.set()

    def waiting(self) -> float:
        """Seconds for which a frame has been under way to it; 0 if it keeps up, endless if its FIN has come."""
        if self._gone:
            return math.inf
        return monotonic() - self._wrote if self._behind() else 0.0

    def is_misled(self) -> bool:
        """Whether it is a relay that was told of fewer relays than its pictures come through now: perhaps of a loop.

        Two that find each other at the same moment know nothing of each other yet when they say who is behind them.
        """
        return self.asked.agent.startswith(f"{via.PRODUCT}/") and len(self._camera.via) > len(self._relays)

    def missed(self) -> int:
        """Frames that it was not sent, those that are passing now included."""
        return self.tally.skipped + self._passing()

    def _passing(self) -> int:
        """Frames that came since the last one shown: all but the newest are lost to it."""
        return max(0, self._ring.published - self._shown - 1) if self._shown else 0

    def move(self, look: Look, *, bounded: bool = True) -> bool:
        """Show it that look from now on; False if it would be one rendition too many.

        The last viewer of a rendition leaves as much room as it takes.
        """
        bounded = bounded and not self._camera.renditions.makes_room(self._ring)
        with ExitStack() as stack:
            try:
                ring = stack.enter_context(self._camera.watch(look, bounded=bounded))
            except NoRoom:
                return False
            was_waiting = self._ring.leave(self)
            self.tally.skipped += self._passing()
            self._place.close()
            self._place = stack.pop_all()
        self._ring, self._look, self._shown = ring, look, 0
        self._early = self._early_repeat()
        if was_waiting:
            ring.ask(self, self._seq, monotonic() + self._interval)
        return True

    def _let_go(self) -> None:
        """Leave the ring, and let the frame go at once: not when the collector finds those who know each other."""
        self._place.close()
        self._governor = self._frame = None
        self._view = self._profile.view

    def _early_repeat(self) -> float:
        """Seconds after which a frame is sent once more if no newer one came: not where none is due, or is promised."""
        if self.asked.repeat_after is None or self.asked.budget is not None:
            return self._heartbeat
        due = OVERDUE / self._look.fps if self._look.fps else 0.0
        return min(max(self.asked.repeat_after, due), self._heartbeat)

    def _made_governor(self) -> Governor | None:
        """What leads it down when its connection is too slow, if it is to be led."""
        play = self.asked
        if not play.adapt and play.budget is None:
            return None
        terms = Terms(self._look, play.adapt, resizable=not self._profile.own_head, budget=play.budget)
        return Governor(self, self._camera, Line(self._writer, self.tally.bytes), terms)

    def mark(self) -> None:
        """Note how far it has come, and how old its frames are: the rate is that between the last two marks."""
        (before, frames), now = self._marked, monotonic()
        self._marked = (now, self.tally.frames)
        self._fps = (self.tally.frames - frames) / max(now - before, 1e-3)
        if self._governor is None and self._frame is not None:
            self._ages.append((now if self._behind() else self._sent) - self._frame.taken)

    def report(self) -> dict[str, Any]:
        """What `/clients` shows of it."""
        asked, tally, frame = self.asked, self.tally, self._frame
        return {
            "id": self.number,
            "address": asked.caller.address,
            "agent": asked.agent,
            "key": asked.principal.name,
            "camera": self._camera.name,
            "rendition": self._look.name,
            "profile": self._profile.name,
            "connected": round(monotonic() - self._began, 1),
            "fps": round(self._fps, 1),
            "frames": tally.frames,
            "skipped": tally.skipped,
            "bytes": tally.bytes,
            "backlog": tcp.backlog(self._writer),
            "latency": round((self._sent - frame.taken) * 1000, 1) if frame is not None else None,
            "age": percentiles(self._ages),
            "adaptive": self._governor and self._governor.report(),
        }

    def show(self, frame: Frame | None) -> None:
        """Send the newest frame, or the last one again; the hottest lines of the daemon."""
        transport, ring = self._transport, self._ring
        if transport.is_closing() or ring.closed:  # uvloop raises RuntimeError on a write to a closed transport
            self._attention.set()
            return
        whole, now = False, 0.0
        if frame is None:
            self._repeat()
        elif (self._plain and frame.width == self._width and frame.height == self._height) or self._admits(frame):
            part = self._view(frame)
            sent = push(self._descriptor, part)
            whole = sent == len(part)
            if not whole:
                transport.write(part[sent:])
            tally = self.tally
            tally.frames += 1
            tally.skipped += ring.position - (self._shown or ring.position - 1) - 1
            tally.bytes += len(part)
            self._frame, self._seq, self._shown = frame, frame.seq, ring.position
            self._interval = PROBE_AFTER if self._probes else self._early
            self._sent = self._wrote = now = monotonic()
            if self._governor is not None:  # of the others one frame a second is looked at
                self._ages.append(now - frame.taken)
        if not whole and (self._behind() or transport.is_closing()):
            self._attention.set()
        else:
            self._ring.ask(self, self._seq, (now or monotonic()) + self._interval)

    def _admits(self, frame: Frame) -> bool:
        """What is rarely asked: whether it is later, of the size that this viewer's have, and may be sent at all."""
        if frame.seq <= self._seq:  # what it was moved to may be behind what it saw
            return False
        if (frame.width, frame.height) != (self._width, self._height):
            if self._width and self._profile.own_head:
                self._pin()
                return False
            if frame.live:  # before the first picture a card may be of any size
                self._width, self._height = frame.width, frame.height
        if self._governor is not None and not self._governor.keeps(frame, len(frame.jpeg), self._heartbeat):
            self._seq = frame.seq
            return False
        return True

    def _pin(self) -> None:
        """Go on in the size that it began with, with bars: recorders and players take no other in one stream."""
        self._plain = False
        self.move(self._look.of_size(self._width, self._height), bounded=False)
        if self._governor is not None:
            self._governor.pin(self._look)

    def _verbose_part(self, frame: Frame) -> memoryview:
        """A part that says where the time went; in milliseconds."""
        seconds = {
            "Capture": frame.ready - frame.taken - frame.encode,
            "Encode": frame.encode,
            "Wake": monotonic() - frame.ready,
        }
        counts = {"Skipped": self.missed(), "Viewers": len(self._camera.audience)}
        lines = [f"X-{name}-Ms: {value * 1000:.3f}" for name, value in seconds.items()]
        lines += [f"X-{name}: {value}" for name, value in counts.items()]
        return with_lines(frame, lines)

    async def _attend(self) -> str:
        """What a viewer needs beside frames: patience while it is behind, and an end; returns why it ended."""
        transport = self._transport
        while not transport.is_closing():
            if self._behind():
                if not await tcp.drained(self._writer, self._stall):
                    tcp.reset(self._writer)
                    return "stalled"
                self._note_sent()
            elif self._ring.closed or self._dismissed:
                return await self._farewell()
            else:
                self._attention.clear()
                self._ring.ask(self, self._seq, monotonic() + self._interval)
                await self._attention.wait()
        return "cut" if self._ring.closed else "left"

    def _note_sent(self) -> None:
        """The frame that it was behind with has left."""
        was_new, self._sent = self._wrote == self._sent, monotonic()
        if was_new and self._governor is not None and self._frame is not None:  # and no repeat
            self._ages[-1] = self._sent - self._frame.taken

    def _repeat(self) -> None:
        """The last frame once more: as heartbeat, for a browser that paints late, or to probe a client."""
        if self._frame is not None:
            self._write(self._profile.repeat(self._frame))
        self._probes = max(0, self._probes - 1)
        self._interval = PROBE_AFTER if self._probes else self._heartbeat

    def _write(self, pieces: Pieces) -> None:
        self._wrote = monotonic()
        self._writer.writelines(pieces)
        self.tally.bytes += sum(map(len, pieces))

    async def _farewell(self) -> str:
        """The last frame once more with the closing delimiter: no client takes that for a torn picture."""
        self._ring.leave(self)
        if self._frame is not None:
            self._write(self._profile.last(self._frame))
            if not await tcp.drained(self._writer, self._stall):
                tcp.reset(self._writer)
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
        self._gone = True
        self._probes = PROBES
        if self._ring.leave(self):
            self.show(None)
        else:
            self._attention.set()
