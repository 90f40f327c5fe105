"""What mjpegd and uStreamer write on a picture they send, in the fields of its part or response.

`X-Timestamp` is the moment of capture in Unix seconds, `X-Frame-Id` counts pictures, `X-Frame-Repeat: 1` is the last
one once more, `X-Source-State` is on a card shown for want of a picture.
"""

from collections.abc import Mapping
from time import monotonic, time

from mjpegd.condition import State

OLDEST, NEWEST = 60.0, 1.0
"""Seconds by which a moment of capture may lie back or ahead: beyond that, the two clocks do not agree."""
TRAVELLED = 1.0
"""Seconds that a picture may have been on its way; older by its own word, and the clocks only seem to agree."""
STATES = frozenset(State) - {State.LIVE}
"""What a camera may be that has no picture."""
_MAX_ID = 18
"""Digits."""


def captured(fields: Mapping[str, str]) -> float | None:
    """The moment of capture in Unix seconds; None where it is not told, or cannot be believed."""
    try:
        moment = float(fields["x-timestamp"])
    except (KeyError, ValueError):
        return None
    return moment if -OLDEST <= moment - time() <= NEWEST else None


def taken(moment: float | None, arrived: float) -> float:
    """The same in monotonic seconds of this machine; that of its arrival where it is not known, or not to be so.

    What is measured here must not hang on a clock elsewhere that is some seconds behind.
    """
    if moment is None:
        return arrived
    age = time() - moment
    return monotonic() - age if 0 <= age <= TRAVELLED else arrived


def missing(fields: Mapping[str, str]) -> str:
    """The state of a camera that has no picture, so that this is a card; empty for a picture."""
    state = fields.get("x-source-state", "").lower()
    return state if state in STATES or not state else State.LOST


def numbered(fields: Mapping[str, str]) -> bool:
    """Whether a server of our kind sent it: it says itself when its camera is stale or frozen."""
    return "x-frame-id" in fields


class Sequence:
    """Counts what was lost on the way, by the ids of what comes."""

    def __init__(self) -> None:
        self._last: int | None = None
        self._begun = False

    def step(self, fields: Mapping[str, str]) -> int | None:
        """How many pictures are missing before this one; None if it is the last one again.

        Ids that go back are those of a server that was started anew.
        """
        last, now = self._last, _number(fields.get("x-frame-id", ""))
        begun, self._begun, self._last = self._begun, True, now
        if begun and ("x-frame-repeat" in fields or (now is not None and now == last)):
            return None
        return max(0, now - last - 1) if now is not None and last is not None else 0


def _number(digits: str) -> int | None:
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= _MAX_ID else None
