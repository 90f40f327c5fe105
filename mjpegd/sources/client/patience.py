"""For how long a stream may be silent before it is stale.

Of a camera that is `stale_after`, always. A server of our kind (it numbers its pictures, `X-Frame-Id`) says itself when
its camera is stale, by a card; and whatever becomes of the camera, it sends the last picture again as a heartbeat. So
its silence says something of the way to it alone, and how soon depends on how fast it was heard from so far: beyond
twice its longest gap of late the way is broken. Pictures at 30 a second leave `stale_after` as it is, and pictures each
5 s are no outage. Until enough was heard, the heartbeats of the default configuration are waited for.
"""

from collections import deque
from collections.abc import Mapping

from mjpegd.sources.client import marks

ENOUGH = 4
"""Gaps by which a stream is judged, the latest. One or two may be short by chance: the first picture comes at once."""
MARGIN = 1.0
"""Seconds that a sign of life may be late beyond twice the gap."""
HEARTBEAT = 5.0
"""Seconds between two signs of life of a server of our kind, unless it is told else: `server.heartbeat`."""
CARD = 3 * HEARTBEAT
"""Least seconds of silence behind a card."""


class Patience:
    """`seconds` from one sign of life to the next."""

    def __init__(self, stale_after: float) -> None:
        self.seconds = self._stale_after = stale_after
        self._gaps: deque[float] = deque(maxlen=ENOUGH)
        self._last: float | None = None

    def note(self, fields: Mapping[str, str], now: float) -> None:
        """A part with these fields came now, in monotonic seconds."""
        if self._last is not None:
            self._gaps.append(now - self._last)
        self._last = now
        self.seconds = max(self._stale_after, self._needed(fields))

    def _needed(self, fields: Mapping[str, str]) -> float:
        if marks.missing(fields):
            return CARD
        if not marks.numbered(fields):
            return 0.0
        longest = max(self._gaps) if len(self._gaps) == ENOUGH else HEARTBEAT
        return 2 * longest + MARGIN if 2 * longest > self._stale_after else 0.0
