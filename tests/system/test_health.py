"""What the daemon says about itself: `/health`, `/stats` and `/cameras`."""

import socket
from collections.abc import Iterator

import pytest

from mjpegd import __version__
from tests.daemon import Daemon, JsonDict, join, pattern, wait_for
from tests.system.client import Client, fetch, size, wait_viewers
from tests.system.fakecam import Camera

STAGES = ("capture", "encode", "wakeup", "send")


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    """A live camera, and one that is not there."""
    sets = join(pattern(fps=20), {"camera.gone.source": "/dev/video99"})
    with Daemon(sets) as daemon:
        daemon.wait_state("live")
        daemon.wait_state("lost", "gone")
        yield daemon


def test_a_lost_camera_leaves_the_daemon_healthy(daemon: Daemon) -> None:
    """`/health` is 200 while a camera is lost, and says of each camera its state, since when and why."""
    answer = fetch(daemon, "/health")
    assert answer.status == 200
    said = answer.json()
    assert said["status"] == "ok"
    assert list(said["cameras"]) == ["cam", "gone"]
    assert (said["cameras"]["cam"]["state"], said["cameras"]["cam"]["reason"]) == ("live", "")
    assert (said["cameras"]["gone"]["state"], said["cameras"]["gone"]["reason"]) == ("lost", "not plugged in")
    started = daemon.json("/stats")["started"]
    for camera in said["cameras"].values():
        assert started - 1 < camera["since"] < started + 60


@pytest.mark.parametrize(("name", "status", "state"), [("cam", 200, "live"), ("gone", 503, "lost")])
def test_a_cameras_health_is_its_status_code(daemon: Daemon, name: str, status: int, state: str) -> None:
    """`/health/{camera}` is 200 for a live camera and 503 for any other, with the state in the body."""
    answer = fetch(daemon, f"/health/{name}")
    assert answer.status == status
    assert (answer.json()["camera"], answer.json()["state"]) == (name, state)


def test_the_health_of_an_unknown_camera_is_404(daemon: Daemon) -> None:
    """A camera that is not configured is 404, not unhealthy."""
    assert fetch(daemon, "/health/nobody").status == 404


def test_a_cameras_health_follows_the_camera(camera: Camera) -> None:
    """503 while the camera is unplugged, 200 once it is there, 503 again when it is pulled."""
    camera.unplug()
    with camera.daemon() as daemon:
        daemon.wait_state("lost")
        assert fetch(daemon, "/health/cam").status == 503
        camera.plug()
        wait_for(lambda: fetch(daemon, "/health/cam").status == 200, 5, "the camera to be healthy")
        camera.unplug()
        wait_for(lambda: fetch(daemon, "/health/cam").status == 503, 5, "the camera to be unhealthy")
        assert fetch(daemon, "/health").status == 200


def test_a_camera_that_has_not_begun_is_starting() -> None:
    """A camera that takes long to open is `starting`, and those who look are shown a card."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        source = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        with Daemon({"camera.cam.source": source, "camera.cam.width": 320, "camera.cam.height": 240}) as daemon:
            with Client(daemon) as client:
                client.open_stream()
                assert size(client.part().jpeg) == (320, 240)
            answer = fetch(daemon, "/health/cam")
    assert answer.status == 503
    assert answer.json()["state"] == "starting"


def test_stats_have_everything_the_specification_lists(daemon: Daemon) -> None:
    """Version, uptime, and per camera all that is counted and measured."""
    with Client(daemon) as client:
        client.open_stream()
        for _ in range(10):
            client.part()
        stats = daemon.json("/stats")
    assert stats["version"] == __version__
    assert stats["uptime"] > 0
    camera = stats["cameras"]["cam"]
    assert (camera["state"], camera["reason"], camera["source"]) == ("live", "", "pattern")
    assert camera["since"] > 1e9
    assert camera["requested"] == {"width": 320, "height": 240, "fps": 20.0}
    assert camera["granted"] == {"width": 320, "height": 240, "fps": 20.0, "format": "BGR", "decoder": None}
    assert camera["fps"] > 0
    assert camera["jpeg_bytes"] > 1000
    assert camera["frames"].keys() == {"captured", "skipped", "broken"}
    assert camera["restarts"] == 0
    assert camera["viewers"] == 1
    assert camera["sent"].keys() == {"frames", "skipped", "bytes"}
    for stage in STAGES:
        times = camera["milliseconds"][stage]
        assert 0 <= times["p50"] <= times["p95"], stage


def test_stats_of_a_lost_camera_are_complete_too(daemon: Daemon) -> None:
    """A camera that was never there has the same keys, with zeros and nulls."""
    cameras = daemon.json("/stats")["cameras"]
    lost = cameras["gone"]
    assert lost.keys() == cameras["cam"].keys()
    assert (lost["granted"], lost["fps"], lost["restarts"], lost["jpeg_bytes"]) == (None, 0.0, 0, 0)
    assert lost["frames"] == {"captured": 0, "skipped": 0, "broken": 0}
    assert lost["milliseconds"]["capture"] == {"p50": None, "p95": None}


def test_counters_only_grow(daemon: Daemon) -> None:
    """Frames, bytes, visits and uptime grow between two looks while somebody watches, and stay when it left."""
    wait_viewers(daemon, 0)
    with Client(daemon) as client:
        client.open_stream()
        client.part()
        first = daemon.json("/stats")
        for _ in range(10):
            client.part()
        second = daemon.json("/stats")
    wait_viewers(daemon, 0)
    third = daemon.json("/stats")
    assert first["uptime"] < second["uptime"] < third["uptime"]
    assert first["started"] == third["started"]
    for path in (("frames", "captured"), ("sent", "frames"), ("sent", "bytes")):
        one, two, three = (value(stats, *path) for stats in (first, second, third))
        assert one < two <= three, path
    assert value(second, "sent", "frames") - value(first, "sent", "frames") >= 9
    assert value(second, "visits") == value(third, "visits")


def value(stats: JsonDict, *path: str) -> int:
    """One number of the live camera."""
    found = stats["cameras"]["cam"]
    for key in path:
        found = found[key]
    assert isinstance(found, int)
    return found


def test_the_list_of_cameras_leads_to_them(daemon: Daemon) -> None:
    """`/cameras` lists all in order, with state and with addresses that work."""
    listed = daemon.json("/cameras")["cameras"]
    assert [(camera["name"], camera["state"]) for camera in listed] == [("cam", "live"), ("gone", "lost")]
    assert fetch(daemon, listed[0]["snapshot"]).status == 200
    for camera in listed:
        with Client(daemon) as client:
            client.open_stream(camera["stream"])
            client.part()


@pytest.mark.parametrize("path", ["/health", "/health/cam", "/stats", "/cameras", "/state"])
def test_no_cache_keeps_what_the_daemon_says_of_itself(daemon: Daemon, path: str) -> None:
    """Reports are JSON and are never stored."""
    answer = fetch(daemon, path)
    assert answer.json()
    assert answer["cache-control"] == "no-store"
