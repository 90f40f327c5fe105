"""uStreamer as a camera, with the LD_PRELOAD camera behind it."""

import http.client
import os
import subprocess
from types import TracebackType
from typing import Self

from tests.daemon import SECONDS, free_port, wait_for
from tests.peers import peer
from tests.system.fakecam import HEIGHT, WIDTH, Camera


class UStreamer:
    """A uStreamer that passes the camera's JPEG on at `url`, for as long as the block lasts."""

    def __init__(self, camera: Camera, fps: int = 30) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/stream"
        self._command = [
            *(peer("ustreamer", "ustreamer"), "--device", "/dev/video0", "--format", "MJPEG", "--encoder", "HW"),
            *("--resolution", f"{WIDTH}x{HEIGHT}", "--desired-fps", str(fps)),
            *("--host", "127.0.0.1", "--port", str(self.port)),
        ]
        self._environment = {**os.environ, "LD_PRELOAD": str(camera.library), **camera.environment(fps=fps)}
        self._process: subprocess.Popen[bytes]

    def __enter__(self) -> Self:
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(self._command, env=self._environment, stdout=quiet, stderr=quiet)
        try:
            wait_for(self._answers, 10, "uStreamer to listen")
        except AssertionError:
            self.kill()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def kill(self) -> None:
        """End it without a farewell."""
        self._process.kill()
        self._process.wait(5 * SECONDS)

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=1)
        try:
            connection.request("GET", "/state")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()
