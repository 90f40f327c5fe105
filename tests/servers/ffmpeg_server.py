"""FFmpeg as a camera: its `mpjpeg` over its own HTTP server, which takes one client and ends with it."""

import subprocess
import threading
from types import TracebackType
from typing import Self

from tests.daemon import SECONDS, free_port
from tests.peers import peer


class FFmpegServer:
    """A moving picture at `url`, chunked; after each client another ffmpeg takes the port."""

    def __init__(self, width: int = 320, height: int = 240, fps: int = 25) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/stream.mjpg"
        self.clients = 0
        """How many have come and gone."""
        self._command = [
            *(peer("ffmpeg", "ffmpeg"), "-loglevel", "quiet", "-nostdin", "-re"),
            *("-f", "lavfi", "-i", f"testsrc2=size={width}x{height}:rate={fps}", "-c:v", "mjpeg", "-q:v", "5"),
            *("-content_type", "multipart/x-mixed-replace;boundary=ffmpeg", "-f", "mpjpeg", "-listen", "1", self.url),
        ]
        self._stop = threading.Event()
        self.process: subprocess.Popen[bytes]
        self._thread = threading.Thread(target=self._again, name="ffmpeg-server", daemon=True)

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(self._command)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        while self._thread.is_alive():
            self.process.kill()
            self._thread.join(0.1 * SECONDS)

    def _again(self) -> None:
        self.process.wait()
        while not self._stop.wait(0.05):
            self.clients += 1
            self.process = subprocess.Popen(self._command)
            self.process.wait()
