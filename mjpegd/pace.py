"""Which of the frames that come are wanted, where fewer are wanted than come."""


class Pace:
    """Chooses `fps` frames of each second, as evenly as those that come allow; all of them for 0."""

    def __init__(self, fps: float) -> None:
        self._gap = 1 / fps if fps else 0.0
        self._due = 0.0

    def wants(self, taken: float) -> bool:
        """Whether the frame of that moment (monotonic seconds) is one of them. A quarter of a gap early is on time."""
        if taken < self._due - self._gap / 4:
            return False
        # The first of all, or behind a pause: count from here. With the quarter above that is a whole gap, no more.
        late = taken - self._due > self._gap * 3 / 4
        self._due = (taken if late else self._due) + self._gap
        return True
