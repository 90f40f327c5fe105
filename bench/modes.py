"""The table of what is measured of network cameras: who watches, how mjpegd is set, and what it promises there."""

import random
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field

import metrics
from metrics import Metric, Reading
from rounds import RunFailed
from targets import Target
from usage import Snapshot, Usage, pss_kb
from viewers import Viewer, seconds_to_picture, watching

from tests.daemon import Daemon
from tests.rtsp import RtspServer
from tests.servers import stripe

KEYFRAMES = 1.0
"""Seconds between two keyframes of a camera."""
OPENING = 20.0
"""Seconds the cameras may take until their pictures come."""


@dataclass(frozen=True)
class Stage:
    """A running mjpegd, and the cameras that it looks at. `settle` is in seconds, from the last change to a window."""

    daemon: Daemon
    peers: RtspServer
    cameras: list[str]
    settle: float
    seconds: float

    def window(self) -> Reading:
        """What mjpegd costs in the next `seconds`."""
        pid, peers = self.daemon.process.pid, self.peers.process.pid
        start = Snapshot.take(pid, peers)
        time.sleep(self.seconds)
        usage = Usage.between(start, Snapshot.take(pid, peers))
        return {
            metrics.CPU: usage.server * 100,
            metrics.CPU_PER_CAMERA: usage.server * 100 / len(self.cameras),
            metrics.AROUND_CPU: (usage.load + usage.bench) * 100,
            metrics.FOREIGN_CPU: usage.foreign * 100,
            metrics.PSS: pss_kb(pid) / 1024,
        }

    def wait_live(self) -> None:
        """Return when pictures of every camera come."""
        try:
            for camera in self.cameras:
                self.daemon.wait_state("live", camera, OPENING)
        except AssertionError as error:
            raise RunFailed(str(error)) from error

    def errors(self) -> float:
        """Broken pictures, outages, and what the log complains of."""
        cameras = self.daemon.json("/stats")["cameras"].values()
        counted = sum(camera["frames"]["broken"] + camera["reconnects"] for camera in cameras)
        return float(counted + sum(line["level"] in {"warning", "error"} for line in self.daemon.log))


def watched(stage: Stage) -> Reading:
    """Every camera has a viewer."""
    stage.wait_live()
    with watching(stage.daemon, stage.cameras) as viewers:
        time.sleep(stage.settle)
        for viewer in viewers:
            viewer.sights.clear()
        costs = stage.window()
    if trouble := [viewer.trouble for viewer in viewers if viewer.trouble]:
        raise RunFailed(f"a viewer's stream ended: {trouble[0]}")
    return costs | _seen(stage, viewers) | {metrics.ERRORS: stage.errors()}


def unwatched(stage: Stage) -> Reading:
    """Nobody watches; then somebody comes to each camera, in turn."""
    stage.wait_live()
    return demanded(stage)


def demanded(stage: Stage) -> Reading:
    """The same where a camera is closed until somebody comes: there is no picture to wait for."""
    time.sleep(stage.settle)
    costs = stage.window()
    waits = [_wait(stage, camera) for camera in stage.cameras]
    fresh = {metrics.FRESH_P50: percentile(waits, 0.5), metrics.FRESH_MAX: max(waits)}
    return costs | fresh | {metrics.ERRORS: stage.errors()}


def _wait(stage: Stage, camera: str) -> float:
    """For a fresh picture, at any moment between two keyframes."""
    time.sleep(random.random() * KEYFRAMES)
    return seconds_to_picture(stage.daemon, camera, OPENING)


def _seen(stage: Stage, viewers: list[Viewer]) -> Reading:
    """Rates and latencies, of all pictures of all viewers; those from the camera on, of the pictures that were kept."""
    offset = time.time() - time.monotonic()
    decoded = [(sight.arrived + offset - sight.timestamp) * 1000 for viewer in viewers for sight in viewer.sights]
    taken = [age * 1000 for place, viewer in enumerate(viewers) for age in _ages(stage.peers, place, viewer)]
    if not decoded or not taken:
        raise RunFailed("a viewer saw no picture")
    return {
        metrics.FPS_MIN: min(viewer.fps for viewer in viewers),
        metrics.FPS_P50: percentile([viewer.fps for viewer in viewers], 0.5),
        metrics.DECODED_P50: percentile(decoded, 0.5),
        metrics.DECODED_P95: percentile(decoded, 0.95),
        metrics.TAKEN_P50: percentile(taken, 0.5),
        metrics.TAKEN_P95: percentile(taken, 0.95),
    }


def _ages(peers: RtspServer, place: int, viewer: Viewer) -> list[float]:
    """How long ago the camera took the kept pictures when they came."""
    kept = [(stripe.read_jpeg(sight.jpeg), sight.arrived) for sight in viewer.sights if sight.jpeg]
    return [peers.age(place, number, arrived) for number, arrived in kept if number is not None]


def percentile(values: list[float], share: float) -> float:
    """The value that this share of the others is not above."""
    return sorted(values)[round(share * (len(values) - 1))]


@dataclass(frozen=True)
class Mode:
    """A row of the table: keys for each camera, and how a run of it is made."""

    name: str
    take: Callable[[Stage], Reading]
    sets: Mapping[str, object] = field(default_factory=dict)
    settle: float = 2.0

    def run(self, peers: RtspServer, seconds: float) -> Reading:
        """Start mjpegd, measure, and stop it."""
        cameras = [f"cam{place}" for place in range(len(peers.loops))]
        sets: dict[str, object] = {"log.level": "info"}
        for place, camera in enumerate(cameras):
            keys = {"source": peers.address(place), **self.sets}
            sets |= {f"camera.{camera}.{key}": value for key, value in keys.items()}
        try:
            with ExitStack() as stack:
                return self.take(Stage(stack.enter_context(Daemon(sets)), peers, cameras, self.settle, seconds))
        except (OSError, AssertionError) as error:
            raise RunFailed(f"ended while it was measured: {error}") from error


MODES = (
    Mode("watched", watched),
    Mode("unwatched", unwatched),
    # mjpegd waits ten seconds for somebody to come back before it decodes less.
    Mode("unwatched, keyframes", unwatched, {"idle": "keyframes"}, settle=15.0),
    Mode("unwatched, nothing decoded", unwatched, {"idle": "nothing"}, settle=15.0),
    Mode("on demand", demanded, {"on_demand": "true", "linger": 1}),
)


@dataclass(frozen=True)
class Table:
    """What the report shows."""

    name: str
    about: str
    rows: str
    columns: tuple[Metric, ...]
    targets: tuple[Target, ...]


_WATCHED = (
    metrics.FPS_MIN,
    metrics.FPS_P50,
    *(metrics.DECODED_P50, metrics.DECODED_P95),
    *(metrics.TAKEN_P50, metrics.TAKEN_P95),
)
_COSTS = (metrics.CPU, metrics.CPU_PER_CAMERA, metrics.PSS, metrics.FRESH_P50, metrics.FRESH_MAX, metrics.ERRORS)

TABLE = Table(
    "cameras",
    "five RTSP cameras, H.264 720p25, one viewer each",
    "mode",
    (*_WATCHED, *_COSTS, metrics.AROUND_CPU, metrics.FOREIGN_CPU),
    (
        Target(metrics.FPS_MIN, ">=", 24.9, subject="watched"),
        Target(metrics.DECODED_P50, "<=", 42, subject="watched"),
        Target(metrics.PSS, "<=", 200, subject="watched"),
        Target(metrics.ERRORS, "<=", 0, subject="watched"),
        Target(metrics.CPU_PER_CAMERA, "<=", 0.1, against="watched", subject="unwatched, nothing decoded"),
        Target(metrics.FRESH_MAX, "<=", 4, subject="unwatched, nothing decoded"),
        Target(metrics.CPU_PER_CAMERA, "<=", 0.1, against="watched", subject="on demand"),
        Target(metrics.FRESH_MAX, "<=", 4, subject="on demand"),
    ),
)
