"""Which of the frames that come are wanted, where fewer are wanted than come."""

EARLY, LATE = 1 / 4, 3 / 4
"""Gaps by which a frame may be before its time or behind it: together one, so that no stretch of time has one more."""
PAUSE = 3 / 2
"""Gaps behind its time from which a frame is the first behind a pause, and no late one."""
LEAST = 1 / 2
"""Gaps between two frames at least, however late the first one was."""


class Pace:
    """Chooses `fps` frames of each second, as evenly as those that come allow; all of them for 0."""

    def __init__(self, fps: float) -> None:
        self._gap = 1 / fps if fps else 0.0
        self._due = self._last = 0.0

    def wants(self, taken: float) -> bool:
        """Whether the frame of that moment (monotonic seconds) is one of them."""
        gap, due = self._gap, self._due
        if taken < max(due - gap * EARLY, self._last + gap * LEAST):
            return False
        # Behind a pause the count begins anew. One that is only late may be as late as its whole camera is in step with
        # the pace: to begin anew there would lose a frame each time that the two drift past each other by a quarter.
        start = taken if taken - due > gap * PAUSE else max(due, taken - gap * LATE)
        self._due, self._last = start + gap, taken
        return True
