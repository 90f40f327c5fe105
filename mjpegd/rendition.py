"""A camera's frames at another pace or size, made once for all who asked for the same, and by nobody for nobody."""

import asyncio
from dataclasses import dataclass

from mjpegd import log
from mjpegd.errors import BrokenPicture
from mjpegd.frame import Frame
from mjpegd.ring import Ring
from mjpegd.wire import multipart

PATIENCE = 60.0
"""Seconds for one wait; it only has to end some time."""


@dataclass(frozen=True, slots=True)
class Look:
    """How a viewer wants its frames; 0 means as the camera gives them."""

    width: int = 0
    fps: float = 0.0

    @property
    def name(self) -> str:
        """`passthrough`, `w640`, `w640 5fps`."""
        words = [f"w{self.width}"] * bool(self.width) + [f"{self.fps:g}fps"] * bool(self.fps)
        return " ".join(words) or "passthrough"


class Pace:
    """Chooses `fps` frames of each second, as evenly as those that come allow; all of them for 0."""

    def __init__(self, fps: float) -> None:
        self._gap = 1 / fps if fps else 0.0
        self._due = 0.0

    def wants(self, taken: float) -> bool:
        """Whether the frame of that moment (monotonic seconds) is one of them. A quarter of a gap early is on time."""
        if taken < self._due - self._gap / 4:
            return False
        # The first of all, or behind a pause: count from here. With the quarter above that is a whole gap, no more.
        late = taken - self._due > self._gap * 3 / 4
        self._due = (taken if late else self._due) + self._gap
        return True


class Rendition:
    """Reads one ring and fills another. Made and used on the loop; pixels are worked on in a thread."""

    def __init__(self, camera: str, source: Ring, look: Look, quality: int, loop: asyncio.AbstractEventLoop) -> None:
        self.ring = Ring(loop)
        self.watchers = 0
        self.quality = quality
        self._source, self._look, self._loop = source, look, loop
        self._pace = Pace(look.fps)
        self._log = log.get(camera=camera, rendition=look.name)
        self._task = loop.create_task(self._run(), name=f"rendition-{camera}-{look.name}")

    def stop(self) -> None:
        """Make no more."""
        self._task.cancel()

    async def _run(self) -> None:
        try:
            await self._fill()
        finally:
            self.ring.close()

    async def _fill(self) -> None:
        seq = 0
        while not self._source.closed:
            frame = await self._source.next(seq, self._loop.time() + PATIENCE)
            if frame is None:
                continue
            seq = frame.seq
            if frame.live and not self._pace.wants(frame.taken):
                continue
            try:
                self.ring.publish(await self._made(frame))
            except BrokenPicture as error:
                self._log.warning("picture skipped", reason=str(error))
            except Exception:  # noqa: BLE001  (a bug costs one picture)
                self._log.exception("a picture could not be made smaller: this is a bug in mjpegd")

    async def _made(self, frame: Frame) -> Frame:
        """The frame in this look: itself where it is small enough, since nothing is ever scaled up."""
        if not self._look.width or frame.width <= self._look.width:
            return frame
        return await asyncio.to_thread(self._scaled, frame)

    def _scaled(self, frame: Frame) -> Frame:
        from mjpegd import pixels

        jpeg, width, height = pixels.scale(frame.jpeg, frame.width, self._look.width, self.quality)
        return multipart.assemble(
            (jpeg,),
            seq=frame.seq,
            captured=frame.captured,
            taken=frame.taken,
            width=width,
            height=height,
            missing=frame.missing,
        )
