"""Viewers whose connection is slow are led down, stay there, and come up again; a promised latency is kept.

Most of it is one long scene with all of them on one daemon at once: slow for half a minute, then free.
"""

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import cv2
import numpy
import pytest

from tests.daemon import SECONDS, Daemon, join, pattern, wait_for
from tests.system.client import Client, wait_viewers
from tests.system.fakecam import HEIGHT, WIDTH, Camera
from tests.system.slow import Journal, Link, NoLink, Reader, percentile

OPEN = {"auth.anonymous": "view,snapshot,admin"}
HEARTBEAT = 2.0
KILOBYTES = 1000
MBIT = 1_000_000
FREE = float("inf")
PROMISE = 0.3
SLOW_FOR = 28.0
DOWN_WITHIN, UP_WITHIN = 10.0, 45.0
"""Seconds for the way down, and for the way up when the connection is free again."""
MOST_STEPS = 6
"""In the eighteen seconds behind the way down, in which a rung above is tried after 2.5, 5 and 10 s: each time up and
down again."""

PACED: Mapping[str, tuple[str, int]] = {
    "paced": ("/stream?adapt=1", 300 * KILOBYTES),
    "twin": ("/stream?adapt=1", 300 * KILOBYTES),
    "browser": ("/stream?adapt=1&profile=browser", 60 * KILOBYTES),
    "promised": (f"/stream?max_latency={PROMISE * 1000:.0f}", 300 * KILOBYTES),
    "hopeless": (f"/stream?max_latency={PROMISE * 1000:.0f}", 8 * KILOBYTES),
}
"""Readers that take so many bytes a second; thirty of the camera's pictures are 1.2 MB."""
SHAPED: Mapping[str, tuple[str, int]] = {
    "far": ("/stream?adapt=1", 3 * MBIT),
    "far promised": (f"/stream?max_latency={PROMISE * 1000:.0f}", 3 * MBIT),
}
"""Readers that take all at once behind a link of so many bits a second."""
LED = ("paced", "twin", "browser", "promised", *SHAPED)


@dataclass
class Scene:
    """What everybody got; the times are those of day."""

    readers: dict[str, Reader] = field(default_factory=dict)
    links: dict[str, Link] = field(default_factory=dict)
    no_link: str = ""
    journal: Journal = field(init=False)
    began: float = 0.0
    freed: float = 0.0
    ended: float = 0.0

    def reader(self, agent: str) -> Reader:
        """The one with that name; without the link that it needs the test is skipped."""
        if agent not in self.readers:
            pytest.skip(self.no_link)
        return self.readers[agent]

    def free(self) -> None:
        """Let everybody take what there is."""
        for link in self.links.values():
            link.allow(1000 * MBIT)
        for reader in self.readers.values():
            reader.rate = FREE
        self.freed = time.time()

    def is_over(self) -> bool:
        """Whether everybody is at the top."""
        return all(self.journal.rung(agent) == 0 for agent in LED if agent in self.readers)

    @property
    def settled(self) -> tuple[float, float]:
        """From when until when everybody should have stood on a rung that fits."""
        return self.began + DOWN_WITHIN, self.freed


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of ten JPEGs of 640x480 and about 40 KB, good enough to become worse."""
    folder = tmp_path_factory.mktemp("good")
    noise = numpy.random.default_rng(1)
    y, x = numpy.mgrid[0:HEIGHT, 0:WIDTH]
    for number in range(10):
        waves = 120 + 60 * numpy.sin(x / 40 + number / 3) + 40 * numpy.cos(y / 15)
        image = (waves[..., None] + noise.integers(0, 8, (HEIGHT, WIDTH, 3))).astype(numpy.uint8)
        cv2.putText(image, f"{number}", (60 * number, 200), cv2.FONT_HERSHEY_SIMPLEX, 4, (255, 255, 255), 9)
        cv2.imwrite(str(folder / f"{number:03}.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, 90])
    return folder


@pytest.fixture(scope="module")
def scene(fakecam: Path, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """The scene, played to its end."""
    camera = Camera(fakecam, pictures, tmp_path_factory.mktemp("control"))
    played = Scene()
    sets = {"server.host": "0.0.0.0", "server.heartbeat": HEARTBEAT, "log.level": "info"}
    with camera.daemon(join(OPEN, sets)) as daemon, contextlib.ExitStack() as stack:
        daemon.wait_state("live")
        played.journal = stack.enter_context(Journal(daemon))
        played.began = time.time()
        played.readers["fast"] = stack.enter_context(Reader(daemon, "/stream", agent="fast"))
        for agent, (path, rate) in PACED.items():
            played.readers[agent] = stack.enter_context(Reader(daemon, path, rate, agent=agent))
        _add_shaped(played, daemon, stack)
        time.sleep(SLOW_FOR)
        played.free()
        with contextlib.suppress(AssertionError):  # the tests say who is not
            wait_for(played.is_over, UP_WITHIN, "everybody at the top")
        played.ended = time.time()
    return played


def _add_shaped(played: Scene, daemon: Daemon, stack: contextlib.ExitStack) -> None:
    try:
        for number, (agent, (path, rate)) in enumerate(SHAPED.items()):
            link = stack.enter_context(Link(f"a{number}", 100 + number))
            link.allow(rate)
            connection = link.connect(daemon)
            played.readers[agent] = stack.enter_context(Reader(daemon, path, connection=connection, agent=agent))
            played.links[agent] = link
    except NoLink as error:
        played.no_link = str(error)


@pytest.mark.parametrize("agent", LED)
def test_down_within_ten_seconds(scene: Scene, agent: str) -> None:
    """Ten seconds behind its coming a slow viewer stands where it misses less than a quarter of the frames."""
    scene.reader(agent)
    rows = [rows[agent] for at, rows in scene.journal.rows if scene.settled[0] < at < scene.settled[1]]
    sent, skipped = (rows[-1][key] - rows[0][key] for key in ("frames", "skipped"))
    assert min(row["adaptive"]["rung"] for row in rows) > 0
    assert skipped < 0.25 * (sent + skipped), (sent, skipped)


@pytest.mark.parametrize("agent", LED)
def test_it_stays_there(scene: Scene, agent: str) -> None:
    """Then it moves only to try the rung above, less and less often."""
    scene.reader(agent)
    assert scene.journal.steps(agent, *scene.settled) <= MOST_STEPS, scene.journal.rungs(agent)


@pytest.mark.parametrize("agent", LED)
def test_up_again(scene: Scene, agent: str) -> None:
    """When its connection is free it is back at what it asked for within 45 seconds."""
    scene.reader(agent)
    rungs = scene.journal.rungs(agent, scene.freed)
    assert rungs[-1][1] == 0, rungs
    assert next(at for at, rung in rungs if not rung) - scene.freed < UP_WITHIN * SECONDS


@pytest.mark.parametrize("agent", ["paced", "promised", "hopeless", *SHAPED])
def test_the_default_profile_keeps_its_size(scene: Scene, agent: str) -> None:
    """Recorders and players get one size from beginning to end, whatever happens to pace and quality."""
    sizes = {each.size for each in scene.reader(agent).arrivals}
    lengths = [each.length for each in scene.reader(agent).arrivals]
    assert sizes == {(WIDTH, HEIGHT)}
    assert min(lengths) < 0.8 * max(lengths)


def test_a_browser_s_pictures_become_smaller(scene: Scene) -> None:
    """A page shows pictures of any size: down there they are smaller, in the end as large as ever."""
    arrivals = scene.reader("browser").arrivals
    sizes = {each.size for each in arrivals}
    assert {(WIDTH, HEIGHT), (WIDTH // 2, HEIGHT // 2)} <= sizes
    assert arrivals[-1].size == (WIDTH, HEIGHT)


@pytest.mark.parametrize("agent", ["fast", "paced", "twin", "promised", "hopeless", *SHAPED])
def test_time_never_runs_backwards(scene: Scene, agent: str) -> None:
    """From one rendition to the next no frame comes twice but as a repeat, and none behind a later one."""
    ids = [each.id for each in scene.reader(agent).arrivals if not each.repeat]
    assert len(ids) > 3
    assert all(one < other for one, other in pairwise(ids))


def test_who_stands_on_one_rung_shares_its_pictures(scene: Scene) -> None:
    """Two who came down the same ladder watch one rendition, encoded once for both."""
    together = [
        told["paced"]["rendition"]
        for _, told in scene.journal.rows
        if "twin" in told and told.get("paced", {}).get("rendition") == told["twin"]["rendition"] != "passthrough"
    ]
    assert together
    most = {name: max(shared.get(name, 0) for shared in scene.journal.shared) for name in together}
    assert any(viewers >= 2 for viewers in most.values()), most


def test_a_fast_viewer_beside_them_notices_nothing(scene: Scene) -> None:
    """Whoever takes everything gets every frame, while others are led up and down."""
    ids = [each.id for each in scene.reader("fast").arrivals]
    assert len(ids) > 0.95 * (ids[-1] - ids[0] + 1)
    assert len(ids) > 0.9 * 30 * (scene.ended - scene.began)


@pytest.mark.parametrize("agent", ["promised", "far promised"])
def test_a_promise_is_kept(scene: Scene, agent: str) -> None:
    """Of what arrives behind the first second 95 of 100 frames are younger than was promised, and there are many."""
    reader = scene.reader(agent)
    slow = [each.age for each in reader.since(scene.began + 1) if each.arrived < scene.freed]
    late = [age for age in slow if age > PROMISE]
    assert len(slow) > 4 * SLOW_FOR
    assert percentile(slow, 0.95) <= PROMISE * max(1.0, SECONDS), (len(late), max(slow))


def test_a_promise_that_can_not_be_kept(scene: Scene) -> None:
    """Where not even the smallest picture is fast enough, one comes now and then all the same."""
    moments = [each.arrived for each in scene.reader("hopeless").arrivals if each.arrived < scene.freed]
    longest = 8 * SECONDS  # the first picture alone takes five seconds
    assert len(moments) >= 4
    assert all(other - one < longest for one, other in pairwise((scene.began, *moments, scene.freed)))


def test_adapt_is_a_key_of_the_camera() -> None:
    """`adapt` of a camera counts for all who do not say otherwise, and only a viewer that is led has a ladder."""
    led = {"camera.yard.source": "pattern", "camera.yard.adapt": "true"}
    asked = {
        "/stream/cam": False,
        "/stream/cam?adapt=1": True,
        "/stream/cam?max_latency=500": True,
        "/stream/yard": True,
        "/stream/yard?adapt=0": False,
    }
    with Daemon(join(pattern(), led, OPEN)) as daemon, contextlib.ExitStack() as stack:
        daemon.wait_state("live")
        daemon.wait_state("live", "yard")
        for path in asked:
            stack.enter_context(Client(daemon)).open_stream(path, {"User-Agent": path})
        told = {row["agent"]: row["adaptive"] is not None for row in daemon.json("/clients")["clients"]}
    assert told == asked


# What TCP does to slow ones


@pytest.mark.parametrize("path", ["/stream", "/stream?adapt=1"])
def test_who_reads_in_gulps_is_not_cut(camera: Camera, path: str) -> None:
    """A viewer that takes much, then nothing for a third of a second, is not held to stall, however long it goes on."""
    with camera.daemon(join(OPEN, {"limits.stall_timeout": 2})) as daemon:
        daemon.wait_state("live")
        with Reader(daemon, path, FREE, most=1 << 15) as reader:
            for _ in range(16):
                reader.rate = 0
                time.sleep(0.35)
                reader.rate = 1500 * KILOBYTES
                time.sleep(0.15)
            assert reader.since(time.time() - 1)
            assert daemon.camera()["viewers"] == 1


@pytest.mark.parametrize("path", ["/stream", "/stream?adapt=1"])
def test_a_link_that_breaks_is_noticed(camera: Camera, path: str) -> None:
    """A viewer whose link breaks without a word is let go when it has taken nothing for `stall_timeout`."""
    sets = {"server.host": "0.0.0.0", "limits.stall_timeout": 2, "server.heartbeat": 1}
    with camera.daemon(join(OPEN, sets)) as daemon, contextlib.ExitStack() as stack:
        daemon.wait_state("live")
        try:
            link = stack.enter_context(Link("b", 110))
        except NoLink as error:
            pytest.skip(str(error))
        reader = stack.enter_context(Reader(daemon, path, connection=link.connect(daemon)))
        wait_for(lambda: len(reader.arrivals) > 30, 10, "thirty frames")
        link.break_off()
        assert wait_viewers(daemon, 0, within=8) > 1
