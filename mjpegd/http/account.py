"""What one viewer was sent, and when."""

from collections import deque
from time import monotonic
from typing import Any

from mjpegd.camera import Tally
from mjpegd.frame import Frame
from mjpegd.http.fanout import Fanout
from mjpegd.timing import percentiles

AGES = 32
"""Frames of each viewer whose ages are kept."""


class Account:
    """Kept by the viewer itself; while it is served with others, by their `fanout`, and looked up there by `settle`.

    `thorough` has the age of every frame kept; else of one between two marks.
    """

    __slots__ = (
        *("_ages", "_fps", "_marked", "_thorough", "began", "fanout", "frame"),
        *("position", "sent", "seq", "tally", "wrote"),
    )

    def __init__(self, *, thorough: bool) -> None:
        self.tally = Tally()
        self.frame: Frame | None = None
        """The last one it was sent."""
        self.seq = 0
        """That of the last frame that it has no need of any more, sent or not."""
        self.position = 0
        """The ring's, when it was sent that frame; 0 when it has been sent none of that ring."""
        self.began = self.sent = self.wrote = monotonic()
        """When it came, when the last frame had left for it, and when anything was last written."""
        self.fanout: Fanout | None = None
        self._thorough = thorough
        self._ages: deque[float] = deque(maxlen=AGES)
        self._marked, self._fps = (self.began, 0), 0.0

    def note(self, frame: Frame, position: int, length: int) -> None:
        """It is sent that frame, in so many bytes, which is the one at that position of the ring."""
        tally = self.tally
        tally.frames += 1
        tally.skipped += position - (self.position or position - 1) - 1
        tally.bytes += length
        self.frame, self.seq, self.position = frame, frame.seq, position
        self.sent = self.wrote = monotonic()
        if self._thorough:
            self._ages.append(self.sent - frame.taken)

    def note_repeat(self, length: int) -> None:
        """It is sent something that is no new frame."""
        self.wrote = monotonic()
        self.tally.bytes += length

    def note_gone(self) -> None:
        """What was under way to it has left."""
        was_new, self.sent = self.wrote == self.sent, monotonic()
        if was_new and self._thorough and self.frame is not None:  # and no repeat
            self._ages[-1] = self.sent - self.frame.taken

    def follow(self, fanout: Fanout | None) -> None:
        """It is served with those others from now on; None: by itself."""
        self.settle()
        self.fanout = fanout
        self.tally.follow(None if fanout is None else fanout.tally)

    def settle(self) -> None:
        """Note what was noted of all that it is served with; what was counted is in `total`."""
        if (fanout := self.fanout) is not None and fanout.frame is not self.frame:  # else it was sent it by itself
            self.frame, self.seq, self.position = fanout.frame, fanout.frame.seq, fanout.position
            self.sent = self.wrote = fanout.sent

    @property
    def total(self) -> Tally:
        """All that it was sent so far, by itself and with others."""
        return self.tally.whole()

    def passing(self, published: int) -> int:
        """Frames that came since the last one it was sent, of so many: all but the newest are lost to it."""
        return max(0, published - self.position - 1) if self.position else 0

    def mark(self, *, behind: bool) -> None:
        """Note how far it has come, and how old its frames are: the rate is that between the last two marks."""
        self.settle()
        (before, frames), now, total = self._marked, monotonic(), self.total
        self._marked = now, total.frames
        self._fps = (total.frames - frames) / max(now - before, 1e-3)
        if not self._thorough and self.frame is not None:
            self._ages.append((now if behind else self.sent) - self.frame.taken)

    def report(self) -> dict[str, Any]:
        """What `/clients` shows of it."""
        self.settle()
        frame, tally = self.frame, self.total
        return {
            "connected": round(monotonic() - self.began, 1),
            "fps": round(self._fps, 1),
            "frames": tally.frames,
            "skipped": tally.skipped,
            "bytes": tally.bytes,
            "latency": round((self.sent - frame.taken) * 1000, 1) if frame is not None else None,
            "age": percentiles(self._ages),
        }
