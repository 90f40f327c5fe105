"""One client connection: requests in, answers out, until one side has had enough. The only file that reads requests."""

import asyncio
import contextlib

from mjpegd import log
from mjpegd.errors import HttpError, ProtocolError
from mjpegd.http import tcp
from mjpegd.http.live import Viewer, stream_head
from mjpegd.http.response import Play, Response, error_response
from mjpegd.http.routes import answer
from mjpegd.http.site import Site
from mjpegd.wire.http import Request, RequestParser

LINGER = 1.0
"""Seconds to go on reading after a last answer: to close with unread bytes would reset it away (RFC 9112 9.6)."""


class Connection:
    """Serves one client, made by the server for each."""

    __slots__ = ("_idle", "_last", "_parser", "_peer", "_reader", "_site", "_unread", "_writer")

    def __init__(self, site: Site, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: str) -> None:
        self._site, self._reader, self._writer, self._peer = site, reader, writer, peer
        self._parser = RequestParser()
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
            log.get(viewer=self._peer).exception("connection broke down: this is a bug in mjpegd")
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
        try:
            request = await self._request()
            if request is None:
                return False
            reply = await self._answer(request)
        except ProtocolError as error:
            self._unread = True
            await self._send(error_response(error), head_only=False, keep_alive=False)
            return False
        if isinstance(reply, Play):
            await self._play(reply, head_only=request.method == "HEAD")
            return False
        self._unread = request.has_body
        keep_alive = request.keep_alive and not request.has_body and not self._last
        await self._send(reply, head_only=request.method == "HEAD", keep_alive=keep_alive)
        return keep_alive

    async def _request(self) -> Request | None:
        """The next request; None at the end of the connection. Raises 408 for one that takes too long to come."""
        settings, loop = self._site.server, asyncio.get_running_loop()
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

    async def _answer(self, request: Request) -> Response | Play:
        try:
            return await answer(self._site, request)
        except HttpError as error:
            return error_response(error)
        except Exception:  # noqa: BLE001  (a bug costs one answer)
            log.get(viewer=self._peer).exception("answering failed: this is a bug in mjpegd", path=request.path[:200])
            return error_response(HttpError(500, "internal error, see the log of mjpegd"))

    async def _send(self, response: Response, *, head_only: bool, keep_alive: bool) -> None:
        if self._writer.is_closing():
            raise ConnectionResetError
        head = response.head(keep_alive=keep_alive)
        self._writer.writelines((head,) if head_only or not response.body else (head, response.body))
        if not await tcp.drained(self._writer, self._site.server.stall_timeout):
            raise ConnectionAbortedError

    async def _play(self, play: Play, *, head_only: bool) -> None:
        if head_only:
            self._writer.write(stream_head())
            return
        await Viewer(play, self._reader, self._writer, self._site.server, self._peer).play()

    async def _close(self) -> None:
        """Close in order: our FIN first, then what the client still sends is read away, then the socket."""
        transport = self._writer.transport
        if self._unread and not transport.is_closing():
            self._writer.write_eof()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LINGER):
                    while await self._reader.read(65536):
                        pass
        self._writer.close()
        with contextlib.suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(LINGER):
                await self._writer.wait_closed()
