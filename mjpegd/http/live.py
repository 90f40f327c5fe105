"""One viewer: the newest frame, again and again, for as long as somebody looks.

A viewer holds at most one frame: the next one is asked for only when the last has left user space, and the kernel's
share is bounded by TCP_NOTSENT_LOWAT (see `tcp`). So a slow viewer skips whole frames, and none ever lags.
"""

import asyncio
import math
import socket
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
from mjpegd.http.account import Account
from mjpegd.http.clients import Clients
from mjpegd.http.fanout import Kind
from mjpegd.http.governor import Governor, Terms
from mjpegd.http.line import Line
from mjpegd.http.response import Play, stream_head
from mjpegd.http.tcp import push
from mjpegd.look import Look
from mjpegd.wire import via
from mjpegd.wire.multipart import Pieces, with_lines

HOPELESS, GOODBYE = 2.0, 5.0
"""Seconds that a frame may be under way before nobody waits for its end; and the whole farewell at most."""
OVERDUE = 1.5
"""Gaps between two frames of a look after which the next one is late."""
PROBES = 2
PROBE_AFTER = 0.1
"""How often a frame is sent once more to a client whose FIN came, and the seconds between."""


class Viewer:
    """An open stream on one connection; `play` returns when it is over.

    A viewer that keeps up is served with others (see `fanout`), or by `show`, called by the ring once a frame. Its
    coroutine sleeps until it falls behind, leaves, or is sent home. `number` and `asked` are how others know it.
    """

    __slots__ = (
        *("_account", "_attention", "_behind", "_camera", "_deadline", "_dismissed", "_early", "_fanouts", "_gone"),
        *("_governor", "_heartbeat", "_height", "_interval", "_look", "_peer", "_place", "_plain", "_probes"),
        *("_profile", "_reader", "_relays", "_ring", "_socket", "_stall", "_transport", "_view", "_width", "_writer"),
        *("asked", "number"),
    )

    def __init__(
        self, play: Play, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, config: Config, peer: str
    ) -> None:
        self.asked, self.number = play, 0
        self._camera, self._profile, self._ring = play.camera, play.profile, play.camera.ring
        self._reader, self._writer, self._transport = reader, writer, writer.transport
        self._stall = config.limits.stall_timeout
        self._heartbeat = play.camera.config.heartbeat or config.server.heartbeat
        self._peer = peer
        self._relays: tuple[str, ...] = ()
        self._account = Account(thorough=play.adapt or play.budget is not None)
        self._look, self._place = play.look, ExitStack()
        self._early = self._interval = self._early_repeat()
        self._width = self._height = 0
        self._view = self._verbose_part if play.verbose else play.profile.view
        self._governor = self._made_governor()
        self._plain = self._governor is None
        self._attention = asyncio.Event()
        self._probes = 0
        self._behind = tcp.behind(writer)
        self._socket: socket.socket | None = None
        self._dismissed, self._gone = "", False
        self._deadline: asyncio.TimerHandle | None = None

    @property
    def tally(self) -> Tally:
        """What it was sent so far by itself: all, if it is governed."""
        return self._account.tally

    async def play(self, clients: Clients, config: Config, headers: Mapping[str, str]) -> None:
        """Send the head, then frames until the client leaves, stalls, or the camera's ring is closed.

        Raises `NoRoom`, before anything is sent, if there is no room.
        """
        with ExitStack() as stack:
            stack.callback(self._let_go)
            self._ring = self._place.enter_context(self._camera.watch(self._look))
            self.number = clients.enter(self, config.limits)  # the last: it ends the stream that this one follows
            stack.callback(clients.leave, self)
            self._fanouts = clients.fanouts
            if (connection := tcp.own(self._writer)) is not None:
                self._socket = stack.enter_context(connection)
            self._account.tally = stack.enter_context(self._camera.audience.seat())
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
            self._stop_waiting()
            lasted, tally = round(monotonic() - self._account.began, 1), self.tally
            play = self.asked
            logger = log.get(
                camera=play.camera.name, viewer=self._peer, agent=play.agent[:120], profile=play.profile.name
            )
            text = f"viewer {self._dismissed or reason}"
            logger.info(text, seconds=lasted, frames=tally.frames, skipped=tally.skipped)

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
        return monotonic() - self._account.wrote if self._behind() else 0.0

    def is_misled(self) -> bool:
        """Whether it is a relay that was told of fewer relays than its pictures come through now: perhaps of a loop.

        Two that find each other at the same moment know nothing of each other yet when they say who is behind them.
        """
        return self.asked.agent.startswith(f"{via.PRODUCT}/") and len(self._camera.via) > len(self._relays)

    def missed(self) -> int:
        """Frames that it was not sent, those that are passing now included."""
        self._account.settle()
        return self._account.total.skipped + self._account.passing(self._ring.published)

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
            was_waiting = self._stop_waiting()
            self.tally.skipped += self._account.passing(self._ring.published)
            self._place.close()
            self._place = stack.pop_all()
        self._ring, self._look, self._account.position = ring, look, 0
        self._early = self._early_repeat()
        if was_waiting:
            ring.ask(self, self._account.seq, monotonic() + self._interval)
        return True

    def _let_go(self) -> None:
        """Leave the ring, and let the frame go at once: not when the collector finds those who know each other."""
        self._place.close()
        self._governor = self._account.frame = None
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
        """Note how far it has come, and how old its frames are."""
        self._account.mark(behind=bool(self._behind()))

    def report(self) -> dict[str, Any]:
        """What `/clients` shows of it."""
        asked = self.asked
        return {
            "id": self.number,
            "address": asked.caller.address,
            "agent": asked.agent,
            "key": asked.principal.name,
            "camera": self._camera.name,
            "rendition": self._look.name,
            "profile": self._profile.name,
            **self._account.report(),
            "backlog": tcp.backlog(self._writer),
            "adaptive": self._governor and self._governor.report(),
        }

    def show(self, frame: Frame | None) -> None:
        """Send the newest frame, or the last one again; then wait for the next, with others if it keeps up."""
        self._step_out()
        transport = self._transport
        if transport.is_closing() or self._ring.closed:  # uvloop raises RuntimeError on a write to a closed transport
            self._attention.set()
            return
        if frame is None:
            self._repeat()
        elif (self._plain and frame.width == self._width and frame.height == self._height) or self._admits(frame):
            part = self._view(frame)
            self._account.note(frame, self._ring.position, len(part))
            self._interval = PROBE_AFTER if self._probes else self._early
            if rest := part[push(self._socket, part) :]:
                transport.write(rest)
            elif self._joins(frame):
                return
        self._wait()

    def fall_behind(self, rest: memoryview) -> None:
        """Send what the kernel did not take of a frame that others were sent too, and go on by itself."""
        self._step_out()
        if not self._transport.is_closing():
            self._transport.write(rest)
        self._wait()

    def _wait(self) -> None:
        """For the next frame; or until what was written has left, as the coroutine does."""
        if self._behind() or self._transport.is_closing():
            self._attention.set()
        else:
            self._ring.ask(self, self._account.seq, monotonic() + self._interval)

    def _joins(self, frame: Frame) -> bool:
        """Whether it is served together with others from now on: nothing is to be looked at for it alone."""
        size = self._width, self._height
        alone = not self._plain or self._probes or self.asked.verbose or size != (frame.width, frame.height)
        if alone or self._socket is None:
            return False
        kind = Kind(self._view, size, self._interval)
        self._account.follow(self._fanouts.join(self._ring, kind, self._socket.send, self, frame))
        return self._account.fanout is not None

    def _step_out(self) -> bool:
        """Be served by itself; False if it was."""
        if (fanout := self._account.fanout) is None or self._socket is None:
            return False
        self._account.follow(None)
        self._fanouts.leave(fanout, self._socket.send)
        return True

    def _stop_waiting(self) -> bool:
        """Ask for no frame any more, by itself or with others; False if it did not wait for one."""
        return self._step_out() or self._ring.leave(self)

    def _admits(self, frame: Frame) -> bool:
        """What is rarely asked: whether it is later, of the size that this viewer's have, and may be sent at all."""
        if frame.seq <= self._account.seq:  # what it was moved to may be behind what it saw
            return False
        if (frame.width, frame.height) != (self._width, self._height):
            if self._width and self._profile.own_head:
                self._pin()
                return False
            if frame.live:  # before the first picture a card may be of any size
                self._width, self._height = frame.width, frame.height
        if self._governor is not None and not self._governor.keeps(frame, len(frame.jpeg), self._heartbeat):
            self._account.seq = frame.seq
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
                self._account.note_gone()
            elif self._ring.closed or self._dismissed:
                return await self._farewell()
            else:
                self._attention.clear()
                if self._account.fanout is None:
                    self._ring.ask(self, self._account.seq, monotonic() + self._interval)
                await self._attention.wait()
        return "cut" if self._ring.closed else "left"

    def _repeat(self) -> None:
        """The last frame once more: as heartbeat, for a browser that paints late, or to probe a client."""
        if (frame := self._account.frame) is not None:
            self._write(self._profile.repeat(frame))
        self._probes = max(0, self._probes - 1)
        self._interval = PROBE_AFTER if self._probes else self._heartbeat

    def _write(self, pieces: Pieces) -> None:
        self._account.note_repeat(sum(map(len, pieces)))
        self._writer.writelines(pieces)

    async def _farewell(self) -> str:
        """The last frame once more with the closing delimiter: no client takes that for a torn picture."""
        self._stop_waiting()
        if (frame := self._account.frame) is not None:
            self._write(self._profile.last(frame))
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
        if self._stop_waiting():
            self.show(None)
        else:
            self._attention.set()
