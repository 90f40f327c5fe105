"""The listener: accepts, sets socket options, and at the end sees everybody out."""

import asyncio
import os
import socket
from collections.abc import Iterator

from mjpegd.errors import ConfigError
from mjpegd.http.connection import Connection
from mjpegd.http.site import Site

NOTSENT_LOWAT = 16 * 1024
"""Unsent bytes the kernel may hold for one viewer, the number Cloudflare uses too. Without it a slow one sees pictures
3 s old, with it 0.3 s; a small SO_SNDBUF would do as much but cap everyone far away at a buffer per round trip."""

TCP_OPTIONS = (
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),  # else the boundary behind a picture waits 40 ms for an ACK
    (socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, NOTSENT_LOWAT),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 20_000),  # ms: data that nobody acknowledges (a pulled cable)
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),  # and for those who are sent nothing:
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 10),  # s of silence before the first probe
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),  # s between probes
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),  # probes before it is gone
)


class Server:
    """Listens, and keeps the connections it made."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], Connection] = {}

    async def start(self) -> None:
        """Begin to listen; `ConfigError` if the address cannot be had."""
        settings = self._site.server
        try:
            self._server = await asyncio.start_server(
                self._accept, settings.host, settings.port, backlog=settings.backlog
            )
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise ConfigError([f"cannot listen on {settings.host} port {settings.port}: {reason}"]) from error

    @property
    def addresses(self) -> Iterator[tuple[str, int]]:
        """Where it listens: host and port of each socket."""
        assert self._server is not None
        for listener in self._server.sockets:
            host, port, *_ = listener.getsockname()
            yield host, port

    async def stop(self, patience: float) -> None:
        """Accept no more, let answers under way and farewells finish for `patience` seconds, then cut the rest."""
        assert self._server is not None
        self._server.close()
        for connection in self._connections.values():
            connection.finish()
        await self._ended(patience)
        for connection in self._connections.values():
            connection.abort()
        await self._ended(patience)

    async def _ended(self, patience: float) -> None:
        if self._connections:
            await asyncio.wait(self._connections, timeout=patience)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Called by asyncio in a new task for each connection."""
        tcp = writer.get_extra_info("socket")
        for option in TCP_OPTIONS:
            tcp.setsockopt(*option)
        task = asyncio.current_task()
        assert task is not None
        connection = Connection(self._site, reader, writer, _peer(writer))
        self._connections[task] = connection
        try:
            await connection.run()
        finally:
            del self._connections[task]


def _peer(writer: asyncio.StreamWriter) -> str:
    """`192.0.2.7:51234`, for the log."""
    host, port, *_ = writer.get_extra_info("peername") or ("unknown", 0)
    return f"{host}:{port}"
