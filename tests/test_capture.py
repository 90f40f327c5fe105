"""The capture thread: what it makes of a source's pictures, failures and silences.

The source is a script of ours: each opening is a list of steps, one for each `read`. A step is a picture, an error to
raise, or a function called in the capture thread; `LOOK` notes the camera's state, `PAUSE` lets a little time pass.
When the script is at its end, `done` is set and the source waits.
"""

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import count, cycle
from pathlib import Path
from time import monotonic, sleep, time
from typing import Final, Literal

import pytest
import structlog.testing

from mjpegd.capture import Capture
from mjpegd.condition import State, Status
from mjpegd.config.schema import CameraConfig
from mjpegd.demand import Demand
from mjpegd.errors import BrokenPicture, SourceError, SourceStalled
from mjpegd.frame import Frame
from mjpegd.sources.base import JPEG, Grab, Granted
from tests.daemon import SECONDS, wait_for
from tests.pictures import decode, jpeg

PATIENCE = 10 * SECONDS
"""No test is meant to wait that long."""

WHOLE, OTHER = jpeg(64, 48), jpeg(48, 64)
TORN = WHOLE[: len(WHOLE) // 2]
UNPLUGGED = SourceError("unplugged")
STALLED = SourceStalled("no frames for 2 s")

TAG = "5e1f5e1f5e1f"
"""What the camera is known by to relays."""

LOOK: Final = "look"
PAUSE: Final = "pause"

Step = bytes | Grab | Exception | Callable[[], None] | Literal["look", "pause"]
Opening = Sequence[Step] | Iterator[Step] | Exception


class Script:
    """Plays openings in their order; used as `mjpegd.sources.open_source`. What it was asked for is kept."""

    def __init__(self, *openings: Opening, device: str = "test", via: tuple[str, ...] = ()) -> None:
        self._openings = iter(openings)
        self.device, self.via = device, via
        self.specs: list[str] = []
        self.configs: list[CameraConfig] = []
        self.pixels: list[bool] = []
        self.closed = 0
        self.done = threading.Event()
        self.look: Callable[[], None]

    def __call__(self, spec: str, config: CameraConfig, stop: threading.Event) -> "Scripted":
        self.specs.append(spec)
        self.configs.append(config)
        opening = next(self._openings, ())
        if isinstance(opening, Exception):
            raise opening
        return Scripted(self, iter(opening), stop)


class Scripted:
    """One opening of a script."""

    def __init__(self, script: Script, steps: Iterator[Step], stop: threading.Event) -> None:
        self.granted = Granted(64, 48, 30.0, JPEG, script.device, via=script.via)
        self._script, self._steps, self._stop = script, steps, stop

    def read(self, *, pixels: bool = True) -> Grab | None:
        """The next picture of the script."""
        self._script.pixels.append(pixels)
        for step in self._steps:
            if isinstance(step, Exception):
                raise step
            if isinstance(step, Grab):
                return step
            if isinstance(step, bytes):
                return Grab(memoryview(step), JPEG, monotonic())
            if step == PAUSE:
                self._stop.wait(0.005)
            elif step == LOOK:
                self._script.look()
            else:
                step()
        self._script.done.set()
        self._stop.wait()
        return None

    def close(self) -> None:
        """Count it."""
        self._script.closed += 1


class Hang:
    """A step that does not come back before it is released."""

    def __init__(self) -> None:
        self.called, self.release = threading.Event(), threading.Event()

    def __call__(self) -> None:
        self.called.set()
        self.release.wait()


class Set:
    """A capture thread on a script, the frames it published, and the states it was seen in."""

    def __init__(self, script: Script, config: CameraConfig, demand: Demand) -> None:
        self.script = script
        self.frames: list[Frame] = []
        self.forgotten = 0
        self.demand = demand
        self.seen: list[Status] = []
        self.capture = Capture("porch", config, self, count(1), self.demand, tag=TAG)
        script.look = lambda: self.seen.append(self.capture.status)

    def publish(self, frame: Frame) -> None:
        """Take a frame."""
        self.frames.append(frame)

    def forget(self) -> None:
        """Count it."""
        self.forgotten += 1

    def play(self) -> None:
        """Play the script to its end."""
        self.capture.start()
        assert self.script.done.wait(PATIENCE), "the script was not played to its end"

    def want(self) -> None:
        """Have somebody come who wants frames."""
        self.demand.enter()
        self.capture.nudge()

    def pause(self, *, paused: bool = True) -> None:
        """Pause it, or resume."""
        self.demand.paused = paused
        self.capture.nudge()

    def wait(self, state: State) -> None:
        """Wait until it is in that state."""
        wait_for(lambda: self.capture.status.state is state, 10, f"it to be {state}")

    @property
    def states(self) -> list[State]:
        """The states it was seen in."""
        return [status.state for status in self.seen]

    @property
    def lives(self) -> list[bool]:
        """Of each frame, whether it is a picture; False for a card."""
        return [frame.live for frame in self.frames]


Film = Callable[..., Set]

QUICK = {"retry_min": 0.001, "retry_max": 0.001}


@pytest.fixture
def film(monkeypatch: pytest.MonkeyPatch) -> Iterator[Film]:
    """Makes a set whose source plays the script; at the end its thread is stopped and must end at once."""
    sets: list[Set] = []

    def film(script: Script, demand: Demand | None = None, **keys: object) -> Set:
        monkeypatch.setattr("mjpegd.sources.open_source", script)
        config = CameraConfig(**{"source": "pattern", **QUICK, **keys})  # type: ignore[arg-type]
        sets.append(Set(script, config, demand or Demand()))
        return sets[-1]

    yield film
    for each in sets:
        each.capture.stop()
        assert each.capture.join(PATIENCE)


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """The events logged meanwhile, with the level in front."""
    lines: list[str] = []

    def note(logger: object, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        lines.append(f"{method}: {event['event']}")
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(processors=[note], cache_logger_on_first_use=False)
    yield lines
    structlog.configure(**before)


def test_live(film: Film) -> None:
    """The first picture makes a camera live; each is published with its number, size and the camera's own bytes."""
    script = Script([WHOLE, WHOLE, WHOLE])
    scene = film(script)
    scene.seen.append(scene.capture.status)
    scene.play()

    assert [*scene.states, scene.capture.status.state] == [State.STARTING, State.LIVE]
    assert [frame.seq for frame in scene.frames] == [1, 2, 3]
    assert {WHOLE} == {bytes(frame.jpeg) for frame in scene.frames}
    assert {(64, 48, True)} == {(frame.width, frame.height, frame.live) for frame in scene.frames}
    assert (
        scene.capture.captured,
        scene.capture.broken,
        scene.capture.skipped,
        scene.capture.opened,
    ) == (3, 0, 0, 1)
    assert len(WHOLE) == scene.capture.last_size


def test_times(film: Film) -> None:
    """A frame carries the moment of its capture, on both clocks, and what it took from there is measured."""
    taken = monotonic() - 0.5
    scene = film(Script([Grab(memoryview(WHOLE), JPEG, taken)]))
    before = time() - 0.6
    scene.play()
    (frame,) = scene.frames

    assert taken == frame.taken
    assert before < frame.captured < time() - 0.4
    assert frame.ready - taken == scene.capture.capture_time.percentile(0.5)
    assert scene.capture.encode_time.percentile(0.5) is None


def test_pixels_are_encoded(film: Film) -> None:
    """Raw pixels become a JPEG of the same size, and the time that took is measured."""
    scene = film(Script([Grab(memoryview(bytes(48 * 64 * 3)), "BGR", monotonic(), 0, 64, 48)]))
    scene.play()
    (frame,) = scene.frames

    assert decode(bytes(frame.jpeg)).shape == (48, 64, 3)
    assert scene.capture.encode_time.percentile(0.5) is not None


def test_too_few_pixels(film: Film) -> None:
    """Pixels that do not fill their size are a broken picture."""
    scene = film(Script([Grab(memoryview(bytes(100)), "BGR", monotonic(), 0, 64, 48), WHOLE]))
    scene.play()

    assert (scene.capture.broken, scene.capture.captured) == (1, 1)


def test_skipped_are_counted(film: Film) -> None:
    """Pictures that the source lost are counted."""
    scene = film(Script([Grab(memoryview(WHOLE), JPEG, monotonic(), lost) for lost in (0, 3, 2)]))
    scene.play()

    assert scene.capture.skipped == 5


@pytest.mark.parametrize("broken", [TORN, b"garbage", BrokenPicture("flagged by the driver")])
def test_broken_are_skipped(broken: Step, film: Film) -> None:
    """A broken picture is counted and not shown; the camera stays live."""
    scene = film(Script([WHOLE, broken, WHOLE, broken, WHOLE]))
    scene.play()

    assert (scene.capture.captured, scene.capture.broken) == (3, 2)
    assert [frame.seq for frame in scene.frames] == [1, 2, 3]
    assert State.LIVE is scene.capture.status.state


def test_incomplete_pictures_may_be_let_pass(film: Film) -> None:
    """With `complete_only=false` a picture without EOI is shown."""
    scene = film(Script([TORN]), complete_only=False)
    scene.play()

    assert [TORN.rstrip(b"\0")] == [bytes(frame.jpeg) for frame in scene.frames]


@pytest.mark.parametrize(("error", "state"), [(UNPLUGGED, State.LOST), (STALLED, State.STALE)])
@pytest.mark.parametrize("at", ["reading", "opening"])
def test_outage_and_recovery(error: SourceError, state: State, at: str, film: Film) -> None:
    """A failure to open or read shows a card with the reason and is tried again; the first picture ends it."""
    outage: list[Opening] = [[WHOLE, LOOK, error]] if at == "reading" else [[WHOLE, LOOK, UNPLUGGED], error]
    scene = film(Script(*outage, [LOOK, WHOLE, LOOK]))
    scene.play()

    assert [State.LIVE, state, State.LIVE] == scene.states
    assert (str(error), "") == (scene.seen[1].reason, scene.seen[2].reason)
    assert scene.seen[0].since <= scene.seen[1].since <= scene.seen[2].since
    assert scene.lives[:2] == [True, False]
    assert scene.lives[-1]
    assert scene.capture.opened == 2


def test_card(film: Film) -> None:
    """The card is a JPEG of the camera's last size, numbered like any other frame."""
    scene = film(Script([WHOLE, UNPLUGGED], [WHOLE]))
    scene.play()
    card = scene.frames[1]

    assert [frame.seq for frame in scene.frames] == [1, 2, 3]
    assert (card.width, card.height) == (64, 48)
    assert decode(bytes(card.jpeg)).shape == (48, 64, 3)


def test_card_before_the_first_picture(film: Film) -> None:
    """The card of a camera that never opened has the size that was asked for."""
    scene = film(Script(UNPLUGGED, []), width=160, height=120)
    scene.play()

    assert [(frame.width, frame.height, frame.live) for frame in scene.frames] == [(160, 120, False)]


def test_one_card_an_outage(film: Film, logged: list[str]) -> None:
    """A camera that stays lost for one reason is told once: one card, one line, and the outage's beginning is kept."""
    scene = film(Script(UNPLUGGED, UNPLUGGED, [LOOK, UNPLUGGED], [LOOK]))
    scene.play()

    assert scene.lives == [False]
    assert logged.count("warning: camera lost") == 1
    assert scene.seen[0] is scene.seen[1]


def test_another_reason(film: Film) -> None:
    """Another reason gets a card of its own, within the same outage."""
    scene = film(Script(UNPLUGGED, [LOOK, STALLED], [LOOK, SourceError("another program has it open")], [LOOK]))
    scene.play()

    assert scene.lives == [False] * 3
    assert scene.states == [State.LOST, State.STALE, State.LOST]
    assert len({status.since for status in scene.seen}) == 1


def test_only_broken_pictures(film: Film) -> None:
    """A camera that gives only broken pictures for `stale_after` seconds is stale, says why, and is opened again."""
    broken: Iterator[Step] = cycle((TORN, PAUSE))
    scene = film(Script(broken, [LOOK]), stale_after=0.05)
    scene.play()

    assert scene.states == [State.STALE]
    assert scene.seen[0].reason == "only broken pictures for 0.05 s (no EOI at the end: truncated)"
    assert scene.lives == [False]
    assert scene.capture.broken > 1
    assert scene.capture.opened == 2


def test_source_is_always_closed(film: Film) -> None:
    """Whatever ends a session, its source is closed, once."""
    scene = film(Script([UNPLUGGED], [STALLED], [ValueError("a bug")], []))
    scene.play()
    scene.capture.stop()

    assert scene.capture.join(PATIENCE)
    assert scene.script.closed == 4


@pytest.mark.parametrize("opening", [ValueError("a bug"), [ValueError("a bug")], [WHOLE, ZeroDivisionError()]])
def test_unexpected_exception(opening: Opening, film: Film, logged: list[str]) -> None:
    """An error that nobody expected is logged as a bug, shown as such, and the camera is tried again."""
    scene = film(Script(opening, [LOOK, WHOLE]))
    scene.play()

    assert sum("this is a bug in mjpegd" in line for line in logged if line.startswith(("error", "exception"))) == 1
    assert [Status(State.LOST, scene.seen[0].since, "internal error, see the log")] == scene.seen
    assert State.LIVE is scene.capture.status.state


def test_secrets_in_reasons(film: Film) -> None:
    """A reason that holds a URL is shown without its password."""
    scene = film(Script(SourceError("cannot open rtsp://me:hidden@camera/"), [LOOK]))
    scene.play()

    assert scene.seen[0].reason == "cannot open rtsp://me:***@camera/"


def test_malformed_usb_spec(film: Film) -> None:
    """A `usb:` spec that is none is a lost camera like any other: its thread goes on."""
    scene = film(Script(SourceError("usb:nonsense is not usb:VID:PID"), []), source="usb:nonsense")
    scene.play()

    assert scene.script.specs == ["usb:nonsense"] * 2


def test_auto_stays_with_its_camera(film: Film) -> None:
    """Once `auto` found a camera, a camera is waited for when it is lost, and no pattern hides the loss."""
    scene = film(Script([WHOLE, UNPLUGGED], UNPLUGGED, [], device="/dev/video987"), source="auto")
    scene.play()

    assert scene.script.specs == ["auto", "camera", "camera"]
    assert scene.capture.kind == "auto"


def test_auto_does_not_stay_with_the_pattern(film: Film) -> None:
    """While `auto` shows the pattern, it goes on looking for a camera."""
    scene = film(Script([WHOLE, SourceError("a camera was plugged in")], [], device="pattern"), source="auto")
    scene.play()

    assert scene.script.specs == ["auto", "auto"]


def test_device_comes_back(tmp_path: Path, film: Film) -> None:
    """A device that is plugged in is opened at once, however long the pause was to be."""
    spec = f"/dev/..{tmp_path}/video9"
    scene = film(Script(UNPLUGGED, [WHOLE]), source=spec, retry_min=3600, retry_max=3600)
    scene.capture.start()
    for _ in range(10):  # out for a second, in for a second: the first time may be over before anybody looks
        if scene.script.done.wait(1):
            break
        Path(spec).touch()
        if scene.script.done.wait(1):
            break
        Path(spec).unlink()

    assert State.LIVE is scene.capture.status.state


@pytest.mark.parametrize("opening", [[], [WHOLE]])
def test_stop_while_reading(opening: Opening, film: Film) -> None:
    """A thread that waits for a picture ends when it is stopped; that is no outage."""
    scene = film(Script(opening))
    scene.play()
    state = scene.capture.status.state
    scene.capture.stop()

    assert scene.capture.join(PATIENCE)
    assert state is scene.capture.status.state
    assert False not in scene.lives


def test_stop_while_resting(film: Film) -> None:
    """A thread that rests before the next try ends when it is stopped, not when the pause is over."""
    resting = threading.Event()
    scene = film(Script([resting.set, UNPLUGGED], []), retry_min=3600, retry_max=3600)
    scene.capture.start()
    assert resting.wait(PATIENCE)
    scene.capture.stop()

    assert scene.capture.join(PATIENCE)
    assert len(scene.script.specs) == 1


def test_stuck_source(film: Film) -> None:
    """A library call that never returns holds its thread, and `join` says so when its patience is over."""
    hang = Hang()
    scene = film(Script([hang]))
    scene.capture.start()
    assert hang.called.wait(PATIENCE)
    scene.capture.stop()
    assert not scene.capture.join(0.01)
    hang.release.set()

    assert scene.capture.join(PATIENCE)


def test_starting_card(film: Film) -> None:
    """While the first opening takes long, a card stands in."""
    scene = film(Script([WHOLE]), width=160, height=120)
    scene.capture.announce_starting()

    assert [(frame.width, frame.height, frame.live) for frame in scene.frames] == [(160, 120, False)]
    assert State.STARTING is scene.capture.status.state
    scene.play()
    assert [(frame.seq, frame.live) for frame in scene.frames] == [(1, False), (2, True)]


@pytest.mark.parametrize("opening", [[WHOLE], UNPLUGGED])
def test_no_starting_card(opening: Opening, film: Film) -> None:
    """Once there is a picture or another card, the starting card is not shown."""
    scene = film(Script(opening, []) if isinstance(opening, Exception) else Script(opening))
    scene.play()
    scene.capture.announce_starting()

    assert len(scene.frames) == 1


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A camera is judged, and trusted, from its second picture on."""
    monkeypatch.setattr("mjpegd.review.AFTER", 0.0)
    monkeypatch.setattr("mjpegd.review.STABLE", 0.0)


def slow_pictures() -> list[Step]:
    """Pictures taken five times a second, and handed over faster."""
    now = monotonic()
    return [step for fifth in range(6) for step in (Grab(memoryview(WHOLE), JPEG, now + fifth / 5), PAUSE)]


@pytest.mark.parametrize(
    ("device", "fps", "warnings"), [("/dev/video7", 30, 1), ("/dev/video7", 5, 0), ("pattern", 30, 0)]
)
@pytest.mark.usefixtures("hasty")
def test_slow_camera(device: str, fps: float, warnings: int, film: Film, logged: list[str]) -> None:
    """Of a camera that gives much less than it was asked for, the operator is told once."""
    scene = film(Script(slow_pictures(), device=device), fps=fps)
    scene.play()

    assert warnings == logged.count("warning: camera gives fewer frames than asked for")


@pytest.mark.usefixtures("hasty")
def test_stable_camera_earns_trust(film: Film) -> None:
    """A camera that gave pictures for long enough is retried after the shortest pause again."""
    tries: list[int] = []
    scene = film(Script(UNPLUGGED, UNPLUGGED, [lambda: tries.append(scene.capture._backoff._tries), *slow_pictures()]))
    scene.play()

    assert [*tries, scene.capture._backoff._tries] == [2, 0]


def test_trouble_while_it_rests(film: Film, logged: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong between two tries (no descriptor left to look with), the thread lives and tries again."""
    looks = iter([True])

    def look(spec: str) -> bool:
        if next(looks, False):
            raise OSError(24, "Too many open files")
        return False

    monkeypatch.setattr("mjpegd.capture.sources.is_absent", look)
    monkeypatch.setattr("mjpegd.lifeline.SLICE", 0.01)
    scene = film(Script(UNPLUGGED, [WHOLE]))
    scene.play()

    assert scene.capture.status.state is State.LIVE
    assert any("capture broke down" in line for line in logged)


def endless() -> Iterator[Step]:
    """A camera that gives pictures until nobody wants them any more."""
    return cycle((WHOLE, PAUSE))


def at(taken: float, data: bytes = WHOLE) -> Grab:
    """A picture of that moment."""
    return Grab(memoryview(data), JPEG, taken)


def card(state: str) -> Grab:
    """A card that the source shows, because its camera is in that state."""
    return Grab(memoryview(OTHER), JPEG, monotonic(), missing=state)


def test_on_demand(film: Film, logged: list[str]) -> None:
    """A camera on demand is not opened before somebody comes, and is closed when nobody was there for a while."""
    scene = film(Script(endless(), endless()), on_demand=True, linger=0.05)

    def wait_idle(times: int) -> None:
        told = "info: camera idle: the source is closed"
        wait_for(lambda: logged.count(told) == times, 10, f"it to be idle {times} times")
        assert scene.capture.status.state is State.IDLE
        assert (len(scene.script.specs), scene.script.closed, scene.forgotten) == (times - 1, times - 1, times)

    scene.capture.start()
    wait_idle(1)
    assert scene.frames == []
    for turn in (1, 2):
        scene.want()
        scene.wait(State.LIVE)
        assert (len(scene.script.specs), scene.script.closed, scene.forgotten) == (turn, turn - 1, turn)
        scene.demand.leave()
        wait_idle(turn + 1)

    assert scene.capture.changes == {State.IDLE: 3, State.STARTING: 2, State.LIVE: 2}
    assert scene.capture.trouble is None


def test_linger(film: Film) -> None:
    """A camera on demand stays open for a while when the last one has left."""
    scene = film(Script([WHOLE, WHOLE, WHOLE]), on_demand=True, linger=3600)
    scene.want()
    scene.demand.leave()
    scene.play()

    assert scene.lives == [True] * 3
    assert scene.script.closed == scene.forgotten == 0


def test_without_demand(film: Film) -> None:
    """A camera that is not on demand is open without anybody."""
    scene = film(Script([WHOLE]), linger=0.001)
    scene.play()

    assert scene.capture.status.state is State.LIVE
    assert scene.script.closed == scene.forgotten == 0


def test_who_comes_ends_a_doze(film: Film, monkeypatch: pytest.MonkeyPatch) -> None:
    """An idle camera is opened at once when somebody comes, and does not finish its sleep."""
    monkeypatch.setattr("mjpegd.lifeline.SLICE", 3600)
    scene = film(Script([WHOLE]), on_demand=True)
    scene.capture.start()
    scene.wait(State.IDLE)
    scene.want()

    assert scene.script.done.wait(PATIENCE)


def test_a_lost_camera_goes_idle(film: Film) -> None:
    """A lost camera on demand is not tried again for nobody; who comes later has it opened at once."""
    scene = film(Script(UNPLUGGED, [WHOLE]), on_demand=True, linger=0.01, retry_min=3600, retry_max=3600)
    scene.capture.start()
    scene.want()
    scene.wait(State.LOST)
    scene.demand.leave()
    scene.wait(State.IDLE)
    assert len(scene.script.specs) == 1
    scene.want()

    assert scene.script.done.wait(PATIENCE)
    assert scene.capture.status.state is State.LIVE


def test_pause(film: Film, logged: list[str]) -> None:
    """A pause closes the source and shows a card; resumed, it is opened again."""
    scene = film(Script(endless(), endless()))
    scene.want()
    scene.capture.start()
    scene.wait(State.LIVE)
    scene.pause()
    scene.wait(State.PAUSED)
    wait_for(lambda: scene.frames[-1].missing == "paused", 10, "the card")
    assert scene.script.closed == 1
    assert decode(bytes(scene.frames[-1].jpeg)).shape == (48, 64, 3)
    shown = len(scene.frames)
    scene.capture.announce_starting()
    assert len(scene.frames) == shown
    scene.pause(paused=False)
    scene.wait(State.LIVE)

    assert scene.frames[shown].live
    assert scene.forgotten == 0
    assert scene.capture.trouble is None
    assert scene.capture.changes == {State.PAUSED: 1, State.STARTING: 1, State.LIVE: 2}
    assert logged.count("info: camera paused: the source is closed") == 1


@pytest.mark.parametrize("opening", [[WHOLE], UNPLUGGED])
def test_pause_while_it_waits(opening: Opening, film: Film, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that waits for a picture, or rests before the next try, closes its source for a pause soon."""
    monkeypatch.setattr("mjpegd.lifeline.SLICE", 0.01)
    scene = film(Script(opening, [WHOLE]), retry_min=3600, retry_max=3600)
    scene.capture.start()
    scene.wait(State.LOST if opening is UNPLUGGED else State.LIVE)
    scene.pause()
    scene.wait(State.PAUSED)
    assert len(scene.script.specs) == 1
    scene.pause(paused=False)
    scene.wait(State.LIVE)

    assert len(scene.script.specs) == 2


@pytest.mark.parametrize("on_demand", [False, True])
def test_paused_from_the_start(on_demand: bool, film: Film) -> None:  # noqa: FBT001  (a row)
    """A camera that is paused from the start is never opened, whoever comes."""
    scene = film(Script([WHOLE]), on_demand=on_demand)
    scene.demand.paused = True
    scene.want()
    scene.capture.start()
    scene.wait(State.PAUSED)
    scene.want()
    wait_for(lambda: bool(scene.frames), 10, "the card")

    assert [frame.missing for frame in scene.frames] == ["paused"]
    assert scene.script.specs == []


def test_pause_while_idle(film: Film) -> None:
    """An idle camera that is paused says so and shows it; resumed, it is idle again, and nothing was opened."""
    scene = film(Script([WHOLE]), on_demand=True)
    scene.capture.start()
    scene.wait(State.IDLE)
    scene.pause()
    scene.wait(State.PAUSED)
    wait_for(lambda: [frame.missing for frame in scene.frames] == ["paused"], 10, "the card")
    scene.pause(paused=False)
    scene.wait(State.IDLE)
    wait_for(lambda: scene.forgotten == 2, 10, "the card to be forgotten")
    assert scene.script.specs == []
    scene.want()
    scene.wait(State.LIVE)

    assert scene.script.specs == ["pattern"]
    assert scene.capture.changes == {State.IDLE: 2, State.PAUSED: 1, State.STARTING: 1, State.LIVE: 1}


def test_another_card_of_an_upstream(film: Film) -> None:
    """A card that was drawn later is shown on, though it tells of the same state; one that was shown is not."""
    first = replace(card("lost"), captured=time())
    later = replace(first, captured=time() + 1)
    scene = film(Script([first, first, later, first, later]))
    scene.play()

    assert [frame.captured for frame in scene.frames] == [first.captured, later.captured]


def test_card_of_an_upstream(film: Film, logged: list[str]) -> None:
    """A card that the source shows is shown on as what it is: the camera is lost, not stale, until a picture comes."""
    scene = film(
        Script([WHOLE, LOOK, card("frozen"), LOOK, card("frozen"), LOOK, card("lost"), LOOK, WHOLE, LOOK]),
        stale_after=0.001,
    )
    scene.play()

    assert scene.states == [State.LIVE, *[State.LOST] * 3, State.LIVE]
    assert scene.seen[1] is scene.seen[2]
    assert [status.reason for status in scene.seen[2:4]] == [
        f"the camera behind it is {state}" for state in ("frozen", "lost")
    ]
    assert [frame.missing for frame in scene.frames] == ["", "frozen", "lost", ""]
    assert bytes(scene.frames[1].jpeg) == OTHER
    assert (scene.capture.captured, scene.capture.opened) == (2, 1)
    assert scene.capture.trouble is scene.seen[3]
    assert logged.count("warning: camera lost") == 2


def test_frozen(film: Film, logged: list[str]) -> None:
    """A camera that repeats a picture is frozen: a banner over it, opened again, and live at the first other one."""
    now = monotonic()
    scene = film(
        Script([at(now), LOOK, at(now + 9), LOOK, at(now + 10)], [at(now + 11), LOOK, at(now + 12, OTHER), LOOK]),
        frozen_after=10,
    )
    scene.play()
    banner = scene.frames[2]

    assert scene.states == [State.LIVE, State.LIVE, State.FROZEN, State.LIVE]
    assert scene.seen[2].reason == "the same picture for 10 s"
    assert [frame.missing for frame in scene.frames] == ["", "", "frozen", ""]
    assert (banner.width, banner.height) == (64, 48)
    before, after = decode(WHOLE).astype(int), decode(bytes(banner.jpeg)).astype(int)
    assert abs(before - after)[:30].mean() < 10
    assert (scene.script.closed, scene.capture.opened, scene.capture.captured) == (1, 2, 3)
    assert [line for line in logged if line.startswith("warning")] == ["warning: camera frozen"]
    assert scene.capture.trouble is scene.seen[2]


def test_frozen_again_and_again(film: Film, logged: list[str]) -> None:
    """A camera that stays frozen is opened now and again, with one card and one line in the log."""
    now = monotonic()
    scene = film(
        Script(
            [at(now), at(now + 10), LOOK],
            [LOOK, at(now + 11), at(now + 21)],
            [LOOK, at(now + 22), at(now + 60)],
            [LOOK],
        ),
        frozen_after=10,
    )
    scene.play()

    assert scene.lives == [True, False]
    assert scene.states == [State.FROZEN] * 3
    assert logged.count("warning: camera frozen") == 1


@pytest.mark.parametrize(
    ("device", "frozen_after"), [("pattern", 10), ("file", 10), ("/dev/video0", 0), ("/dev/video0", 20)]
)
def test_not_frozen(device: str, frozen_after: float, film: Film) -> None:
    """What no sensor makes is never frozen, nor what the operator says is a screen, nor anything before its time."""
    now = monotonic()
    scene = film(Script([at(now + second) for second in (0, 5, 10, 19)], device=device), frozen_after=frozen_after)
    scene.play()

    assert scene.lives == [True] * 4
    assert scene.capture.opened == 1


def test_moment_of_capture_of_the_source(film: Film) -> None:
    """Where the source itself says when it took a picture, that is what viewers are told."""
    scene = film(Script([Grab(memoryview(WHOLE), JPEG, monotonic(), captured=1_700_000_000.25)]))
    scene.play()

    assert [frame.captured for frame in scene.frames] == [1_700_000_000.25]


@pytest.mark.parametrize(
    ("via", "reason"),
    [
        ((TAG,), "a loop: these pictures would be its own"),
        (("0" * 12, TAG, "1" * 12), "a loop: these pictures would be its own"),
        (("0" * 12,) * 8, "these pictures came through 8 relays: a loop?"),
    ],
)
def test_loop(via: tuple[str, ...], reason: str, film: Film) -> None:
    """Pictures that would be its own, or came through too many relays, are refused before one is read."""
    scene = film(Script([WHOLE], UNPLUGGED, via=via), retry_min=3600, retry_max=3600)
    scene.capture.start()
    scene.wait(State.LOST)

    assert scene.capture.status.reason == reason
    assert (scene.script.closed, scene.capture.opened, scene.script.pixels) == (1, 0, [])
    assert scene.capture.granted is None


def test_relays_on_the_way(film: Film) -> None:
    """Pictures that came through some relays are as good as any."""
    scene = film(Script([WHOLE], via=("0" * 12,) * 7))
    scene.play()

    assert scene.lives == [True]


def unseen() -> Iterator[Step]:
    """A picture, and some that nobody needed, a tenth of a second apart; then a torn one, and one more."""
    began = monotonic() - 0.5
    yield at(began)
    for tenth in range(1, 5):
        yield Grab(memoryview(b""), "BGR", began + tenth / 10, skipped=1, lag=0.5)
    yield TORN
    yield at(began + 0.5)


def test_unseen(film: Film) -> None:
    """Pictures that nobody needs are counted, and neither made nor shown, nor taken for silence."""
    scene = film(Script(unseen()), stale_after=0.4)
    scene.play()
    capture = scene.capture

    assert scene.lives == [True, True]
    assert (capture.captured, capture.skipped, capture.broken, capture.lag) == (6, 4, 1, 0.0)
    assert capture.rate.per_second() == pytest.approx(10, rel=0.2)
    assert capture.encode_time.percentile(0.5) is None


SIGNS: dict[str, Callable[[], Grab]] = {
    "unseen": lambda: Grab(memoryview(b""), "BGR", monotonic()),
    "a card": lambda: card("lost"),
    "the same picture": lambda: at(monotonic()),
}


@pytest.mark.parametrize("sign", SIGNS)
def test_signs_of_life(sign: str, film: Film) -> None:
    """What is not shown as a picture is no silence: a torn one behind it does not make the camera stale."""

    def late() -> Iterator[Step]:
        sleep(0.3)  # longer than it may be silent
        yield SIGNS[sign]()
        yield TORN

    began = monotonic() - 11
    scene = film(Script([at(began), at(began + 10)], late()), frozen_after=10, stale_after=0.2)
    scene.play()

    assert (scene.capture.broken, scene.capture.opened) == (1, 2)


def test_pixels_only_for_somebody(film: Film) -> None:
    """The source is told at each read whether anybody looks."""
    demand = Demand()
    scene = film(Script([WHOLE, demand.enter, WHOLE, WHOLE, demand.leave, WHOLE, WHOLE]), demand)
    scene.play()

    assert scene.script.pixels == [False, False, True, True, False, False]


def test_lag(film: Film) -> None:
    """How far a stream is behind is known, and forgotten when it is opened again."""
    lags: list[float] = []
    lagging = Grab(memoryview(WHOLE), JPEG, monotonic(), lag=1.5)

    def note() -> None:
        lags.append(scene.capture.lag)

    scene = film(Script([lagging, note, UNPLUGGED], [note]))
    scene.play()

    assert lags == [1.5, 0.0]


@pytest.mark.parametrize(
    ("state", "watched", "seconds", "expected"),
    [
        (State.LIVE, True, 3.0, False),
        (State.LIVE, True, 4.0, True),
        (State.LIVE, False, 4.0, False),
        (State.STALE, True, 4.0, False),
        (State.PAUSED, True, 4.0, False),
    ],
)
def test_overdue(state: State, watched: bool, seconds: float, expected: bool, film: Film) -> None:  # noqa: FBT001
    """A camera that passes for live while its thread is silent is overdue, for those who look at it."""
    scene = film(Script([WHOLE]), stale_after=2)
    scene.capture.status = Status(state, time())
    if watched:
        scene.demand.enter()
    scene.capture._stop._looked -= seconds

    assert scene.capture.overdue() is expected


def test_announced_silence(film: Film, logged: list[str]) -> None:
    """Others may say for a thread that it is silent: stale, with a card, once; a picture makes it live again."""
    hang = Hang()
    scene = film(Script([WHOLE, hang, WHOLE]))
    scene.demand.enter()
    scene.capture.start()
    assert hang.called.wait(PATIENCE)
    scene.capture.announce_silence()
    assert scene.lives == [True]
    scene.capture._stop._looked -= 10
    for _ in range(2):
        scene.capture.announce_silence()
    assert scene.capture.status.state is State.STALE
    assert [frame.missing for frame in scene.frames] == ["", "stale"]
    assert logged.count("warning: camera stale") == 1
    hang.release.set()
    scene.wait(State.LIVE)


def test_what_was_left_behind_is_silent(film: Film) -> None:
    """A capture that was stopped while a call held it shows nothing any more when it comes back, and says nothing."""
    hang = Hang()
    scene = film(Script([WHOLE, hang, WHOLE]))
    scene.capture.start()
    assert hang.called.wait(PATIENCE)
    scene.capture.stop()
    scene.capture.announce_silence()
    hang.release.set()

    assert scene.capture.join(PATIENCE)
    assert scene.lives == [True]
    assert scene.capture.status.state is State.LIVE


@pytest.mark.parametrize(
    ("source", "seconds", "stuck"),
    [
        ("/dev/video0", 41, False),
        ("/dev/video0", 43, True),
        ("rtsp://camera/", 61, False),
        ("rtsp://camera/", 63, True),
    ],
)
def test_stuck(source: str, seconds: float, stuck: bool, film: Film) -> None:  # noqa: FBT001  (a row)
    """A thread is stuck when it was silent beyond the source's own time limits, with more patience for a network."""
    hang = Hang()
    scene = film(Script([hang]), source=source, open_timeout=10, stale_after=2)
    scene.capture.start()
    assert hang.called.wait(PATIENCE)
    scene.capture._stop._looked -= seconds
    silent = scene.capture.stuck()
    hang.release.set()

    assert (silent >= seconds) is stuck


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_dead_thread_is_stuck(film: Film) -> None:
    """A thread that ended though nobody asked it to is stuck at once; one that was stopped is not."""
    scene = film(Script([sys.exit]))
    scene.capture.start()
    assert scene.capture.join(PATIENCE)
    scene.capture._stop._looked -= 1

    assert scene.capture.stuck() >= 1
    scene.capture.stop()
    assert scene.capture.stuck() == 0


def test_controls_at_each_opening(film: Film) -> None:
    """What was set by hand is set again at each opening, on top of what the configuration says."""

    def turn() -> None:
        scene.capture.controls = {"hue": 5, "contrast": 7}

    scene = film(Script([WHOLE, turn, UNPLUGGED], [WHOLE]), controls={"hue": 2, "brightness": 1})
    scene.play()

    assert [config.controls for config in scene.script.configs] == [
        {"hue": 2, "brightness": 1},
        {"hue": 5, "brightness": 1, "contrast": 7},
    ]


def test_inherit(film: Film) -> None:
    """The capture that takes the place of another goes on counting, and keeps what was set by hand."""
    before = film(
        Script([Grab(memoryview(WHOLE), JPEG, monotonic(), skipped=3), TORN, WHOLE, UNPLUGGED], [LOOK, WHOLE])
    )
    before.play()
    before.capture.controls["hue"] = 5
    after = film(Script([WHOLE, LOOK]))
    after.capture.inherit(before.capture)
    after.play()
    capture = after.capture

    assert (capture.captured, capture.skipped, capture.broken, capture.opened) == (4, 3, 1, 3)
    assert capture.changes == {State.LIVE: 3, State.LOST: 1}
    assert capture.trouble is before.seen[0]
    assert [config.controls for config in after.script.configs] == [{"hue": 5}]
