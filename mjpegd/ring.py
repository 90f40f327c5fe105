"""The one crossing from a capture thread to the event loop.

The thread publishes; the loop is woken once a frame, and not at all while nobody waits. Whoever wants a frame asks for
the newest one later than its last, each time anew, so there is no queue for anybody and the slow skip by themselves.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Protocol, TypeVar

from mjpegd.bell import Bell
from mjpegd.frame import Frame
from mjpegd.timing import Timing

SLOTS = 4
"""Frames kept. Viewers want the newest only; the others are for whoever looks back. Memory stays bounded."""

T = TypeVar("T")


class Waiter(Protocol):
    """Somebody who asked for a frame. A call, not a future: waking a thousand viewers is the loop's main work."""

    def show(self, frame: Frame | None) -> None:
        """Take the frame asked for; None when the deadline came first or the ring was closed."""


class Ring:
    """The newest frames of one camera. `publish` is for any thread, all else for the loop's."""

    def __init__(self, loop: asyncio.AbstractEventLoop, slots: int = SLOTS) -> None:
        self.wakeup = Timing()
        """From a frame's publication to the loop's knowing of it."""
        self.send = Timing()
        """From there to the last waiter's having been shown it."""
        self.newest: Frame | None = None
        """The frame published last, by any thread."""
        self.closed = False
        self.position = 0
        """How many frames had been published when the one that waiters are shown now was: gaps are what was skipped."""
        self.published = 0
        """How many were published so far."""
        self._loop, self._bell = loop, Bell(loop, self._wake)
        self._lock = threading.Lock()
        self._latest = 0
        self._slots: deque[Frame] = deque(maxlen=slots)
        self._announced: Frame | None = None
        self._announcing = False
        self._woken = 0.0
        self._waiters: dict[Waiter, float] = {}
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = 0.0

    def publish(self, frame: Frame) -> None:
        """Make `frame` the newest and wake the loop, once however many wait and not again before it ran.

        A frame that comes late, behind one of a higher `seq`, is dropped, also if that one is forgotten: time never
        runs backwards.
        """
        with self._lock:  # the capture thread's frames, and the starting card of a helper thread
            if frame.seq <= self._latest:
                return
            self._latest = frame.seq
            self._slots.append(frame)
            self.newest = frame
            self.published += 1
        if self._waiters and not self._announcing:
            self._announcing = True
            self._bell.ring()

    def forget(self) -> None:
        """Have no newest frame until the next is published: whoever comes waits for that. For any thread."""
        with self._lock:
            self._slots.clear()
            self.newest = None

    def ask(self, waiter: Waiter, after: int, deadline: float) -> None:
        """Have `waiter` shown the newest frame: soon if its `seq` is above `after`, its last one, else the next.

        It is shown None at `deadline` (loop time) or when the ring is closed. A waiter is entered before the newest
        frame is looked at: a thread that published in between has seen it and wakes us.
        """
        self._waiters[waiter] = deadline
        if self.newest is not self._announced:
            self._loop.call_soon(self._announce)
        elif self.closed or (self._announced is not None and self._announced.seq > after):
            self.leave(waiter)
            if self.closed:
                self._loop.call_soon(self.hand_over, waiter.show, None)
            else:
                self._loop.call_soon(self._show_announced, waiter)
        elif self._alarm is None or deadline < self._alarm_at:
            self._set_alarm(deadline)

    def leave(self, waiter: Waiter) -> bool:
        """Ask no more; False if `waiter` was not waiting."""
        return self._waiters.pop(waiter, None) is not None

    def next(self, after: int, deadline: float) -> asyncio.Future[Frame | None]:
        """`ask` for coroutines: what the waiter would be shown."""
        waiter = _Single(self._loop.create_future())
        self.ask(waiter, after, deadline)
        return waiter.future

    def close(self) -> None:
        """End it: everyone who waits, now or later, is shown None."""
        self.closed = True
        self._bell.close()
        self._announced = self.newest
        self._release(None)
        if self._alarm is not None:
            self._alarm.cancel()

    def _wake(self) -> None:
        self._announcing = False  # before the look at the newest: a frame published after it wakes us again
        self._announce()
        if self._announced is not None and not self.closed:
            self.wakeup.add(self._woken - self._announced.ready)

    def _announce(self) -> None:
        if self.newest is not self._announced:
            with self._lock:
                frame, self.position = self.newest, self.published
            self._announced = frame
            self._woken = monotonic()
            if frame is not None or self.closed:
                self._release(None if self.closed else frame)
            elif self._waiters:  # forgotten meanwhile: they wait on
                self._set_alarm(min(self._waiters.values()))

    def _release(self, frame: Frame | None) -> None:
        waiters, self._waiters = self._waiters, {}
        for waiter in waiters:
            self.hand_over(waiter.show, frame)
        if waiters:
            self.send.add(monotonic() - self._woken)

    def _show_announced(self, waiter: Waiter) -> None:
        """Show the frame that is the announced one then: `position` is that of no other."""
        self.hand_over(waiter.show, self._announced)

    def hand_over(self, take: Callable[[T], None], what: T) -> None:
        """Have a waiter take something; if it breaks down, that is said, and costs no other one its frame."""
        try:
            take(what)
        except Exception as error:  # noqa: BLE001  (a bug in one must not cost the others their frame)
            self._loop.call_exception_handler({"message": "a waiter broke down", "exception": error})

    def _set_alarm(self, deadline: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm, self._alarm_at = self._loop.call_at(deadline, self._expire), deadline

    def _expire(self) -> None:
        """One timer for all waiters: it is set for the first deadline and, while frames flow, finds nobody due."""
        self._alarm = None
        now = self._loop.time()
        for waiter in [waiter for waiter, deadline in self._waiters.items() if deadline <= now]:
            if self.leave(waiter):
                self.hand_over(waiter.show, None)
        if self._waiters:
            self._set_alarm(min(self._waiters.values()))


class _Single:
    """A waiter that resolves a future."""

    __slots__ = ("future",)

    def __init__(self, future: asyncio.Future[Frame | None]) -> None:
        self.future = future

    def show(self, frame: Frame | None) -> None:
        if not self.future.done():
            self.future.set_result(frame)
