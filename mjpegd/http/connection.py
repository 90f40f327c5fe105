"""One client connection: requests in, answers out, until one side has had enough. The only file that reads requests."""

import asyncio
import contextlib
from functools import partial
from urllib.parse import urlencode

from mjpegd import log
from mjpegd.access.caller import Caller
from mjpegd.access.guard import opens_page, presented
from mjpegd.errors import HttpError, ProtocolError
from mjpegd.http import cors, login, tcp
from mjpegd.http.live import Viewer
from mjpegd.http.response import Play, Response, error_response, stream_head
from mjpegd.http.routes import Answer, answer, without_base
from mjpegd.http.site import Site
from mjpegd.masking import mask
from mjpegd.wire.http import Request, RequestParser

LINGER = 1.0
"""Seconds to go on reading after a last answer: to close with unread bytes would reset it away (RFC 9112 9.6)."""


class Connection:
    """Serves one client, made by the server for each."""

    __slots__ = ("_headers", "_idle", "_last", "_parser", "_peer", "_reader", "_site", "_unread", "_writer")

    def __init__(self, site: Site, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._site, self._reader, self._writer = site, reader, writer
        self._peer = tcp.peer(writer)
        self._parser = RequestParser(site.config.limits.head_bytes, site.config.limits.head_fields)
        self._headers: dict[str, str] = {}
        self._unread = False
        self._idle = True
        self._last = False

    async def run(self) -> None:
        """Serve to the end; a client that leaves, at whatever moment, is nothing special."""
        try:
            while await self._exchange():
                pass
            await self._close()
        except OSError:
            self.abort()
        except Exception:  # noqa: BLE001  (a bug costs one connection, not the daemon)
            log.get(viewer=self._peer[1]).exception("connection broke down: this is a bug in mjpegd")
            self._writer.transport.abort()

    def finish(self) -> None:
        """Close it if nobody would lose an answer by that, else after the one under way."""
        self._last = True
        if self._idle:
            self._writer.close()

    def abort(self) -> None:
        """Close it now, whatever is under way."""
        tcp.reset(self._writer)

    async def _exchange(self) -> bool:
        """One request and its answer; False when no more will follow."""
        self._headers = {}
        try:
            request = await self._request()
            if request is None:
                return False
            self._unread = request.has_body
            self._headers = cors.headers(self._site.config.server, request.headers)
            reply: Answer | None = await self._answer(request)
            if isinstance(reply, Play):
                reply = await self._play(reply, request)
        except ProtocolError as error:
            self._unread = True
            await self._send(error_response(error), head_only=False, keep_alive=False)
            return False
        if reply is None:
            return False
        keep_alive = request.keep_alive and not self._unread and not self._last
        await self._send(reply, head_only=request.method == "HEAD", keep_alive=keep_alive)
        return keep_alive

    async def _request(self) -> Request | None:
        """The next request; None at the end of the connection. Raises 408 for one that takes too long to come."""
        settings, loop = self._site.config.limits, asyncio.get_running_loop()
        self._idle = self._parser.idle
        deadline = loop.time() + (settings.idle_timeout if self._idle else settings.head_timeout)
        while (request := self._parser.next_request()) is None:
            try:
                async with asyncio.timeout_at(deadline):
                    data = await self._reader.read(65536)
            except TimeoutError:
                if self._parser.idle:
                    return None
                raise ProtocolError(408, "the request took too long to come") from None
            if not data:
                return None
            if self._idle:
                self._idle = False
                deadline = loop.time() + settings.head_timeout
            self._parser.feed(data)
        self._idle = False
        return request

    async def _answer(self, request: Request) -> Answer:
        caller: Caller | None = None
        try:
            caller = self._site.guard.receive(request, self._peer[0], secure=tcp.is_encrypted(self._writer))
            return await answer(self._site, request, caller, partial(self._body, request))
        except ProtocolError:
            raise
        except HttpError as error:
            if caller is not None and error.status == 401 and opens_page(request):
                return login.form(caller, target=self._wanted(request), error=error, quiet=presented(request) is None)
            return error_response(error)
        except Exception:
            logger = log.get(viewer=self._peer[1])
            logger.exception("answering failed: this is a bug in mjpegd", path=mask(request.path)[:200])
            return error_response(HttpError(500, "internal error, see the log of mjpegd"))

    def _wanted(self, request: Request) -> str:
        """Where to go on after the login: to what was asked for, without the key that did not fit."""
        query = urlencode([(name, value) for name, value in request.query.items() if name != "key"])
        path = without_base(request.path, self._site.config.server.base_path)
        return f"{path}?{query}" if query else path

    async def _body(self, request: Request) -> bytes:
        """What follows the head, read once; `ProtocolError` 411 without a length, 413 if too long, 408 if too slow."""
        limits, length = self._site.config.limits, request.body_length
        if length is None:
            raise ProtocolError(411, "a body needs a Content-Length here")
        if length > limits.body_bytes:
            raise ProtocolError(413, f"the body is longer than {limits.body_bytes} bytes")
        if request.headers.get("expect", "").lower() == "100-continue":
            self._writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        try:
            async with asyncio.timeout(limits.head_timeout):
                while (body := self._parser.body(length)) is None:
                    data = await self._reader.read(65536)
                    if not data:
                        raise ConnectionResetError
                    self._parser.feed(data)
        except TimeoutError:
            raise ProtocolError(408, "the body took too long to come") from None
        self._unread = False
        return body

    async def _send(self, response: Response, *, head_only: bool, keep_alive: bool) -> None:
        if self._writer.is_closing():
            raise ConnectionResetError
        head = response.head(self._headers, keep_alive=keep_alive)
        self._writer.writelines((head,) if head_only or not response.body else (head, response.body))
        if not await tcp.drained(self._writer, self._site.config.limits.stall_timeout):
            raise ConnectionAbortedError

    async def _play(self, play: Play, request: Request) -> Response | None:
        """The whole stream; what is to be said instead where there is no room for one more."""
        if request.method == "HEAD":
            self._writer.write(stream_head(play.camera.via, self._headers))
            return None
        viewer = Viewer(play, self._reader, self._writer, self._site.config, self._viewer(play.caller))
        try:
            await viewer.play(self._site.clients, self._site.config, self._headers)
        except HttpError as error:
            return error_response(error)
        return None

    def _viewer(self, caller: Caller) -> str:
        """How the log names whoever watches: the peer, or whom a proxy speaks for."""
        return self._peer[1] if caller.address == self._peer[0] else caller.address

    async def _close(self) -> None:
        """Close in order: our FIN first, then what the client still sends is read away, then the socket."""
        transport = self._writer.transport
        if self._unread and not transport.is_closing():
            if transport.can_write_eof():
                self._writer.write_eof()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LINGER):
                    while await self._reader.read(65536):
                        pass
        self._writer.close()
        with contextlib.suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(LINGER):
                await self._writer.wait_closed()
