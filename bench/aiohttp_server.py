"""MJPEG in aiohttp, as people write it: `python aiohttp_server.py PORT FOLDER FPS`.

One shared newest frame, a coroutine for each viewer that waits for the next one, and nothing else done for speed. There
is no camera: the pictures of the folder are given in turn, each stamped with its moment as the fake camera does.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path
from time import monotonic, monotonic_ns

from aiohttp import web


class Camera:
    """The newest frame, and a condition to wait for it."""

    def __init__(self, folder: Path, fps: float) -> None:
        self.jpeg = b""
        self.changed = asyncio.Condition()
        self._files = [path.read_bytes() for path in sorted(folder.glob("*.jpg"))]
        self._period = 1 / fps

    async def run(self) -> None:
        """Give a frame each period."""
        due = monotonic()
        for number in count():
            due += self._period
            await asyncio.sleep(due - monotonic())
            async with self.changed:
                self.jpeg = stamped(self._files[number % len(self._files)], number)
                self.changed.notify_all()

    async def next(self) -> bytes:
        """The next frame from now on."""
        async with self.changed:
            await self.changed.wait()
            return self.jpeg


def stamped(jpeg: bytes, number: int) -> bytes:
    """That picture with a comment after its start: `T=` now, in monotonic nanoseconds, and `N=` its number."""
    return jpeg[:2] + b"\xff\xfe\x00\x26" + b"T=%020d N=%010d " % (monotonic_ns(), number) + jpeg[2:]


def application(folder: Path, fps: float) -> web.Application:
    """The server."""

    async def playing(app: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(camera.run())
        yield
        task.cancel()

    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "multipart/x-mixed-replace; boundary=frame"})
        await response.prepare(request)
        while True:
            jpeg = await camera.next()
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            await response.write(head.encode() + jpeg + b"\r\n")

    camera, app = Camera(folder, fps), web.Application()
    app.cleanup_ctx.append(playing)
    app.router.add_get("/stream", stream)
    return app


if __name__ == "__main__":
    port, folder, fps = sys.argv[1:]
    web.run_app(application(Path(folder), float(fps)), host="127.0.0.1", port=int(port), access_log=None)
