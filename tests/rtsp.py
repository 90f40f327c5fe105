"""Cameras that speak RTSP, for a test to look at, to kill and to start again."""

import json
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.daemon import SECONDS, free_port
from tests.peers import missing, peer
from tests.servers.loop import Loop

PYTHON = "/usr/bin/python3"
"""Debian's own, for which Debian packages `gi`."""
PROGRAM = Path(__file__).parent / "servers" / "rtsp_server.py"
_NEEDS = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"


class RtspServer:
    """A server in a process of its own, with one path for each loop, for as long as the block lasts.

    `folder` keeps the encoded loops. With `user` and `password` nobody else is let in, by Basic or by Digest.
    """

    def __init__(self, folder: Path, *loops: Loop, user: str = "", password: str = "") -> None:
        if subprocess.run([peer(PYTHON, "python3"), "-c", _NEEDS], check=False, capture_output=True).returncode:
            missing("GStreamer's RTSP server", "gir1.2-gst-rtsp-server-1.0 python3-gi")
        self.loops = loops or (Loop(),)
        self.port = free_port()
        self._epoch = 0.0
        self._login = user, password
        self._files = [loop.file(folder) for loop in self.loops]
        self.process: subprocess.Popen[bytes]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    @property
    def url(self) -> str:
        """Where the first camera is."""
        return self.address()

    def address(self, camera: int = 0, *, port: int = 0, login: str = "") -> str:
        """Where a camera is, or seems to be through a proxy on that port; `login` is a `user:password` to bring."""
        return f"rtsp://{login and login + '@'}127.0.0.1:{port or self.port}/cam{camera}"

    def age(self, camera: int, number: int, now: float) -> float:
        """Seconds from the moment when a camera took the picture with that number in its stripe; `now` is monotonic."""
        loop = self.loops[camera]
        taken = self._epoch + (number + camera / len(self.loops)) / loop.fps
        return (now - taken) % loop.seconds

    def start(self) -> None:
        """Listen on the same port as ever, and return when that is so."""
        user, password = self._login
        options = ["--port", str(self.port), "--fps", str(self.loops[0].fps)]
        options += ["--user", user, "--password", password] if user else []
        cameras = [f"/cam{place}={file}" for place, file in enumerate(self._files)]
        command = [PYTHON, "-u", str(PROGRAM), *options, *cameras]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        with self.process.stdout as said:
            line = said.readline()
        assert line, "the RTSP server did not start"
        self._epoch = json.loads(line)["epoch"]

    def kill(self) -> None:
        """End it without a farewell, as a camera whose cable is pulled; a second call does nothing."""
        self.process.kill()
        self.process.wait(5 * SECONDS)
