"""Pause and resume: who may, what is answered, and what is remembered."""

import asyncio
import json
from pathlib import Path
from time import sleep, time
from typing import Any

import pytest

from mjpegd.access import state
from mjpegd.condition import State, Status
from mjpegd.config.schema import AuthConfig, CameraConfig, Config, KeyConfig
from mjpegd.errors import HttpError
from mjpegd.http import steer
from mjpegd.http.response import Response
from mjpegd.http.site import Site
from mjpegd.pauses import FILE, Pauses
from tests.http.requests import NAMES, ask, request, site

STEER, WALL, ATTIC = "steer-3f9c1e77", "wall-8d1b5a02", "attic-b7725f13"
CONFIG = Config(
    camera={name: CameraConfig(source="pattern") for name in NAMES},
    auth=AuthConfig(anonymous=("view",)),
    key={
        "steer": KeyConfig(secret=STEER, scopes=("control",)),
        "wall": KeyConfig(secret=WALL, scopes=("view", "snapshot")),
        "attic": KeyConfig(secret=ATTIC, scopes=("control",), cameras=("attic",)),
    },
)


def obey(place: Site) -> None:
    """Have each camera's thread do at once what it is told."""
    for camera in place.cameras.values():
        capture, demand = camera.capture, camera.demand

        def nudge(capture: Any = capture, demand: Any = demand) -> None:
            capture.status = Status(State.PAUSED if demand.paused else State.STARTING, time())

        capture.nudge = nudge  # type: ignore[method-assign]


@pytest.fixture
async def place(tmp_path: Path) -> Site:
    """A site of two cameras that obey."""
    made = site(config=CONFIG, state=tmp_path)
    obey(made)
    return made


async def posted(place: Site, path: str, key: str = STEER, method: str = "POST") -> tuple[int, dict[str, Any]]:
    """Status and JSON of the answer."""
    answer = await ask(place, request(path, f"X-API-Key: {key}", method=method))
    assert isinstance(answer, Response)
    return answer.status, json.loads(bytes(answer.body))


async def test_pause_and_resume(place: Site, tmp_path: Path) -> None:
    """A pause closes that camera and no other, and is remembered; resume takes it back."""
    status, report = await posted(place, "/cameras/porch/pause")
    assert (status, report["name"], report["state"], report["paused"]) == (200, "porch", "paused", True)
    assert report["lasting"] is True
    assert [camera.demand.paused for camera in place.cameras.values()] == [True, False]
    assert list(Pauses(tmp_path).names) == ["porch"]
    status, report = await posted(place, "/cameras/porch/resume")

    assert (status, report["state"], report["paused"]) == (200, "starting", False)
    assert not place.cameras["porch"].demand.paused
    assert not Pauses(tmp_path).names


@pytest.mark.parametrize("verb", ["pause", "resume"])
async def test_again(verb: str, place: Site) -> None:
    """To ask for what is so already is fine."""
    first = await posted(place, f"/cameras/attic/{verb}")
    second = await posted(place, f"/cameras/attic/{verb}")

    assert (first[0], second[0]) == (200, 200)
    assert place.cameras["attic"].demand.paused is (verb == "pause")


async def test_a_source_that_does_not_let_go(place: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the source is not closed yet the answer is 202; the pause is in force and remembered all the same."""
    monkeypatch.setattr(steer, "PATIENCE", 0.05)
    place.cameras["porch"].capture.nudge = lambda: None  # type: ignore[method-assign]
    place.cameras["porch"].capture.status = Status(State.LIVE, time())
    status, report = await posted(place, "/cameras/porch/pause")

    assert (status, report["state"], report["paused"]) == (202, "live", True)
    assert list(Pauses(tmp_path).names) == ["porch"]


async def test_a_thread_left_behind(place: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a thread that was left behind may still have the camera open a pause is 202, and 200 once it let go."""
    held = ["porch"]
    monkeypatch.setattr(steer, "PATIENCE", 0.05)
    monkeypatch.setattr(place.cameras, "is_held", held.__contains__)
    status, report = await posted(place, "/cameras/porch/pause")
    assert (status, report["state"]) == (202, "paused")
    held.clear()

    assert (await posted(place, "/cameras/porch/pause"))[0] == 200


@pytest.mark.parametrize(("seconds", "status", "shown"), [(0.05, 200, "starting"), (9, 202, "paused")])
async def test_resume_is_waited_for(
    seconds: float, status: int, shown: str, place: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Resume is answered once the camera is no longer paused, with 202 if that takes too long."""
    monkeypatch.setattr(steer, "PATIENCE", 0.5)
    await posted(place, "/cameras/porch/pause")
    capture, loop = place.cameras["porch"].capture, asyncio.get_running_loop()
    starting = Status(State.STARTING, time())
    monkeypatch.setattr(capture, "nudge", lambda: loop.call_later(seconds, setattr, capture, "status", starting))
    answered, report = await posted(place, "/cameras/porch/resume")

    assert (answered, report["state"], report["paused"]) == (status, shown, False)


@pytest.mark.parametrize("first", [(0.05, 0), (0, 0.05)])
@pytest.mark.parametrize("verbs", [("pause", "resume"), ("resume", "pause")])
async def test_both_at_once(
    verbs: tuple[str, str], first: tuple[float, float], place: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two who pause and resume at the same moment one has the last word, in the camera and in the file."""
    note, seconds = place.pauses.note, iter((first, (0, 0)))

    def slow(*which: Any, **what: Any) -> bool:
        before, after = next(seconds)
        sleep(before)
        lasting = note(*which, **what)
        sleep(after)
        return lasting

    await posted(place, f"/cameras/porch/{verbs[1]}")
    monkeypatch.setattr(place.pauses, "note", slow)
    await asyncio.gather(*(posted(place, f"/cameras/porch/{verb}") for verb in verbs))

    assert ("porch" in Pauses(tmp_path).names) is place.cameras["porch"].demand.paused


async def test_whoever_is_overruled_does_not_wait(place: Site) -> None:
    """A pause that somebody takes back before the source let go is answered then: it is in force no more."""
    camera = place.cameras["porch"]
    camera.capture.nudge = lambda: None  # type: ignore[method-assign]
    paused = asyncio.create_task(posted(place, "/cameras/porch/pause"))
    await asyncio.sleep(0)
    assert camera.demand.paused
    await posted(place, "/cameras/porch/resume")
    async with asyncio.timeout(steer.PATIENCE / 2):
        status, report = await paused

    assert (status, report["paused"]) == (202, False)


async def test_no_disk_keeps_a_camera_open(place: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A camera is closed before the disk is asked to remember it."""
    seen: list[bool] = []
    monkeypatch.setattr(state, "write", lambda *_: seen.append(place.cameras["porch"].demand.paused))
    await posted(place, "/cameras/porch/pause")

    assert seen == [True]


async def test_behind_a_damaged_file(tmp_path: Path) -> None:
    """Behind a damaged file the cameras that the key is not for stay paused when one is resumed."""
    (tmp_path / FILE).write_bytes(b"")
    place = site(config=CONFIG, state=tmp_path)
    obey(place)
    await posted(place, "/cameras/attic/resume", ATTIC)

    assert list(Pauses(tmp_path).names) == ["porch"]


async def test_what_cannot_be_kept(tmp_path: Path) -> None:
    """Where the pause cannot be kept the camera is closed nevertheless, and the answer says that it will not last."""
    (tmp_path / "file").write_text("no folder")
    place = site(config=CONFIG, state=tmp_path / "file")
    obey(place)
    status, report = await posted(place, "/cameras/porch/pause")

    assert (status, report["paused"], report["lasting"]) == (200, True, False)
    (tmp_path / "file").unlink()
    assert (await posted(place, "/cameras/porch/pause"))[1]["lasting"] is True
    assert list(Pauses(tmp_path / "file").names) == ["porch"]


@pytest.mark.parametrize(
    ("path", "key", "method", "status"),
    [
        ("/cameras/porch/pause", "", "POST", 401),
        ("/cameras/porch/pause", "wrong-3f9c1e77", "POST", 401),
        ("/cameras/porch/pause", WALL, "POST", 403),
        ("/cameras/porch/pause", ATTIC, "POST", 403),
        ("/cameras/cellar/pause", STEER, "POST", 404),
        ("/cameras/porch/pause", STEER, "GET", 405),
        ("/cameras/porch/pause", STEER, "DELETE", 405),
        ("/cameras/porch/resume", WALL, "POST", 403),
        ("/cameras/porch/resume", ATTIC, "POST", 403),
        ("/cameras/porch/resume", STEER, "GET", 405),
    ],
)
async def test_refused(path: str, key: str, method: str, status: int, place: Site) -> None:
    """Without a key that may steer that camera, and by any other method, nothing is switched."""
    paused = path.endswith("resume")
    place.cameras["porch"].demand.paused = paused
    with pytest.raises(HttpError) as caught:
        await ask(place, request(path, *[f"X-API-Key: {key}"] * bool(key), method=method))

    assert caught.value.status == status
    assert [camera.demand.paused for camera in place.cameras.values()] == [paused, False]
    assert not place.pauses.names
