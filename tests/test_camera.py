"""The cameras of a configuration, and what a reload does to them; capture threads are stood in for."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from time import time

import pytest
from msgspec import structs

from mjpegd import camera as module
from mjpegd.camera import Audience, Camera, Cameras, Tally
from mjpegd.condition import State, Status
from mjpegd.config.schema import VIEWING, CameraConfig, LimitsConfig
from mjpegd.demand import Demand
from mjpegd.encoding.encoders import Encoders
from mjpegd.errors import HttpError
from mjpegd.look import Look
from mjpegd.ring import Ring
from mjpegd.sources.base import Granted
from mjpegd.timing import Rate, Timing
from tests.daemon import SECONDS
from tests.pictures import frame

LIMITS = LimitsConfig()
RTSP = CameraConfig(source="rtsp://camera/")
PORCH, ATTIC = CameraConfig(source="pattern", fps=5), CameraConfig(source="pattern", fps=6)


@dataclass(eq=False)
class Standin:
    """A capture that does nothing by itself, and notes what is asked of it."""

    name: str
    config: CameraConfig
    ring: Ring
    ids: Iterator[int]
    demand: Demand
    tag: str
    lets_go: bool = True
    stopped: bool = False
    held: float = 0.0
    late: bool = False
    granted: Granted | None = None
    asked: list[str] = field(default_factory=list)
    rate: Rate = field(default_factory=Rate)
    encode_time: Timing = field(default_factory=Timing)
    status: Status = field(default_factory=lambda: Status(State.LIVE, time()))

    def start(self) -> None:
        """Begin."""
        self.asked.append("start")

    def stop(self) -> None:
        """End."""
        self.stopped = True
        self.asked.append("stop")

    def join(self, timeout: float) -> bool:
        """Whether it has ended; nobody on the loop waits for that."""
        assert timeout == 0
        self.asked += ["join"] * (self.asked[-1] != "join")
        return self.lets_go

    def inherit(self, before: "Standin") -> None:
        """Go on counting."""
        self.asked.append(f"inherit {before.config.fps:g}")

    def stuck(self) -> float:
        """Seconds for which it is held."""
        return self.held

    def overdue(self) -> bool:
        """Whether it is silent and does not say so."""
        return self.late

    def announce_silence(self) -> None:
        """Say for the thread that it is silent."""
        self.asked.append("silence")

    def nudge(self) -> None:
        """Look at the demand."""
        self.asked.append("nudge")

    def announce_starting(self) -> None:
        """Show a card."""
        self.asked.append("announce")

    def give(self) -> int:
        """Publish the next frame; its number."""
        seq = next(self.ids)
        self.ring.publish(frame(seq))
        return seq


@pytest.fixture(autouse=True)
def captures(monkeypatch: pytest.MonkeyPatch) -> list[Standin]:
    """Every capture that was made, in order."""
    made: list[Standin] = []

    def make(name: str, config: CameraConfig, ring: Ring, ids: Iterator[int], demand: Demand, *, tag: str) -> Standin:
        made.append(Standin(name, config, ring, ids, demand, tag))
        return made[-1]

    monkeypatch.setattr(module, "Capture", make)
    return made


@pytest.fixture
async def cameras() -> Cameras:
    """Two cameras, started."""
    cameras = Cameras({"porch": PORCH, "attic": ATTIC}, asyncio.get_running_loop(), LIMITS)
    for camera in cameras.values():
        camera.start()
    return cameras


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at each turn of the loop whether a thread has ended."""
    monkeypatch.setattr(module, "LOOK_EVERY", 0.0)


async def turns(count: int = 10) -> None:
    """Let the loop go round a few times."""
    for _ in range(count):
        await asyncio.sleep(0)


def names(captures: list[Standin]) -> list[str]:
    """Whose captures these are."""
    return [capture.name for capture in captures]


def soon() -> float:
    """A deadline that no test is meant to reach."""
    return asyncio.get_running_loop().time() + 10 * SECONDS


async def test_the_order_is_the_configurations(cameras: Cameras) -> None:
    """Cameras stand in the order of the configuration, before and behind a reload."""
    assert list(cameras) == ["porch", "attic"]
    await cameras.apply({"cellar": PORCH, "attic": ATTIC, "porch": PORCH}, LIMITS)

    assert list(cameras) == ["cellar", "attic", "porch"]
    assert (len(cameras), cameras["cellar"].name) == (3, "cellar")


async def test_nothing_changed(cameras: Cameras, captures: list[Standin]) -> None:
    """A reload that changes nothing is noticed by no camera."""
    before = dict(cameras)
    await cameras.apply({"porch": CameraConfig(source="pattern", fps=5), "attic": ATTIC}, LIMITS)

    assert dict(cameras) == before
    assert [capture.asked for capture in captures] == [["start"], ["start"]]


async def test_what_viewers_get_changed(cameras: Cameras, captures: list[Standin]) -> None:
    """Keys of what viewers get are taken over without opening the camera again, and count for who comes next."""
    keys = {
        "preset": "lan",
        "stream_width": 640,
        "stream_quality": 50,
        "stream_fps": 7.5,
        "heartbeat": 2,
        "adapt": True,
    }
    changed = structs.replace(PORCH, **keys)
    await cameras.apply({"porch": changed, "attic": ATTIC}, LIMITS)

    assert cameras["porch"].config == changed
    assert [capture.asked for capture in captures] == [["start"], ["start"]]


@pytest.mark.parametrize("key", sorted(set(CameraConfig.__struct_fields__) - set(VIEWING)))
async def test_what_the_capture_needs_changed(key: str, cameras: Cameras, captures: list[Standin]) -> None:
    """Any other key has the camera opened again."""
    await cameras.apply({"porch": structs.replace(PORCH, **{key: "another"}), "attic": ATTIC}, LIMITS)

    assert names(captures) == ["porch", "attic", "porch"]


async def test_limits_on_renditions(cameras: Cameras) -> None:
    """A reload's limits count from then on, for the renditions of all cameras, and end none that is there."""
    porch, attic = cameras.values()
    with porch.watch(Look(64)), porch.watch(Look(32)):
        await cameras.apply({"porch": PORCH, "attic": ATTIC}, LimitsConfig(renditions=2))
        with pytest.raises(HttpError), attic.watch(Look(64)):
            pass
        assert len(porch.renditions) == 2
        await cameras.apply({"porch": PORCH, "attic": ATTIC}, LimitsConfig(renditions=3))
        with attic.watch(Look(64)):
            assert len(attic.renditions) == 1


async def test_added(cameras: Cameras, captures: list[Standin]) -> None:
    """A new camera is made and started, the others go on."""
    await cameras.apply({"porch": PORCH, "attic": ATTIC, "cellar": PORCH}, LIMITS)

    assert names(captures) == ["porch", "attic", "cellar"]
    assert [capture.asked for capture in captures] == [["start"]] * 3


async def test_removed(cameras: Cameras, captures: list[Standin]) -> None:
    """A camera that is gone is stopped, its viewers are told, and the others go on."""
    gone, waiting = cameras["porch"], cameras["porch"].ring.next(0, soon())
    await cameras.apply({"attic": ATTIC}, LIMITS)

    assert list(cameras) == ["attic"]
    assert await waiting is None
    assert gone.ring.closed
    assert [capture.asked for capture in captures] == [["start", "stop", "join"], ["start"]]


async def test_changed(cameras: Cameras, captures: list[Standin]) -> None:
    """A camera whose keys changed is opened again once its thread let go; its viewers stay, others do not notice."""
    before, ring = cameras["porch"], cameras["porch"].ring
    waiting = ring.next(0, soon())
    await cameras.apply({"porch": ATTIC, "attic": ATTIC}, LIMITS)

    assert cameras["porch"] is before
    assert (before.ring, before.config, captures[-1].config) == (ring, ATTIC, ATTIC)
    assert not waiting.done()
    assert names(captures) == ["porch", "attic", "porch"]
    assert [capture.asked for capture in captures] == [["start", "stop", "join"], ["start"], ["inherit 5", "start"]]
    captures[-1].give()
    assert await waiting is not None


async def test_ids_keep_rising(cameras: Cameras, captures: list[Standin]) -> None:
    """The frames of a camera that was opened again are numbered on: none is taken for one of before, or held back."""
    seen = [captures[0].give() for _ in range(3)]
    await cameras.apply({"porch": ATTIC, "attic": ATTIC}, LIMITS)
    seen += [captures[-1].give() for _ in range(3)]

    assert seen == [1, 2, 3, 4, 5, 6]
    newest = cameras["porch"].ring.newest
    assert newest is not None
    assert newest.seq == 6


async def test_all_at_once(cameras: Cameras, captures: list[Standin]) -> None:
    """One reload adds, removes and changes, and each camera feels only its own part."""
    await cameras.apply({"attic": PORCH, "cellar": ATTIC}, LIMITS)

    assert list(cameras) == ["attic", "cellar"]
    assert {capture.name: capture.asked for capture in captures[:2]} == {
        "porch": ["start", "stop", "join"],
        "attic": ["start", "stop", "join"],
    }
    assert sorted(names(captures[2:])) == ["attic", "cellar"]
    assert all(capture.asked[-1] == "start" for capture in captures[2:])


async def test_a_device_is_free_before_the_next_one_wants_it(cameras: Cameras, captures: list[Standin]) -> None:
    """A camera that has only another name is opened when the one of before has let go of the device, not sooner."""
    captures[0].lets_go = False
    renaming = asyncio.create_task(cameras.apply({"door": PORCH, "attic": ATTIC}, LIMITS))
    await turns()
    assert captures[-1].name == "door"
    assert captures[-1].asked == []
    captures[0].lets_go = True
    await renaming

    assert captures[-1].asked == ["start"]


async def test_a_thread_that_does_not_let_go(
    cameras: Cameras, captures: list[Standin], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A source that keeps its device is left behind, the new one tries, and the old one is still watched."""
    monkeypatch.setattr(module, "LET_GO", 0.0)
    captures[0].lets_go, captures[0].held = False, 42.0
    await cameras.apply({"porch": ATTIC, "attic": ATTIC}, LIMITS)

    assert cameras["porch"].capture is captures[-1]  # type: ignore[comparison-overlap]
    assert captures[-1].asked[-1] == "start"
    assert cameras.stuck() == {"porch": 42.0}
    captures[0].lets_go = True
    assert cameras.stuck() == {}


async def test_a_removed_camera_that_does_not_let_go(
    cameras: Cameras, captures: list[Standin], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A camera that is gone from the configuration while its thread is held is watched on: only a restart frees it."""
    monkeypatch.setattr(module, "LET_GO", 0.0)
    captures[0].lets_go, captures[0].held = False, 42.0
    await cameras.apply({"attic": ATTIC}, LIMITS)

    assert (list(cameras), cameras.stuck()) == (["attic"], {"porch": 42.0})


async def test_stuck(cameras: Cameras, captures: list[Standin]) -> None:
    """The cameras whose threads are held are told with for how long."""
    assert cameras.stuck() == {}
    captures[1].held = 20.0

    assert cameras.stuck() == {"attic": 20.0}


async def test_stopped_while_it_is_opened_again(cameras: Cameras, captures: list[Standin]) -> None:
    """A camera that is stopped while its thread is waited for is not started any more."""
    captures[0].lets_go = False
    reopening = asyncio.create_task(cameras.apply({"porch": ATTIC, "attic": ATTIC}, LIMITS))
    await turns()
    cameras["porch"].stop()
    captures[0].lets_go = True
    await reopening

    assert names(captures) == ["porch", "attic"]


async def test_renditions_follow_the_quality(cameras: Cameras) -> None:
    """What is made of a camera's frames has the quality of the new configuration too."""
    with cameras["porch"].watch(Look(640)):
        (made,) = cameras["porch"].renditions
        assert made.quality == PORCH.quality
        await cameras.apply({"porch": CameraConfig(source="pattern", quality=20), "attic": ATTIC}, LIMITS)

        assert made.quality == 20


async def test_removed_and_added_again(cameras: Cameras, captures: list[Standin]) -> None:
    """A camera that comes back after a reload without it is a new one, and works."""
    await cameras.apply({"attic": ATTIC}, LIMITS)
    await cameras.apply({"attic": ATTIC, "porch": PORCH}, LIMITS)
    captures[-1].give()

    assert not cameras["porch"].ring.closed
    assert await cameras["porch"].ring.next(0, soon()) is not None


async def test_a_card_while_it_opens(
    captures: list[Standin], encoders: Encoders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A camera that takes long to open has a card shown; one that is stopped before has not."""
    monkeypatch.setattr(module, "PATIENCE", 0.0)
    patient, stopped = (Camera(name, PORCH, asyncio.get_running_loop(), encoders) for name in ("patient", "stopped"))
    patient.start()
    stopped.start()
    stopped.stop()
    assert patient._starting is not None
    await patient._starting

    assert [capture.asked for capture in captures] == [["start", "announce"], ["start", "stop"]]


async def test_picture(cameras: Cameras, captures: list[Standin]) -> None:
    """The newest picture is given at once, and one later than a frame or a moment when it comes."""
    porch = cameras["porch"]
    captures[0].give()
    newest = porch.ring.newest
    assert newest is not None
    assert await porch.picture(Look(), 0, 0.0, soon()) is newest
    later = asyncio.create_task(porch.picture(Look(), newest.seq, newest.taken, soon()))
    await asyncio.sleep(0)
    assert not later.done()
    captures[0].give()

    assert (await later) is porch.ring.newest


async def test_no_picture_of_a_camera_that_was_lost(cameras: Cameras, captures: list[Standin]) -> None:
    """Neither a card nor the last picture from before an outage is given; at the deadline there is none."""
    captures[0].give()
    captures[0].status = Status(State.LOST, time())

    assert await cameras["porch"].picture(Look(), 0, 0.0, asyncio.get_running_loop().time()) is None


def test_audience() -> None:
    """A camera counts who watches and who ever did, and adds up what all of them were sent."""
    audience = Audience()
    with audience.seat() as first, audience.seat() as second:
        first.frames, first.bytes, second.frames, second.skipped = 5, 500, 7, 2
        assert (len(audience), audience.visits) == (2, 2)
        assert audience.total() == Tally(12, 2, 500)

    assert (len(audience), audience.visits) == (0, 2)
    assert audience.total() == Tally(12, 2, 500)


def test_a_tally_that_follows() -> None:
    """Who is served with others has what was counted while it was, of each that it followed, and nothing else."""
    mine, others, more = Tally(1, 2, 30), Tally(100, 50, 4000), Tally(7, 7, 7)
    seen = []
    for followed in (others, others, more, None):
        mine.follow(followed)
        seen.append(mine.whole())
        for each in (others, more):
            each.frames, each.skipped, each.bytes = each.frames + 3, each.skipped + 1, each.bytes + 300
        seen.append(mine.whole())

    assert [tally.frames for tally in seen] == [1, 4, 4, 7, 7, 10, 10, 10]
    assert [tally.skipped for tally in seen] == [2, 3, 3, 4, 4, 5, 5, 5]
    assert [tally.bytes for tally in seen] == [30, 330, 330, 630, 630, 930, 930, 930]
    assert mine == seen[-1]


def test_an_audience_served_together() -> None:
    """The sum is right at every moment: while they follow others, when they leave as they do, and afterwards."""
    audience, others = Audience(), Tally(100, 50, 4000)
    sums = []
    with audience.seat() as first:
        with audience.seat() as second:
            for tally in (first, second):
                tally.frames, tally.bytes = 1, 10
                tally.follow(others)
            others.frames, others.skipped, others.bytes = 102, 51, 4020
            sums.append(audience.total())
            second.follow(None)
            others.frames, others.bytes = 103, 4030
            sums.append(audience.total())
        others.frames, others.bytes = 104, 4040
        sums.append(audience.total())
    others.frames += 1

    assert sums == [Tally(6, 2, 60), Tally(7, 2, 70), Tally(8, 2, 80)]
    assert audience.total() == Tally(8, 2, 80)


@pytest.mark.parametrize("look", [Look(), Look(640), Look(fps=5), Look(640, quality=50, fps=5)])
async def test_who_watches_is_demand(look: Look, cameras: Cameras, captures: list[Standin]) -> None:
    """A camera is wanted while somebody watches, in whatever look, and was wanted just now when the last one left."""
    porch = cameras["porch"]
    seen = []
    with porch.watch(look), porch.watch(Look()):
        seen.append(porch.demand.now)
        with porch.watch(look):
            pass
        seen.append(porch.demand.now)
    seen += [porch.demand.now, porch.demand.within(60), cameras["attic"].demand.within(60)]

    assert seen == [True, True, False, True, False]
    assert len(porch.renditions) == 0


async def test_a_picture_is_demand(cameras: Cameras, captures: list[Standin]) -> None:
    """Who wants one picture wants the camera, until the picture is there."""
    porch = cameras["porch"]
    wanted = asyncio.create_task(porch.picture(Look(), 0, 0.0, soon()))
    await turns()
    assert porch.demand.now
    captures[0].give()
    assert await wanted is not None

    assert not porch.demand.now


@pytest.mark.parametrize("state", [State.IDLE, State.LOST, State.LIVE])
async def test_the_first_viewer_wakes_the_thread(
    state: State, cameras: Cameras, captures: list[Standin], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first who comes has the thread look up, and a card soon if there is no picture; the others do not."""
    porch, capture = cameras["porch"], captures[0]
    assert porch._starting is not None
    porch._starting.cancel()
    monkeypatch.setattr(module, "PATIENCE", 0.0)
    capture.status = Status(state, time())
    with porch.watch(Look()), porch.watch(Look()):
        await porch._starting

    assert capture.asked == ["start", "nudge", "announce"]


async def test_pause_and_resume(cameras: Cameras, captures: list[Standin], monkeypatch: pytest.MonkeyPatch) -> None:
    """A pause and its end are told to the thread at once; behind it a card is shown if no picture comes soon."""
    monkeypatch.setattr(module, "PATIENCE", 0.0)
    porch, capture = cameras["porch"], captures[0]
    assert porch._starting is not None
    porch._starting.cancel()
    porch.pause()
    told = [capture.demand.paused, cameras["attic"].demand.paused]
    porch.resume()
    told.append(capture.demand.paused)
    await porch._starting

    assert told == [True, False, False]
    assert capture.asked == ["start", "nudge", "nudge", "announce"]


async def test_a_pause_outlives_a_reload(cameras: Cameras, captures: list[Standin]) -> None:
    """A paused camera that is opened again for another configuration is paused still, and its viewers are."""
    with cameras["porch"].watch(Look()):
        cameras["porch"].pause()
        await cameras.apply({"porch": ATTIC, "attic": ATTIC}, LIMITS)

        assert (captures[-1].demand.paused, captures[-1].demand.now) == (True, True)


async def test_paused_names(captures: list[Standin]) -> None:
    """Cameras whose names stand among the paused ones are paused from the start, and so are those a reload adds."""
    paused = {"attic"}
    cameras = Cameras({"porch": PORCH, "attic": ATTIC}, asyncio.get_running_loop(), LIMITS, paused)
    assert [camera.demand.paused for camera in cameras.values()] == [False, True]
    paused |= {"porch", "cellar"}
    await cameras.apply({"porch": PORCH, "cellar": PORCH, "shed": PORCH}, LIMITS)

    assert {name: camera.demand.paused for name, camera in cameras.items()} == {
        "porch": False,
        "cellar": True,
        "shed": False,
    }


async def test_via(cameras: Cameras, captures: list[Standin]) -> None:
    """A camera is the last of the relays its pictures come through, and has another tag than any other."""
    porch, attic = cameras.values()
    relays = [porch.via]
    captures[0].granted = Granted(64, 48, 30, "JPEG", "network", via=("3fa94c01d2ee",))
    relays.append(porch.via)

    assert relays == [(porch.tag,), ("3fa94c01d2ee", porch.tag)]
    assert [capture.tag for capture in captures] == [porch.tag, attic.tag]
    assert len({porch.tag, attic.tag}) == 2


async def test_silence_is_announced(cameras: Cameras, captures: list[Standin]) -> None:
    """A camera that passes for live while its thread is silent is said to be so, and no other."""
    captures[0].late = True
    await cameras.rescue()

    assert [capture.asked for capture in captures] == [["start", "silence"], ["start"]]


@pytest.mark.parametrize(("config", "rescued"), [(RTSP, True), (CameraConfig(source="/dev/video0"), False)])
async def test_a_stuck_network_source_is_left_behind(
    config: CameraConfig,
    rescued: bool,  # noqa: FBT001  (a row)
    captures: list[Standin],
) -> None:
    """A thread that the network holds is replaced, and its viewers stay; one that holds a device is not."""
    cameras = Cameras({"porch": config}, asyncio.get_running_loop(), LIMITS)
    porch = cameras["porch"]
    porch.start()
    captures[0].held, captures[0].lets_go = 42.0, False
    with porch.watch(Look()) as ring:
        waiting = ring.next(0, soon())
        await cameras.rescue()
        assert not waiting.done()
        assert cameras.stuck() == ({} if rescued else {"porch": 42.0})
        assert len(captures) == 1 + rescued
        captures[-1].give()
        assert await waiting is not None

    assert captures[0].stopped is rescued
    assert captures[-1].asked[: 2 * rescued] == ["inherit 30", "start"] * rescued


async def test_only_so_many_are_left_behind(captures: list[Standin]) -> None:
    """When too many threads of a camera are held it is left so, and the others go on; one that came back makes room."""
    cameras = Cameras({"porch": RTSP, "attic": RTSP}, asyncio.get_running_loop(), LIMITS)
    for camera in cameras.values():
        camera.start()
    for _ in range(module.MOST_LEFT + 2):
        for capture in captures:
            capture.held, capture.lets_go = 42.0 * (capture.name == "porch"), False
        await cameras.rescue()
    porches = [capture for capture in captures if capture.name == "porch"]
    assert len(porches) == 1 + module.MOST_LEFT
    assert cameras.stuck() == {}
    assert cameras.is_held("porch")
    assert not cameras.is_held("attic")
    assert len(captures) == len(porches) + 1
    porches[0].lets_go = True
    cameras.stuck()
    await cameras.rescue()

    assert names(captures).count("porch") == 2 + module.MOST_LEFT
    assert cameras.stuck() == {}
