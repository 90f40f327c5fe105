"""Whatever OpenCV's FFmpeg opens: files, looping at their own pace, and streams, of which the newest counts."""

import threading
from pathlib import Path
from time import monotonic

from mjpegd.config.schema import CameraConfig
from mjpegd.errors import SourceError, SourceStalled
from mjpegd.sources.base import JPEG, Grab, Granted, Source
from mjpegd.sources.ffinput import Input
from mjpegd.sources.lag import Lag
from mjpegd.sources.pace import Pace, Sparing

BEHIND = 0.5
"""Seconds of lag above which pictures that lie ready are passed over: less is the network's jitter."""
SHOWN_EVERY = 0.25
"""Longest time in which pictures are passed over without one being shown."""
IDLE_AFTER = 10.0
"""Seconds after the last viewer before an `idle = "keyframes"` stream is opened anew for keyframes only."""
KEYFRAME_WITHIN = 15.0
"""Seconds that may lie between two keyframes."""


def open_source(spec: str, camera: CameraConfig, stop: threading.Event) -> Source:
    """Open a file or URL."""
    if "://" not in spec and not Path(spec).is_file():
        raise SourceError("no such file")
    opened = Input(spec, camera, patience=camera.stale_after)
    if "://" in spec and not opened.has_end:
        return StreamSource(spec, camera, stop, opened)
    return FileSource(spec, camera, stop, opened)


class FileSource:
    """What has an end: paced by its own frame rate, and begun again there."""

    def __init__(self, spec: str, camera: CameraConfig, stop: threading.Event, opened: Input) -> None:
        self._spec, self._camera, self._input = spec, camera, opened
        self.granted = Granted(*opened.size, opened.fps, opened.format, "file", opened.decoder)
        self._pace = Pace(1 / opened.fps, stop)
        self._sparing = Sparing()

    def read(self, *, pixels: bool = True) -> Grab | None:
        """The next picture, when it is due."""
        if self._pace.stopped():
            return None
        if not self._input.advance():
            self._input.close()
            # Sought to its start, many a format stays at its end.
            self._input = Input(self._spec, self._camera, patience=self._camera.stale_after)
            if not self._input.advance():
                raise SourceError("the file holds no picture")
        taken = monotonic()
        if self._input.format != JPEG and not self._sparing.wants(taken, pixels=pixels):
            return self._input.unseen(taken)
        grab = self._input.picture(taken)
        if grab is None:
            raise SourceError("FFmpeg cannot decode this file")
        return grab

    def close(self) -> None:
        """Close the file."""
        self._input.close()


class StreamSource:
    """A live stream. While nobody watches it is decoded and not converted, or only its keyframes are decoded."""

    def __init__(self, spec: str, camera: CameraConfig, stop: threading.Event, opened: Input) -> None:
        self._spec, self._camera, self._stop, self._input = spec, camera, stop, opened
        self.granted = Granted(*opened.size, opened.fps, opened.format, "network", opened.decoder)
        self._patience = camera.stale_after
        self._keyframes = False
        self._begun = False
        self._watched_at = monotonic()
        self._sparing = Sparing()
        self._lag = Lag()

    def read(self, *, pixels: bool = True) -> Grab | None:
        """The newest picture, as soon as there is one."""
        if self._stop.is_set():
            return None
        self._fit(watched=pixels)
        skipped = self._advance()
        taken = monotonic()
        if self._input.format != JPEG and not (self._keyframes or self._sparing.wants(taken, pixels=pixels)):
            return self._input.unseen(taken, skipped, self._lag.seconds)
        grab = self._input.picture(taken, skipped, self._lag.seconds)
        return self._input.unseen(taken, skipped, self._lag.seconds) if grab is None else grab

    def close(self) -> None:
        """Close the connection."""
        self._input.close()

    def _fit(self, *, watched: bool) -> None:
        """Change between all frames and keyframes; FFmpeg can do so only by opening it again."""
        now = monotonic()
        if watched:
            self._watched_at = now
        idle = self._camera.idle == "keyframes" and self._input.format != JPEG
        keyframes = idle and now - self._watched_at > IDLE_AFTER
        if keyframes is self._keyframes:
            return
        self._keyframes = keyframes
        self._patience = max(self._camera.stale_after, KEYFRAME_WITHIN) if keyframes else self._camera.stale_after
        self._input.close()
        self._input = Input(self._spec, self._camera, keyframes=keyframes, patience=self._patience)
        self._lag, self._begun = Lag(), False

    def _advance(self) -> int:
        """Go on to the newest picture; how many were passed over.

        A picture that had to be waited for is the newest. One that lay ready may have others behind it: when a stream
        begins, those that were looked at while it was opened, and when it has fallen behind.
        """
        show_at = monotonic() + SHOWN_EVERY
        skipped = 0
        while True:
            began = monotonic()
            if not self._input.advance():
                raise self._ended(monotonic() - began)
            now = monotonic()
            lag = self._lag.note(self._input.position, now)
            if lag > self._camera.max_lag:
                raise SourceStalled(f"fell {self._camera.max_lag:g} s behind")
            waited = now - began > 0.5 / self._input.fps
            self._begun = self._begun or waited
            if waited or now > show_at or (self._begun and lag < BEHIND):
                return skipped
            skipped += 1

    def _ended(self, waited: float) -> SourceError:
        if waited >= self._patience:
            return SourceStalled(f"no frames for {self._patience:g} s")
        return SourceError("the connection ended")
