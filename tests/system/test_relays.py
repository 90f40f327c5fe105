"""Daemons that relay daemons: one viewer a relay, the camera's own time, honest cards, and no loops."""

import statistics
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.daemon import SECONDS, Daemon, free_port, join, pattern, wait_for
from tests.faulty import FaultyProxy
from tests.peers import Proxy, haproxy, nginx
from tests.system.client import Client, fetch, read_through, wait_viewers
from tests.system.remote import QUICK, is_card, look_for, remote

FRAME = 1 / 30
COUNT = 45

NGINX = """
upstream relays {{ server 127.0.0.1:{ports[0]}; server 127.0.0.1:{ports[1]}; }}
server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://relays; proxy_buffering off; }} }}
"""
HAPROXY = """
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
listen relays
    bind 127.0.0.1:{port}
    balance roundrobin
    server one 127.0.0.1:{ports[0]}
    server two 127.0.0.1:{ports[1]}
"""
KINDS = {"nginx": (nginx, NGINX), "haproxy": (haproxy, HAPROXY)}

Arrivals = Mapping[str, float]
"""When each picture came, by its X-Timestamp."""


def relay(origin: Daemon, **more: object) -> Daemon:
    """A daemon whose camera is another's first one."""
    return Daemon(remote(f"{origin.url}/stream", **more))


@pytest.fixture
def origin() -> Iterator[Daemon]:
    """A daemon with a camera of its own."""
    with Daemon(pattern(640, 480)) as running:
        running.wait_state("live")
        yield running


def balanced(kind: str, folder: Path, *relays: Daemon) -> Proxy:
    """A proxy of that kind that gives each relay half of the viewers."""
    make, config = KINDS[kind]
    port = free_port()
    return make(folder, port, config.format(port=port, ports=[relay.port for relay in relays]))


def arrivals(url: str) -> Arrivals:
    """What comes to one viewer, and when."""
    return {picture.headers["x-timestamp"]: came for came, picture in read_through(url, COUNT)[5:]}


def watched_at_once(*urls: str) -> list[Arrivals]:
    """The same for viewers of all these at the same time."""
    with ThreadPoolExecutor(len(urls)) as viewers:
        return list(viewers.map(arrivals, urls))


def added(before: Arrivals, after: Arrivals) -> float:
    """By how many seconds the second viewer saw the same pictures later, as a median."""
    common = before.keys() & after.keys()
    assert len(common) > COUNT // 2, "the same pictures with the same time"
    return statistics.median(after[stamp] - before[stamp] for stamp in common)


def during(seconds: float, *daemons: Daemon) -> Iterator[Daemon]:
    """The daemons in turn, for so long."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        yield from daemons
        time.sleep(0.05)


@pytest.mark.parametrize("kind", KINDS)
def test_a_farm_of_relays(origin: Daemon, tmp_path: Path, kind: str) -> None:
    """Behind a balancing proxy two relays have one viewer each at the origin, and add less than a frame of age."""
    with relay(origin) as one, relay(origin) as two, balanced(kind, tmp_path, one, two) as proxy:
        for each in (one, two):
            each.wait_state("live")
        direct, *relayed = watched_at_once(f"{origin.url}/stream", *[f"{proxy.url}/stream"] * 6)
        assert [each.camera()["visits"] for each in (one, two)] == [3, 3]
        wait_viewers(origin, 2)
        assert origin.camera()["visits"] == 3
        assert max(added(direct, viewer) for viewer in relayed) < FRAME


def test_a_chain_of_relays(origin: Daemon) -> None:
    """Each hop adds less than a frame of age, and none changes the time of a picture."""
    with relay(origin) as one, relay(one) as two:
        two.wait_state("live")
        first, second, third = watched_at_once(*(f"{where.url}/stream" for where in (origin, one, two)))
    assert added(first, second) < FRAME
    assert added(second, third) < FRAME


def test_an_origin_that_ends_and_begins_again() -> None:
    """Without its origin a relay is lost, with a card and without snapshots; with it, live again by itself."""
    sets = join(pattern(), {"server.port": free_port()})
    with Daemon(sets) as origin, relay(origin) as one:
        one.wait_state("live")
        with Client(one) as client:
            client.open_stream()
            origin.process.kill()
            look_for(client, is_card, "a card")
            one.wait_state("lost")
            assert fetch(one, "/snapshot").status == 503
            with Daemon(sets):
                one.wait_state("live")
                look_for(client, lambda part: not is_card(part), "the picture to be back")
                assert fetch(one, "/snapshot").status == 200


def test_the_card_of_an_origin_is_no_picture(tmp_path: Path) -> None:
    """A relay of a camera that has no signal is lost too, and says so down the chain, though bytes keep coming."""
    with Daemon(remote(str(tmp_path / "missing.avi"))) as origin, relay(origin) as one, relay(one) as two:
        for each in (one, two):
            each.wait_state("lost")
            with Client(each) as client:
                client.open_stream()
                assert client.part().fields["X-Source-State"] == "lost"
            assert fetch(each, "/health/cam").status == 503
        assert {each.camera()["state"] for each in during(2 * QUICK["stale_after"], one, two)} == {"lost"}
        assert [each.camera()["restarts"] for each in (one, two)] == [0, 0]


def test_a_relay_of_a_moving_picture_knows_soon_that_the_way_is_broken(origin: Daemon) -> None:
    """Pictures that came fast and do not come any more are missed within `stale_after` and a second."""
    with FaultyProxy(origin.port) as proxy, Daemon(remote(f"http://127.0.0.1:{proxy.port}/stream")) as one:
        one.wait_state("live")
        list(during(0.5, one))
        proxy.stall()
        began = time.monotonic()
        one.wait_state("stale")
        assert time.monotonic() - began < QUICK["stale_after"] + SECONDS


def test_a_relay_of_a_slow_camera_is_live() -> None:
    """An origin that has a picture only now and then says itself when its camera is stale: a relay waits for it."""
    with Daemon(pattern(fps=0.4)) as origin, relay(origin) as one:
        one.wait_state("live")
        assert {each.camera()["state"] for each in during(8, one)} == {"live"}
        assert one.camera()["restarts"] == 0


def test_a_relay_on_demand_leaves_when_nobody_looks(tmp_path: Path) -> None:
    """An origin that has nothing but a card is left too, once nobody looks at the relay any more."""
    with Daemon(remote(str(tmp_path / "missing.avi"))) as origin:
        origin.wait_state("lost")
        with relay(origin, on_demand="true", linger=0.5) as one:
            one.wait_state("idle")
            assert fetch(one, "/snapshot").status == 503
            wait_for(lambda: one.camera()["state"] == "idle", 10, "the relay to let go")
            wait_viewers(origin, 0)


def test_a_camera_that_relays_itself_is_refused() -> None:
    """A camera whose source is its own stream is lost, and the reason says that it is a loop."""
    port = free_port()
    with Daemon(join(remote(f"http://127.0.0.1:{port}/stream"), {"server.port": port})) as daemon:
        wait_for(lambda: "loop" in daemon.camera()["reason"], 10, "the loop to be told")
        assert daemon.camera()["state"] == "lost"
        assert daemon.camera()["frames"]["captured"] == 0


def test_relays_in_a_circle_are_refused() -> None:
    """Of two daemons that relay each other at least one says that it is a loop, and none is ever live."""
    ports = free_port(), free_port()
    sets = [
        join(remote(f"http://127.0.0.1:{theirs}/stream"), {"server.port": ours})
        for ours, theirs in (ports, reversed(ports))
    ]
    with Daemon(sets[0]) as one, Daemon(sets[1]) as two:
        both = one, two
        wait_for(lambda: any("loop" in each.camera()["reason"] for each in both), 10, "the loop to be told")
        wait_for(lambda: all(each.camera()["state"] == "lost" for each in both), 10, "both to be lost")
        assert [each.camera()["frames"]["captured"] for each in both] == [0, 0]


@pytest.mark.parametrize("attempt", range(6))
def test_relays_that_find_each_other_at_once(attempt: int) -> None:
    """Two such daemons that ask each other at the same moment find the loop too, and their cards do not chase round."""
    ports = free_port(), free_port()
    with FaultyProxy(ports[0]) as first, FaultyProxy(ports[1]) as second:
        first.stall()
        second.stall()
        sets = [
            join(remote(f"http://127.0.0.1:{theirs.port}/stream"), {"server.port": ours})
            for ours, theirs in zip(ports, (second, first), strict=True)
        ]
        with Daemon(sets[0]) as one, Daemon(sets[1]) as two:
            wait_for(lambda: first.ever and second.ever, 10, "both to ask")
            time.sleep(0.3)  # what they ask is on its way
            first.resume()
            second.resume()
            both = one, two
            wait_for(lambda: any("loop" in each.camera()["reason"] for each in both), 10, "the loop to be told")
            assert sum(each.camera()["sent"]["frames"] for each in both) < 200
