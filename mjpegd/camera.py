"""One camera as the rest of the daemon sees it: its capture, its ring and its viewers."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from mjpegd.capture import Capture, State
from mjpegd.config.schema import CameraConfig
from mjpegd.frame import Frame
from mjpegd.ring import Ring

PATIENCE = 1.0
"""Seconds a camera may take to open before a card is shown in its place."""


@dataclass(slots=True)
class Tally:
    """What one viewer was sent, and what it skipped because it was slow. `bytes` counts parts, heads included."""

    frames: int = 0
    skipped: int = 0
    bytes: int = 0

    def add(self, other: "Tally") -> None:
        """Add another one's numbers."""
        self.frames += other.frames
        self.skipped += other.skipped
        self.bytes += other.bytes


class Audience:
    """Who watches a camera now, and what all who ever did were sent."""

    def __init__(self) -> None:
        self.visits = 0
        self._tallies: dict[int, Tally] = {}
        self._gone = Tally()

    def __len__(self) -> int:
        return len(self._tallies)

    @contextmanager
    def seat(self) -> Iterator[Tally]:
        """A tally for one viewer, for as long as it watches."""
        self.visits += 1
        tally = Tally()
        self._tallies[id(tally)] = tally
        try:
            yield tally
        finally:
            self._gone.add(self._tallies.pop(id(tally)))

    def total(self) -> Tally:
        """The sum over all viewers, those who left included."""
        total = Tally()
        for tally in (self._gone, *self._tallies.values()):
            total.add(tally)
        return total


class Camera:
    """A capture thread behind a ring. Made and used on the loop."""

    def __init__(self, name: str, config: CameraConfig, loop: asyncio.AbstractEventLoop) -> None:
        self.name = name
        self.config = config
        self.ring = Ring(loop)
        self.capture = Capture(name, config, self.ring.publish)
        self.audience = Audience()
        self._loop = loop
        self._starting: asyncio.Task[None] | None = None

    @property
    def is_live(self) -> bool:
        """Whether pictures come."""
        return self.capture.status.state is State.LIVE

    def start(self) -> None:
        """Start the capture thread."""
        self.capture.start()
        self._starting = self._loop.create_task(self._announce_starting(), name=f"starting-{self.name}")

    def stop(self) -> None:
        """Ask the thread to end and let every viewer go."""
        if self._starting is not None:
            self._starting.cancel()
        self.capture.stop()
        self.ring.close()

    async def _announce_starting(self) -> None:
        await asyncio.sleep(PATIENCE)
        await asyncio.to_thread(self.capture.announce_starting)

    async def picture(self, after: int, taken_after: float, deadline: float) -> Frame | None:
        """The newest picture with a `seq` above `after`, taken later than `taken_after`; None at `deadline`.

        Never a card, and never the last picture of a camera that was lost since.
        """
        frame = await self.ring.next(0, deadline)
        while frame is not None:
            if frame.live and self.is_live and frame.seq > after and frame.taken > taken_after:
                return frame
            frame = await self.ring.next(frame.seq, deadline)
        return None


class Cameras(Mapping[str, Camera]):
    """Every camera by name, in the order of the configuration; the first is the default."""

    def __init__(self, configs: Mapping[str, CameraConfig], loop: asyncio.AbstractEventLoop) -> None:
        self._cameras = {name: Camera(name, config, loop) for name, config in configs.items()}

    def __getitem__(self, name: str) -> Camera:
        return self._cameras[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._cameras)

    def __len__(self) -> int:
        return len(self._cameras)
