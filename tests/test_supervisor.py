"""What is looked at once a tick: threads, viewers, descriptors; and what the service manager is told of it."""

import asyncio
import resource
from collections.abc import Sequence
from pathlib import Path
from time import time
from typing import Any

import pytest
import structlog

from mjpegd import log
from mjpegd.access.guard import Guard
from mjpegd.access.principal import Principal
from mjpegd.access.shares import Shares
from mjpegd.access.throttle import Throttle
from mjpegd.capture import Capture
from mjpegd.condition import State, Status
from mjpegd.config.schema import CameraConfig, Config, KeyConfig
from mjpegd.demand import Demand
from mjpegd.http.site import Reload, Site
from mjpegd.ring import Ring
from mjpegd.supervisor import Supervisor, describe
from mjpegd.systemd import Notifier
from tests.http.requests import CALLER, SIGNER, request, site
from tests.http.viewers import enter, play

WALL, BOSS = "a wall display's", "the operator's own"
CAMERAS = {name: CameraConfig(source="pattern") for name in ("porch", "attic")}
KEYED = Config(camera=CAMERAS, key={"wall": KeyConfig(secret=WALL)})


class Manager(Notifier):
    """A service manager that keeps what it is told."""

    def __init__(self) -> None:
        super().__init__({})
        self.told: list[dict[str, object]] = []

    def tell(self, **fields: object) -> None:
        """Keep it."""
        self.told.append(fields)

    def values(self, name: str) -> list[object]:
        """Everything said under one name."""
        return [fields[name] for fields in self.told if name in fields]


class Enough(Exception):
    """The ticks that a test wants are over."""


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What was logged."""
    captured = structlog.testing.LogCapture()
    monkeypatch.setattr(
        log, "get", lambda **context: structlog.wrap_logger(None, processors=[captured]).bind(**context)
    )
    return captured.entries  # type: ignore[return-value]


async def look(supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, ticks: int = 1) -> list[float]:
    """Have it look so many times; how long it would have slept between."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == ticks:
            raise Enough

    with monkeypatch.context() as patch:
        patch.setattr(asyncio, "sleep", sleep)
        with pytest.raises(Enough):
            await supervisor.run()
    return slept


def set_states(place: Site, *states: State, reason: str = "") -> None:
    """Put the cameras into these states."""
    for camera, state in zip(place.cameras.values(), states, strict=True):
        camera.capture.status = Status(state, time(), reason if state is not State.LIVE else "")


def get_stuck(place: Site, name: str, monkeypatch: pytest.MonkeyPatch, seconds: float = 42.0) -> None:
    """Have one camera's thread be held by a call that does not come back."""
    monkeypatch.setattr(place.cameras[name].capture, "stuck", lambda: seconds)


async def who(place: Site, *fields: str, token: str | None = None) -> Principal:
    """Who comes with these fields."""
    return await place.guard.admit(request("/stream", *fields), CALLER, "view", token)


@pytest.mark.parametrize(("watchdog", "tick"), [(None, 1.0), (15.0, 1.0), (0.25, 0.25)])
async def test_tick(watchdog: float | None, tick: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """It looks once a second, more often only where the watchdog wants it."""
    assert await look(Supervisor(site(), Manager(), watchdog), monkeypatch, 3) == [tick] * 3


async def test_the_watchdog_is_fed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The watchdog is fed at each look while all is well, and not at all where none waits."""
    manager, silent = Manager(), Manager()
    await look(Supervisor(site(), manager, 15.0), monkeypatch, 3)
    await look(Supervisor(site(), silent, None), monkeypatch, 3)

    assert manager.values("WATCHDOG") == [1, 1, 1]
    assert silent.values("WATCHDOG") == []


async def test_a_stuck_thread_stops_the_watchdog(monkeypatch: pytest.MonkeyPatch, lines: list[dict[str, Any]]) -> None:
    """While one thread is stuck the watchdog is not fed; that is logged once and stands in the status."""
    place, manager = site(), Manager()
    supervisor = Supervisor(place, manager, 15.0)
    set_states(place, State.LIVE, State.LIVE)
    await look(supervisor, monkeypatch)
    get_stuck(place, "attic", monkeypatch)
    await look(supervisor, monkeypatch, 3)

    assert manager.values("WATCHDOG") == [1]
    assert manager.values("STATUS")[-1] == "1 of 2 cameras live, 0 viewers; attic is stuck"
    (line,) = (line for line in lines if line["event"] == "capture thread stuck")
    assert (line["log_level"], line["camera"], line["seconds"]) == ("error", "attic", 42)
    assert "watchdog" in line["consequence"]


async def test_a_thread_that_comes_back(monkeypatch: pytest.MonkeyPatch, lines: list[dict[str, Any]]) -> None:
    """A thread that came back after all is well again, and told anew if it is stuck again."""
    place, manager = site(), Manager()
    supervisor = Supervisor(place, manager, 15.0)
    for seconds in (42.0, 0.0, 43.0):
        get_stuck(place, "attic", monkeypatch, seconds)
        await look(supervisor, monkeypatch)

    assert manager.values("WATCHDOG") == [1]
    told = [line.get("seconds", line["event"]) for line in lines]
    assert told == ["camera stale", 42, "capture thread gets on again", 43]


async def test_a_stuck_thread_without_a_watchdog(monkeypatch: pytest.MonkeyPatch, lines: list[dict[str, Any]]) -> None:
    """Without a watchdog nobody restarts us, and the log says so."""
    place = site()
    get_stuck(place, "attic", monkeypatch)
    await look(Supervisor(place, Manager(), None), monkeypatch)

    assert [line["consequence"] for line in lines if "consequence" in line] == ["only a restart helps"]


async def test_the_status_is_told_when_it_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The status is told at the first look and whenever it is another one."""
    place, manager = site(), Manager()
    supervisor = Supervisor(place, manager, None)
    for states in (
        (State.LIVE, State.LIVE),
        (State.LIVE, State.LIVE),
        (State.LIVE, State.LOST),
        (State.LIVE, State.LOST),
    ):
        set_states(place, *states)
        await look(supervisor, monkeypatch)

    assert manager.told == [
        {"STATUS": "2 of 2 cameras live, 0 viewers"},
        {"STATUS": "1 of 2 cameras live, 0 viewers; attic is lost"},
    ]


@pytest.mark.parametrize(
    ("states", "reason", "expected"),
    [
        ((State.LIVE, State.LIVE), "", "2 of 2 cameras live, 0 viewers"),
        ((State.STARTING, State.STARTING), "", "0 of 2 cameras live, 0 viewers; porch is starting; attic is starting"),
        ((State.LIVE, State.LOST), "unplugged", "1 of 2 cameras live, 0 viewers; attic is lost (unplugged)"),
        ((State.STALE, State.LIVE), "no frame", "1 of 2 cameras live, 0 viewers; porch is stale (no frame)"),
    ],
)
async def test_describe(states: Sequence[State], reason: str, expected: str) -> None:
    """The status is one line for a person: how many cameras are live, and what is with the others."""
    place = site()
    set_states(place, *states, reason=reason)

    assert describe(place, ()) == expected


async def test_describe_viewers() -> None:
    """The status counts viewers, one or more."""
    place = site()
    set_states(place, State.LIVE, State.LIVE)
    anybody = await who(place)
    said = []
    for _ in range(2):
        enter(place, play(place.cameras["porch"], anybody))
        said.append(describe(place, ()))

    assert said == ["2 of 2 cameras live, 1 viewer", "2 of 2 cameras live, 2 viewers"]


async def test_describe_a_reload() -> None:
    """A reload that was refused stands in the status with its first reason, until one succeeds."""
    place = site()
    set_states(place, State.LIVE, State.LIVE)
    place.reload = Reload(time(), ("mjpegd.toml:2: server.port must be a number", "another"))
    assert describe(place, ()) == (
        "2 of 2 cameras live, 0 viewers; reload refused: mjpegd.toml:2: server.port must be a number"
    )
    place.reload = Reload(time())

    assert describe(place, ()) == "2 of 2 cameras live, 0 viewers"


async def test_viewers_are_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look notes how far each viewer has come, and lets those go on who may."""
    place = site(config=KEYED)
    viewer = enter(place, play(place.cameras["porch"], await who(place, f"X-API-Key: {WALL}")))
    await look(Supervisor(place, Manager(), None), monkeypatch, 3)

    assert (viewer.marks, viewer.dismissed) == (3, [])


@pytest.mark.parametrize(
    ("keys", "sent_home"),
    [
        ({"wall": KeyConfig(secret=WALL)}, False),
        ({"wall": KeyConfig(secret="another secret")}, True),  # noqa: S106  (a test's)
        ({"wall": KeyConfig(secret=WALL, scopes=("snapshot",))}, True),
        ({"wall": KeyConfig(secret=WALL, cameras=("attic",))}, True),
        ({"wall": KeyConfig(secret=WALL, expires="2020-01-01")}, True),
        ({}, True),
    ],
)
async def test_revoked_keys(
    keys: dict[str, KeyConfig],
    sent_home: bool,  # noqa: FBT001  (a row)
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who watches with a key that no longer allows it is sent home at the next look, and nobody else."""
    place = site(config=Config(camera=CAMERAS, key={"wall": KeyConfig(secret=WALL), "boss": KeyConfig(secret=BOSS)}))
    porch = place.cameras["porch"]
    viewer, other = [enter(place, play(porch, await who(place, f"X-API-Key: {secret}"))) for secret in (WALL, BOSS)]
    config = Config(camera=CAMERAS, key={"boss": KeyConfig(secret=BOSS)} | keys)
    place.guard = Guard(config, Shares(Path("/nonexistent"), SIGNER), SIGNER, Throttle(config))
    await look(Supervisor(place, Manager(), None), monkeypatch)

    assert viewer.dismissed == ["not allowed any more"] * sent_home
    assert other.dismissed == []


async def test_revoked_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who watches through a link that was revoked is sent home at the next look."""
    place = site(config=KEYED, state=tmp_path)
    shares = Shares(tmp_path, SIGNER)
    (share, token), (_, other_token) = shares.make("porch", 3600), shares.make("porch", 3600)
    porch = place.cameras["porch"]
    viewer, other = [enter(place, play(porch, await who(place, token=each))) for each in (token, other_token)]
    supervisor = Supervisor(place, Manager(), None)
    await look(supervisor, monkeypatch)
    assert viewer.dismissed == []
    shares.revoke(share.id)
    await look(supervisor, monkeypatch)

    assert viewer.dismissed == ["not allowed any more"]
    assert other.dismissed == []


async def test_a_damaged_list_of_links_feeds_the_watchdog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of links that somebody damaged sends home who came through one, and does not end the supervisor."""
    place, manager = site(config=KEYED, state=tmp_path), Manager()
    _, token = Shares(tmp_path, SIGNER).make("porch", 3600)
    viewer = enter(place, play(place.cameras["porch"], await who(place, token=token)))
    for content in ("{", '{"a": {"expires": 1e11}}', '{"a": []}'):
        (tmp_path / "shares.json").write_text(content)
        await look(Supervisor(place, manager, 15.0), monkeypatch)

    assert manager.values("WATCHDOG") == [1, 1, 1]
    assert viewer.dismissed == ["not allowed any more"] * 3


async def test_descriptors(monkeypatch: pytest.MonkeyPatch, lines: list[dict[str, Any]]) -> None:
    """When nearly every descriptor is in use the operator is told, once until there is room again."""
    supervisor = Supervisor(site(), Manager(), None)
    for most in (1_000_000, 3, 3, 1_000_000, 3):
        monkeypatch.setattr(resource, "getrlimit", lambda _, most=most: (most, most))
        await look(supervisor, monkeypatch)

    assert [line["event"] for line in lines] == ["file descriptors are running out"] * 2


async def test_describe_what_is_stuck() -> None:
    """A camera that is stuck is called so, once, though it is called live still or gone from the configuration."""
    place = site()
    set_states(place, State.LIVE, State.LOST, reason="unplugged")

    assert describe(place, ("porch", "gone")) == (
        "1 of 2 cameras live, 0 viewers; gone is stuck; porch is stuck; attic is lost (unplugged)"
    )


async def test_stuck_is_measured_by_the_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that is not running, not yet or no more, is not stuck however long it is silent."""
    ring = Ring(asyncio.get_running_loop())
    capture = Capture("porch", CameraConfig(source="pattern"), ring, iter(range(9)), Demand(), tag="")
    monkeypatch.setattr("mjpegd.capture.monotonic", lambda: 1e9)

    assert capture.stuck() == 0
    capture.stop()
    assert capture.stuck() == 0
