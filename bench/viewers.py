"""The audience of the cameras: one viewer each, in threads of ours, and what they saw and when."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count, pairwise
from time import monotonic, time

from tests.daemon import Daemon
from tests.system.client import Client, Part

SAMPLED = 5
"""Of so many pictures one is kept whole, to be decoded when the window is over: decoding all would disturb it."""


@dataclass(frozen=True)
class Sight:
    """One picture that came: when, in monotonic seconds, when mjpegd had it, in Unix seconds, and itself if kept."""

    arrived: float
    timestamp: float
    jpeg: bytes = b""


@dataclass
class Viewer:
    """Somebody who watches one camera. `trouble` is how it ended if it should not have."""

    camera: str
    sights: list[Sight] = field(default_factory=list)
    trouble: str = ""

    @property
    def fps(self) -> float:
        """Pictures a second; 0 where there were none to count."""
        steps = [later.arrived - sooner.arrived for sooner, later in pairwise(self.sights)]
        return len(steps) / sum(steps) if steps else 0.0

    def watch(self, daemon: Daemon, end: threading.Event) -> None:
        """Look until `end`."""
        try:
            with Client(daemon) as client:
                client.open_stream(f"/stream/{self.camera}.mjpg")
                for number in count():
                    part = client.part()
                    if end.is_set():
                        return
                    if is_new(part):
                        kept = part.jpeg if number % SAMPLED == 0 else b""
                        self.sights.append(Sight(part.arrived, part.timestamp, kept))
        except (OSError, AssertionError) as error:
            self.trouble = str(error) or repr(error)


def is_new(part: Part) -> bool:
    """Whether a part is a picture of the camera, and neither a card nor a repetition."""
    return not {"X-Source-State", "X-Frame-Repeat"} & part.fields.keys()


@contextmanager
def watching(daemon: Daemon, cameras: list[str]) -> Iterator[list[Viewer]]:
    """A viewer for each camera, for as long as the block lasts."""
    viewers, end = [Viewer(camera) for camera in cameras], threading.Event()
    threads = [threading.Thread(target=viewer.watch, args=(daemon, end), daemon=True) for viewer in viewers]
    for thread in threads:
        thread.start()
    try:
        yield viewers
    finally:
        end.set()
        for thread in threads:
            thread.join()


def seconds_to_picture(daemon: Daemon, camera: str, patience: float) -> float:
    """From the request to the first picture that was taken since then; `patience` where none came by then.

    An older one may come before it, at once.
    """
    began, asked = monotonic(), time()
    with suppress(TimeoutError), Client(daemon, patience=patience) as client:
        client.open_stream(f"/stream/{camera}.mjpg")
        while monotonic() - began < patience:
            part = client.part()
            if is_new(part) and part.timestamp > asked:
                return monotonic() - began
    return patience
