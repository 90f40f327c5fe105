"""A look, once in a while, at how a camera does that gives pictures."""

from mjpegd.config.schema import CameraConfig
from mjpegd.log import Logger
from mjpegd.sources.base import Granted

STABLE = 60.0
"""Seconds of pictures after which the pause before a retry is the shortest again."""
AFTER, EVERY = 5.0, 60.0
"""Seconds of pictures before the first look, and between two looks."""
SLOW = 0.7
"""Share of the rate asked for below which the operator is told."""


class Review:
    """Judges a camera's rate, and for how long it has been well."""

    def __init__(self, config: CameraConfig, log: Logger) -> None:
        self._config, self._log = config, log
        self._from = self._at = 0.0
        self._slow = False

    def begin(self, now: float) -> None:
        """The first picture came at `now` (monotonic seconds)."""
        self._from, self._at, self._slow = now, now + AFTER, False

    def is_due(self, now: float) -> bool:
        """Whether it is time for a look."""
        return now > self._at

    def look(self, now: float, fps: float, granted: Granted) -> bool:
        """Tell the operator of a camera that gives much less than it was asked for, once until it does better.

        Whether it has been well for long enough to be trusted again.
        """
        self._at = now + EVERY
        was_slow = self._slow
        self._slow = granted.device.startswith("/dev/") and fps < SLOW * self._config.fps
        if self._slow and not was_slow:
            self._log.warning(
                "camera gives fewer frames than asked for",
                asked=self._config.fps,
                granted=round(granted.fps, 2),
                measured=round(fps, 2),
                hint="a smaller size, MJPG, more light (exposure), or another USB port",
            )
        return now - self._from > STABLE
