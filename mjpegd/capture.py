"""The capture thread of one camera: open, read, stamp, publish; on failure say so in the picture, rest, try again.

It is the one owner of retry. A lost camera is a frame like any other, the card, so nothing above here asks whether the
camera is there.
"""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from time import monotonic, time
from typing import Protocol

from msgspec import structs

from mjpegd import cards, log, sources
from mjpegd.backoff import Backoff
from mjpegd.condition import OUTAGES, State, Status
from mjpegd.config.schema import CameraConfig, ControlValue
from mjpegd.demand import Demand
from mjpegd.errors import BrokenPicture, SourceError, SourceFrozen, SourceStalled, SourceWoken
from mjpegd.frame import Frame
from mjpegd.lifeline import SLICE, Lifeline
from mjpegd.masking import mask
from mjpegd.picture import to_picture
from mjpegd.review import Review
from mjpegd.sources.base import JPEG, Grab, Granted, Source
from mjpegd.stillness import Freeze
from mjpegd.timing import Rate, Timing
from mjpegd.wire import multipart

LOOK_EVERY = 0.25
"""Seconds between two looks for a device node that is not there."""
GRACE, RESOLVING = 10.0, 30.0
"""Seconds beyond its own time limits after which a call into a driver or a library is taken for stuck; of these the
second for addresses, since a name server that is down may take that long and cannot be interrupted."""
OPENINGS = 3
"""How often one opening may wait for `open_timeout`: our own client, then FFmpeg with an accelerator and without."""
OVERDUE = 1.5
"""Seconds beyond `stale_after` after which others say of a live camera that it is silent, if its thread does not."""
MEMORY = 3.0
"""Seconds after which the last picture is no longer shown to who comes, where no new ones are made."""
MOST_RELAYS = 8
"""Relays in a row that a picture may have come through."""

SILENT = OUTAGES | {State.PAUSED, State.IDLE}
"""States in which nobody expects pictures."""
STATES: dict[type[SourceError], State] = {SourceStalled: State.STALE, SourceFrozen: State.FROZEN}
"""The state that an error leads to; every other is a loss."""


class Outlet(Protocol):
    """Where frames go: a ring."""

    def publish(self, frame: Frame) -> None:
        """Make it the newest."""

    def forget(self) -> None:
        """Have no newest one until the next is published."""


class Capture:
    """One camera's thread and what it counts. Only the thread writes; whoever reads sees a whole value.

    `tag` is what the camera is known by in a chain of relays.
    """

    def __init__(
        self, name: str, config: CameraConfig, outlet: Outlet, ids: Iterator[int], demand: Demand, *, tag: str
    ) -> None:
        self.status = Status(State.STARTING, time())
        self.trouble: Status | None = None
        """The last outage, for those who come after it."""
        self.changes: Counter[State] = Counter()
        """How often it came into each state."""
        self.granted: Granted | None = None
        self.source = config.source
        self.kind = sources.kind_of(config.source).name
        self.captured = self.skipped = self.broken = self.opened = self.reconnects = self.last_size = 0
        self.lag = 0.0
        self.controls: dict[str, ControlValue] = {}
        """What was set by hand, on top of what the configuration says; set again at each opening."""
        self.rate, self.capture_time, self.encode_time = Rate(), Timing(), Timing()
        self._name, self._config, self._outlet = name, config, outlet
        self._spec, self._tag = config.source, tag
        self._ids = ids
        self._size = self._last_shape = (config.width, config.height)
        self._demand = demand
        self._stop = Lifeline(demand)
        self._backoff = Backoff(config.retry_min, config.retry_max)
        self._last_good = self._card_drawn = self._patience = 0.0
        self._last: Frame | None = None
        self._freeze = self._new_freeze()
        self.stopped = False
        self._log = log.get(camera=name)
        self._review = Review(config, self._log)
        self._thread = threading.Thread(target=self._run, name=f"capture-{name}", daemon=True)

    def _new_freeze(self) -> Freeze | None:
        return Freeze(self._config.frozen_after) if self._config.frozen_after else None

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end; `join` waits for it. Nothing of it is shown from now on."""
        self.stopped = True
        self._stop.set()

    def nudge(self) -> None:
        """Have the thread look at the demand now."""
        self._stop.nudge()

    def join(self, timeout: float) -> bool:
        """Wait for the end; False if a library call still holds the thread (it is a daemon: it ends with us)."""
        if self._thread.ident is None:
            return True
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def stuck(self) -> float:
        """Seconds for which the thread has been dead, or held by a call that never comes back; 0 while it gets on."""
        grace = RESOLVING if "://" in self._spec else GRACE
        patience = OPENINGS * self._config.open_timeout + self._config.stale_after + grace
        silent = self._stop.silent()
        ended = self._thread.ident is not None and not self._thread.is_alive()
        if ended:
            return 0.0 if self.stopped else silent
        return silent if silent > patience and self._thread.is_alive() else 0.0

    def overdue(self) -> bool:
        """Whether others have to say that it is silent: its thread has for long been in a call that gives nothing."""
        if self.status.state in SILENT:
            return False
        waited = self._stop.silent() > self._config.stale_after + self._patience + OVERDUE
        return (waited and self.status.state is State.LIVE and self._demand.now) or bool(self.stuck())

    def inherit(self, before: "Capture") -> None:
        """Go on counting where the capture before this one ended."""
        self.captured, self.skipped, self.broken = before.captured, before.skipped, before.broken
        self.opened, self.reconnects = before.opened, before.reconnects
        self.changes, self.trouble = before.changes, before.trouble
        if before.source == self.source:
            self.controls = before.controls

    def announce_starting(self) -> None:
        """Show a card while an opening takes long. Draws it, so not for the loop's thread."""
        if self.status.state is State.STARTING:
            card = self._card()
            if self.status.state is State.STARTING:  # still, after the time it took to draw
                self._show(card)

    def announce_silence(self) -> None:
        """Say that it is silent in the place of a thread that cannot. Draws a card, so not for the loop's thread."""
        if self.overdue():
            self._fail(SourceStalled("no frames: a call into the source does not come back"))

    def _run(self) -> None:
        log.bind(camera=self._name)
        while not self._stop.ended:
            try:
                if not self._is_called_for():
                    self._stand_by()
                    continue
                error = self._session()
                if error is not None:
                    self._fail(error)
                    self._rest()
            except Exception:  # noqa: BLE001  (whatever it is, the camera is tried again)
                self._log.exception("capture broke down: this is a bug in mjpegd")
                self._stop.wait(SLICE)

    def _is_called_for(self) -> bool:
        """Whether the source is to be open."""
        on_demand = self._config.on_demand and not self._demand.within(self._config.linger)
        return not (on_demand or self._demand.paused)

    def _stand_by(self) -> None:
        """Keep the source closed until it is called for again, or stays closed for another reason."""
        paused = self._demand.paused
        if paused:
            self._become(State.PAUSED, "paused")
            self._show(self._card())
        else:
            self._become(State.IDLE, "nobody watches")
            self._outlet.forget()  # whoever comes is to see what is, not what was
        self._log.info(f"camera {self.status.state}: the source is closed")
        while not self._stop.ended and not self._is_called_for() and self._demand.paused is paused:
            self._stop.doze()
        if self._is_called_for():
            self._start_anew()
            self._backoff.reset()
            self._freeze = self._new_freeze()

    def _start_anew(self) -> None:
        self._log.info("camera starting")
        self._become(State.STARTING)

    def _session(self) -> SourceError | None:
        """From open to stop or to the failure that is returned."""
        config = structs.replace(self._config, controls={**self._config.controls, **self.controls})
        try:
            with closing(sources.open_source(self._spec, config, self._stop)) as source:
                self._note_opened(source.granted)
                while not self._stop.is_set() and self._is_called_for():
                    self._step(source)
        except SourceWoken:
            self._start_anew()
        except SourceError as error:
            return None if self._stop.is_set() else error  # a pause, or the end, is no outage
        except Exception:  # noqa: BLE001  (a bug is shown on the card too)
            self._log.exception("reading the source failed: this is a bug in mjpegd")
            return SourceError("internal error, see the log")
        return None

    def _note_opened(self, granted: Granted) -> None:
        if self._tag in granted.via:
            raise SourceError("a loop: these pictures would be its own")
        if len(granted.via) >= MOST_RELAYS:
            raise SourceError(f"these pictures came through {len(granted.via)} relays: a loop?")
        self.granted = granted
        self.opened += 1
        self.lag = 0.0
        self._size = (granted.width or self._size[0], granted.height or self._size[1])
        self._last_good = monotonic()
        if self.kind == "auto" and granted.device.startswith("/dev/"):
            self._spec = "camera"  # once there was a camera, its loss is to be seen: no pattern any more

    def _step(self, source: Source) -> None:
        try:
            grab = source.read(pixels=self._demand.now)
            if grab is None:
                return
            self.skipped += grab.skipped
            self.lag, self._patience = grab.lag, grab.patience
            if not grab.data and grab.format != JPEG:
                self._note_unseen(grab)
                return
            frame = self._frame(grab) if grab.data else None
        except BrokenPicture as error:
            self._note_broken(error)
            return
        if self.stopped:
            return
        if frame is not None and grab.missing:
            self._note_missing(grab, frame)
        elif self._is_frozen(grab, frame):
            self._note_frozen(grab, frame)
        elif frame is not None:
            self._note_good(frame)
            self._show(frame)

    def _frame(self, grab: Grab) -> Frame:
        picture, encode = to_picture(grab, self._config)
        if encode:
            self.encode_time.add(encode)
        return multipart.assemble(
            picture.pieces,
            seq=next(self._ids),
            captured=time() - (monotonic() - grab.taken) if grab.captured is None else grab.captured,
            taken=grab.taken,
            width=picture.width,
            height=picture.height,
            missing=grab.missing,
            encode=encode,
        )

    def _note_unseen(self, grab: Grab) -> None:
        """One that nobody needed: counted, and never made."""
        self.captured += 1
        self.rate.tick(grab.taken)
        self._last_good = grab.taken
        if self._last is not None and grab.taken - self._last.taken > MEMORY:
            self._last = None
            self._outlet.forget()

    def _note_missing(self, grab: Grab, card: Frame) -> None:
        """The source's own camera has no picture, and it shows a card: so do we, the same, but none a second time.

        In a loop that nobody has noticed yet two cards would else chase each other.
        """
        self._last_good = card.ready
        changed = self._leave(State.LOST, f"the camera behind it is {card.missing}")
        if changed or (grab.captured or 0.0) > self._card_drawn:
            self._show(card)

    def _is_frozen(self, grab: Grab, frame: Frame | None) -> bool:
        """Whether this is the picture that was shown for too long already."""
        if self._freeze is None or self.granted is None or self.granted.device in sources.NEVER_FROZEN:
            return False
        return self._freeze.has_frozen(grab, frame)

    def _note_frozen(self, grab: Grab, frame: Frame | None) -> None:
        """Say so, and now and then have the source opened anew, which wakes many a camera.

        Pixels are shown on nevertheless: they are only alike, and what is small may move in them.
        """
        assert self._freeze is not None
        self._last_good = monotonic()
        error = SourceFrozen(f"the same picture for {self._config.frozen_after:g} s")
        if self._freeze.is_to_be_woken(grab.taken):
            raise error
        self._fail(error)
        if frame is not None and grab.format != JPEG:
            self._last = frame
            self._show(frame)

    def _note_good(self, frame: Frame) -> None:
        assert self.granted is not None
        self.captured += 1
        self.last_size = len(frame.jpeg)
        self.capture_time.add(frame.ready - frame.taken)
        self.rate.tick(frame.taken)
        size = (frame.width, frame.height)
        if size == self._last_shape:  # twice in a row: a flipped bit in one header does not size the next card
            self._size = size
        self._last_shape, self._last = size, frame
        self._last_good = frame.ready
        if self.status.state is not State.LIVE:
            self._note_live()
        elif self._review.is_due(frame.ready) and self._review.look(frame.ready, self.rate.per_second(), self.granted):
            self._backoff.reset()

    def _note_live(self) -> None:
        assert self.granted is not None
        self.reconnects += self.status.state in OUTAGES
        self._become(State.LIVE)
        self._review.begin(self._last_good)
        width, height = self._size
        self._log.info(
            "camera live",
            device=mask(self.granted.device),
            format=self.granted.format,
            asked=f"{self._config.width}x{self._config.height}@{self._config.fps:g}",
            got=f"{width}x{height}@{self.granted.fps:g}",
        )

    def _note_broken(self, error: BrokenPicture) -> None:
        self.broken += 1
        self._log.warning("picture skipped", reason=str(error), broken=self.broken)
        if monotonic() - self._last_good > self._config.stale_after:
            raise SourceStalled(f"only broken pictures for {self._config.stale_after:g} s ({error})")

    def _fail(self, error: SourceError) -> None:
        """Leave `live` with a reason: in the log, in the status and in the picture; once until something changes."""
        if not self.stopped and self._leave(STATES.get(type(error), State.LOST), mask(str(error))):
            self._show(self._card())

    def _leave(self, state: State, reason: str) -> bool:
        """Go into an outage, with one line in the log; False if it is the same one still."""
        if not self._become(state, reason):
            return False
        self.trouble = self.status
        self._log.warning("camera " + state, source=mask(self._spec), reason=reason)
        return True

    def _become(self, state: State, reason: str = "") -> bool:
        """Change the status; False if that is what it was already."""
        before, self.status = self.status, self.status.then(state, reason)
        self.changes[state] += before.state is not state
        return self.status is not before

    def _show(self, frame: Frame) -> None:
        """Publish, unless another capture has this one's place by now: it was stuck, was left behind, and came back."""
        if not self.stopped:
            self._outlet.publish(frame)
            self._card_drawn = frame.captured if frame.missing else 0.0

    def _card(self) -> Frame:
        data, width, height = cards.draw(self._name, self.status, self._size, self._last)
        return multipart.assemble(
            (data,),
            seq=next(self._ids),
            captured=time(),
            taken=monotonic(),
            width=width,
            height=height,
            missing=self.status.state,
        )

    def _rest(self) -> None:
        """Wait before the next try, but not for a device that has just been plugged in."""
        until = monotonic() + self._backoff.pause()
        absent = sources.is_absent(self._spec)
        while (
            self._is_called_for() and (left := until - monotonic()) > 0 and not self._stop.wait(min(left, LOOK_EVERY))
        ):
            was_absent, absent = absent, sources.is_absent(self._spec)
            if was_absent and not absent:
                self._backoff.reset()
                return
