"""A camera's frames in another look, made once for all who asked for the same, and by nobody for nobody."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count

from mjpegd import jpeg, log
from mjpegd.encoding.encoders import Encoders
from mjpegd.encoding.process import Made
from mjpegd.errors import BrokenPicture, EncoderLost
from mjpegd.frame import Frame
from mjpegd.look import Look
from mjpegd.pace import Pace
from mjpegd.prints import Prints
from mjpegd.ring import Ring
from mjpegd.timing import Rate, Timing
from mjpegd.wire import multipart

PATIENCE = 60.0
"""Seconds for one wait; it only has to end some time."""


class Rendition:
    """Reads one ring and fills another. Made and used on the loop; pictures are made by the encoders, who know the
    camera by its `number`.
    """

    def __init__(
        self,
        camera: str,
        number: int,
        source: Ring,
        look: Look,
        prints: Prints[Made],
        *,
        encoders: Encoders,
        quality: int,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.ring = Ring(loop, slots=1)
        self.look = look
        self.watchers = 0
        self.quality = quality
        """Of pictures that are made smaller, where the look says nothing of it."""
        self.rate, self.encode_time = Rate(), Timing()
        self.encodes = 0
        self._number, self._source, self._prints, self._encoders = number, source, prints, encoders
        self._pace = Pace(look.fps)
        self._log = log.get(camera=camera, rendition=look.name)
        self._task: asyncio.Task[None] | None = loop.create_task(self._run(), name=f"rendition-{camera}-{look.name}")

    def stop(self) -> None:
        """Make no more, and let everyone who waits go; a picture that is being made comes too late."""
        # The task keeps the error that ends it, whose traceback keeps us and the frame at hand: knew we the task too,
        # all of it would stay until the collector comes by.
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
        self.ring.close()

    async def _run(self) -> None:
        try:
            await self._fill()
        finally:
            self.ring.close()

    async def _fill(self) -> None:
        seq, again, loop = 0, 0, asyncio.get_running_loop()
        while not self._source.closed:
            frame = await self._source.next(seq, loop.time() + PATIENCE)
            if frame is None:
                continue
            seq = frame.seq
            if frame.live and frame.seq != again and not self._pace.wants(frame.taken):
                continue
            try:
                made = await self._made(frame)
            except EncoderLost:
                again, seq = frame.seq, frame.seq - 1  # there may be no next one for long; what happened was said
            except BrokenPicture as error:
                self._log.warning("picture skipped", reason=str(error))
            except Exception:  # noqa: BLE001  (a bug costs one picture)
                self._log.exception("a picture could not be made in another look: this is a bug in mjpegd")
            else:
                seq = made.seq
                self.ring.publish(made)
                self.rate.tick(made.ready)

    async def _made(self, frame: Frame) -> Frame:
        """The frame in this look: itself where that is how it is, or smaller."""
        if self._is_kept(frame):
            return frame
        async with self._encoders.turn() as turn:
            frame = self._source.newest or frame  # its turn may have come late
            if self._is_kept(frame):
                return frame
            size, quality = self.look.fitted(frame.width, frame.height), self.look.quality or self.quality
            bars = self.look.exact
            order = partial(turn.make, self._number, frame, size, quality, bars=bars)
            making = self._prints.get(frame.seq, (size, quality, bars), order)
        made = await asyncio.shield(making)  # others may wait for it too
        if turn.taken:  # else it was made for another
            self.encodes += 1
            self.encode_time.add(made.seconds)
        pieces = jpeg.turned(made.jpeg, frame.jpeg)
        if size == (frame.width, frame.height) and sum(map(len, pieces)) >= len(frame.jpeg):
            return frame
        return multipart.assemble(
            pieces,
            seq=frame.seq,
            captured=frame.captured,
            taken=frame.taken,
            width=size[0],
            height=size[1],
            missing=frame.missing,
            encode=frame.encode + made.seconds,
        )

    def _is_kept(self, frame: Frame) -> bool:
        """Whether it is in this look already."""
        size = frame.width, frame.height
        return not self.look.encodes or (self.look.fitted(*size) == size and not self._is_worth(frame))

    def _is_worth(self, frame: Frame) -> bool:
        """Whether to encode it anew, of the same size, makes it smaller: not if it is of a lower quality already."""
        if not self.look.quality:
            return False
        own = jpeg.quality(frame.jpeg)
        return own is None or self.look.quality < own


NUMBERS = count(1)
"""By which the encoders tell cameras apart."""


class Renditions:
    """A rendition for each look, from its first viewer's coming to its last one's leaving. For the loop."""

    def __init__(self, camera: str, source: Ring, encoders: Encoders, quality: int) -> None:
        self._camera, self._source, self._encoders, self._quality = camera, source, encoders, quality
        self._number, self._prints = next(NUMBERS), Prints[Made]()
        self._running: dict[Look, Rendition] = {}

    def __iter__(self) -> Iterator[Rendition]:
        return iter(list(self._running.values()))

    def __len__(self) -> int:
        return len(self._running)

    @property
    def encodes(self) -> int:
        """Pictures encoded so far, for those that are gone too."""
        return self._prints.made

    def makes_room(self, ring: Ring) -> bool:
        """Whether there is one rendition less to be counted when one more of who watch that ring has left it."""
        return any(each.ring is ring and each.watchers == 1 and each.look.encodes for each in self)

    def set_quality(self, quality: int) -> None:
        """Make in another quality what is made smaller."""
        self._quality = quality
        for rendition in self:
            rendition.quality = quality

    def close(self) -> None:
        """Make no more: everyone who watches one is let go."""
        for rendition in self:
            rendition.stop()

    @contextmanager
    def watch(self, look: Look, *, bounded: bool) -> Iterator[Ring]:
        """The frames in that look, for as long as somebody wants them; `NoRoom` 503 if it would be one too many."""
        rendition = self._running.get(look) or self._begin(look, bounded=bounded)
        rendition.watchers += 1
        try:
            yield rendition.ring
        finally:
            rendition.watchers -= 1
            if not rendition.watchers:
                self._end(rendition)

    def _begin(self, look: Look, *, bounded: bool) -> Rendition:
        if look.encodes:  # to leave frames out costs nothing
            mine = sum(each.look.encodes for each in self)
            self._encoders.enter(mine, bounded=bounded and not look.configured)
        rendition = Rendition(
            self._camera,
            self._number,
            self._source,
            look,
            self._prints,
            encoders=self._encoders,
            quality=self._quality,
        )
        self._running[look] = rendition
        return rendition

    def _end(self, rendition: Rendition) -> None:
        del self._running[rendition.look]
        rendition.stop()
        if rendition.look.encodes:
            self._encoders.leave()
        if not self._running:
            # What was made of the newest frame stays for who asks for the same picture; its pixels are large.
            self._encoders.forget(self._number)
