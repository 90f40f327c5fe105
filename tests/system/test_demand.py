"""Cameras that are open only for somebody, that are closed by hand, or that show one picture for ever."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import cv2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.chromium import Chromium
from tests.daemon import SECONDS, Daemon, join, pattern, wait_for, write_config
from tests.pictures import jpeg
from tests.sources.site import STREAM, Site, Visit, part
from tests.system.client import Answer, Client, Part, decode, events, fetch, size, wait_viewers
from tests.system.fakecam import HEIGHT, WIDTH, Camera, read_stamp

FIRST_PICTURE = 4.0
"""Seconds that the design gives from the first viewer to the first picture."""
ON_DEMAND: dict[str, object] = {"camera.cam.on_demand": True, "camera.cam.linger": 0.5}
CAMERA: dict[str, object] = {
    "camera.cam.source": "/dev/video0",
    "camera.cam.width": WIDTH,
    "camera.cam.height": HEIGHT,
    "camera.cam.stale_after": 1,
}
STEER, WALL = "steer-3f9c1e77", "wall-8d1b5a02"
KEYS: dict[str, object] = {
    "key.steer.secret": STEER,
    "key.steer.scopes": ["view", "snapshot", "control"],
    "key.wall.secret": WALL,
    "key.wall.scopes": ["view", "snapshot"],
}
BROWSER = {"Accept": "image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5"}


def device_is_open(daemon: Daemon) -> bool:
    """Whether the daemon has the fake camera's descriptors."""
    links = []
    for each in Path(f"/proc/{daemon.process.pid}/fd").iterdir():
        try:
            links.append(str(each.readlink()))
        except FileNotFoundError:  # closed meanwhile
            continue
    return any(link.startswith("/memfd:fakecam") for link in links)


PICTURE = ""


def state_of(part: Part) -> str:
    """The state that a card tells; `PICTURE` where there is none."""
    return part.fields.get("X-Source-State", PICTURE)


def wait_part(client: Client, state: str, within: float = 10.0) -> Part:
    """The first picture, or the first card of that state; fails when none comes in time."""
    deadline = time.monotonic() + within * SECONDS
    while state_of(part := client.part()) != state:
        assert time.monotonic() < deadline, f"waited {within * SECONDS:g} s for {state or 'a picture'}"
    return part


def take_snapshot(daemon: Daemon) -> None:
    """One picture."""
    answer = fetch(daemon, "/snapshot")
    assert answer.status == 200, answer.body
    assert size(answer.body) == (320, 240)


def watch_stream(daemon: Daemon) -> None:
    """A stream's first picture."""
    with Client(daemon) as client:
        client.open_stream()
        wait_part(client, PICTURE)


def watch_as_browser(daemon: Daemon) -> None:
    """A stream's first two parts, as an `<img>` is sent them; no card is among those of a camera that opens fast."""
    with Client(daemon) as client:
        head = client.get("/stream", BROWSER).head()
        assert head.status == 200
        client.read_until(b"\r\n\r\n")
        for _ in range(2):
            assert size(client.advance_part().jpeg) == (320, 240)


@pytest.mark.parametrize("look", [take_snapshot, watch_stream, watch_as_browser])
def test_who_comes_wakes_it(look: Callable[[Daemon], None]) -> None:
    """An idle camera is healthy, gives whoever comes a picture in seconds, and is idle again when nobody is left."""
    with Daemon(join(pattern(), ON_DEMAND)) as daemon:
        daemon.wait_state("idle")
        assert fetch(daemon, "/health/cam").status == 200
        assert daemon.camera()["frames"]["captured"] == 0
        for turn in (1, 2):
            began = time.monotonic()
            look(daemon)
            assert time.monotonic() - began < FIRST_PICTURE * SECONDS
            daemon.wait_state("idle")
            assert daemon.camera()["changes"] == {"idle": turn + 1, "starting": turn, "live": turn}
        captured = daemon.camera()["frames"]["captured"]
        time.sleep(0.5)
        assert daemon.camera()["frames"]["captured"] == captured


def test_a_page_wakes_it(tmp_path: Path) -> None:
    """A browser that opens the page sees an idle camera within seconds, and lets it go when it leaves."""
    with Daemon(join(pattern(), ON_DEMAND)) as daemon:
        daemon.wait_state("idle")
        with Chromium(tmp_path / "chromium") as browser:
            browser.open(f"{daemon.url}/")
            daemon.wait_state("live")
            wait_for(
                lambda: browser.evaluate("(document.querySelector('img') || {}).naturalWidth") == 320,
                FIRST_PICTURE,
                "the picture in the page",
            )
            browser.open("about:blank")
            daemon.wait_state("idle")


def test_reports_wake_nobody() -> None:
    """Monitors may read every report of an idle camera without opening it."""
    with Daemon(join(pattern(), ON_DEMAND)) as daemon:
        daemon.wait_state("idle")
        for path in ("/", "/cameras", "/cameras/cam", "/stats", "/metrics", "/health", "/health/cam", "/state"):
            assert fetch(daemon, path).status == 200
        time.sleep(0.3)
        assert daemon.camera()["state"] == "idle"
        assert daemon.camera()["changes"] == {"idle": 1}


def test_an_idle_device_is_closed(camera: Camera) -> None:
    """A device that nobody watches is closed, so that others may have it; who comes sees what is, not what was."""
    with camera.daemon(ON_DEMAND) as daemon:
        daemon.wait_state("idle")
        assert not device_is_open(daemon)
        for _ in range(2):
            with Client(daemon) as client:
                began = time.monotonic()
                client.open_stream()
                first = wait_part(client, PICTURE)
                stamp = read_stamp(first.jpeg)
                assert stamp is not None
                assert stamp.taken > began
                assert first.arrived - began < FIRST_PICTURE * SECONDS
                assert device_is_open(daemon)
            daemon.wait_state("idle")
            assert not device_is_open(daemon)


def test_it_stays_open_between_two_snapshots(camera: Camera) -> None:
    """Who takes a picture now and again, sooner than `linger`, opens the device once."""
    with camera.daemon({**ON_DEMAND, "camera.cam.linger": 2}) as daemon:
        daemon.wait_state("idle")
        for _ in range(4):
            assert fetch(daemon, "/snapshot").status == 200
            time.sleep(0.4)
        assert daemon.camera()["changes"]["live"] == 1
        assert device_is_open(daemon)


def test_a_missing_device_on_demand(camera: Camera) -> None:
    """A camera on demand that is not there is a card for who comes, and idle again when they are gone."""
    camera.unplug()
    with camera.daemon(ON_DEMAND) as daemon:
        daemon.wait_state("idle")
        with Client(daemon) as client:
            client.open_stream()
            assert state_of(client.part()) in {"starting", "lost"}
            daemon.wait_state("lost")
            camera.plug()
            wait_part(client, PICTURE)
        daemon.wait_state("idle")


def test_little_is_made_for_nobody() -> None:
    """A pattern that is not watched is drawn and encoded once a second, though it comes at its rate."""
    with Daemon(pattern(fps=30)) as daemon:
        daemon.wait_state("live")
        wait_viewers(daemon, 0)
        before = daemon.camera()["frames"]["captured"], int(fetch(daemon, "/snapshot")["x-frame-id"])
        time.sleep(3)
        after = daemon.camera()["frames"]["captured"], int(fetch(daemon, "/snapshot")["x-frame-id"])
        captured, made = after[0] - before[0], after[1] - before[1]
        assert captured > 60
        assert 2 <= made <= 8  # one a second, and what is made while the snapshots are waited for
        with Client(daemon) as client:
            client.open_stream()
            first, *_, last = [client.part() for _ in range(45)]
        assert last.id - first.id == pytest.approx(30 * (last.arrived - first.arrived), rel=0.2)


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"} if secret else {}


def post(daemon: Daemon, verb: str, key: str = STEER) -> Answer:
    """Pause or resume."""
    return fetch(daemon, f"/cameras/cam/{verb}", {**bearer(key), "Content-Length": "0"}, method="POST")


@contextmanager
def steered(
    camera: Camera, folder: Path, sets: Mapping[str, object] | None = None, state: str = "live"
) -> Iterator[tuple[Daemon, Path]]:
    """A daemon with a device in that state, its configuration file, and a state folder of its own."""
    file = write_config(folder / "mjpegd.toml", CAMERA, KEYS, sets or {})
    environment = {**camera.environment(), "STATE_DIRECTORY": str(folder / "state")}
    with Daemon(config=file, environment=environment, preload=camera.library, key=WALL) as daemon:
        daemon.wait_state(state)
        yield daemon, file


def test_pause_and_resume(camera: Camera, tmp_path: Path) -> None:
    """A pause closes the device and shows a card to who watches and who comes; resumed, the pictures are back."""
    with steered(camera, tmp_path) as (daemon, _), Client(daemon) as client:
        client.open_stream("/stream", bearer(WALL))
        wait_part(client, PICTURE)
        assert device_is_open(daemon)
        answer = post(daemon, "pause")
        assert (answer.status, answer.json()["state"], answer.json()["paused"]) == (200, "paused", True)
        assert not device_is_open(daemon)
        card = wait_part(client, "paused")
        assert size(card.jpeg) == (WIDTH, HEIGHT)
        assert read_stamp(card.jpeg) is None
        with Client(daemon) as late:
            late.open_stream("/stream", bearer(WALL))
            assert state_of(late.part()) == "paused"
        snapshot = fetch(daemon, "/snapshot", bearer(WALL))
        assert (snapshot.status, snapshot.json()["state"]) == (503, "paused")
        assert fetch(daemon, "/health/cam", bearer(WALL)).status == 503
        assert fetch(daemon, "/health").status == 200
        paused = time.monotonic()
        answer = post(daemon, "resume")
        assert (answer.status, answer.json()["paused"]) == (200, False)
        back = wait_part(client, PICTURE, FIRST_PICTURE)
        stamp = read_stamp(back.jpeg)
        assert stamp is not None
        assert stamp.taken > paused
        assert fetch(daemon, "/snapshot", bearer(WALL)).status == 200
        assert device_is_open(daemon)
    assert [line["by"] for line in events(daemon, "camera paused")] == ["127.0.0.1"]
    assert [line["by"] for line in events(daemon, "camera resumed")] == ["127.0.0.1"]
    assert not events(daemon, "camera lost") + events(daemon, "camera stale")


@pytest.mark.parametrize(("key", "status"), [("", 401), (WALL, 403), ("wrong-3f9c1e77", 401)])
@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_who_may_not_steer(camera: Camera, tmp_path: Path, verb: str, key: str, status: int) -> None:
    """Without a key for it nobody closes a camera, and nobody opens one that was closed."""
    with steered(camera, tmp_path) as (daemon, _):
        if verb == "resume":
            assert post(daemon, "pause").status == 200
        before = daemon.camera()["state"]
        assert post(daemon, verb, key).status == status
        time.sleep(0.2)
        assert daemon.camera()["state"] == before
        assert device_is_open(daemon) is (verb == "pause")


def test_a_pause_outlives_reload_and_restart(camera: Camera, tmp_path: Path) -> None:
    """A closed camera stays closed over a reload that changes it and over a restart, and is opened by resume alone."""
    with steered(camera, tmp_path) as (daemon, file):
        assert post(daemon, "pause").status == 200
        write_config(file, CAMERA, KEYS, {"camera.cam.fps": 15})
        assert daemon.reload()["event"] == "configuration reloaded"
        daemon.wait_state("paused")
        assert daemon.camera()["requested"]["fps"] == 15
        assert not device_is_open(daemon)
    with steered(camera, tmp_path, state="paused") as (daemon, _):
        assert daemon.camera()["changes"] == {"paused": 1}
        assert not device_is_open(daemon)
        assert fetch(daemon, "/snapshot", bearer(WALL)).status == 503
        assert post(daemon, "resume").status == 200
        daemon.wait_state("live")
        assert fetch(daemon, "/snapshot", bearer(WALL)).status == 200
    with steered(camera, tmp_path) as (daemon, _):
        assert device_is_open(daemon)


def test_a_damaged_file_opens_no_camera(camera: Camera, tmp_path: Path) -> None:
    """Where it is not known which cameras are paused all are, until they are resumed one by one."""
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "paused.json").write_bytes(b"")
    with steered(camera, tmp_path, state="paused") as (daemon, _):
        (line,) = events(daemon, "cannot read which cameras are paused: all are")
        assert (line["level"], line["hint"].split()[:2]) == ("error", ["POST", "/cameras/NAME/resume"])
        assert not device_is_open(daemon)
        assert fetch(daemon, "/snapshot", bearer(WALL)).status == 503
        answer = post(daemon, "resume")
        assert (answer.status, answer.json()["paused"], answer.json()["lasting"]) == (200, False, True)
        assert answer.json()["state"] != "paused"
        daemon.wait_state("live")
    with steered(camera, tmp_path) as (daemon, _):
        assert device_is_open(daemon)


def test_a_pause_of_a_camera_on_demand(camera: Camera, tmp_path: Path) -> None:
    """An idle camera can be paused: who comes sees the card and does not open it; resumed, it is idle again."""
    with steered(camera, tmp_path, ON_DEMAND, state="idle") as (daemon, _):
        assert post(daemon, "pause").status == 200
        assert fetch(daemon, "/health/cam", bearer(WALL)).status == 503
        with Client(daemon) as client:
            client.open_stream("/stream", bearer(WALL))
            assert state_of(client.part()) == "paused"
            assert not device_is_open(daemon)
        assert post(daemon, "resume").status == 200
        daemon.wait_state("idle")
        assert fetch(daemon, "/snapshot", bearer(WALL)).status == 200


class Sensor:
    """A camera's server whose pictures, while it is `still`, are one and the same."""

    def __init__(self, *, still: bool = False) -> None:
        self.still = still
        self.connections = 0
        self._pictures = [jpeg(320, 240), jpeg(320, 240, options=(cv2.IMWRITE_JPEG_PROGRESSIVE, 1))]
        self._number = 0

    def __call__(self, visit: Visit) -> None:
        """Serve a stream of 20 pictures a second until the client leaves."""
        visit.request()
        self.connections += 1
        visit.send(STREAM)
        while True:
            self._number += not self.still
            visit.send(part(self._pictures[self._number % 2]))
            time.sleep(0.05)


def watching(site: Site, frozen_after: float) -> Daemon:
    """A daemon with that site for its camera."""
    keys = {"source": site.url, "frozen_after": frozen_after, "stale_after": 1, "retry_min": 0.2, "retry_max": 0.5}
    return Daemon({f"camera.cam.{key}": value for key, value in keys.items()})


def states(daemon: Daemon) -> dict[str, float]:
    """What the metrics say of the camera's state: 1 for the one it is in."""
    families = {
        metric.name: metric for metric in text_string_to_metric_families(fetch(daemon, "/metrics").body.decode())
    }
    return {sample.labels["state"]: sample.value for sample in families["mjpegd_camera_state"].samples}


def test_frozen() -> None:
    """A camera that repeats its picture is said to be frozen everywhere, once; with another picture it is live."""
    sensor = Sensor()
    with Site(sensor) as site, watching(site, frozen_after=1) as daemon, Client(daemon) as client:
        daemon.wait_state("live")
        client.open_stream()
        last = wait_part(client, PICTURE)
        sensor.still = True
        card = wait_part(client, "frozen")
        assert size(card.jpeg) == (320, 240)
        above = (slice(0, 200), slice(None))
        assert abs(decode(card.jpeg)[above].astype(int) - decode(last.jpeg)[above]).mean() < 15
        health = fetch(daemon, "/health")
        assert (health.status, health.json()["cameras"]["cam"]["state"]) == (200, "frozen")
        assert fetch(daemon, "/health/cam").status == 503
        report = fetch(daemon, "/cameras/cam").json()
        assert (report["state"], report["reason"]) == ("frozen", "the same picture for 1 s")
        assert {name for name, value in states(daemon).items() if value} == {"frozen"}
        assert fetch(daemon, "/snapshot").status == 503
        wait_for(lambda: sensor.connections > 2, 10, "it to be opened again and again")
        assert daemon.camera()["state"] == "frozen"
        (line,) = events(daemon, "camera frozen")
        assert line["reason"] == "the same picture for 1 s"
        sensor.still = False
        wait_part(client, PICTURE)
        daemon.wait_state("live")
        assert {name for name, value in states(daemon).items() if value} == {"live"}
        assert fetch(daemon, "/cameras/cam").json()["last_error"]["state"] == "frozen"


def test_a_screen_may_stand_still() -> None:
    """With `frozen_after = 0` a picture that stays the same is a picture."""
    sensor = Sensor(still=True)
    with Site(sensor) as site, watching(site, frozen_after=0) as daemon, Client(daemon) as client:
        daemon.wait_state("live")
        client.open_stream()
        parts = [client.part() for _ in range(40)]
        assert {state_of(part) for part in parts} == {PICTURE}
        assert daemon.camera()["changes"] == {"live": 1}
