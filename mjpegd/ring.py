"""The one crossing from a capture thread to the event loop.

The thread publishes; the loop is woken once a frame, and not at all while nobody waits. Viewers pull: each asks for the
newest frame later than its last one, so there is no queue for anybody and whoever is slow skips by itself.
"""

import asyncio
from collections import deque
from time import monotonic

from mjpegd.frame import Frame
from mjpegd.timing import Timing

SLOTS = 4
"""Frames kept. Viewers want the newest only; the others are what a writer may still hold. Memory stays bounded."""


class Ring:
    """The newest frames of one camera. `publish` is for any thread, all else for the loop's."""

    def __init__(self, loop: asyncio.AbstractEventLoop, slots: int = SLOTS) -> None:
        self.wakeup = Timing()
        self.woken = 0.0
        """When the loop learnt of the newest frame, in monotonic seconds."""
        self.newest: Frame | None = None
        """The frame published last, by any thread."""
        self.closed = False
        self._loop = loop
        self._slots: deque[Frame] = deque(maxlen=slots)
        self._announced: Frame | None = None
        self._announcing = False
        self._waiters: dict[asyncio.Future[Frame | None], float] = {}
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = 0.0

    def publish(self, frame: Frame) -> None:
        """Make `frame` the newest and wake the loop, once however many wait and not again before it ran."""
        self._slots.append(frame)
        self.newest = frame
        if self._waiters and not self._announcing:
            self._announcing = True
            self._loop.call_soon_threadsafe(self._wake)

    def next(self, after: int, deadline: float) -> asyncio.Future[Frame | None]:
        """The newest frame, at once if its `seq` is above `after`, else the next one that comes.

        None at `deadline` (loop time) or when the ring is closed. A waiter is entered before the newest frame is looked
        at: a thread that published in between has seen it and wakes us.
        """
        waiter: asyncio.Future[Frame | None] = self._loop.create_future()
        self._waiters[waiter] = deadline
        if self.newest is not self._announced:
            self._announce()
        elif self.closed:
            self._settle(waiter, None)
        elif self._announced is not None and self._announced.seq > after:
            self._settle(waiter, self._announced)
        if self._alarm is None or deadline < self._alarm_at:
            self._set_alarm(deadline)
        return waiter

    def close(self) -> None:
        """End it: everyone who waits, now or later, gets None."""
        self.closed = True
        self._announced = self.newest
        self._release(None)
        if self._alarm is not None:
            self._alarm.cancel()

    def _wake(self) -> None:
        self._announcing = False  # before the look at the newest: a frame published after it wakes us again
        self._announce()
        if self._announced is not None:
            self.wakeup.add(self.woken - self._announced.ready)

    def _announce(self) -> None:
        frame = self.newest
        if frame is not self._announced:
            self._announced = frame
            self.woken = monotonic()
            self._release(None if self.closed else frame)

    def _release(self, frame: Frame | None) -> None:
        waiters, self._waiters = self._waiters, {}
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(frame)

    def _settle(self, waiter: asyncio.Future[Frame | None], frame: Frame | None) -> None:
        self._waiters.pop(waiter, None)
        if not waiter.done():
            waiter.set_result(frame)

    def _set_alarm(self, deadline: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm, self._alarm_at = self._loop.call_at(deadline, self._expire), deadline

    def _expire(self) -> None:
        """One timer for all waiters: it is set for the first deadline and, while frames flow, finds nobody due."""
        self._alarm = None
        now = self._loop.time()
        for waiter in [waiter for waiter, deadline in self._waiters.items() if deadline <= now]:
            self._settle(waiter, None)
        if self._waiters:
            self._set_alarm(min(self._waiters.values()))
