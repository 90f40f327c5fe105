"""A headless Chromium, driven through its DevTools protocol over an inherited socket: no port, no extra library."""

import base64
import json
import os
import signal
import socket
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.daemon import SECONDS
from tests.peers import peer

OPTIONS = (
    "--headless",
    "--no-sandbox",  # it refuses to run as root otherwise
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-proxy-server",
    "--remote-debugging-pipe",
    "--window-size=800,600",
)

JsonDict = dict[str, Any]


class Chromium:
    """One browser with one tab."""

    def __init__(self, profile: Path) -> None:
        self._program = peer("chromium", "chromium")
        self._profile = profile
        self._pending = b""
        self._calls = 0
        self._session = ""
        self._process: subprocess.Popen[bytes]
        self._wire: socket.socket

    def __enter__(self) -> Self:
        self._wire, theirs = socket.socketpair()
        self._wire.settimeout(30 * SECONDS)
        with theirs:  # Chromium reads commands from descriptor 3 and answers on 4
            browser = (self._program, *OPTIONS, f"--user-data-dir={self._profile}", "about:blank")
            self._process = subprocess.Popen(
                ["bash", "-c", 'exec 3<&"$0" 4>&"$0"; exec "$@"', str(theirs.fileno()), *browser],
                pass_fds=[theirs.fileno()],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        tab = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=tab, flatten=True)["sessionId"]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._wire.close()
        try:
            self._process.wait(5 * SECONDS)  # it ends by itself when its wire does
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def open(self, url: str) -> None:
        """Load a page; returns when the load has begun."""
        answer = self._call("Page.navigate", url=url)
        assert "errorText" not in answer, answer

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page; a promise is waited for."""
        answer = self._call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def screenshot(self, width: int, height: int) -> bytes:
        """What the upper left corner of the page shows, as a PNG."""
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        return base64.b64decode(self._call("Page.captureScreenshot", format="png", clip=clip)["data"])

    def _call(self, method: str, **parameters: object) -> JsonDict:
        self._calls += 1
        message: JsonDict = {"id": self._calls, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._wire.sendall(json.dumps(message).encode() + b"\0")
        while (answer := self._receive()).get("id") != self._calls:
            pass
        assert "error" not in answer, answer
        result: JsonDict = answer["result"]
        return result

    def _receive(self) -> JsonDict:
        while b"\0" not in self._pending:
            data = self._wire.recv(1 << 20)
            assert data, "Chromium ended"
            self._pending += data
        message, _, self._pending = self._pending.partition(b"\0")
        content: JsonDict = json.loads(message)
        return content
