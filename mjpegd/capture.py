"""The capture thread of one camera: open, read, stamp, publish; on failure say so in the picture, rest, try again.

It is the one owner of retry. A lost camera is a frame like any other, the card, so nothing above here asks whether the
camera is there.
"""

import math
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from time import monotonic, time

from mjpegd import jpeg, log, sources
from mjpegd.config.schema import CameraConfig
from mjpegd.errors import BrokenPicture, SourceError, SourceStalled
from mjpegd.frame import Frame
from mjpegd.masking import mask
from mjpegd.sources.base import JPEG, Grab, Granted, Source
from mjpegd.timing import Rate, Timing
from mjpegd.wire import multipart

STABLE = 60.0
"""Seconds of pictures after which the pause before a retry is the shortest again."""
LOOK_EVERY = 0.25
"""Seconds between two looks for a device node that is not there."""
REVIEW_AFTER, REVIEW_EVERY = 5.0, 60.0
"""Seconds of pictures before the first look at how it goes, and between two looks."""
GRACE, RESOLVING = 10.0, 30.0
"""Seconds beyond its own time limits after which a call into a driver or a library is taken for stuck; of these the
second for addresses, since a name server that is down may take that long and cannot be interrupted."""
SLICE = 1.0
"""Longest time between two looks of a thread that only waits."""
SLOW = 0.7
"""Share of the rate asked for below which the operator is told."""


class State(StrEnum):
    """What can be said of a camera; `stale` is open but silent, `lost` cannot be opened or read."""

    STARTING = "starting"
    LIVE = "live"
    STALE = "stale"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Status:
    """A state, since when (Unix seconds; of an outage: its beginning), and why in words."""

    state: State
    since: float
    reason: str = ""


class Backoff:
    """Pauses that double from `low` to `high` seconds, shortened at random so that cameras do not retry in step."""

    def __init__(self, low: float, high: float) -> None:
        self._low, self._high = low, high
        self._tries = 0

    def pause(self) -> float:
        """The next pause."""
        full = min(self._high, self._low * 2.0 ** min(self._tries, 32))
        self._tries += 1
        return full * random.uniform(0.75, 1.0)  # noqa: S311  (jitter, no secret)

    def reset(self) -> None:
        """Begin at the shortest again."""
        self._tries = 0


class Lifeline(threading.Event):
    """Asks a capture thread to end. Whoever works in the thread looks at it often, and so shows that it gets on."""

    def __init__(self) -> None:
        super().__init__()
        self._looked = monotonic()

    def is_set(self) -> bool:
        """Whether to end; for the thread alone."""
        self._looked = monotonic()
        return super().is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait in slices, each of them a look."""
        until = math.inf if timeout is None else monotonic() + timeout
        while not super().is_set() and (left := until - monotonic()) > 0:
            self._looked = monotonic()
            super().wait(min(left, SLICE))
        return self.is_set()

    def silent(self) -> float:
        """Seconds since the thread last looked; for everybody else."""
        return monotonic() - self._looked


def to_picture(grab: Grab, config: CameraConfig) -> jpeg.Picture:
    """A grab as a JPEG: the camera's own, or its pixels encoded; `BrokenPicture` where that cannot be."""
    if grab.format == JPEG:
        return jpeg.examine(grab.data, complete=config.complete_only)
    from mjpegd import pixels

    return jpeg.Picture((pixels.encode(pixels.to_bgr(grab), config.quality),), grab.width, grab.height)


class Capture:
    """One camera's thread and what it counts. Only the thread writes; whoever reads sees a whole value."""

    def __init__(self, name: str, config: CameraConfig, publish: Callable[[Frame], None], ids: Iterator[int]) -> None:
        self.status = Status(State.STARTING, time())
        self.granted: Granted | None = None
        self.kind = sources.kind_of(config.source).name
        self.captured = self.skipped = self.broken = self.opened = self.last_size = 0
        self.rate, self.capture_time, self.encode_time = Rate(), Timing(), Timing()
        self._name, self._config, self._publish = name, config, publish
        self._spec = config.source
        self._ids = ids
        self._size = self._last_shape = (config.width, config.height)
        self._stop = Lifeline()
        self._backoff = Backoff(config.retry_min, config.retry_max)
        self._live_from = self._last_good = self._review_at = 0.0
        self._slow = self.stopped = False
        self._log = log.get(camera=name)
        self._thread = threading.Thread(target=self._run, name=f"capture-{name}", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end; `join` waits for it. Nothing of it is shown from now on."""
        self.stopped = True
        self._stop.set()

    def join(self, timeout: float) -> bool:
        """Wait for the end; False if a library call still holds the thread (it is a daemon: it ends with us)."""
        if self._thread.ident is None:
            return True
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def stuck(self) -> float:
        """Seconds for which the thread has been dead, or held by a call that never comes back; 0 while it gets on."""
        grace = RESOLVING if "://" in self._spec else GRACE
        patience = self._config.open_timeout + self._config.stale_after + grace
        silent = self._stop.silent()
        ended = self._thread.ident is not None and not self._thread.is_alive()
        if ended:
            return 0.0 if self.stopped else silent
        return silent if silent > patience and self._thread.is_alive() else 0.0

    def inherit(self, before: "Capture") -> None:
        """Go on counting where the capture before this one ended."""
        self.captured, self.skipped, self.broken = before.captured, before.skipped, before.broken
        self.opened = before.opened

    def announce_starting(self) -> None:
        """Show a card while the first opening takes long. Draws it, so not for the loop's thread."""
        if self.status.state is State.STARTING:
            card = self._card("starting")
            if self.status.state is State.STARTING:  # still, after the time it took to draw
                self._show(card)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                error = self._session()
                if error is not None:
                    self._fail(error)
                self._rest()
            except Exception:  # noqa: BLE001  (whatever it is, the camera is tried again)
                self._log.exception("capture broke down: this is a bug in mjpegd")
                self._stop.wait(SLICE)

    def _session(self) -> SourceError | None:
        """From open to stop or to the failure that is returned."""
        try:
            with closing(sources.open_source(self._spec, self._config, self._stop)) as source:
                self._note_opened(source.granted)
                while not self._stop.is_set():
                    self._step(source)
        except SourceError as error:
            return error
        except Exception:  # noqa: BLE001  (a bug is shown on the card too)
            self._log.exception("reading the source failed: this is a bug in mjpegd")
            return SourceError("internal error, see the log")
        return None

    def _note_opened(self, granted: Granted) -> None:
        self.granted = granted
        self.opened += 1
        self._size = (granted.width or self._size[0], granted.height or self._size[1])
        self._last_good = monotonic()
        if self.kind == "auto" and granted.device.startswith("/dev/"):
            self._spec = "camera"  # once there was a camera, its loss is to be seen: no pattern any more

    def _step(self, source: Source) -> None:
        try:
            grab = source.read()
            if grab is None:
                return
            self.skipped += grab.skipped
            frame = self._frame(grab)
        except BrokenPicture as error:
            self._note_broken(error)
            return
        if self.stopped:
            return
        self._note_good(frame)
        self._show(frame)

    def _frame(self, grab: Grab) -> Frame:
        began = monotonic()
        picture = to_picture(grab, self._config)
        if grab.format != JPEG:
            self.encode_time.add(monotonic() - began)
        return multipart.assemble(
            picture.pieces,
            seq=next(self._ids),
            captured=time() - (monotonic() - grab.taken),
            taken=grab.taken,
            width=picture.width,
            height=picture.height,
        )

    def _note_good(self, frame: Frame) -> None:
        self.captured += 1
        self.last_size = len(frame.jpeg)
        self.capture_time.add(frame.ready - frame.taken)
        self.rate.tick(frame.taken)
        size = (frame.width, frame.height)
        if size == self._last_shape:  # twice in a row: a flipped bit in one header does not size the next card
            self._size = size
        self._last_shape = size
        self._last_good = frame.ready
        if self.status.state is not State.LIVE:
            self._note_live()
        elif frame.ready > self._review_at:
            self._review(frame.ready)

    def _note_live(self) -> None:
        assert self.granted is not None
        self.status = Status(State.LIVE, time())
        self._live_from = self._last_good
        self._review_at, self._slow = self._last_good + REVIEW_AFTER, False
        width, height = self._size
        self._log.info(
            "camera live",
            device=mask(self.granted.device),
            format=self.granted.format,
            asked=f"{self._config.width}x{self._config.height}@{self._config.fps:g}",
            got=f"{width}x{height}@{self.granted.fps:g}",
        )

    def _review(self, now: float) -> None:
        """Once in a while: after a stable minute the next pause may be short again, and the rate is judged."""
        self._review_at = now + REVIEW_EVERY
        if now - self._live_from > STABLE:
            self._backoff.reset()
        self._judge_rate(self.rate.per_second(now))

    def _judge_rate(self, fps: float) -> None:
        """Tell the operator of a camera that gives much less than it was asked for, once until it does better."""
        assert self.granted is not None
        was_slow = self._slow
        self._slow = self.granted.device.startswith("/dev/") and fps < SLOW * self._config.fps
        if self._slow and not was_slow:
            self._log.warning(
                "camera gives fewer frames than asked for",
                asked=self._config.fps,
                granted=round(self.granted.fps, 2),
                measured=round(fps, 2),
                hint="a smaller size, MJPG, more light (exposure), or another USB port",
            )

    def _note_broken(self, error: BrokenPicture) -> None:
        self.broken += 1
        self._log.warning("picture skipped", reason=str(error), broken=self.broken)
        if monotonic() - self._last_good > self._config.stale_after:
            raise SourceStalled(f"only broken pictures for {self._config.stale_after:g} s ({error})")

    def _fail(self, error: SourceError) -> None:
        """Leave `live` with a reason: in the log, in the status and in the picture; once until something changes."""
        state = State.STALE if isinstance(error, SourceStalled) else State.LOST
        if self.stopped:
            return
        old, reason = self.status, mask(str(error))
        if (old.state, old.reason) == (state, reason):
            return
        outage = old.state in (State.STALE, State.LOST)
        self.status = Status(state, old.since if outage else time(), reason)
        self._log.warning("camera " + state, source=mask(self._spec), reason=reason)
        self._show(self._card(reason))

    def _show(self, frame: Frame) -> None:
        """Publish, unless another capture has this one's place by now: it was stuck, was left behind, and came back."""
        if not self.stopped:
            self._publish(frame)

    def _card(self, reason: str) -> Frame:
        from mjpegd import pixels

        width, height = self._size
        now = monotonic()
        return multipart.assemble(
            (pixels.card(width, height, self._name, reason, self.status.since),),
            seq=next(self._ids),
            captured=time(),
            taken=now,
            width=width,
            height=height,
            missing=self.status.state,
        )

    def _rest(self) -> None:
        """Wait before the next try, but not for a device that has just been plugged in."""
        until = monotonic() + self._backoff.pause()
        absent = sources.is_absent(self._spec)
        while (left := until - monotonic()) > 0 and not self._stop.wait(min(left, LOOK_EVERY)):
            was_absent, absent = absent, sources.is_absent(self._spec)
            if was_absent and not absent:
                self._backoff.reset()
                return
