"""The capture thread: what it makes of a source's pictures, failures and silences.

The source is a script of ours: each opening is a list of steps, one for each `read`. A step is a picture, an error to
raise, or a function called in the capture thread; `LOOK` notes the camera's state, `PAUSE` lets a little time pass.
When the script is at its end, `done` is set and the source waits.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import count, cycle
from pathlib import Path
from time import monotonic, time
from typing import Final, Literal

import pytest
import structlog.testing

from mjpegd import capture as capture_module
from mjpegd.backoff import Backoff
from mjpegd.capture import Capture
from mjpegd.condition import State, Status
from mjpegd.config.schema import CameraConfig
from mjpegd.demand import Demand
from mjpegd.errors import BrokenPicture, SourceError, SourceStalled
from mjpegd.frame import Frame
from mjpegd.sources.base import JPEG, Grab, Granted
from tests.daemon import SECONDS
from tests.pictures import decode, jpeg

PATIENCE = 10 * SECONDS
"""No test is meant to wait that long."""

WHOLE = jpeg(64, 48)
TORN = WHOLE[: len(WHOLE) // 2]
UNPLUGGED = SourceError("unplugged")
STALLED = SourceStalled("no frames for 2 s")

LOOK: Final = "look"
PAUSE: Final = "pause"

Step = bytes | Grab | Exception | Callable[[], None] | Literal["look", "pause"]
Opening = Sequence[Step] | Iterator[Step] | Exception


class Script:
    """Plays openings in their order; used as `mjpegd.sources.open_source`. What it was asked for is kept."""

    def __init__(self, *openings: Opening, device: str = "test") -> None:
        self._openings = iter(openings)
        self.device = device
        self.specs: list[str] = []
        self.closed = 0
        self.done = threading.Event()
        self.look: Callable[[], None]

    def __call__(self, spec: str, config: CameraConfig, stop: threading.Event) -> "Scripted":
        self.specs.append(spec)
        opening = next(self._openings, ())
        if isinstance(opening, Exception):
            raise opening
        return Scripted(self, iter(opening), stop)


class Scripted:
    """One opening of a script."""

    def __init__(self, script: Script, steps: Iterator[Step], stop: threading.Event) -> None:
        self.granted = Granted(64, 48, 30.0, JPEG, script.device)
        self._script, self._steps, self._stop = script, steps, stop

    def read(self, *, pixels: bool = True) -> Grab | None:
        """The next picture of the script."""
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


class Set:
    """A capture thread on a script, the frames it published, and the states it was seen in."""

    def __init__(self, script: Script, config: CameraConfig) -> None:
        self.script = script
        self.frames: list[Frame] = []
        self.forgotten = 0
        self.demand = Demand()
        self.seen: list[Status] = []
        self.capture = Capture("porch", config, self, count(1), self.demand, tag="5e1f5e1f5e1f")
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

    def film(script: Script, **keys: object) -> Set:
        monkeypatch.setattr("mjpegd.sources.open_source", script)
        sets.append(Set(script, CameraConfig(**{"source": "pattern", **QUICK, **keys})))  # type: ignore[arg-type]
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


def test_backoff_doubles() -> None:
    """Pauses double from the shortest to the longest, each shortened by up to a quarter."""
    backoff = Backoff(1, 30)

    for full in (1, 2, 4, 8, 16, 30, 30):
        assert 0.75 * full <= backoff.pause() <= full


def test_backoff_is_random() -> None:
    """Cameras lost together do not retry in step."""
    assert len({Backoff(1, 30).pause() for _ in range(20)}) > 1


def test_backoff_reset() -> None:
    """After a reset the next pause is the shortest again."""
    backoff = Backoff(1, 30)
    for _ in range(5):
        backoff.pause()
    backoff.reset()

    assert backoff.pause() <= 1


def test_backoff_for_ever() -> None:
    """A camera that is lost for years does not overflow its pause."""
    backoff = Backoff(1, 30)

    assert max(backoff.pause() for _ in range(5000)) <= 30


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


@pytest.mark.parametrize("broken", [TORN, b"garbage", b"", BrokenPicture("flagged by the driver")])
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
    called, release = threading.Event(), threading.Event()

    def hang() -> None:
        called.set()
        release.wait()

    scene = film(Script([hang]))
    scene.capture.start()
    assert called.wait(PATIENCE)
    scene.capture.stop()
    assert not scene.capture.join(0.01)
    release.set()

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
    monkeypatch.setattr(capture_module, "REVIEW_AFTER", 0.0)
    monkeypatch.setattr(capture_module, "STABLE", 0.0)


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
