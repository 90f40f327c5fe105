"""SIGHUP: what changed is taken over, what did not goes on, and a bad file changes nothing."""

import signal
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from tests.daemon import SECONDS, Daemon, JsonDict, pattern, wait_for, write_config
from tests.system.client import Client, Part, events, fetch, last_picture, size, wait_viewers
from tests.system.fakecam import Camera

WALL, BOSS = "wall-3f9c1e77", "boss-b7725f13"
KEYS = {"key.wall.secret": WALL, "key.boss.secret": BOSS, "key.boss.scopes": ["admin"]}
TAKEN = "configuration reloaded"
REFUSED = "reload refused, nothing changed"


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def yard(width: int = 160, height: int = 120, **more: object) -> dict[str, object]:
    """`sets` for a second camera."""
    keys = {"source": "pattern", "width": width, "height": height, "fps": 30, **more}
    return {f"camera.yard.{key}": value for key, value in keys.items()}


@dataclass(frozen=True)
class Desk:
    """A daemon and its configuration file, in an operator's hands."""

    daemon: Daemon
    file: Path

    def change(self, *layers: Mapping[str, object]) -> JsonDict:
        """Write the whole file anew and reload; it must be taken."""
        write_config(self.file, *layers)
        line = self.daemon.reload()
        assert line["event"] == TAKEN, line
        return line

    def names(self) -> list[str]:
        return [camera["name"] for camera in self.daemon.json("/cameras")["cameras"]]


@contextmanager
def serving(folder: Path, *layers: Mapping[str, object], key: str = "") -> Iterator[Desk]:
    """A daemon with such a file, whose cameras are live."""
    file = write_config(folder / "mjpegd.toml", *layers)
    with Daemon(config=file, key=key) as daemon:
        for name in daemon.json("/stats")["cameras"]:
            daemon.wait_state("live", name)
        yield Desk(daemon, file)


def unbroken(parts: list[Part]) -> bool:
    """Whether no frame is missing."""
    return all(later.id == sooner.id + 1 for sooner, later in pairwise(parts))


def test_a_changed_camera_is_opened_again_and_no_other(tmp_path: Path) -> None:
    """Its viewers keep the connection and a browser sees the new size; the other camera's viewer loses no frame."""
    with (
        serving(tmp_path, pattern(), yard()) as desk,
        Client(desk.daemon) as one,
        Client(desk.daemon) as two,
        Client(desk.daemon) as other,
    ):
        one.open_browser("/stream/yard")
        two.open_stream("/stream/yard")
        other.open_stream("/stream/cam")
        assert size(one.advance_part().jpeg) == (160, 120)
        seen, ids = [other.part() for _ in range(5)], [two.part().id]
        desk.change(pattern(), yard(width=240, height=160))
        desk.daemon.wait_state("live", "yard")
        seen += [other.part() for _ in range(30)]
        parts = [one.advance_part()]
        while size(parts[-1].jpeg) != (240, 160):
            parts.append(one.advance_part())
            assert len(parts) < 200
        ids += [two.part().id for _ in range(60)]
        assert unbroken(seen)
        assert sorted(set(ids)) == ids
        assert desk.daemon.camera("yard")["viewers"] == 2
        assert desk.daemon.camera("yard")["requested"]["width"] == 240
        assert desk.daemon.camera("cam")["restarts"] == 0
    assert len(events(desk.daemon, "opening camera", camera="cam")) == 1


def test_without_a_change_nothing_happens(tmp_path: Path) -> None:
    """Ten reloads of the same file, however fast, open no camera again and cost no viewer a frame."""
    with serving(tmp_path, pattern(), yard(), KEYS, key=WALL) as desk, Client(desk.daemon) as client:
        client.open_stream("/stream", bearer(WALL))
        seen = [client.part() for _ in range(3)]
        for _ in range(8):
            desk.daemon.process.send_signal(signal.SIGHUP)
            seen.append(client.part())
        for _ in range(2):
            assert desk.daemon.reload()["event"] == TAKEN
        seen += [client.part() for _ in range(20)]
        assert unbroken(seen)
        assert {desk.daemon.camera(name)["restarts"] for name in ("cam", "yard")} == {0}
        told = desk.daemon.json("/stats")["reload"]
        assert (told["ok"], told["problems"], told["restart_needed"]) == (True, [], [])


def test_cameras_come_and_go(tmp_path: Path) -> None:
    """One that is added is live and listed in its place; one that is gone is 404, its viewers sent home in order."""
    with serving(tmp_path, pattern()) as desk, Client(desk.daemon) as stays:
        stays.open_stream("/stream/cam")
        seen = [stays.part()]
        assert fetch(desk.daemon, "/stream/yard").status == 404
        desk.change(yard(), pattern())
        desk.daemon.wait_state("live", "yard")
        assert desk.names() == ["yard", "cam"]
        assert size(fetch(desk.daemon, "/snapshot").body) == (160, 120)
        with Client(desk.daemon) as leaves:
            leaves.open_stream("/stream/yard")
            leaves.part()
            desk.change(pattern())
            assert last_picture(leaves.read_all())
        assert desk.names() == ["cam"]
        assert fetch(desk.daemon, "/snapshot/yard").status == 404
        assert list(desk.daemon.json("/stats")["cameras"]) == ["cam"]
        seen += [stays.part() for _ in range(30)]
        assert unbroken(seen)


def threads(daemon: Daemon) -> int:
    return len(list(Path(f"/proc/{daemon.process.pid}/task").iterdir()))


def test_reloads_leave_nothing_behind(tmp_path: Path) -> None:
    """After cameras came and went a few times there are no more threads and files than before."""
    with serving(tmp_path, pattern(), yard()) as desk:
        desk.change(pattern())
        desk.change(pattern(), yard())
        before = threads(desk.daemon), len(list(Path(f"/proc/{desk.daemon.process.pid}/fd").iterdir()))
        for number in range(4):
            desk.change(pattern())
            desk.change(pattern(), yard(fps=10 + number))
        wait_for(lambda: threads(desk.daemon) <= before[0] + 1, 5, "threads to end")
        assert len(list(Path(f"/proc/{desk.daemon.process.pid}/fd").iterdir())) <= before[1] + 1


def test_a_device_is_given_back_before_it_is_opened_again(camera: Camera, tmp_path: Path) -> None:
    """A V4L2 camera whose rate was changed comes back at that rate, and its viewers were never cut."""
    ours = {"source": "/dev/video0", "width": 640, "height": 480, "fps": 30}
    file = tmp_path / "mjpegd.toml"

    def write(fps: int) -> None:
        write_config(file, {f"camera.cam.{key}": value for key, value in {**ours, "fps": fps}.items()})

    write(30)
    with Daemon(config=file, environment=camera.environment(), preload=camera.library) as daemon:
        daemon.wait_state("live")
        with Client(daemon) as client:
            client.open_stream()
            client.part()
            write(15)
            assert daemon.reload()["event"] == TAKEN
            daemon.wait_state("live")
            wait_for(lambda: daemon.camera()["granted"]["fps"] == 15, 5, "the new rate")
            for _ in range(10):
                client.part()
            assert daemon.camera()["viewers"] == 1
    assert not events(daemon, "camera lost")


def test_a_lost_camera_is_found_by_a_reload(tmp_path: Path) -> None:
    """A source that was mistyped is mended by a reload, under its viewers' eyes."""
    typo = {"camera.cam.source": "/dev/vidoe0", "camera.cam.retry_min": 60, "camera.cam.retry_max": 60}
    with Daemon(config=write_config(tmp_path / "mjpegd.toml", typo)) as daemon, Client(daemon) as client:
        daemon.wait_state("lost")
        client.open_stream()
        client.part()
        write_config(tmp_path / "mjpegd.toml", pattern())
        assert daemon.reload()["event"] == TAKEN
        assert daemon.wait_state("live", within=3) < 3 * SECONDS
        while size(client.part().jpeg) != (320, 240):
            pass


# Bad files


def not_toml(file: Path) -> None:
    file.write_text("[camera.cam\n")


def wrong_values(file: Path) -> None:
    write_config(file, pattern(), {"camera.cam.fps": "many", "server.hots": "0.0.0.0", "key.wall.secret": WALL})


def away(file: Path) -> None:
    file.unlink()


def twice(file: Path) -> None:
    file.write_text('[camera.cam]\nsource = "pattern"\n[camera.cam]\nsource = "auto"\n')


def open_door(file: Path) -> None:
    write_config(file, pattern(), {"server.host": "0.0.0.0"})


@pytest.mark.parametrize(
    ("spoil", "problems"),
    [
        (not_toml, ["is not valid TOML"]),
        (wrong_values, ["camera.cam.fps must be a number", "did you mean host?"]),
        (away, ["cannot be read"]),
        (twice, ["is not valid TOML"]),
        (open_door, ["lets everybody in"]),
    ],
)
def test_a_bad_file_changes_nothing_and_says_why(
    tmp_path: Path, spoil: Callable[[Path], None], problems: list[str]
) -> None:
    """Each problem is a line of the log and in `/stats`; cameras, keys and viewers stay; a good file ends it."""
    with serving(tmp_path, pattern(), yard(), KEYS, key=WALL) as desk, Client(desk.daemon) as client:
        client.open_stream("/stream/yard", bearer(WALL))
        seen = [client.part()]
        spoil(desk.file)
        assert desk.daemon.reload()["event"] == REFUSED
        told = desk.daemon.json("/stats")["reload"]
        assert told["ok"] is False
        wait_for(lambda: len(events(desk.daemon, REFUSED)) == len(problems), 2, "a line for each problem")
        for where in (told["problems"], [line["problem"] for line in events(desk.daemon, REFUSED)]):
            assert len(where) == len(problems)
            for words in problems:
                assert any(words in problem for problem in where), where
        assert WALL not in "".join(desk.daemon.raw_log)
        assert desk.names() == ["cam", "yard"]
        assert fetch(desk.daemon, "/stats").status == 401
        seen += [client.part() for _ in range(15)]
        assert unbroken(seen)
        desk.change(pattern(), yard(), KEYS)
        assert desk.daemon.json("/stats")["reload"]["ok"] is True


# Keys and limits


def test_whose_key_is_taken_away_is_sent_home(tmp_path: Path) -> None:
    """Viewers with a key that was removed, changed or narrowed end in order; the others' go on."""
    more = {"key.narrow.secret": "narrow-0a94e6c8", "key.changed.secret": "changed-5be21f90"}
    with serving(tmp_path, pattern(), KEYS, more, key=BOSS) as desk:
        daemon = desk.daemon
        with Client(daemon) as stays, Client(daemon) as gone, Client(daemon) as narrow, Client(daemon) as changed:
            for client, secret in (
                (stays, BOSS),
                (gone, WALL),
                (narrow, "narrow-0a94e6c8"),
                (changed, "changed-5be21f90"),
            ):
                client.open_stream("/stream", bearer(secret))
                client.part()
            narrower = {"key.narrow.secret": "narrow-0a94e6c8", "key.narrow.scopes": ["snapshot"]}
            other = {"key.changed.secret": "changed-otherwise"}
            boss = {key: value for key, value in KEYS.items() if "boss" in key}
            desk.change(pattern(), boss, narrower, other)
            with ThreadPoolExecutor() as pool:
                for wire in pool.map(Client.read_all, (gone, narrow, changed)):
                    assert last_picture(wire)
            wait_viewers(daemon, 1)
            assert stays.part().jpeg
        for secret, status in ((WALL, 401), ("narrow-0a94e6c8", 403), ("changed-5be21f90", 401)):
            assert fetch(daemon, "/stats", bearer(secret), source="127.0.0.2").status == status
    assert len(events(daemon, "viewer not allowed any more")) == 3


def test_a_first_key_shuts_the_door(tmp_path: Path) -> None:
    """Where everybody might look until a key was added, those who look without one are sent home."""
    with serving(tmp_path, pattern()) as desk, Client(desk.daemon) as client:
        client.open_stream()
        client.part()
        desk.change(pattern(), {"key.wall.secret": WALL})
        assert last_picture(client.read_all(within=3))
        assert fetch(desk.daemon, "/stream").status == 401
        assert fetch(desk.daemon, "/stats", bearer(WALL)).status == 200


def test_limits_hosts_and_origins_count_at_once(tmp_path: Path) -> None:
    """After a reload new limits, allowed hosts and CORS origins are in force."""
    with serving(tmp_path, pattern()) as desk:
        assert fetch(desk.daemon, "/health", {"Host": "cam.example.org"}).status == 200
        desk.change(
            pattern(),
            {"limits.viewers": 1, "server.allowed_hosts": ["cam.lan"], "server.cors_origins": ["https://dash.lan"]},
        )
        assert fetch(desk.daemon, "/health", {"Host": "cam.example.org"}).status == 421
        answer = fetch(desk.daemon, "/health", {"Origin": "https://dash.lan"})
        assert answer["access-control-allow-origin"] == "https://dash.lan"
        with Client(desk.daemon) as client:
            client.open_stream()
            assert fetch(desk.daemon, "/stream").status == 503


def test_a_lock_out_outlives_a_reload(tmp_path: Path) -> None:
    """Whoever is locked out for wrong keys stays so."""
    strict = {"auth.failures": 2, "auth.lockout": 60}
    with serving(tmp_path, pattern(), KEYS, key=WALL) as desk:
        desk.change(pattern(), KEYS, strict)
        for _ in range(2):
            assert fetch(desk.daemon, "/stats", bearer("nonsense"), source="127.0.0.2").status == 401
        desk.change(pattern(), KEYS, strict)
        assert fetch(desk.daemon, "/stats", bearer(WALL), source="127.0.0.2").status == 429


def test_what_waits_for_a_restart_is_named(tmp_path: Path) -> None:
    """A new port, address, backlog or log level is taken note of: the log and `/stats` say that it needs a restart."""
    start = {"server.port": 0, "log.level": "debug"}
    file = write_config(tmp_path / "mjpegd.toml", pattern(), start)
    with Daemon({"server.port": None, "log.level": None}, config=file) as daemon:
        write_config(
            file, pattern(fps=10), {"server.port": 1, "server.backlog": 7, "limits.encoders": 2, "log.level": "info"}
        )
        assert daemon.reload()["event"] == TAKEN
        told = daemon.json("/stats")["reload"]
        assert told["ok"] is True
        assert told["restart_needed"] == ["server.port", "server.backlog", "limits.encoders", "log"]
        line = daemon.wait_log("some changes take effect at the next start")
        assert (line["level"], line["keys"]) == ("warning", "server.port server.backlog limits.encoders log")
        assert daemon.camera()["requested"]["fps"] == 10
        daemon.reload()  # the same again: it still waits
        assert daemon.json("/stats")["reload"]["restart_needed"] == told["restart_needed"]
        write_config(file, pattern(), start)
        daemon.reload()
        assert daemon.json("/stats")["reload"]["restart_needed"] == []


def test_a_reload_under_way_does_not_prolong_the_end(tmp_path: Path) -> None:
    """SIGTERM right behind SIGHUP ends it within a second, with its viewers sent home in order."""
    with serving(tmp_path, pattern(), yard()) as desk, Client(desk.daemon) as client:
        client.open_stream("/stream/yard")
        client.part()
        write_config(desk.file, pattern(width=160), yard(width=80))
        desk.daemon.process.send_signal(signal.SIGHUP)
        assert desk.daemon.stop() < SECONDS
        assert last_picture(client.read_all())
    assert desk.daemon.process.returncode == 0
