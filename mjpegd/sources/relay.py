"""A network camera's MJPEG stream, its pictures passed through as they are."""

from time import monotonic

from mjpegd.config.schema import CameraConfig
from mjpegd.errors import SourceError, SourceStalled
from mjpegd.sources.base import JPEG, Grab, Granted
from mjpegd.sources.client import marks
from mjpegd.sources.client.connection import ENDED
from mjpegd.sources.client.session import Answer, Session
from mjpegd.wire import via
from mjpegd.wire.fields import media_type
from mjpegd.wire.parts import Part, PartParser

MOST_TURNS = 32
"""Times that a read looks for a newer picture than the one it has, each up to a buffer full."""

CARD_PATIENCE = 15.0
"""Least seconds of silence behind a card: its server sends it again only as a heartbeat, every 5 s unless told else."""


class RelaySource:
    """Reads parts from the body of a response; whatever is older than the newest whole picture is skipped."""

    def __init__(self, session: Session, answer: Answer, camera: CameraConfig) -> None:
        fields = answer.head.fields
        boundary = media_type(fields.get("content-type", ""))[1].get("boundary", "")
        self.granted = Granted(0, 0, 0, JPEG, "network", via=via.parse(fields.get("via", "")))
        self._session, self._connection = session, answer.connection
        self._parts = PartParser(answer.connection.buffer, boundary)
        self._sequence = marks.Sequence()
        self._stale_after = self._patience = camera.stale_after
        self._newest: Part | None = None
        self._arrived = 0.0
        self._skipped = 0

    def read(self, *, pixels: bool = True) -> Grab | None:
        """The newest picture that has come whole, in memory that the next `read` uses again."""
        self._newest = None
        while self._newest is None:
            if not self._listen_on():
                return None
        for _ in range(MOST_TURNS):
            if not self._connection.fresh:
                break
            self._listen_on()
        return self._grab(self._newest)

    def close(self) -> None:
        """Close the connection. A second call does nothing."""
        self._newest = None
        self._session.close()

    def _listen_on(self) -> bool:
        """Take in what comes until there is a part, or what has come behind a picture; False when `stop` was set."""
        if self._newest is None:
            self._connection.buffer.release()
        try:
            return self._session.loop.run(self._listen(), self._patience) is not None
        except TimeoutError:
            raise SourceStalled(f"no frames for {self._patience:g} s") from None
        except SourceError:  # behind a picture it comes up again at the next read
            if self._newest is None:
                raise
            return True

    async def _listen(self) -> bool:
        while not self._take_parts() and self._newest is None:
            if self._parts.ended or self._connection.buffer.framing.done:
                raise SourceError(ENDED)
            await self._connection.more()
        return True

    def _take_parts(self) -> bool:
        """Look at every whole part there is; whether there was one."""
        heard = self._connection.fresh = False
        while (part := self._parts.next_part()) is not None:
            heard = True
            self._judge(part)
        return heard

    def _judge(self, part: Part) -> None:
        """A sign of life is any part; a picture is what is not empty, no text, and not the last one again."""
        card = marks.missing(part.fields) != ""
        self._patience = max(self._stale_after, CARD_PATIENCE) if card else self._stale_after
        if not part.body or part.fields.get("content-type", "").lower().startswith("text/"):
            return
        lost = self._sequence.step(part.fields)
        if lost is not None:
            self._skipped += lost + (self._newest is not None)
            self._newest, self._arrived = part, monotonic()

    def _grab(self, part: Part) -> Grab:
        skipped, self._skipped = self._skipped, 0
        captured = marks.captured(part.fields)
        taken = self._arrived if captured is None else marks.taken(captured)
        return Grab(part.body, JPEG, taken, skipped, captured=captured, missing=marks.missing(part.fields))
