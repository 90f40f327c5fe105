"""Cameras that speak RTSP: at their rate, through every failure of theirs and of the network, and never a password."""

import base64
import statistics
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from time import monotonic

import pytest

from tests.daemon import SECONDS, Daemon, join, pattern, wait_for
from tests.faulty import FaultyProxy
from tests.rtsp import RtspServer
from tests.servers import stripe
from tests.servers.loop import Loop
from tests.system.client import Client, fetch, size
from tests.system.crowd import Crowd
from tests.system.remote import QUICK, age, is_card, is_fresh, look_for, look_on, parts_of, rate, remote

STALE_AFTER = QUICK["stale_after"]
PASSWORD, WRONG = "Tr0ub4dor-and-3", "c0rrect-h0rse"
OUT = {"stale", "lost"}


@pytest.fixture(scope="session")
def loops(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where encoded video is kept."""
    return tmp_path_factory.mktemp("loops")


@pytest.fixture
def server(loops: Path) -> Iterator[RtspServer]:
    """A camera with H.264."""
    with RtspServer(loops) as running:
        yield running


@pytest.fixture
def proxy(server: RtspServer) -> Iterator[FaultyProxy]:
    """The network between it and the daemon."""
    with FaultyProxy(server.port) as running:
        yield running


@pytest.fixture
def daemon(server: RtspServer, proxy: FaultyProxy) -> Iterator[Daemon]:
    """A daemon that sees the camera through that network, live."""
    with Daemon(remote(server.address(port=proxy.port), max_lag=1)) as running:
        running.wait_state("live")
        yield running


@pytest.mark.parametrize("codec", ["h264", "mjpeg"])
def test_it_plays_at_its_rate(loops: Path, codec: str) -> None:
    """Every picture comes, one after the other and fresh, in the camera's own size."""
    with RtspServer(loops, Loop(codec)) as server, Daemon(remote(server.url)) as daemon:
        daemon.wait_state("live")
        parts = parts_of(daemon, 70)[20:]
        stats = daemon.camera()
    numbers = [stripe.read_jpeg(part.jpeg) or 0 for part in parts]
    steps = [(later - sooner) % server.loops[0].length for sooner, later in pairwise(numbers)]
    assert steps.count(1) > 0.9 * len(steps), steps
    assert rate(parts) == pytest.approx(25, rel=0.1)
    assert statistics.median(age(server, part) for part in parts) < 0.3 * SECONDS
    assert size(parts[0].jpeg) == (640, 360)
    assert (stats["restarts"], stats["frames"]["broken"]) == (0, 0)


def test_a_killed_camera_comes_back_and_another_does_not_notice(server: RtspServer) -> None:
    """When the camera is gone its viewers stay, with a card; it comes back by itself; another one loses no frame."""
    other = {key.replace("cam.", "other.", 1): value for key, value in pattern(fps=20).items()}
    with Daemon(join(remote(server.url), other)) as daemon:
        daemon.wait_state("live")
        with Client(daemon) as client, Crowd(daemon, 1, "/stream/other.mjpg") as crowd:
            client.open_stream("/stream/cam.mjpg")
            look_for(client, is_fresh(server), "a picture")
            server.kill()
            look_for(client, is_card, "a card")
            told = fetch(daemon, "/cameras/cam").json()
            assert told["state"] in OUT
            assert told["reason"]
            assert fetch(daemon, "/health/cam").status == 503
            server.start()
            look_for(client, is_fresh(server), "the picture to be back")
            assert daemon.camera()["state"] == "live"
            (viewer,) = crowd.viewers
            assert viewer.span > 20
            assert viewer.share > 0.8


def test_a_stalled_network_shows(server: RtspServer, proxy: FaultyProxy, daemon: Daemon) -> None:
    """When nothing comes the camera is stale within a second of `stale_after`, with a card; later it is live again."""
    with Client(daemon) as client:
        client.open_stream()
        look_for(client, is_fresh(server), "a picture")
        proxy.stall()
        began = monotonic()
        look_for(client, is_card, "a card")
        assert monotonic() - began < STALE_AFTER + 1 * SECONDS
        assert daemon.camera()["state"] == "stale"
        proxy.resume()
        look_for(client, is_fresh(server), "the picture to be back")
        assert daemon.camera()["state"] == "live"


def test_a_cut_connection_is_made_again(server: RtspServer, proxy: FaultyProxy, daemon: Daemon) -> None:
    """After an RST the camera is opened again at once, and the viewers stay."""
    with Client(daemon) as client:
        client.open_stream()
        for _ in range(3):
            look_for(client, is_fresh(server), "a picture")
            before = daemon.camera()["restarts"]
            proxy.cut()
            wait_for(lambda before=before: daemon.camera()["restarts"] > before, 10, "it to be opened again")
        look_for(client, is_fresh(server), "the picture to be back")


def test_a_slow_network_does_not_leave_it_behind(server: RtspServer, proxy: FaultyProxy, daemon: Daemon) -> None:
    """A network that carries a third of the stream makes pictures late, and when it is well again they are fresh."""
    with Client(daemon) as client:
        client.open_stream()
        look_for(client, is_fresh(server), "a picture")
        proxy.slow(30_000)
        look_on(client, 2.5)
        proxy.resume()
        look_for(client, is_fresh(server), "a fresh picture")


def test_a_garbled_stream_does_no_harm(server: RtspServer, proxy: FaultyProxy, daemon: Daemon) -> None:
    """Wrong bytes crash nothing, and when the network is healed the picture is back."""
    with Client(daemon) as client:
        client.open_stream()
        for share in (1e-4, 1e-2):
            look_for(client, is_fresh(server), "a picture", within=20)
            proxy.garble(share)
            look_on(client, 1.5)
            proxy.resume()
        look_for(client, is_fresh(server), "the picture to be back", within=20)
    assert daemon.process.poll() is None


def test_a_camera_that_never_answers_is_lost(server: RtspServer) -> None:
    """What takes connections and says nothing is lost with a reason once `open_timeout` is over, and delays no end."""
    with FaultyProxy(server.port) as proxy:
        proxy.blackhole()
        with Daemon(remote(server.address(port=proxy.port), open_timeout=1)) as daemon:
            daemon.wait_state("lost", within=4)  # it takes two seconds to find out why
            assert daemon.camera()["reason"]
            ever = proxy.ever
            wait_for(lambda: proxy.ever > ever, 5, "the next try")
            assert daemon.stop() < 1.5 * SECONDS
            assert daemon.process.returncode == 0


def test_the_end_does_not_wait_for_an_opening(server: RtspServer) -> None:
    """A daemon that is told to end while it opens such a camera for the first time ends at once too."""
    with FaultyProxy(server.port) as proxy:
        proxy.blackhole()
        with Daemon(remote(server.address(port=proxy.port), open_timeout=30)) as daemon:
            wait_for(lambda: proxy.ever > 0, 5, "the first try")
            assert daemon.stop() < 1.5 * SECONDS
            assert daemon.process.returncode == 0


@pytest.mark.parametrize(("password", "state"), [(PASSWORD, "live"), (WRONG, "lost")])
def test_a_password_is_told_to_nobody(loops: Path, password: str, state: str) -> None:
    """With the right password it plays, with a wrong one it is lost; and neither shows anywhere."""
    with RtspServer(loops, user="admin", password=PASSWORD) as server:
        source = server.address(login=f"admin:{password}")
        with Daemon(join(remote(source), {"auth.anonymous": "view,snapshot,control,admin"})) as daemon:
            daemon.wait_state(state)
            paths = (
                "/",
                "/stats",
                "/cameras",
                "/cameras/cam",
                "/health",
                "/health/cam",
                "/metrics",
                "/state",
                "/snapshot",
            )
            shown = [daemon.get(path)[1] for path in paths]
            with Client(daemon) as client:
                head = client.open_stream().head
                shown += [head, client.part().head]
            assert fetch(daemon, "/cameras/cam").json()["state"] == state
        shown += [line.encode() for line in daemon.raw_log]
        secrets = (password.encode(), base64.b64encode(f"admin:{password}".encode()))
        assert [text for text in shown for secret in secrets if secret in text] == []
