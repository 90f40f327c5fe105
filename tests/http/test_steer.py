"""Pause and resume: who may, what is answered, and what is remembered."""

import json
from pathlib import Path
from time import time
from typing import Any

import pytest

from mjpegd.condition import State, Status
from mjpegd.config.schema import AuthConfig, CameraConfig, Config, KeyConfig
from mjpegd.errors import HttpError
from mjpegd.http import steer
from mjpegd.http.response import Response
from mjpegd.http.site import Site
from mjpegd.pauses import Pauses
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
    assert [camera.demand.paused for camera in place.cameras.values()] == [True, False]
    assert Pauses(tmp_path).names == {"porch"}
    status, report = await posted(place, "/cameras/porch/resume")

    assert (status, report["state"], report["paused"]) == (200, "starting", False)
    assert not place.cameras["porch"].demand.paused
    assert Pauses(tmp_path).names == set()


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
    assert Pauses(tmp_path).names == {"porch"}


async def test_what_cannot_be_kept(tmp_path: Path) -> None:
    """Where the pause cannot be kept the camera is closed nevertheless."""
    (tmp_path / "file").write_text("no folder")
    place = site(config=CONFIG, state=tmp_path / "file")
    obey(place)
    status, report = await posted(place, "/cameras/porch/pause")

    assert (status, report["paused"]) == (200, True)


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
    assert place.pauses.names == set()
