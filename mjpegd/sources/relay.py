"""A network camera's MJPEG stream, its pictures passed through as they are."""

from time import monotonic

from mjpegd.config.schema import CameraConfig
from mjpegd.errors import SourceError, SourceStalled
from mjpegd.sources.base import JPEG, Grab, Granted
from mjpegd.sources.client import marks
from mjpegd.sources.client.connection import ENDED
from mjpegd.sources.client.patience import Patience
from mjpegd.sources.client.session import Answer, Session
from mjpegd.wire import via
from mjpegd.wire.fields import media_type
from mjpegd.wire.parts import Part, PartParser

MOST_TURNS = 32
"""Times that a read looks for a newer picture than the one it has, each up to a buffer full."""


class RelaySource:
    """Reads parts from the body of a response; whatever is older than the newest whole picture is skipped."""

    def __init__(self, session: Session, answer: Answer, camera: CameraConfig) -> None:
        fields = answer.head.fields
        boundary = media_type(fields.get("content-type", ""))[1].get("boundary", "")
        self.granted = Granted(0, 0, 0, JPEG, "network", via=via.parse(fields.get("via", "")))
        self._session, self._connection = session, answer.connection
        self._parts = PartParser(answer.connection.buffer, boundary)
        self._sequence = marks.Sequence()
        self._patience = Patience(camera.stale_after)
        self._newest: Part | None = None
        self._arrived = 0.0
        self._skipped = 0

    def read(self, *, pixels: bool = True) -> Grab | None:
        """The newest picture that has come whole, in memory that the next `read` uses again.

        None as soon as there is a sign of life that is no picture.
        """
        self._let_go()
        self._listen_on()
        for _ in range(MOST_TURNS):
            if self._newest is None or not self._connection.fresh:
                break
            self._listen_on()
        return None if self._newest is None else self._grab(self._newest)

    def close(self) -> None:
        """Close the connection. A second call does nothing."""
        self._let_go()
        self._session.close()

    def _let_go(self) -> None:
        """Nobody looks at the last picture any more."""
        self._newest = None
        self._connection.buffer.release()

    def _listen_on(self) -> None:
        """Take in what comes until there is a part, or what has come behind a picture; or until `stop` is set."""
        try:
            self._session.loop.run(self._listen(), self._patience.seconds)
        except TimeoutError:
            raise SourceStalled(f"no frames for {self._patience.seconds:.3g} s") from None
        except SourceError:  # behind a picture it comes up again at the next read
            if self._newest is None:
                raise

    async def _listen(self) -> None:
        while not self._take_parts() and self._newest is None:
            if self._parts.ended:
                raise SourceError("the upstream ended the stream")
            if self._connection.buffer.framing.done:
                raise SourceError(ENDED)
            await self._connection.more()

    def _take_parts(self) -> bool:
        """Look at every whole part there is; whether there was a sign of life."""
        alive = self._connection.fresh = False
        while (part := self._parts.next_part()) is not None:
            alive |= self._judge(part)
        return alive

    def _judge(self, part: Part) -> bool:
        """A sign of life is what is neither empty nor text, and a new picture what is not the last one again."""
        if not part.body or part.fields.get("content-type", "").lower().startswith("text/"):
            return False
        now = monotonic()
        self._patience.note(part.fields, now)
        lost = self._sequence.step(part.fields)
        if lost is not None:
            self._skipped += lost + (self._newest is not None)
            self._newest, self._arrived = part, now
        return True

    def _grab(self, part: Part) -> Grab:
        skipped, self._skipped = self._skipped, 0
        captured = marks.captured(part.fields)
        taken = marks.taken(captured, self._arrived)
        return Grab(part.body, JPEG, taken, skipped, captured=captured, missing=marks.missing(part.fields))
