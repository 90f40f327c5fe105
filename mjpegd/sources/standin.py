"""The test pattern in place of a camera that `auto` did not find; it gives way when there is one."""

import threading
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from time import monotonic

from mjpegd.config.schema import CameraConfig
from mjpegd.errors import SourceError
from mjpegd.sources import devices, v4l2
from mjpegd.sources.base import Grab
from mjpegd.sources.pattern import PatternSource

LOOK_EVERY = 1.0
"""Seconds between two looks for a device that was not there before."""
TRY_EVERY = 30.0
"""Seconds between two tries of the devices that were, and could not be used: busy, or not permitted yet at boot."""


class StandinSource(PatternSource):
    """A pattern that ends with `SourceError` once a camera can be had. `known` are the nodes that were tried."""

    def __init__(self, camera: CameraConfig, stop: threading.Event, known: Iterable[Path]) -> None:
        super().__init__(camera, stop)
        self._camera, self._stopping = camera, stop
        self._known = set(known)
        self._look_at = monotonic() + LOOK_EVERY
        self._try_at = monotonic() + TRY_EVERY

    def read(self, *, pixels: bool = True) -> Grab | None:
        """The next picture of the pattern."""
        now = monotonic()
        if now >= self._look_at:
            self._look_at = now + LOOK_EVERY
            self._look(now)
        return super().read(pixels=pixels)

    def _look(self, now: float) -> None:
        nodes = set(devices.nodes())
        if nodes - self._known:
            raise SourceError("a camera was plugged in")
        self._known = nodes
        if now >= self._try_at:
            self._try_at = now + TRY_EVERY
            if any(self._opens(str(node)) for node in sorted(nodes)):
                raise SourceError("a camera can be used now")

    def _opens(self, node: str) -> bool:
        try:
            with closing(v4l2.open_source(node, self._camera, self._stopping)):
                return True
        except SourceError:
            return False
