"""The guest: a real Debian with systemd in QEMU, and what a person at its power, its USB ports and its shell can do."""

import http.client
import json
import os
import shlex
import socket
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tests.edge.viewer import Failed, Viewer

SCRIPTS = Path(__file__).parent / "guest"
ADMIN = "edge-steps-admin-0000"
"""The secret of the one key that the steps configure; every scope."""

Report = dict[str, Any]


class Guest:
    """One guest, started by `boot`, or found running. Scripts in `guest/` do the work; a person can use them beside."""

    def __init__(self) -> None:
        self.name = name = os.environ.get("EDGE_NAME", "steps")
        self._folder = Path(os.environ.get("EDGE_CACHE", "/tmp/edge")) / f"run-{name}"  # noqa: S108  (on purpose)
        ports = {"EDGE_SSH_PORT": _free_port(), "EDGE_HTTP_PORT": _free_port(), **os.environ, **self._ports()}
        self._environment = {**os.environ, **{key: ports[key] for key in ("EDGE_SSH_PORT", "EDGE_HTTP_PORT")}}
        self._environment["EDGE_NAME"] = name
        self.port = int(ports["EDGE_HTTP_PORT"])

    @property
    def runs(self) -> bool:
        """Whether it is on."""
        pid = self._folder / "pid"
        return pid.exists() and Path("/proc", pid.read_text().strip()).exists()

    @property
    def plugged(self) -> set[int]:
        """The cameras on its USB."""
        return {int(path.name[3]) for path in self._folder.glob("uvc?.sock.pid")}

    def build(self) -> None:
        """Make its image, where there is none yet."""
        self._script("build-image.sh", within=900)

    def boot(self, *, keep: bool = False, cameras: Iterable[int] = ()) -> None:
        """Switch it on, with a fresh disk or the one it had, and wait for systemd to have finished starting."""
        self._script("boot.sh", *(["--keep"] if keep else []), *map(str, cameras), within=300)

    def stop(self) -> None:
        """Shut it down in order."""
        self._script("stop.sh")

    def cut(self) -> None:
        """Pull its plug."""
        self._script("stop.sh", "--cut")

    def cam(self, *words: str) -> float:
        """Plug in, unplug or steer a camera (see guest/cam.sh); returns when that was begun, by the host's clock."""
        began = time.time()
        self._script("cam.sh", *words)
        return began

    def run(self, command: str, *, within: float = 120, check: bool = True) -> str:
        """Run a shell command as root; what it printed."""
        return self._script("guest.sh", command, within=within, check=check)

    def push(self, source: Path, folder: str) -> None:
        """Copy a file or folder into a folder of the guest."""
        self._script("push.sh", str(source), folder)

    def write(self, path: str, text: str, mode: str = "644") -> None:
        """Write a file as an editor does: whole, and on the disk when this returns."""
        new = shlex.quote(f"{path}.new")
        command = f"mkdir -p {Path(path).parent} && cat >{new} && chmod {mode} {new} && sync {new} && mv {new} {path}"
        self._script("guest.sh", command, feed=text)

    def born(self, path: str) -> float:
        """When a device node or link came to be, by the guest's clock."""
        return float(self.run(f"stat -c %.9W {path}"))

    def show(self, name: str) -> str:
        """One property of the service, as `systemctl show` says it."""
        return self.run(f"systemctl show --value -p {name} mjpegd.service").strip()

    def journal(self, *options: str) -> str:
        """What the service wrote, in this and earlier boots; `options` are journalctl's."""
        return self.run(f"journalctl --no-pager -u mjpegd.service {shlex.join(options)}")

    def get(self, path: str, key: str = ADMIN) -> tuple[int, bytes]:
        """Status and body of one request from the host; status 0 where nobody answers."""
        return self._ask("GET", path, key)

    def post(self, path: str, body: str = "") -> tuple[int, Report]:
        """Status and JSON of a form that is posted with the key."""
        status, answer = self._ask("POST", path, ADMIN, body)
        return status, json.loads(answer or b"{}")

    def _ask(self, method: str, path: str, key: str, body: str = "") -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body or None, headers={"Authorization": f"Bearer {key}"} if key else {})
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException):
            return 0, b""
        finally:
            connection.close()

    def camera(self, name: str = "cam") -> Report:
        """One camera's part of `/stats`; state `unreachable` where nobody answers."""
        status, body = self.get("/stats")
        part: Report = json.loads(body)["cameras"].get(name, {}) if status == 200 else {}
        return {"state": "unreachable", **part}

    def watch(self, name: str = "cam") -> Viewer:
        """A viewer of a camera's stream, for a `with` statement."""
        return Viewer(self.port, f"/stream/{name}")

    def evidence(self) -> str:
        """What a person would look at first when something is wrong."""
        commands = (
            "systemctl status mjpegd --no-pager -n 0",
            "journalctl -u mjpegd --no-pager -n 40 -o short-precise",
            "ls -l /dev/video* /dev/v4l/by-id; tail -n 20 /etc/mjpegd/mjpegd.toml; dmesg | tail -n 5",
        )
        said = [self.run(f"{command} 2>&1", check=False) for command in commands] if self.runs else ["it does not run"]
        return "\n".join((*said, self.get("/stats")[1].decode()))

    def _ports(self) -> dict[str, str]:
        """Those of the guest that runs already."""
        kept = self._folder / "ports"
        return dict(line.split("=") for line in kept.read_text().split()) if self.runs and kept.exists() else {}

    def _script(self, name: str, *words: str, feed: str = "", within: float = 120, check: bool = True) -> str:
        ended = subprocess.run(
            [SCRIPTS / name, *words],
            env=self._environment,
            input=feed,
            capture_output=True,
            text=True,
            timeout=within,
            check=False,
        )
        if check and ended.returncode:
            said = f"{ended.stdout}{ended.stderr}".strip()[-2000:]
            raise Failed(f"{shlex.join((name, *words))} ended with {ended.returncode}: {said}")
        return ended.stdout


def _free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return str(listener.getsockname()[1])


def wait_until(condition: Callable[[], bool], within: float, what: str) -> float:
    """Poll until it holds, and return the host's time then; `Failed` after `within` seconds."""
    deadline = time.time() + within
    while not condition():
        if time.time() > deadline:
            raise Failed(f"waited {within:g} s for {what}")
        time.sleep(0.05)
    return time.time()
