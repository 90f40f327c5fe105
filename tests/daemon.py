"""A real mjpegd in a process of its own, as the system tests use it."""

import atexit
import contextlib
import http.client
import json
import os
import random
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

SECONDS = float(os.environ.get("TEST_SECONDS", "1"))
"""Every patience in the tests is a multiple of this: set it to 3 on a slow machine."""

STATE = tempfile.mkdtemp(prefix="mjpegd-state-")
"""Where the daemons of one test run keep what outlives them."""
atexit.register(shutil.rmtree, STATE, ignore_errors=True)

JsonDict = dict[str, Any]


RUN = (sys.executable, "-m", "mjpegd", "run")


def surroundings() -> dict[str, str]:
    """The environment without an operator's own settings for mjpegd."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MJPEGD_")}
    return {**kept, "STATE_DIRECTORY": STATE}


class Daemon:
    """Starts `python -m mjpegd run` on a free port; leaving the `with` block stops it and checks that all was well.

    `config` None leaves it to mjpegd to find a file, a value None in `sets` leaves a key to that file; `program` is how
    it is called, `pass_fds` what it inherits. `key` is brought along by `get` and all that follows from it.
    """

    def __init__(
        self,
        sets: Mapping[str, object] | None = None,
        *,
        config: str | Path | None = os.devnull,
        environment: Mapping[str, str] | None = None,
        preload: Path | None = None,
        program: Sequence[str | Path] = RUN,
        folder: Path | None = None,
        pass_fds: Sequence[int] = (),
        key: str = "",
    ) -> None:
        values = {"server.port": 0, "log.format": "json", "log.level": "debug", **(sets or {})}
        settings = [
            word for name, value in values.items() if value is not None for word in ("--set", f"{name}={value}")
        ]
        files = [] if config is None else ["--config", str(config)]
        self._command = [*program, *files, *settings]
        self._folder = folder
        self._pass_fds = pass_fds
        self._key = key
        self._environment = {**surroundings(), **(environment or {})}
        if preload is not None:
            self._environment["LD_PRELOAD"] = str(preload)
        self.log: list[JsonDict] = []
        self.raw_log: list[str] = []
        self.scheme = "http"
        self.port = 0
        self._deaf = False
        self.process: subprocess.Popen[str]

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            self._command,
            cwd=self._folder,
            env=self._environment,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            pass_fds=self._pass_fds,
        )
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()
        try:
            line = self.wait_log("mjpegd listens")
        except AssertionError:
            self.process.kill()
            raise
        self.scheme, _, where = str(line.get("page") or line["socket"]).partition(":")
        self.port = 0 if self.scheme == "unix" else int(where.rsplit(":", 1)[1].strip("/"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(5 * SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        self._reader.join(5 * SECONDS)
        if kind is None:
            assert not [line for line in self.raw_log if "Traceback" in line or "bug in mjpegd" in line], self.raw_log

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`, or https where that is spoken."""
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def read_no_more(self) -> None:
        """Close our end of the log with its next line: whatever the daemon writes after it fails."""
        self._deaf = True

    def stop(self, number: signal.Signals = signal.SIGTERM, within: float = 5.0) -> float:
        """Send a signal, wait for the end, and return how many seconds it took."""
        began = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(within * SECONDS)
        return time.monotonic() - began

    def get(
        self, path: str, headers: Mapping[str, str] | None = None, method: str = "GET"
    ) -> tuple[http.client.HTTPResponse, bytes]:
        """One finite request on a connection of its own."""
        connection = self._connection()
        ours = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        try:
            connection.request(method, path, headers={**ours, **(headers or {})})
            response = connection.getresponse()
            return response, response.read()
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        if self.scheme == "https":
            return http.client.HTTPSConnection(
                "127.0.0.1", self.port, timeout=10 * SECONDS, context=trusting_everybody()
            )
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=10 * SECONDS)

    def json(self, path: str) -> JsonDict:
        """A JSON answer, whatever its status."""
        content: JsonDict = json.loads(self.get(path)[1])
        return content

    def camera(self, name: str = "cam") -> JsonDict:
        """One camera's part of `/stats`."""
        part: JsonDict = self.json("/stats")["cameras"][name]
        return part

    def wait_state(self, state: str, name: str = "cam", within: float = 10.0) -> float:
        """Wait until a camera is in that state; returns the seconds it took."""
        return wait_for(lambda: self.camera(name)["state"] == state, within, f"{name} to be {state}")

    def wait_log(self, event: str, within: float = 15.0) -> JsonDict:
        """The first log line with that event, when it comes."""

        def found() -> list[JsonDict]:
            if self.process.poll() is not None and not self._reader.is_alive():
                raise AssertionError(f"mjpegd ended: {self.raw_log}")
            return [line for line in self.log if line["event"] == event]

        wait_for(lambda: bool(found()), within, f"the log line {event!r}")
        return found()[0]

    def reload(self) -> JsonDict:
        """Send SIGHUP, wait until it was taken or refused, and return the line of the log that says so."""
        before = len(self._reloads())
        self.process.send_signal(signal.SIGHUP)
        wait_for(lambda: len(self._reloads()) > before, 15, "the reload")
        return self._reloads()[before]

    def _reloads(self) -> list[JsonDict]:
        told = ("configuration reloaded", "reload refused, nothing changed")
        return [line for line in self.log if line["event"] in told]

    def _read_log(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as lines:
            for line in lines:
                self.raw_log.append(line.rstrip())
                if line.startswith("{"):
                    self.log.append(json.loads(line))
                if self._deaf:
                    return


def wait_for(condition: Any, within: float, what: str) -> float:
    """Poll `condition` until it holds; fails after `within` units of `SECONDS`. Returns the seconds it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < within * SECONDS, f"waited {within * SECONDS:g} s for {what}"
        time.sleep(0.02)
    return time.monotonic() - began


def trusting_everybody() -> ssl.SSLContext:
    """A context for clients that take any certificate: the tests' own are signed by nobody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def descriptors() -> int:
    """How many files this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def free_port() -> int:
    """A port that nobody listens on, below those that the kernel gives to clients: nobody takes it by chance."""
    while True:
        port = random.randrange(20_000, 32_000)
        with contextlib.suppress(OSError), socket.create_server(("", port)):
            return port


def cli(
    *words: str | Path, environment: Mapping[str, str] | None = None, folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run one `mjpegd` command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "mjpegd", *words],
        cwd=folder,
        env={**surroundings(), **(environment or {})},
        capture_output=True,
        text=True,
        timeout=60 * SECONDS,
        check=False,
    )


def pattern(width: int = 320, height: int = 240, fps: float = 30, **more: object) -> dict[str, object]:
    """`sets` for one camera `cam` with the test pattern."""
    keys: dict[str, object] = {"source": "pattern", "width": width, "height": height, "fps": fps, **more}
    return {f"camera.cam.{key}": value for key, value in keys.items()}


def join(*layers: Mapping[str, object]) -> dict[str, object]:
    """Several `sets` in one."""
    return {key: value for layer in layers for key, value in layer.items()}


def write_config(file: Path, *layers: Mapping[str, object]) -> Path:
    """Write `sets` as a configuration file; written over an old one, it is what a reload finds."""
    file.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in join(*layers).items()))
    return file
