"""The listener: accepts, and at the end sees everybody out."""

import asyncio
import os
from collections.abc import Iterator

from mjpegd.errors import ConfigError
from mjpegd.http import tcp
from mjpegd.http.connection import Connection
from mjpegd.http.site import Site


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
        except (OSError, UnicodeError) as error:
            reason = _reason(error)
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
        tcp.prepare(writer, self._site.server.stall_timeout)
        task = asyncio.current_task()
        assert task is not None
        connection = Connection(self._site, reader, writer, tcp.peer(writer))
        self._connections[task] = connection
        try:
            await connection.run()
        finally:
            del self._connections[task]


def _reason(error: OSError | UnicodeError) -> str:
    """Why listening failed, in the system's words; asyncio's own repeat the address."""
    if isinstance(error, UnicodeError):
        return "that is no host name"
    return os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)
