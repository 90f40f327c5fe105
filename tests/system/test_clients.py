"""`/clients`: what it says of each viewer is true, and an operator can end one."""

import contextlib
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.daemon import SECONDS, Daemon, JsonDict, join, pattern, wait_for, write_config
from tests.system.client import BOUNDARY, Client, Part, fetch, is_whole, last_picture, wait_viewers
from tests.system.fakecam import Camera
from tests.system.test_isolation import read_slowly

OPEN = {"auth.anonymous": "view,snapshot,admin"}
COLUMNS = {
    *("id", "address", "agent", "key", "camera", "rendition", "profile", "age", "fps", "frames", "skipped", "bytes"),
    *("backlog", "latency", "connected", "adaptive"),
}


def rows(daemon: Daemon) -> dict[str, JsonDict]:
    """Who watches, by program."""
    return {row["agent"]: row for row in daemon.json("/clients")["clients"]}


def rest(client: Client, parts: list[Part]) -> list[Part]:
    """These parts and whatever is still on its way to a viewer whose camera has stopped."""
    client.socket.settimeout(0.7 * SECONDS)
    with contextlib.suppress(TimeoutError):
        while True:
            parts.append(client.part())
    return parts


def sent(parts: Sequence[Part]) -> dict[str, int]:
    """What a viewer's row must say of the parts it got."""
    size = sum(len(part.head) + len(part.jpeg) + len(BOUNDARY) + 2 for part in parts)
    return {
        "frames": len(parts),
        "skipped": parts[-1].id - parts[0].id + 1 - len(parts),
        "bytes": size,
    }


def test_a_fast_and_a_slow_viewer_are_told_apart(camera: Camera) -> None:
    """Frames, bytes and skips are to the last one what came; the slow one has a lower rate and a backlog."""
    with camera.daemon(join(OPEN, {"camera.cam.stale_after": 600, "server.heartbeat": 60})) as daemon:
        daemon.wait_state("live")
        with (
            Client(daemon, source="127.0.0.2") as fast,
            Client(daemon, receive_buffer=65536, source="127.0.0.3") as slow,
            ThreadPoolExecutor() as pool,
        ):
            began = time.monotonic()
            slow.open_stream("/stream", {"User-Agent": "slow"})
            fast.open_stream("/stream", {"User-Agent": "fast"})
            parts = {"fast": [fast.part()], "slow": [slow.part()]}
            reading = pool.submit(read_slowly, slow, 3, len(parts["slow"][0].jpeg) * 30 // 3)
            while not reading.done():
                parts["fast"].append(fast.part())
            told, lasted = rows(daemon), time.monotonic() - began
            with camera.doing("stall"):
                parts["slow"] += [part for part, _ in reading.result()]
                came = {name: sent(rest(client, parts[name])) for name, client in (("slow", slow), ("fast", fast))}
                counted = rows(daemon)
    assert set(told) == {"fast", "slow"}
    assert told["fast"]["id"] != told["slow"]["id"]
    assert [told[name]["address"] for name in ("fast", "slow")] == ["127.0.0.2", "127.0.0.3"]
    for name, row in told.items():
        assert set(row) == COLUMNS
        assert [row[key] for key in ("camera", "rendition", "profile", "key")] == [
            *("cam", "passthrough", "default", "anonymous")
        ]
        assert row["connected"] == pytest.approx(lasted, abs=0.5 * SECONDS)
        assert row["adaptive"] is None
        assert 0 < row["age"]["p50"] <= row["age"]["p95"] < 1000 * lasted
        assert {key: counted[name][key] for key in came[name]} == came[name]
        assert counted[name]["backlog"] == 0
    assert told["fast"]["fps"] == pytest.approx(30, rel=0.25)
    assert 0 < told["slow"]["fps"] < 20
    assert told["slow"]["skipped"] > told["slow"]["frames"]
    assert told["slow"]["backlog"] > len(parts["slow"][0].jpeg) / 2
    assert 0 <= told["fast"]["latency"] < 20 * SECONDS


def test_each_row_names_its_camera_profile_and_key(tmp_path: Path) -> None:
    """A keyed viewer's row has the key's name, a browser's its profile, and each its camera."""
    more = {
        "camera.yard.source": "pattern",
        "key.wall.secret": "wall-3f9c1e77",
        "key.boss.secret": "boss-b7725f13",
        "key.boss.scopes": ["admin"],
    }
    file = write_config(tmp_path / "mjpegd.toml", pattern(), more)
    with Daemon(config=file, key="boss-b7725f13") as daemon, Client(daemon) as one, Client(daemon) as two:
        daemon.wait_state("live", "yard")
        one.open_stream("/stream/yard", {"User-Agent": "one", "X-API-Key": "wall-3f9c1e77"})
        two.get("/stream/cam?profile=browser", {"User-Agent": "two", "X-API-Key": "boss-b7725f13"}).head()
        told = rows(daemon)
    assert [told["one"][name] for name in ("camera", "key", "profile")] == ["yard", "wall", "default"]
    assert [told["two"][name] for name in ("camera", "key", "profile")] == ["cam", "boss", "browser"]


def test_a_card_is_a_frame_too() -> None:
    """A viewer of a lost camera is listed with the card as its one frame, and has skipped nothing."""
    with Daemon(join({"camera.cam.source": "/dev/video99"}, OPEN)) as daemon, Client(daemon) as client:
        daemon.wait_state("lost")
        client.open_stream()
        client.part()
        (row,) = rows(daemon).values()
        assert (row["frames"], row["skipped"]) == (1, 0)


def test_an_operator_ends_a_stream() -> None:
    """`DELETE /clients/{id}` ends that stream in order, and no other; a second time it is 404."""
    with Daemon(join(pattern(), OPEN)) as daemon, Client(daemon) as one, Client(daemon) as two:
        daemon.wait_state("live")
        one.open_stream("/stream", {"User-Agent": "one"})
        two.open_stream("/stream", {"User-Agent": "two"})
        where = f"/clients/{rows(daemon)['one']['id']}"
        answer = fetch(daemon, where, method="DELETE")
        assert (answer.status, answer.body) == (204, b"")
        assert last_picture(one.read_all())
        wait_viewers(daemon, 1)
        assert list(rows(daemon)) == ["two"]
        assert two.part().jpeg
        assert fetch(daemon, where, method="DELETE").status == 404
    assert daemon.log[-1]["event"] == "stopped"
    assert [line["agent"] for line in daemon.log if line["event"] == "viewer ended by an operator"] == ["one"]


def test_an_operator_ends_one_in_the_middle_of_a_picture(camera: Camera) -> None:
    """A viewer that is behind gets the rest of the picture that is under way, and then the closing part."""
    with camera.daemon(OPEN) as daemon:
        daemon.wait_state("live")
        with Client(daemon, receive_buffer=4096) as client:
            client.get("/stream", {"User-Agent": "slow"})
            wait_for(lambda: rows(daemon)["slow"]["backlog"] > 20_000, 5, "a backlog")
            assert fetch(daemon, f"/clients/{rows(daemon)['slow']['id']}", method="DELETE").status == 204
            time.sleep(0.3)
            assert is_whole(last_picture(client.read_all()))
            wait_viewers(daemon, 0)


def test_a_number_that_is_none_is_not_found() -> None:
    """A viewer that is not there, or no number at all, is 404 for whoever may ask."""
    with Daemon(join(pattern(), OPEN)) as daemon:
        for number in ("0", "999", "x", "1/2", "-1", "9" * 40, "%31x", "1.5", "%C2%B2"):
            assert fetch(daemon, f"/clients/{number}", method="DELETE").status == 404, number


def test_it_is_for_operators_only() -> None:
    """Without the scope `admin`, even on loopback without any keys, neither list nor end is to be had."""
    with Daemon(pattern()) as daemon, Client(daemon) as client:
        daemon.wait_state("live")
        client.open_stream()
        assert fetch(daemon, "/clients").status == 401
        assert fetch(daemon, "/clients/1", method="DELETE").status == 401
        assert client.part().jpeg
    with Daemon(join(pattern(), {"auth.anonymous": "view"})) as daemon:
        assert fetch(daemon, "/clients").status == 401
        assert fetch(daemon, "/clients/1", method="DELETE").status == 401
