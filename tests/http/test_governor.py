"""The governor: what it measures, how it moves a viewer, what it does without room, and the promise it keeps."""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Any, cast

import pytest

from mjpegd.adaptation import QUEUE
from mjpegd.camera import Camera, Tally
from mjpegd.config.schema import CameraConfig
from mjpegd.frame import Frame
from mjpegd.http.governor import DARING, MARGIN, TICK, Governor, Terms
from mjpegd.http.line import Line
from mjpegd.look import Look
from mjpegd.sources.base import Granted
from mjpegd.timing import Rate
from tests.clock import Clock, stop_clocks
from tests.pictures import frame, jpeg

PICTURE = jpeg(64, 48)
SIZE = len(PICTURE)
TOP = Look()


def shot(seq: int = 1, picture: bytes = PICTURE) -> Frame:
    """A frame with that picture."""
    return frame(seq, [picture])


@dataclass
class Seat:
    """A viewer that goes where it is told, but for looks that are `refused`, and notes them."""

    tally: Tally = field(default_factory=Tally)
    skipped: int = 0
    refused: Callable[[Look], bool] = lambda _: False
    looks: list[Look] = field(default_factory=list)

    def missed(self) -> int:
        """As it was told."""
        return self.skipped

    def move(self, look: Look) -> bool:
        """Unless there is no room."""
        if self.refused(look):
            return False
        self.looks.append(look)
        return True


@dataclass
class Wire:
    """A connection as a test wants it."""

    capacity: float = 0.0
    round_trip: float = 0.0
    distance: float = 0.0
    queue: float = 0.0
    looks: int = 0

    def look(self, written: int, least: float = 0.01) -> None:
        """Count it."""
        del written, least
        self.looks += 1

    def delay(self, more: int = 0, courage: float = 1.0) -> float:
        """What is under way, and what takes its time behind it."""
        return self.queue + (more / self.capacity / courage if self.capacity else 0.0)


@dataclass
class Taker:
    """What a camera is asked for."""

    granted: Granted | None = field(default_factory=lambda: Granted(64, 48, 30.0, "MJPG", "pattern"))
    rate: Rate = field(default_factory=Rate)


@dataclass
class Newest:
    """A ring with one frame."""

    newest: Frame | None = None


@dataclass
class Source:
    """A camera that stands still in front of a governor."""

    ring: Newest = field(default_factory=Newest)
    capture: Taker = field(default_factory=Taker)
    config: CameraConfig = field(default_factory=lambda: CameraConfig(source="pattern", fps=30))


class Scene:
    """A governor and all that it looks at."""

    def __init__(
        self,
        clock: Clock,
        asked: Look = TOP,
        *,
        budget: float | None = None,
        resizable: bool = False,
        adapts: bool = True,
    ) -> None:
        self.clock, self.seat, self.line, self.camera = clock, Seat(), Wire(), Source()
        self.camera.ring.newest = shot(1)
        self.governor = Governor(
            self.seat,
            cast("Camera", self.camera),
            cast("Line", self.line),
            Terms(asked, adapts, resizable=resizable, budget=budget),
        )

    def pass_by(self, seconds: float, *, sent: int = 15, missed: int = 0) -> None:
        """So many frames each half second."""
        for _ in range(round(seconds / TICK)):
            self.clock.forward(TICK)
            self.seat.tally.frames += sent
            self.seat.skipped += missed
            self.governor.tick()
            self.governor.stop()

    @property
    def names(self) -> list[str]:
        """The looks that its viewer was moved to."""
        return [look.name for look in self.seat.looks]

    @property
    def told(self) -> dict[str, Any]:
        """What it reports."""
        return self.governor.report()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The governor's."""
    return stop_clocks(monkeypatch, "mjpegd.http.governor.monotonic")


def play(part: Callable[[], None]) -> None:
    """Play a part on a loop, whose timers never fire."""

    async def run() -> None:
        part()

    asyncio.run(run())


def test_it_leads_down_and_up_again(clock: Clock) -> None:
    """Frames missed lead a viewer down, ease leads it up to what it asked for, and `/clients` is told of it."""

    def part() -> None:
        scene = Scene(clock)
        scene.pass_by(1.5, sent=5, missed=10)
        assert scene.names[0] == "20fps"
        assert scene.told["rung"] == 1
        assert scene.told["step"] == "down: 67% of the frames missed"
        scene.pass_by(6)
        assert scene.names[-1] == "passthrough"
        assert (scene.told["rung"], scene.told["step"]) == (0, "up: at ease for 2 s")

    play(part)


def test_a_promise_alone_leads_nowhere(clock: Clock) -> None:
    """A viewer that is not to adapt keeps its look, however slow its connection is."""

    def part() -> None:
        scene = Scene(clock, budget=0.3, adapts=False)
        scene.pass_by(20, sent=3, missed=12)
        assert scene.names == []
        assert (scene.told["rung"], scene.told["rungs"]) == (0, 1)

    play(part)


def test_capacity_says_how_far(clock: Clock) -> None:
    """A viewer whose connection takes a third goes to the rung that fits at once."""

    def part() -> None:
        scene = Scene(clock)
        scene.line.capacity = SIZE * 30 / 3
        scene.pass_by(1, sent=3, missed=12)
        assert scene.names == ["q70 10fps"]
        assert scene.told["goodput"] == round(SIZE * 30 / 3)

    play(part)


def test_a_camera_that_is_slower_than_it_said_costs_less(clock: Clock) -> None:
    """In the dark ten frames a second come of thirty: a rung that fits those is low enough."""

    def part() -> None:
        scene = Scene(clock)
        scene.line.capacity = SIZE * 10.0
        for number in range(30):
            scene.camera.capture.rate.tick(monotonic() + (number - 29) / 10)
        scene.pass_by(1, sent=3, missed=12)
        dark = scene.told["rung"]
        bright = Scene(clock)
        bright.line.capacity = SIZE * 10.0
        bright.pass_by(1, sent=3, missed=12)
        assert 0 < dark < bright.told["rung"]

    play(part)


def test_only_a_browser_is_made_smaller(clock: Clock) -> None:
    """Down to the lowest rung the size changes for who takes any, and for nobody else."""

    def part() -> None:
        for resizable in (True, False):
            scene = Scene(clock, resizable=resizable)
            scene.pass_by(60, sent=5, missed=10)
            assert scene.told["rung"] == scene.told["rungs"] - 1
            assert any(look.width for look in scene.seat.looks) is resizable

    play(part)


def test_without_room_it_falls_to_what_is_there(clock: Clock) -> None:
    """Where no further rendition is to be had, a viewer goes on down to the first that somebody else watches."""

    def part() -> None:
        scene = Scene(clock)
        scene.seat.refused = lambda look: look.name not in {"passthrough", "q70 10fps"}
        scene.pass_by(1, sent=5, missed=10)
        assert scene.names == ["q70 10fps"]
        assert scene.told["step"].startswith("down")
        scene.pass_by(20)
        assert scene.names == ["q70 10fps"]
        assert scene.told["step"] == "no room for another rendition"

    play(part)


def test_without_any_room_it_stays(clock: Clock) -> None:
    """Where there is none at all, the viewer stays where it is, says so, and moves once there is."""

    def part() -> None:
        scene = Scene(clock)
        scene.seat.refused = lambda _: True
        scene.pass_by(10, sent=5, missed=10)
        assert (scene.told["rung"], scene.told["step"]) == (0, "no room for another rendition")
        scene.seat.refused = lambda _: False
        scene.pass_by(3, sent=5, missed=10)
        assert scene.told["rung"] >= 1

    play(part)


def test_a_pinned_viewer_climbs_again(clock: Clock) -> None:
    """Pinned to a size on whatever rung, a viewer has it on every rung, and what it asked for at the top."""

    def part() -> None:
        scene = Scene(clock)
        scene.pass_by(6, sent=5, missed=10)
        before = scene.told["rung"]
        scene.governor.pin(scene.seat.looks[-1].of_size(80, 60))
        assert scene.told["rung"] == before > 2
        scene.seat.looks.clear()
        scene.pass_by(120)
        assert scene.names[-1] == TOP.of_size(80, 60).name == "80x60!"
        assert {(look.width, look.height, look.exact) for look in scene.seat.looks} == {(80, 60, True)}

    play(part)


def test_what_was_too_old_before_is_not_the_lines_fault(clock: Clock) -> None:
    """Where pictures of a rung are made too slowly for the promise, a viewer on a free line goes up from it."""

    def part() -> None:
        scene = Scene(clock, budget=0.3)
        scene.pass_by(3, sent=5, missed=10)
        low = scene.told["rung"]
        for _ in range(30):
            for _ in range(15):
                assert not scene.governor.keeps(replace(shot(1), taken=clock() - 0.4), SIZE, math.inf)
            scene.pass_by(TICK, sent=0, missed=15)
        assert scene.told["rung"] < low

    play(part)


def test_a_card_is_no_evidence(clock: Clock) -> None:
    """While the camera is lost nobody is moved, whatever is missed or under way."""

    def part() -> None:
        scene = Scene(clock)
        for newest in (replace(shot(2), missing="lost"), None):
            scene.camera.ring.newest = newest
            scene.line.queue = 9.0
            scene.pass_by(10, sent=0, missed=10)
        assert scene.names == []

    play(part)


def test_another_size_makes_another_ladder(clock: Clock) -> None:
    """A camera that gives another size while a viewer is at the end of its ladder leaves it on a rung that exists."""

    def part() -> None:
        scene = Scene(clock, resizable=True)
        scene.pass_by(60, sent=5, missed=10)
        scene.camera.ring.newest = replace(shot(2, jpeg(128, 96)), width=128, height=96)
        scene.pass_by(0.5)
        assert scene.told["rung"] < scene.told["rungs"]
        assert scene.seat.looks[-1].fitted(128, 96) == (32, 24)

    play(part)


@pytest.mark.parametrize(("budget", "moves"), [(None, False), (2.0, False), (0.5, True)])
def test_the_way_is_nobody_s_delay(clock: Clock, budget: float | None, *, moves: bool) -> None:
    """Half a second to the peer is no queue, but where a promise leaves no time behind it."""

    def part() -> None:
        scene = Scene(clock, budget=budget)
        scene.line.distance, scene.line.queue = 0.5, 0.5 + QUEUE / 2
        scene.pass_by(20)
        assert bool(scene.names) is moves

    play(part)


# The promise


def test_without_a_promise_everything_is_kept(clock: Clock) -> None:
    """Nobody looks at the connection for each frame of a viewer that was promised nothing."""
    scene = Scene(clock)
    scene.line.queue = math.inf

    assert scene.governor.keeps(shot(1), SIZE, 5.0)
    assert scene.line.looks == 0


@pytest.mark.parametrize(
    ("old", "queue", "capacity", "kept"),
    [
        (0.0, 0.0, 0.0, True),
        (0.2, 0.0, 0.0, True),
        (0.3, 0.0, 0.0, False),
        (0.0, 0.2, 0.0, True),
        (0.0, 0.3, 0.0, False),
        (0.0, 0.0, SIZE / 0.2, True),
        (0.0, 0.0, SIZE / 0.3, False),
        (0.1, 0.1, SIZE / 0.1, False),
        (0.0, math.inf, 0.0, False),
    ],
)
def test_what_would_be_too_old_is_not_sent(
    clock: Clock, old: float, queue: float, capacity: float, *, kept: bool
) -> None:
    """A frame's age, what is under way before it and its own way are to be 85 % of what was promised together."""
    scene = Scene(clock, budget=0.3)
    scene.line.queue, scene.line.capacity = queue, capacity

    assert MARGIN == 0.85
    assert scene.governor.keeps(replace(shot(1), taken=clock() - old), SIZE, 5.0) is kept


def test_what_was_slow_is_dared_again(clock: Clock) -> None:
    """A connection that was slow is held to take twice of that after each second without a frame."""
    scene = Scene(clock, budget=0.3)
    scene.line.capacity = SIZE
    waited = 0.0
    while not scene.governor.keeps(replace(shot(1), taken=clock()), SIZE, 60.0):
        clock.forward(0.1)
        waited += 0.1

    assert waited == pytest.approx(DARING * math.log2(1 / 0.3 / MARGIN), abs=0.11)
    assert not scene.governor.keeps(replace(shot(2), taken=clock()), SIZE, 60.0)


def test_a_frame_comes_at_the_latest_with_the_heartbeat(clock: Clock) -> None:
    """Also where the promise can not be kept at all, one frame is sent after each heartbeat."""
    scene = Scene(clock, budget=0.3)
    scene.line.queue = 9.0
    kept = 0
    for _ in range(84):
        clock.forward(0.25)
        kept += scene.governor.keeps(replace(shot(1), taken=clock()), SIZE, 5.0)

    assert kept == 4
