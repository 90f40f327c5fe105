"""One connection to a camera: TCP or TLS, received straight into the buffer that the parsers read."""

import asyncio
import os
import re
import socket
import ssl

from mjpegd.errors import SourceError
from mjpegd.sources.client.target import Target
from mjpegd.wire.buffer import Buffer
from mjpegd.wire.response import Head, ResponseParser

ENDED = "the connection ended"
STAGGER = 0.25
"""Seconds after which the next of a host's addresses is tried too: RFC 8305 5."""

_ERRNO = re.compile(r"\[Errno (\d+)\]")


def trust(*, verify: bool) -> ssl.SSLContext:
    """What certificates are believed: those of the system's authorities, or any."""
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def explain(error: OSError) -> str:
    """Why a connection could not be made, in words that hold no address."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return "its certificate cannot be trusted: set verify = false if it signed its own"
    if isinstance(error, ssl.SSLError):
        return "cannot be reached: it does not speak TLS as it should"
    if isinstance(error, socket.gaierror):
        return "its name cannot be resolved"
    numbers = [error.errno] if error.errno else list(map(int, _ERRNO.findall(str(error))))  # of several addresses
    return f"cannot be reached: {os.strerror(numbers[-1]).lower()}" if numbers else "cannot be reached"


class Connection(asyncio.BufferedProtocol):
    """What comes is in `buffer`; `fresh` says whether something came that `more` has not told of yet."""

    def __init__(self) -> None:
        self.buffer = Buffer()
        self.origin = ("", "", 0)
        self.fresh = self.ended = self._kept = False
        self._failure = ""
        self._waiting: asyncio.Future[None] | None = None
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def open(cls, target: Target, context: ssl.SSLContext | None, patience: float) -> "Connection":
        """Connect to the first of the host's addresses that answers; `SourceError` says why none does in time."""
        try:
            async with asyncio.timeout(patience):
                return await cls._open(target, context)
        except TimeoutError:
            raise SourceError(f"does not answer within {patience:g} s") from None

    @classmethod
    async def _open(cls, target: Target, context: ssl.SSLContext | None) -> "Connection":
        name = target.host.partition("%")[0] if context else None
        stagger = None if target.is_literal else STAGGER  # which loses a socket if it is cancelled at the wrong moment
        try:
            _, connection = await asyncio.get_running_loop().create_connection(
                cls, target.host, target.port, ssl=context, server_hostname=name, happy_eyeballs_delay=stagger
            )
        except OSError as error:
            raise SourceError(explain(error)) from None
        except ValueError:  # a name that no resolver takes, as one with an empty label
            raise SourceError("its name cannot be resolved") from None
        connection.origin = target.origin
        return connection

    @property
    def idle(self) -> bool:
        """Whether it may be used again: the server leaves it open, and sent one whole response and nothing more."""
        framing = self.buffer.framing
        return self._kept and framing.done and not (framing.surplus or self.ended)

    async def ask(self, request: bytes, *, keep: bool, patience: float | None = None) -> Head:
        """Send a request and wait for the head of its response; the body is what the buffer holds from then on.

        `keep` is whether the request asks to leave the connection open. `TimeoutError` after `patience` seconds.
        """
        assert self._transport is not None
        self.buffer.clear()
        self._transport.write(request)
        parser = ResponseParser(self.buffer)
        async with asyncio.timeout(patience):
            while (head := parser.next_head()) is None:
                await self.more()
        self.buffer.unwrap(head.framing())
        self._kept = keep and head.keep_alive
        return head

    async def more(self) -> None:
        """Until something has come since the last call; `SourceError` when nothing will any more."""
        if not (self.fresh or self.ended or self._failure):
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
        if self._failure:
            raise SourceError(self._failure)
        if not self.fresh:
            raise SourceError(ENDED)
        self.fresh = False

    async def body(self, limit: int, patience: float) -> memoryview:
        """The whole body; it stays until the next request.

        `SourceError` for one of more than `limit` bytes, `TimeoutError` after `patience` seconds.
        """
        buffer = self.buffer
        async with asyncio.timeout(patience):
            while not buffer.framing.done and len(buffer) <= limit:
                try:
                    await self.more()
                except SourceError:
                    if not buffer.framing.done:  # it is where the connection's end is the body's
                        raise
        if len(buffer) > limit:
            raise SourceError(f"sends more than {limit} bytes")
        return buffer.view[buffer.start : buffer.end]

    def abort(self) -> None:
        """Close it; what was to be sent is lost."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """By asyncio: it is open."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:
        """By asyncio: where to put what comes."""
        return self.buffer.tail()

    def buffer_updated(self, nbytes: int) -> None:
        """By asyncio: so much has come."""
        self.fresh = True
        try:
            self.buffer.commit(nbytes)
        except SourceError as error:
            self._failure = str(error)
        self._wake()

    def eof_received(self) -> None:
        """By asyncio: the server has said all it will."""
        self._end()

    def connection_lost(self, error: Exception | None) -> None:
        """By asyncio: it is gone."""
        self._end()

    def _end(self) -> None:
        self.ended = True
        self.buffer.framing.close()
        self._wake()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
