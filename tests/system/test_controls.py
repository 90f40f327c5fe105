"""Camera controls of a real daemon with a V4L2 camera: what the file says, what is set over HTTP, and what lasts."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.daemon import SECONDS, Daemon, pattern, wait_for, write_config
from tests.system.client import Answer, Client, fetch, request
from tests.system.fakecam import HEIGHT, WIDTH, Camera

STEER, WALL = "steer-3f9c1e77", "wall-8d1b5a02"
KEYS: dict[str, object] = {
    "key.steer.secret": STEER,
    "key.steer.scopes": ["view", "control"],
    "key.wall.secret": WALL,
    "key.wall.scopes": ["view", "snapshot"],
}
PATH = "/cameras/cam/controls"
STREAMON, SET_CONTROL = "V/18 -> 0", "V/28 -> "
"""How the camera's log calls them, VIDIOC_STREAMON and VIDIOC_S_CTRL."""


def settings(**controls: object) -> dict[str, object]:
    """`sets` for the camera, with what the file says of its controls."""
    camera = {"source": "/dev/video0", "width": WIDTH, "height": HEIGHT, "fps": 30, "stale_after": 1}
    filed = {f"controls.{name}": value for name, value in controls.items()}
    return {**KEYS, **{f"camera.cam.{key}": value for key, value in {**camera, **filed}.items()}}


@dataclass(frozen=True)
class Helm:
    """A daemon with a camera, in the hands of somebody who may steer it."""

    daemon: Daemon
    file: Path

    def post(self, path: str = PATH, body: str = "", **fields: str) -> Answer:
        headers = {"Authorization": f"Bearer {STEER}", "Content-Length": str(len(body)), **fields}
        with Client(self.daemon) as client:
            client.send(request(path, headers, method="POST") + body.encode())
            return client.answer()

    def set(self, **controls: object) -> Answer:
        """POST a form."""
        return self.post(body=urlencode(controls))

    def values(self) -> dict[str, Any]:
        """What every control is at, as the camera says."""
        return values(fetch(self.daemon, PATH, {"Authorization": f"Bearer {STEER}"}))

    def warnings(self) -> dict[str, str]:
        """The controls that could not be set at an opening, with the reason in the log."""
        return {line["control"]: line["reason"] for line in self.lines("control not set")}

    def lines(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.daemon.log if line["event"] == event]

    def reopened(self, camera: Camera) -> None:
        """Pull the cable and put it in again."""
        camera.unplug()
        self.daemon.wait_state("lost")
        camera.plug()
        self.daemon.wait_state("live")


def values(answer: Answer) -> dict[str, Any]:
    """What every control is at, as an answer says."""
    assert answer.status == 200, answer.body
    return {control["name"]: control["value"] for control in answer.json()["controls"]}


@contextmanager
def steering(camera: Camera, folder: Path, **filed: object) -> Iterator[Helm]:
    """A daemon whose camera is live, with these controls in its file."""
    file = write_config(folder / "mjpegd.toml", settings(**filed))
    environment = camera.environment(log=1)
    with Daemon(config=file, environment=environment, preload=camera.library, key=WALL) as daemon:
        daemon.wait_state("live")
        yield Helm(daemon, file)


def test_what_the_file_says_is_in_force(camera: Camera, tmp_path: Path) -> None:
    """Controls of the file are set once the camera streams, automatic switches first, however they were written."""
    with steering(camera, tmp_path, exposure_time_absolute=100, brightness=10, auto_exposure="Manual Mode") as helm:
        now = helm.values()
        calls = [line for line in helm.daemon.raw_log if STREAMON in line or SET_CONTROL in line]

        assert (now["exposure_time_absolute"], now["brightness"], now["auto_exposure"]) == (100, 10, 1)
        assert [call.partition(" V/")[2] for call in calls] == ["18 -> 0", *["28 -> 0"] * 3]
        assert helm.warnings() == {}


def test_a_wrong_control_does_not_cost_the_camera(camera: Camera, tmp_path: Path) -> None:
    """Each control that cannot be set is one warning with the reason; the camera is live and the rest is set."""
    with steering(camera, tmp_path, brigthness=1, hue=999, white_balance_temperature=3000, contrast=7) as helm:
        assert helm.warnings() == {
            "brigthness": "there is no such control; did you mean brightness?",
            "hue": "must be a whole number from -180 to 180, not 999",
            "white_balance_temperature": "inactive: switch off white_balance_automatic first",
        }
        assert helm.values()["contrast"] == 7


def test_set_and_list(camera: Camera, tmp_path: Path) -> None:
    """POST sets by form or JSON what GET shows then; the log names control, value and who asked."""
    with steering(camera, tmp_path) as helm:
        assert helm.values()["white_balance_automatic"] is True
        now = values(helm.set(white_balance_temperature=3000, white_balance_automatic="false"))
        assert (now["white_balance_temperature"], now["white_balance_automatic"]) == (3000, False)
        body = json.dumps({"auto_exposure": "Manual Mode", "exposure_time_absolute": 50})
        now = values(helm.post(body=body, **{"Content-Type": "application/json"}))
        assert now == helm.values()
        assert (now["auto_exposure"], now["exposure_time_absolute"]) == (1, 50)
        told = [(line["camera"], line["control"], line["value"], line["by"]) for line in helm.lines("control set")]
        assert ("cam", "white_balance_temperature", 3000, "127.0.0.1") in told
        assert len(told) == 4


def test_what_cannot_be_set(camera: Camera, tmp_path: Path) -> None:
    """A value out of its range is 400 with the range, an inactive control 409 with its switch; nothing else changes."""
    with steering(camera, tmp_path) as helm:
        before = helm.values()
        wrong = helm.set(contrast=1, brightness=300)
        inactive = helm.set(exposure_time_absolute=100)

        assert (wrong.status, wrong.json()["error"]) == (
            400,
            "brightness: must be a whole number from 0 to 255, not 300",
        )
        assert (inactive.status, inactive.json()["error"]) == (
            409,
            "exposure_time_absolute: inactive: set auto_exposure to Manual Mode first",
        )
        assert before == helm.values()


def test_who_may_steer(camera: Camera, tmp_path: Path) -> None:
    """Without a key it is 401, with one that may only look 403, in either direction."""
    with steering(camera, tmp_path) as helm:
        for path, method in ((PATH, "GET"), (PATH, "POST"), (f"{PATH}/reset", "POST")):
            assert fetch(helm.daemon, path, method=method).status == 401
            answer = fetch(helm.daemon, path, {"X-API-Key": WALL}, method=method)
            assert (answer.status, answer.json()["scope"]) == (403, "control")


def test_set_again_after_each_reopen(camera: Camera, tmp_path: Path) -> None:
    """A camera forgets by being pulled out; what the file says and what was set since is in force when it is back."""
    with steering(camera, tmp_path, contrast=7, hue=5) as helm:
        helm.set(auto_exposure=1, exposure_time_absolute=100, hue=6, pan_reset="true")
        helm.reopened(camera)
        now = helm.values()
        assert (now["contrast"], now["hue"]) == (7, 6)
        assert (now["auto_exposure"], now["exposure_time_absolute"]) == (1, 100)
        assert helm.warnings() == {}


def test_reset(camera: Camera, tmp_path: Path) -> None:
    """A reset of all or of one puts it to the file's value, else the driver's, and that lasts too."""
    with steering(camera, tmp_path, contrast=7) as helm:
        fresh = helm.values()
        helm.set(auto_exposure=1, exposure_time_absolute=100, hue=6, contrast=8)
        assert values(helm.post(f"{PATH}/reset", "name=contrast"))["contrast"] == 7
        assert helm.values()["hue"] == 6
        assert fresh == values(helm.post(f"{PATH}/reset"))
        helm.reopened(camera)
        assert fresh == helm.values()
        assert helm.post(f"{PATH}/reset", "name=contras").status == 400


def test_a_camera_that_is_away(camera: Camera, tmp_path: Path) -> None:
    """Nothing can be asked of a camera that is pulled out: 409 with its state and the reason."""
    with steering(camera, tmp_path) as helm:
        camera.unplug()
        helm.daemon.wait_state("lost")
        answer = helm.set(hue=5)
        assert answer.status == 409
        assert answer.json() == {
            "error": "the camera is not open",
            "camera": "cam",
            "state": "lost",
            "reason": helm.daemon.camera()["reason"],
        }


HANGS = "the driver was asked"
HUNG = f"""
import fcntl, runpy, sys, time
from linuxpy.video import raw
ioctl = fcntl.ioctl

def hang(fd, request, *arguments):
    if request == raw.IOC.QUERY_EXT_CTRL:
        print("{HANGS}", file=sys.stderr, flush=True)
        time.sleep(1000)
    return ioctl(fd, request, *arguments)

fcntl.ioctl = hang
runpy.run_module("mjpegd", run_name="__main__")
"""
"""mjpegd, with a driver that does not answer who asks what controls there are."""


def test_the_end_waits_for_no_driver(camera: Camera, tmp_path: Path) -> None:
    """While a driver does not answer the daemon ends all the same, and the pictures came."""
    file = write_config(tmp_path / "mjpegd.toml", settings())
    program = (sys.executable, "-c", HUNG, "run")
    with Daemon(
        config=file, environment=camera.environment(), preload=camera.library, key=STEER, program=program
    ) as daemon:
        daemon.wait_state("live")
        with Client(daemon) as client:
            client.send(request(PATH, {"Authorization": f"Bearer {STEER}"}))
            wait_for(lambda: HANGS in daemon.raw_log, 5, "the driver to be asked")
            assert daemon.camera()["state"] == "live"
            assert daemon.stop() < 1.5 * SECONDS


def test_a_reload_sets_what_changed(camera: Camera, tmp_path: Path) -> None:
    """Another value in the file is in force after a reload; what was set by hand stays on top of it."""
    with steering(camera, tmp_path, contrast=7, hue=5) as helm:
        helm.set(hue=6)
        write_config(helm.file, settings(contrast=8, hue=4))
        helm.daemon.reload()
        helm.daemon.wait_state("live")
        wait_for(lambda: helm.values()["contrast"] == 8, 5, "the contrast")
        assert helm.values()["hue"] == 6


def test_a_source_without_controls() -> None:
    """A source that is no V4L2 camera has none: 409."""
    with Daemon({**pattern(), "auth.anonymous": "view,control"}) as daemon:
        daemon.wait_state("live")
        answer = fetch(daemon, PATH)
        assert (answer.status, answer.json()["error"]) == (409, "the camera has no controls: it is none of V4L2's")


def test_pictures_go_on_while_controls_are_asked(camera: Camera, tmp_path: Path) -> None:
    """Asking and setting takes nothing from the stream: no picture is skipped or broken, and it is not opened again."""
    with steering(camera, tmp_path) as helm:
        before = helm.daemon.camera()
        for number in range(20):
            assert helm.set(hue=number).status == 200
        after = helm.daemon.camera()
        assert before["restarts"] == after["restarts"] == 0
        assert after["frames"]["captured"] > before["frames"]["captured"]
        assert (after["frames"]["skipped"], after["frames"]["broken"]) == (before["frames"]["skipped"], 0)
