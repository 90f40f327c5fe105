"""The table of servers: how each is started, and what to ask it for. A new peer is a row of `SERVERS`."""

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

from artifacts import BENCH, FRAMES, NATIVE
from setups import Video

from mjpegd.http.tcp import NOTSENT_LOWAT  # the limit is bounded as mjpegd is: else its slow viewers see old frames


@dataclass(frozen=True)
class Server:
    """A server to measure: `command` builds its argument list, a GET of `ready` answers 200 once it can be watched.

    `preload` is what it is loaded with, `package` what it needs beside Python itself.
    """

    name: str
    command: Callable[[Video, int], list[str]]
    ready: str
    preload: tuple[str, ...] = ()
    package: str | None = None

    def missing(self) -> str | None:
        """Why this server cannot be measured on this machine; None when it can."""
        program = self.command(Video(None, 0, 0, 0), 0)[0]
        if not shutil.which(program):
            return f"{program} is not installed"
        return f"{self.package} is not installed" if self.package and not find_spec(self.package) else None

    def environment(self, video: Video) -> dict[str, str]:
        """This process's environment with the fake camera in it."""
        if video.frames is None:
            return dict(os.environ)
        libraries = " ".join(str(NATIVE / library) for library in self.preload)
        camera = {"FAKECAM_DIR": str(FRAMES / video.frames), "FAKECAM_FPS": str(video.fps)}
        return {**os.environ, "LD_PRELOAD": libraries, **camera}


def _limit(video: Video, port: int) -> list[str]:
    options = {"-p": port, "-D": FRAMES / str(video.frames), "-f": video.fps, "-L": NOTSENT_LOWAT}
    return [str(NATIVE / "rawlimit"), *(str(word) for option in options.items() for word in option)]


def _mjpegd(video: Video, port: int) -> list[str]:
    settings = {
        "server.port": port,
        "camera.cam.source": "/dev/video0" if video.frames else "pattern",
        "camera.cam.width": video.width,
        "camera.cam.height": video.height,
        "camera.cam.fps": video.fps,
    }
    words = (word for key, value in settings.items() for word in ("--set", f"{key}={value}"))
    return [sys.executable, "-m", "mjpegd", "run", "--config", os.devnull, *words]


def _ustreamer(video: Video, port: int) -> list[str]:
    camera = f"--device /dev/video0 --format MJPEG --encoder HW --resolution {video.width}x{video.height}"
    return f"ustreamer {camera} --desired-fps {video.fps} --host 127.0.0.1 --port {port}".split()


def _ustreamer_nodelay(video: Video, port: int) -> list[str]:
    return [*_ustreamer(video, port), "--tcp-nodelay"]


def _aiohttp(video: Video, port: int) -> list[str]:
    words = BENCH / "aiohttp_server.py", port, FRAMES / str(video.frames), video.fps
    return [sys.executable, *map(str, words)]


SERVERS = (
    Server("limit", _limit, ready="/stream"),
    Server("mjpegd", _mjpegd, ready="/health/cam", preload=("libfakecam.so",)),
    Server("ustreamer", _ustreamer, ready="/state", preload=("libfakecam.so",)),
    # Some versions of the option do nothing on a TCP listener, hence the library: a win must not be a missing option.
    Server("ustreamer-nodelay", _ustreamer_nodelay, ready="/state", preload=("libfakecam.so", "libnodelay.so")),
    Server("aiohttp", _aiohttp, ready="/stream", package="aiohttp"),
)
