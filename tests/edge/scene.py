"""What the steps are made of: findings, the configuration, and the box brought into a known state."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from tests.edge.machine import ADMIN, Guest, wait_until
from tests.edge.viewer import Part

CONFIG, SECRETS = "/etc/mjpegd/mjpegd.toml", "/etc/mjpegd/secrets.toml"
OPEN_TO_ALL = '[server]\nhost = "0.0.0.0"\n\n[auth]\nanonymous = ["view", "snapshot"]\n'
KEYS = f'[key.desk]\nsecret = "{ADMIN}"\nscopes = ["admin"]\n'

PATIENCE = 60.0
"""Seconds for what has no limit of its own: Python takes seconds to start on an emulated processor."""


@dataclass(frozen=True)
class Finding:
    """What a step saw, and whether it is as it should be."""

    ok: bool
    text: str


Findings = Iterator[Finding]


def note(text: str) -> Finding:
    """A figure without a limit."""
    return Finding(True, text)


def holds(ok: bool, text: str, seen: object = "") -> Finding:  # noqa: FBT001  (the condition comes first, as in assert)
    """A condition, and what was seen in its place."""
    return Finding(ok, text if ok else f"NOT {text}: {seen!r}")


def within(limit: float, seconds: float, what: str) -> Finding:
    """A duration with a limit."""
    return Finding(seconds <= limit, f"{what} after {seconds:.2f} s (at most {limit:g})")


def by_id(number: int) -> str:
    """The link that means this camera, whatever its number in /dev."""
    return f"/dev/v4l/by-id/usb-Edge_Test_Edge_UVC_Camera_{serial(number)}-video-index0"


def serial(number: int) -> str:
    """The serial number of an emulated camera."""
    return f"EDGE000{number}"


def table(name: str, source: str, fps: int = 30) -> str:
    """A camera of the configuration."""
    return f'\n[camera.{name}]\nsource = "{source}"\nwidth = 640\nheight = 480\nfps = {fps}\n'


ONE = OPEN_TO_ALL + table("cam", by_id(0))
"""One camera, by its serial number."""


def shows(number: int) -> Callable[[Part], bool]:
    """Whether a part is a picture of this camera."""
    return lambda part: part.serial == serial(number)


def is_card(part: Part) -> bool:
    """Whether a part is no camera's picture."""
    return not part.serial


def wait_state(guest: Guest, state: str, name: str = "cam", within: float = PATIENCE) -> float:
    """Wait until a camera is in that state; the host's time then."""
    return wait_until(lambda: guest.camera(name)["state"] == state, within, f"camera {name} to be {state}")


def arrange(guest: Guest, configuration: str = ONE, cameras: Iterable[int] = (0,), *, restart: bool = False) -> None:
    """Plug in these cameras and no other, put this configuration in force, and wait until what should be live is.

    `restart` for a daemon that has just begun; otherwise only one with another configuration is started again.
    """
    cameras = set(cameras)
    for number in sorted(guest.plugged - cameras):
        guest.cam("unplug", str(number))
    for number in sorted(cameras):
        if number not in guest.plugged:
            guest.cam("plug", str(number))
        guest.cam("ctl", str(number), "thaw")
    if restart or guest.run(f"cat {CONFIG} 2>/dev/null", check=False) != configuration:
        guest.write(CONFIG, configuration)
        guest.write(SECRETS, KEYS, "600")
        guest.run("systemctl restart mjpegd")
    for name in re.findall(r"^\[camera\.(\w+)\]", configuration, re.MULTILINE) if cameras else ():
        wait_state(guest, "live", name)
