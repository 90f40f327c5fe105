"""Requests to one camera: over one connection at a time, with its credentials, where its redirects lead."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from http import HTTPStatus
from ssl import SSLContext

from mjpegd import __version__
from mjpegd.config.schema import CameraConfig
from mjpegd.errors import SourceError
from mjpegd.sources.client.connection import Connection, trust
from mjpegd.sources.client.keyring import Keyring
from mjpegd.sources.client.loop import PrivateLoop
from mjpegd.sources.client.target import Target, parse
from mjpegd.wire import via
from mjpegd.wire.response import Head

MAX_REDIRECTS = 5
_MAX_TRIES = 3
"""Requests until a 401 is final: one that learns the challenge, one with an old nonce, one with a new one."""
_MOVED_FOR_GOOD = frozenset({301, 308})
_MOVED = _MOVED_FOR_GOOD | {302, 303, 307}
_GOOD = frozenset({200, 304})
_WORDS = {
    403: "answers 403: it does not allow this",
    404: "answers 404: nothing is at this address",
    503: "answers 503: it has no picture now",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A response whose body has not been read yet, and the target to ask next time: where it has moved for good."""

    head: Head
    target: Target
    connection: Connection


class Session:
    """A client for one `http://` or `https://` address. Used by one thread; its coroutines are for `loop.run`."""

    def __init__(self, url: str, camera: CameraConfig, stop: threading.Event) -> None:
        self.home, login = parse(url)
        self._camera = camera
        self.patience: float | None = None
        """Seconds that a server which was connected to may take to answer; None leaves that to `loop.run`."""
        self._keyring = Keyring(self.home, login, camera.token)
        self._connection: Connection | None = None
        self.loop = PrivateLoop(stop)

    def open(self, fields: Mapping[str, str], *, keep: bool = False) -> Answer:
        """The first request, within `open_timeout`. Closes the session where that fails."""
        answer, patience = None, self._camera.open_timeout
        try:
            answer = self.loop.run(self.get(self.home, fields, keep=keep), patience)
        except TimeoutError:
            raise SourceError(f"does not answer within {patience:g} s") from None
        finally:
            if answer is None:
                self.close()
        if answer is None:
            raise SourceError("stopped before it was open")
        return answer

    async def get(self, target: Target, fields: Mapping[str, str], *, keep: bool) -> Answer:
        """GET it, with these fields more; `keep` asks to leave the connection open behind the body.

        The status is 200, or 304 if `fields` ask for it; `SourceError` says in words what else there is.
        """
        lasting = target
        for _ in range(MAX_REDIRECTS + 1):
            answer = await self._log_in(target, fields, keep=keep)
            location = answer.head.fields.get("location")
            if answer.head.status not in _MOVED or location is None:
                return replace(_accept(answer), target=lasting)
            moved = target.follow(location)
            if target == lasting and answer.head.status in _MOVED_FOR_GOOD:
                lasting = moved
            target = moved
        raise SourceError(f"redirects more than {MAX_REDIRECTS} times")

    def close(self) -> None:
        """Close the connection at once. A second call does nothing."""
        if self._connection is not None:
            self._connection.abort()
        self.loop.close()

    @cached_property
    def _trust(self) -> SSLContext:
        return trust(verify=self._camera.verify)

    async def _log_in(self, target: Target, fields: Mapping[str, str], *, keep: bool) -> Answer:
        for tried in range(_MAX_TRIES):
            answer = await self._ask(target, fields, keep=keep)
            if answer.head.status != HTTPStatus.UNAUTHORIZED:
                return answer
            challenges = answer.head.fields.all("www-authenticate")
            if not self._keyring.answer(target, challenges, again=tried > 0):
                break
        raise SourceError(self._keyring.refusal(target))

    async def _ask(self, target: Target, fields: Mapping[str, str], *, keep: bool) -> Answer:
        kept = self._connection
        if kept is not None and kept.idle and kept.origin == target.origin:
            try:
                return await self._send(kept, target, fields, keep=keep)
            except SourceError:
                pass  # RFC 9112 9.3.1: the server closed it while nobody looked
        return await self._send(await self._connect(target), target, fields, keep=keep)

    async def _send(self, connection: Connection, target: Target, fields: Mapping[str, str], *, keep: bool) -> Answer:
        head = await connection.ask(self._request(target, fields, keep=keep), keep=keep, patience=self.patience)
        return Answer(head, target, connection)

    async def _connect(self, target: Target) -> Connection:
        if self._connection is not None:
            self._connection.abort()
        trusted = self._trust if target.scheme == "https" else None
        self._connection = await Connection.open(target, trusted, self._camera.open_timeout)
        return self._connection

    def _request(self, target: Target, fields: Mapping[str, str], *, keep: bool) -> bytes:
        all_fields = {
            "Host": target.authority,
            "User-Agent": f"{via.PRODUCT}/{__version__}",
            **fields,
            "Connection": "keep-alive" if keep else "close",
        }
        authorization = self._keyring.field(target)
        if authorization is not None:
            all_fields["Authorization"] = authorization
        lines = [f"GET {target.path} HTTP/1.1", *(f"{name}: {value}" for name, value in all_fields.items()), "", ""]
        return "\r\n".join(lines).encode("latin-1")


def _accept(answer: Answer) -> Answer:
    status = answer.head.status
    if status in _GOOD:
        return answer
    try:
        phrase = f"answers {status} {HTTPStatus(status).phrase}"
    except ValueError:  # one that nobody registered
        phrase = f"answers {status}"
    raise SourceError(_WORDS.get(status, phrase))
