"""One camera as the rest of the daemon sees it: its capture, its ring and its viewers."""

import asyncio
import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from time import monotonic, time

from mjpegd import log
from mjpegd.capture import Capture
from mjpegd.condition import SHOWING, State, Status
from mjpegd.config.schema import CameraConfig, LimitsConfig, capturing
from mjpegd.demand import Demand
from mjpegd.encoding.encoders import Encoders
from mjpegd.frame import Frame
from mjpegd.look import Look
from mjpegd.rendition import Renditions
from mjpegd.ring import Ring

PATIENCE = 1.0
"""Seconds a camera may take to open before a card is shown in its place."""
RECENT = 2.5
"""Pictures of a camera's own rate that the newest may be late, before the next is waited for."""
MOST_LEFT = 3
"""Threads of one camera that may be left behind in library calls on the network, before only a restart helps."""
LET_GO, LOOK_EVERY = 5.0, 0.02
"""Seconds a source has to let go of its device before the one that follows it tries to open it, and between looks."""


@dataclass(slots=True)
class Tally:
    """What one viewer was sent, and what it skipped because it was slow. `bytes` counts parts, heads included.

    While it is served together with others, what they have in `common` is still to be added: see `follow`, `whole`.
    """

    frames: int = 0
    skipped: int = 0
    bytes: int = 0
    common: "Tally | None" = None

    def follow(self, common: "Tally | None") -> None:
        """Have all that was counted in it; and from now on count along with `common`."""
        if self.common is not None:
            self._add(self.common, 1)
        self.common = common
        if common is not None:
            self._add(common, -1)

    def whole(self) -> "Tally":
        """Its numbers as they are now, with those that it has in common with others."""
        whole = Tally()
        whole.add(self)
        return whole

    def add(self, other: "Tally") -> None:
        """Add another one's numbers, and those it has in common with others."""
        self._add(other, 1)
        if other.common is not None:
            self._add(other.common, 1)

    def _add(self, other: "Tally", times: int) -> None:
        self.frames += times * other.frames
        self.skipped += times * other.skipped
        self.bytes += times * other.bytes


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

    def __init__(self, name: str, config: CameraConfig, loop: asyncio.AbstractEventLoop, encoders: Encoders) -> None:
        self.name = name
        self.config = config
        self.ring = Ring(loop)
        self.tag = secrets.token_hex(6)
        """Another one for each camera and each start, so that no ETag of ours outlives its frames."""
        self.demand = Demand()
        self._ids = count(1)
        self.capture = self._capture(config)
        self.audience = Audience()
        self.renditions = Renditions(name, self.ring, encoders, config.quality)
        self._loop = loop
        self._starting: asyncio.Task[None] | None = None

    @property
    def is_live(self) -> bool:
        """Whether pictures come."""
        return self.capture.status.state is State.LIVE

    @property
    def via(self) -> tuple[str, ...]:
        """The relays that its pictures come through, itself the last."""
        granted = self.capture.granted
        return (*(granted.via if granted is not None else ()), self.tag)

    @property
    def holds_device(self) -> bool:
        """Whether its source may keep another camera from a device: all but addresses."""
        return "://" not in self.config.source

    def start(self) -> None:
        """Start the capture thread."""
        self.capture.start()
        self._expect_picture()

    def pause(self) -> None:
        """Close the source and show nobody anything, until `resume`."""
        self.demand.paused = True
        self.capture.nudge()

    def resume(self) -> None:
        """Open the source again."""
        self.demand.paused = False
        self.capture.nudge()
        self._expect_picture()

    def suspend(self) -> None:
        """Ask the thread to end; the viewers stay, for `reopen`."""
        self.capture.stop()
        self.capture.status = Status(State.STARTING, time(), "opening again")

    def reopen(self, config: CameraConfig) -> None:
        """Start, or go on with another configuration behind a capture that has ended or was left behind."""
        if self.ring.closed:
            return
        if self.capture.stopped:
            before, self.config = self.capture, config
            self.capture = self._capture(config)
            self.capture.inherit(before)
            self.renditions.set_quality(config.quality)
        self.start()

    def _capture(self, config: CameraConfig) -> Capture:
        return Capture(self.name, config, self.ring, self._ids, self.demand, tag=self.tag)

    @contextmanager
    def watch(self, look: Look, *, bounded: bool = True) -> Iterator[Ring]:
        """The frames in that look, for as long as somebody wants them.

        Raises `NoRoom` 503 if it would be one rendition too many, and the number of them is to be `bounded`: unless
        the look is as the configuration has it.
        """
        with ExitStack() as stack:
            ring = self.ring if look == Look() else stack.enter_context(self.renditions.watch(look, bounded=bounded))
            waits = not self.demand.now
            self.demand.enter()
            stack.callback(self.demand.leave)
            if waits:
                self.capture.nudge()
                self._expect_picture()
            yield ring

    def stop(self) -> None:
        """Ask the thread to end and let every viewer go."""
        if self._starting is not None:
            self._starting.cancel()
        self.capture.stop()
        self.ring.close()
        self.renditions.close()

    def _expect_picture(self) -> None:
        """Show a card if none comes soon."""
        if self._starting is not None:
            self._starting.cancel()
        if self.ring.closed:
            return
        self._starting = self._loop.create_task(self._announce_starting(), name=f"starting-{self.name}")

    async def _announce_starting(self) -> None:
        await asyncio.sleep(PATIENCE)
        await asyncio.to_thread(self.capture.announce_starting)

    async def picture(self, look: Look, after: int, taken_after: float, deadline: float) -> Frame | None:
        """The newest picture with a `seq` above `after`, taken later than `taken_after`; None at `deadline`.

        Never a card, and never the last picture of a camera that was lost since.
        """
        taken_after = max(taken_after, self._recently())
        with self.watch(look) as ring:
            frame = await ring.next(0, deadline)
            while frame is not None:
                showing = self.capture.status.state in SHOWING
                if frame.live and showing and frame.seq > after and frame.taken > taken_after:
                    return frame
                frame = await ring.next(frame.seq, deadline)
            return None

    def _recently(self) -> float:
        """The moment (monotonic seconds) before which no picture is new: of pixels few are made while nobody looks."""
        fps = self.capture.rate.per_second() if self.capture.encode_time and not self.demand.now else 0.0
        return monotonic() - RECENT / fps if fps else 0.0


@dataclass(frozen=True, slots=True)
class Left:
    """A capture whose thread did not end when it was asked to."""

    name: str
    capture: Capture
    holds_device: bool


class Cameras(Mapping[str, Camera]):
    """Every camera by name, in the order of the configuration; the first is the default."""

    def __init__(
        self,
        configs: Mapping[str, CameraConfig],
        loop: asyncio.AbstractEventLoop,
        limits: LimitsConfig,
        paused: Collection[str] = (),
    ) -> None:
        self._loop, self._paused = loop, paused
        self._encoders = Encoders(limits)
        self._left: list[Left] = []
        self._cameras = {name: self._make(name, config) for name, config in configs.items()}

    def _make(self, name: str, config: CameraConfig) -> Camera:
        camera = Camera(name, config, self._loop, self._encoders)
        camera.demand.paused = name in self._paused
        return camera

    async def apply(self, configs: Mapping[str, CameraConfig], limits: LimitsConfig) -> None:
        """Add, remove and open again what differs from `configs`; the other cameras do not notice.

        What differs only in what new viewers get stays open.
        """
        self._encoders.limits = limits
        before, self._cameras = self._cameras, {}
        for name, config in configs.items():
            self._cameras[name] = before.get(name) or self._make(name, config)
        gone = [camera for name, camera in before.items() if name not in configs]
        kept = [camera for name, camera in before.items() if name in configs]
        changed = [camera for camera in kept if capturing(camera.config) != capturing(configs[camera.name])]
        for camera in kept:
            if camera not in changed:
                camera.config = configs[camera.name]
        for camera in gone:
            camera.stop()
        for camera in changed:
            camera.suspend()
        added = [self._cameras[name] for name in configs if name not in before]
        away = (*gone, *changed)
        await asyncio.gather(
            *(self._let_go(camera) for camera in gone),
            *(self._begin(camera, configs[camera.name], away) for camera in (*changed, *added)),
        )

    async def _begin(self, camera: Camera, config: CameraConfig, away: Sequence[Camera]) -> None:
        """Open a camera once its own thread has ended, and those that may hold a device which is to be its own."""
        await asyncio.gather(*(self._let_go(other) for other in away if other is camera or other.holds_device))
        self._reopen(camera, config)

    def _reopen(self, camera: Camera, config: CameraConfig) -> None:
        try:
            camera.reopen(config)
        except RuntimeError as error:  # no thread to be had
            log.get(camera=camera.name).error("cannot open the camera", reason=str(error))

    async def rescue(self) -> None:
        """Do for the cameras what their threads cannot while a call into a library does not come back.

        Its silence is shown; and where no device is held by it, a new thread takes the place of the old one.
        """
        for camera in list(self.values()):
            if camera.capture.overdue():
                await asyncio.to_thread(camera.capture.announce_silence)
            if self._is_to_be_left(camera):
                log.get(camera=camera.name).error("capture thread stuck in a network source: left behind")
                camera.suspend()
                self._left.append(Left(camera.name, camera.capture, holds_device=False))
                self._reopen(camera, camera.config)

    def _is_to_be_left(self, camera: Camera) -> bool:
        """Not while a reload waits for it, nor for a source that may keep the next one out."""
        capture = camera.capture
        if camera.holds_device or capture.stopped or not capture.stuck():
            return False
        return sum(left.name == camera.name for left in self._left) < MOST_LEFT

    def stuck(self) -> dict[str, float]:
        """Names and seconds of the threads that a call does not give back, and that only a restart frees."""
        self._left = [left for left in self._left if not left.capture.join(0)]
        captures = [
            *((name, camera.capture) for name, camera in self.items() if camera.holds_device),
            *((left.name, left.capture) for left in self._left if left.holds_device),
        ]
        return {name: seconds for name, capture in captures if (seconds := capture.stuck())}

    def is_held(self, name: str) -> bool:
        """Whether a thread that was left behind may still have that camera open."""
        return any(left.name == name and not left.capture.join(0) for left in self._left)

    async def _let_go(self, camera: Camera) -> None:
        """Wait until a stopped camera has let go of its device, so that the next one finds it free."""
        deadline, capture = self._loop.time() + LET_GO, camera.capture
        while capture is camera.capture and not capture.join(0):
            if self._loop.time() > deadline:
                if any(left.capture is capture for left in self._left):
                    return
                log.get(camera=camera.name).warning("the source did not let go in time: left behind")
                self._left.append(Left(camera.name, capture, camera.holds_device))
                return
            await asyncio.sleep(LOOK_EVERY)

    def close(self) -> None:
        """Make no more renditions."""
        self._encoders.close()

    def __getitem__(self, name: str) -> Camera:
        return self._cameras[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._cameras)

    def __len__(self) -> int:
        return len(self._cameras)
