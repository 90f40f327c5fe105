"""Viewers that keep up, served together.

What they have in common, that each was sent the newest frame whole, is noted once for all of them. A round through a
thousand viewers sweeps the caches with 40 MB, so whatever is touched of each of them comes from memory again: here that
is a socket and nothing else. A round takes a seventh less time than one in which each of them is called.

Whoever does not take a frame at once leaves, and is served by itself until it keeps up again; so does everybody when a
frame of another size comes, or none in time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Protocol

from mjpegd.camera import Tally
from mjpegd.frame import Frame
from mjpegd.look import Size
from mjpegd.ring import Ring

Send = Callable[[memoryview], int]
"""Hands bytes to the kernel: `socket.send` of a socket that does not block."""


class Member(Protocol):
    """A viewer, as those who serve it together with others know it."""

    def show(self, frame: Frame | None) -> None:
        """Serve itself with that frame, or with the last one once more."""

    def fall_behind(self, rest: memoryview) -> None:
        """Send what the kernel did not take of the frame."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What members have in common: how a frame looks to them, its size, and seconds until they want one once more."""

    view: Callable[[Frame], memoryview]
    size: Size
    interval: float


class Fanout:
    """Those viewers of one ring that are of one kind. A waiter like any other; for the loop."""

    def __init__(self, ring: Ring, kind: Kind, frame: Frame) -> None:
        self.ring, self.kind = ring, kind
        self.tally = Tally()
        """What each of them was sent, since this began."""
        self.frame = frame
        """The one they were sent last."""
        self.position = ring.position
        self.sent = monotonic()
        """When the last of them had been sent it."""
        self._members: dict[Send, Member] = {}

    def __len__(self) -> int:
        return len(self._members)

    def join(self, send: Send, member: Member, frame: Frame) -> bool:
        """Serve it too from now on; False if the others cannot be brought to the frame that it is at."""
        if self._members and frame.seq > self.frame.seq:
            self.show(frame)
        if not self._members:
            self._reach(frame)
            self._ask()
        if frame is not self.frame:
            return False
        self._members[send] = member
        return True

    def leave(self, send: Send) -> None:
        """Serve it no more."""
        if self._members.pop(send, None) is not None and not self._members:
            self.ring.leave(self)

    def show(self, frame: Frame | None) -> None:
        """Send it to all of them."""
        if not self._members:  # they left while others were shown it
            return
        if frame is None or self.ring.closed or (frame.width, frame.height) != self.kind.size:
            self._break_up(frame)
        elif frame.seq > self.frame.seq:
            self._send(frame)
        else:  # whoever joined brought them to it
            self._ask()

    def _send(self, frame: Frame) -> None:
        part, short = self.kind.view(frame), list[tuple[Send, int]]()
        length = len(part)
        for send in self._members:
            try:
                sent = send(part)
            except OSError:  # it is full, or gone
                sent = 0
            if sent != length:
                short.append((send, sent))
        self._note(frame, length)
        self._ask()
        for send, sent in short:
            self.ring.hand_over(self._members[send].fall_behind, part[sent:])

    def _note(self, frame: Frame, length: int) -> None:
        self.tally.frames += 1
        self.tally.bytes += length
        self.tally.skipped += self.ring.position - self.position - 1
        self._reach(frame)

    def _reach(self, frame: Frame) -> None:
        """That is the one they were all sent."""
        self.frame, self.position, self.sent = frame, self.ring.position, monotonic()

    def _ask(self) -> None:
        self.ring.ask(self, self.frame.seq, monotonic() + self.kind.interval)

    def _break_up(self, frame: Frame | None) -> None:
        members, self._members = self._members, {}
        for member in members.values():
            self.ring.hand_over(member.show, frame)


class Fanouts:
    """All that there are: for each ring, one of each kind that has members."""

    def __init__(self) -> None:
        self._fanouts: dict[tuple[Ring, Kind], Fanout] = {}

    def __len__(self) -> int:
        return len(self._fanouts)

    def join(self, ring: Ring, kind: Kind, send: Send, member: Member, frame: Frame) -> Fanout | None:
        """Have a viewer that was sent that frame served with others of its kind; None if it must wait for the next."""
        fanout = self._fanouts.get((ring, kind)) or Fanout(ring, kind, frame)
        if not fanout.join(send, member, frame):
            return None
        self._fanouts[ring, kind] = fanout
        return fanout

    def leave(self, fanout: Fanout, send: Send) -> None:
        """Have it served by itself again."""
        fanout.leave(send)
        key = fanout.ring, fanout.kind
        if not fanout and self._fanouts.get(key) is fanout:
            del self._fanouts[key]
