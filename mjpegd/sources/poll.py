"""A network camera's single pictures, asked for again and again."""

import math
import threading
from time import monotonic

from mjpegd.config.schema import CameraConfig
from mjpegd.errors import SourceError, SourceStalled
from mjpegd.sources.base import JPEG, NOTHING, Grab, Granted
from mjpegd.sources.client import marks
from mjpegd.sources.client.session import Answer, Session
from mjpegd.sources.pace import Pace
from mjpegd.wire import via
from mjpegd.wire.fields import Fields, media_type
from mjpegd.wire.parts import MAX_PART

PREFIX = "snapshot+"
ACCEPT = {"Accept": "image/jpeg"}
_NO_PICTURE = ("text/", "multipart/", "video/", "application/json", "application/xhtml+xml")
"""Beginnings of media types that are none; a JPEG under any other name is one, and so is one without."""


def open_source(spec: str, camera: CameraConfig, stop: threading.Event) -> "PollSource":
    """Ask for the first picture."""
    session = Session(spec.removeprefix(PREFIX), camera, stop)
    return PollSource(session, session.open(ACCEPT, keep=True), camera, stop)


class PollSource:
    """A GET each `interval` seconds over a connection that is kept as long as the server likes.

    Each may take `open_timeout` to connect, and `stale_after` to be answered.
    """

    def __init__(self, session: Session, answer: Answer, camera: CameraConfig, stop: threading.Event) -> None:
        relays = via.parse(answer.head.fields.get("via", ""))
        self.granted = Granted(0, 0, 0, JPEG, "network", via=relays)
        self._session, self._target = session, answer.target
        self._first: Answer | None = answer
        self._conditions: dict[str, str] = {}
        self._etag, self._length = "", 0
        self._sequence = marks.Sequence()
        self._numbered = False
        self._pace = Pace(camera.interval, stop)
        self._patience = session.patience = camera.stale_after

    def read(self, *, pixels: bool = True) -> Grab | None:
        """The next picture, in memory that the next `read` uses again; one without data if it is the last one."""
        if self._pace.stopped():
            return None
        try:
            return self._session.loop.run(self._poll(), math.inf)
        except TimeoutError:
            raise SourceStalled(f"no answer for {self._patience:g} s") from None

    def close(self) -> None:
        """Close the connection. A second call does nothing."""
        self._session.close()

    async def _poll(self) -> Grab | None:
        answer, self._first = self._first, None
        if answer is None:
            answer = await self._session.get(self._target, ACCEPT | self._conditions, keep=True)
        self._target = answer.target
        if answer.head.status == 304:
            return self._same()
        fields = answer.head.fields
        _require_picture(fields)
        body = await answer.connection.body(MAX_PART, self._patience)
        self._conditions, self._numbered = _conditions(fields), marks.numbered(fields)
        before, self._etag, self._length = (self._etag, self._length), fields.get("etag", ""), len(body)
        again = self._etag != "" and (self._etag, self._length) == before  # of one ETag for ever lengths tell
        if self._sequence.step(fields) is None or again:
            return self._same()
        captured = marks.captured(fields)
        taken = marks.taken(captured, monotonic())
        return Grab(body, JPEG, taken, captured=captured, missing=marks.missing(fields))

    def _same(self) -> Grab | None:
        """The last picture again: only a sign of life of a server of our kind, which tells a frozen camera itself."""
        return None if self._numbered else Grab(NOTHING, JPEG, monotonic())


def _require_picture(fields: Fields) -> None:
    kind = media_type(fields.get("content-type", ""))[0]
    if kind.startswith(_NO_PICTURE):
        raise SourceError(f"answers {kind}, not a picture")


def _conditions(fields: Fields) -> dict[str, str]:
    """What makes the next answer 304 if the picture is still the same: RFC 9110 13.1.

    A date of whole seconds tells two pictures of one second apart only once that second is over (8.8.2.2).
    """
    if "etag" in fields:
        return {"If-None-Match": fields["etag"]}
    modified, date = fields.get("last-modified"), fields.get("date")
    return {"If-Modified-Since": modified} if modified and date and modified != date else {}
