"""Controls over HTTP: who may, what is answered, and what is set again at the next opening."""

import asyncio
import errno
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from mjpegd.condition import SHOWING, State, Status
from mjpegd.config.schema import AuthConfig, CameraConfig, Config, ControlValue, KeyConfig
from mjpegd.errors import HttpError
from mjpegd.http import controls
from mjpegd.http.response import Response
from mjpegd.http.site import Site
from mjpegd.sources.base import Granted
from tests.daemon import wait_for
from tests.driver import ID, Driver, webcam
from tests.http.requests import ask, request, site

PATH = "/cameras/porch/controls"
FORM = "Content-Type: application/x-www-form-urlencoded"
JSON = "Content-Type: application/json; charset=utf-8"
STEER = AuthConfig(anonymous=("control",))


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Driver:
    """A webcam's driver behind every `ioctl`."""
    driver = webcam()
    monkeypatch.setattr("fcntl.ioctl", driver.ioctl)
    return driver


def place(
    state: State = State.LIVE, device: str = "/dev/null", auth: AuthConfig = STEER, **filed: ControlValue
) -> Site:
    """A site whose camera is in that state on that device, with what the file says of its controls."""
    camera = CameraConfig(source="/dev/null", controls=filed)
    key = {"wall": KeyConfig(secret="wall-3f9c1e77", scopes=("view",))}  # noqa: S106  (a test's)
    where = site(config=Config(camera={"porch": camera}, auth=auth, key=key))
    capture = where.cameras["porch"].capture
    capture.status = Status(state, 0.0, "for a test")
    capture.granted = Granted(640, 480, 30.0, "MJPG", device)
    return where


async def posted(where: Site, body: str, kind: str = FORM, path: str = PATH) -> dict[str, Any]:
    """What a good POST is answered."""
    return read(
        await ask(where, request(path, kind, f"Content-Length: {len(body)}", method="POST"), body=body.encode())
    )


def read(answer: object) -> dict[str, Any]:
    """The JSON of a good answer."""
    assert isinstance(answer, Response)
    assert answer.status == 200
    content: dict[str, Any] = json.loads(bytes(answer.body))
    return content


async def refused(where: Site, body: str, kind: str = FORM, path: str = PATH) -> HttpError:
    """The error that answers a POST."""
    with pytest.raises(HttpError) as caught:
        await posted(where, body, kind, path)
    return caught.value


def values(content: dict[str, Any]) -> dict[str, Any]:
    """What every control is at, as an answer says."""
    return {control["name"]: control["value"] for control in content["controls"]}


async def test_list(driver: Driver) -> None:
    """GET lists every control with kind, value, range, menu and flags."""
    listed = read(await ask(place(), request(PATH)))["controls"]

    assert [control["name"] for control in listed][:2] == ["brightness", "hue"]
    assert listed[5] == {
        "name": "auto_exposure",
        "kind": "menu",
        "value": 3,
        "default": 3,
        "minimum": 0,
        "maximum": 3,
        "step": 1,
        "menu": {"1": "Manual Mode", "3": "Aperture Priority Mode"},
        "flags": [],
    }


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("exposure_time_absolute=100&auto_exposure=Manual+Mode&white_balance_automatic=false", FORM),
        ('{"exposure_time_absolute": 100, "auto_exposure": 1, "white_balance_automatic": false}', JSON),
    ],
)
async def test_set(body: str, kind: str, driver: Driver) -> None:
    """POST sets several at once, by a form or JSON, and answers with what is in force then."""
    where = place()
    now = values(await posted(where, body, kind))

    assert (now["exposure_time_absolute"], now["auto_exposure"], now["white_balance_automatic"]) == (100, 1, False)
    assert driver.row(ID.EXPOSURE_ABSOLUTE).value == 100


async def test_what_was_set_is_set_again(driver: Driver) -> None:
    """What was set is kept for the next opening, but for what does something once."""
    where = place()
    await posted(where, "brightness=3&pan_reset=true&auto_exposure=manual+mode")

    assert where.cameras["porch"].capture.controls == {"brightness": 3, "auto_exposure": "manual mode"}
    assert ("Pan, Reset", 1) in driver.taken


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        ("", FORM, "name at least one control, as brightness=10"),
        ("brightness=300", FORM, "brightness: must be a whole number from 0 to 255, not 300"),
        ("brightness=", FORM, "brightness: must be a whole number from 0 to 255, not ''"),
        ("auto_exposure=2", FORM, "auto_exposure: must be one of Manual Mode (1), Aperture Priority Mode (3), not 2"),
        ("brigthness=3", FORM, "brigthness: there is no such control; did you mean brightness?"),
        (
            "privacy=true&hue=999",
            FORM,
            "privacy: can only be read; hue: must be a whole number from -180 to 180, not 999",
        ),
        ('{"brightness": "3"}', JSON, "brightness: must be a whole number from 0 to 255, not '3'"),
        ('{"brightness": 3.5}', JSON, "the body is not the JSON that belongs here: Expected `bool | int | str`, got"),
        ('{"brightness": null}', JSON, "the body is not the JSON that belongs here: "),
        ("[1]", JSON, "the body is not the JSON that belongs here: Expected `object`"),
        ("{", JSON, "the body is not the JSON that belongs here: "),
        ("[" * 16000, JSON, "the body is not the JSON that belongs here: "),
        ("", JSON, "the body is not the JSON that belongs here: "),
    ],
)
async def test_wrong(body: str, kind: str, words: str, driver: Driver) -> None:
    """What cannot be set is 400 with the reason, and nothing is set then."""
    where = place()
    error = await refused(where, body, kind)

    assert error.status == 400
    assert str(error).startswith(words)
    assert (driver.taken, where.cameras["porch"].capture.controls) == ([], {})


async def test_one_wrong_keeps_the_rest_from_being_set(driver: Driver) -> None:
    """All are checked before the first is set."""
    error = await refused(place(), "hue=5&brightness=300")

    assert (error.status, list(error.facts["refused"])) == (400, ["brightness"])  # type: ignore[call-overload]
    assert driver.taken == []


async def test_inactive(driver: Driver) -> None:
    """What an automatic mode governs is 409 with what to switch off; the rest is set, told and kept."""
    where = place()
    error = await refused(where, "white_balance_temperature=3000&hue=5")

    reason = "inactive: switch off white_balance_automatic first"
    assert (error.status, str(error)) == (409, f"white_balance_temperature: {reason}")
    assert error.facts["refused"] == {"white_balance_temperature": reason}
    assert values(dict(error.facts))["hue"] == 5
    assert where.cameras["porch"].capture.controls == {"hue": 5}


@pytest.mark.parametrize("state", [state for state in State if state not in SHOWING])
async def test_camera_that_is_not_open(state: State, driver: Driver) -> None:
    """A camera that is not open is 409 with its state and the reason."""
    with pytest.raises(HttpError) as caught:
        await ask(place(state), request(PATH))

    assert (caught.value.status, str(caught.value)) == (409, "the camera is not open")
    assert caught.value.facts == {"camera": "porch", "state": state, "reason": "for a test"}
    assert (await refused(place(state), "hue=1")).status == 409
    assert (await refused(place(state), "", path=f"{PATH}/reset")).status == 409


async def test_frozen_camera(driver: Driver) -> None:
    """A frozen camera is open: its controls may be what it needs."""
    assert values(await posted(place(State.FROZEN), "hue=5"))["hue"] == 5


@pytest.mark.parametrize("device", ["pattern", "file", "network"])
async def test_source_without_controls(device: str, driver: Driver) -> None:
    """A source that is no V4L2 camera has no controls, at least for now: 409."""
    error = await refused(place(device=device), "hue=5")

    assert (error.status, str(error)) == (409, "the camera has no controls: it is none of V4L2's")


def test_no_linuxpy_without_need() -> None:
    """Who asks for the controls of a camera that has none has nothing loaded for the answer."""
    program = f"""
import asyncio, sys
from mjpegd.config.schema import AuthConfig, CameraConfig, Config
from mjpegd.errors import HttpError
from tests.http.requests import ask, request, site

async def main():
    camera, auth = CameraConfig(source="pattern"), AuthConfig(anonymous=("control",))
    try:
        await ask(site(config=Config(camera=dict(porch=camera), auth=auth)), request("{PATH}"))
    except HttpError as error:
        print(error.status, "linuxpy" in sys.modules)

asyncio.run(main())
"""
    ended = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert ended.stdout == "409 False\n"


async def test_camera_that_was_pulled_out(driver: Driver) -> None:
    """A camera that is gone by the time it is asked is 409."""
    driver.breaks = errno.ENODEV
    assert str(await refused(place(), "hue=5")) == "the camera cannot be asked: no more"
    error = await refused(place(device="/dev/none"), "hue=5")
    assert (error.status, str(error)) == (409, "the camera cannot be asked: No such file or directory")


async def test_driver_that_does_not_answer(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver that hangs is 503 for whoever asks, takes one thread, and is asked again once it let go."""
    monkeypatch.setattr(controls, "PATIENCE", 0.05)
    let_go, asked = threading.Event(), []

    def hang(fd: int, number: int, argument: object) -> None:
        asked.append(number)
        let_go.wait(10)
        driver.ioctl(fd, number, argument)

    monkeypatch.setattr("fcntl.ioctl", hang)
    where = place()
    errors = await asyncio.gather(*(refused(where, "hue=5") for _ in range(3)))

    assert [(error.status, str(error)) for error in errors] == [(503, "the camera's driver does not answer")] * 3
    assert len(asked) == 1
    let_go.set()
    monkeypatch.setattr(controls, "PATIENCE", 10)
    assert values(await posted(where, "hue=6"))["hue"] == 6


@pytest.fixture
def hanging(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A driver that answers nothing until this is set; nobody waits long for it."""
    let_go = threading.Event()

    def hang(fd: int, number: int, argument: object) -> None:
        let_go.wait(10)
        driver.ioctl(fd, number, argument)

    monkeypatch.setattr("fcntl.ioctl", hang)
    monkeypatch.setattr(controls, "PATIENCE", 0.05)
    yield let_go
    let_go.set()
    for thread in at_work():
        thread.join(5)


def at_work() -> list[threading.Thread]:
    """The threads that a driver is asked in."""
    return [thread for thread in threading.enumerate() if thread.name == "controls"]


async def test_hanging_driver_takes_no_thread_that_others_need(hanging: threading.Event) -> None:
    """What hangs is a daemon thread of its own: others get theirs, and the end of the daemon waits for none."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    assert (await refused(place(), "hue=5")).status == 503
    async with asyncio.timeout(2):
        await asyncio.to_thread(int)

    assert [thread.daemon for thread in at_work()] == [True]


@pytest.mark.parametrize(
    ("path", "body", "left"), [(PATH, "hue=5", {"brightness": 3, "hue": 5}), (f"{PATH}/reset", "name=brightness", {})]
)
async def test_late_is_remembered_too(
    path: str, body: str, left: dict[str, int], hanging: threading.Event, driver: Driver
) -> None:
    """What the driver does only after its time is remembered like any other."""
    where = place()
    where.cameras["porch"].capture.controls["brightness"] = 3
    driver.row(ID.BRIGHTNESS).value = 3
    assert (await refused(where, body, path=path)).status == 503
    hanging.set()
    await asyncio.to_thread(wait_for, lambda: not at_work(), 5, "the driver")

    assert where.cameras["porch"].capture.controls == left
    assert len(driver.taken) == 1


async def test_reset(driver: Driver) -> None:
    """A reset puts all to the driver's default, then to what the file says, and forgets what was set."""
    where = place(brightness=50)
    await posted(where, "brightness=3&hue=5&auto_exposure=1&exposure_time_absolute=100")
    content = await posted(where, "", path=f"{PATH}/reset")

    now = values(content)
    assert (now["brightness"], now["hue"], now["auto_exposure"], now["exposure_time_absolute"]) == (50, 0, 3, 250)
    assert content["refused"] == {}
    assert where.cameras["porch"].capture.controls == {}


@pytest.mark.parametrize(("body", "kind"), [("name=hue", FORM), ('{"name": "hue"}', JSON)])
async def test_reset_of_one(body: str, kind: str, driver: Driver) -> None:
    """A reset of one control leaves the others alone."""
    where = place(hue=7, brightness=50)
    await posted(where, "brightness=3&hue=5")
    now = values(await posted(where, body, kind, f"{PATH}/reset"))

    assert (now["brightness"], now["hue"]) == (3, 7)
    assert where.cameras["porch"].capture.controls == {"brightness": 3}


async def test_reset_that_is_refused(driver: Driver) -> None:
    """A reset of one control that there is not is 400, of one that is inactive 409; of all it tells which were."""
    where = place(white_balance_temperature=3000)
    assert (
        str(await refused(where, "name=hu", path=f"{PATH}/reset")) == "hu: there is no such control; did you mean hue?"
    )
    driver.row(ID.WHITE_BALANCE_TEMPERATURE).value = 5000
    error = await refused(where, "name=white_balance_temperature", path=f"{PATH}/reset")
    reason = "inactive: switch off white_balance_automatic first"
    assert (error.status, str(error)) == (409, f"white_balance_temperature: {reason}")
    assert (await posted(where, "", path=f"{PATH}/reset"))["refused"] == {"white_balance_temperature": reason}


@pytest.mark.parametrize(
    ("fields", "status"), [((), 401), (("X-API-Key: wall-3f9c1e77",), 403), (("X-API-Key: other-3f9c1e77",), 401)]
)
@pytest.mark.parametrize(("path", "method"), [(PATH, "GET"), (PATH, "POST"), (f"{PATH}/reset", "POST")])
async def test_scope(path: str, method: str, fields: tuple[str, ...], status: int, driver: Driver) -> None:
    """Without a key with scope `control` nothing is told or set."""
    with pytest.raises(HttpError) as caught:
        await ask(place(auth=AuthConfig(anonymous=("view",))), request(path, *fields, method=method), body=b"hue=5")

    assert caught.value.status == status
    assert driver.taken == []
