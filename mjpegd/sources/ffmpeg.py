"""Whatever OpenCV's FFmpeg opens: files, looping at their own pace, and streams, of which the newest counts."""

import threading
from dataclasses import replace
from pathlib import Path
from time import monotonic

from mjpegd.config.schema import CameraConfig
from mjpegd.errors import BrokenPicture, SourceError, SourceStalled, SourceWoken
from mjpegd.sources.base import JPEG, Grab, Granted, Source
from mjpegd.sources.ffinput import Input
from mjpegd.sources.lag import Lag
from mjpegd.sources.pace import Pace, Sparing

ALWAYS_LIVE = frozenset({"rtsp", "rtsps", "rtmp", "rtmps", "rtp", "srt", "udp", "tcp"})
"""Schemes of which there are no files, even where a server speaks of an end."""
BEHIND = 0.3
"""Seconds of lag above which pictures that lie ready are passed over: less is the network's jitter."""
SHOWN_EVERY = 0.25
"""Longest time in which pictures are passed over without one being shown."""
IDLE_AFTER = 10.0
"""Seconds after the last viewer before less is decoded than everything."""
KEYFRAME_WITHIN = 15.0
"""Seconds that may lie between two keyframes."""


def open_source(spec: str, camera: CameraConfig, stop: threading.Event) -> Source:
    """Open a file or URL."""
    if "://" not in spec and not Path(spec).is_file():
        raise SourceError("no such file")
    opened = Input(spec, camera, patience=camera.stale_after)
    if spec.partition("://")[0].lower() in ALWAYS_LIVE or ("://" in spec and not opened.has_end):
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
    """A live stream. While nobody watches it is decoded and not converted; after a while, as `idle` says, less."""

    def __init__(self, spec: str, camera: CameraConfig, stop: threading.Event, opened: Input) -> None:
        self._spec, self._camera, self._stop, self._input = spec, camera, stop, opened
        self.granted = Granted(*opened.size, opened.fps, opened.format, "network", opened.decoder)
        self._patience = camera.stale_after
        self._idle = camera.idle if opened.format != JPEG else "full"
        self._decoded = "full"
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
        taken, lag = monotonic(), self._lag.seconds
        if not self._wants_picture(taken, pixels=pixels):
            return self._input.unseen(taken, skipped, lag)
        grab = self._input.picture(taken, skipped, lag)
        if grab is None:
            raise BrokenPicture("the decoder does not hand it out")
        return replace(grab, patience=KEYFRAME_WITHIN) if self._decoded == "keyframes" else grab

    def close(self) -> None:
        """Close the connection."""
        self._input.close()

    def _wants_picture(self, taken: float, *, pixels: bool) -> bool:
        if self._decoded == "full" and self._input.format != JPEG:
            return self._sparing.wants(taken, pixels=pixels)
        return self._decoded != "nothing"

    def _fit(self, *, watched: bool) -> None:
        """Decode less a while after the last viewer; for the next one `SourceWoken`, since FFmpeg knows no way back."""
        now = monotonic()
        if watched:
            self._watched_at = now
            if self._decoded != "full":
                raise SourceWoken("watched again")
        if self._decoded != self._idle and now - self._watched_at > IDLE_AFTER:
            self._decoded = self._idle
            if self._idle == "nothing":
                self._input.stop_decoding()
            else:
                self._open_for_keyframes()

    def _open_for_keyframes(self) -> None:
        self._patience = max(self._camera.stale_after, KEYFRAME_WITHIN)
        self._input.close()
        self._input = Input(self._spec, self._camera, keyframes=True, patience=self._patience)
        self._lag, self._begun = Lag(), False

    def _advance(self) -> int:
        """Go on to the newest picture; how many were passed over.

        When a stream begins there are those that were looked at while it was opened, up to the first that had to be
        waited for; later there are others where it has fallen behind, and it takes less to read them than to show them.
        """
        show_at = monotonic() + SHOWN_EVERY
        skipped = 0
        while True:
            waited = self._go_on()
            now = monotonic()
            lag = self._lag.note(self._input.position, now)
            if lag > self._camera.max_lag:
                raise SourceStalled(f"fell {self._camera.max_lag:g} s behind")
            self._begun = self._begun or waited > 0.5 / self._input.fps
            if now > show_at or (self._begun and lag < BEHIND):
                return skipped
            skipped += 1

    def _go_on(self) -> float:
        """Seconds that the next picture was waited for. When time is up FFmpeg hands out one that it had held back."""
        began = monotonic()
        there = self._input.advance()
        waited = monotonic() - began
        if waited >= self._patience:
            raise SourceStalled(f"no frames for {self._patience:g} s")
        if not there:
            raise SourceError("the connection ended")
        return waited
