"""The listener: accepts, and at the end sees everybody out."""

import asyncio
import os
import socket
import ssl
from collections.abc import Iterator, Sequence
from pathlib import Path

from mjpegd.config.check import OPEN_DOOR, is_local
from mjpegd.config.schema import Config, ServerConfig
from mjpegd.errors import ConfigError
from mjpegd.http import tcp, tls
from mjpegd.http.connection import Connection
from mjpegd.http.site import Site

UNIX = "unix:"


class Server:
    """Listens, and keeps the connections it made."""

    def __init__(self, site: Site, inherited: Sequence[socket.socket] = ()) -> None:
        self._site = site
        self._inherited = inherited
        self._tls: ssl.SSLContext | None = None
        self._listeners: list[asyncio.Server] = []
        self._path: Path | None = None
        self._connections: dict[asyncio.Task[None], Connection] = {}

    async def start(self) -> None:
        """Begin to listen, on the sockets we were started with if there are any; `ConfigError` if that cannot be."""
        config = self._site.config
        self._tls = tls.context(config.tls)
        for inherited in self._inherited:
            self._refuse_open_door(inherited)
        for inherited in self._inherited:
            start = asyncio.start_unix_server if inherited.family == socket.AF_UNIX else asyncio.start_server
            self._listeners.append(await start(self._accept, sock=inherited, ssl=self._tls))
        if not self._inherited:
            await self._bind(config.server)

    def renew_certificate(self, config: Config) -> None:
        """Use the certificate as it is in its files now; `ConfigError` leaves the old one in use."""
        if self._tls is not None and config.tls.certificate:
            tls.renew(self._tls, config.tls)

    @property
    def addresses(self) -> Iterator[str]:
        """The URL of the page on each socket, `unix:/PATH` for those that have none."""
        scheme = "http" if self._tls is None else "https"
        for listener in (each for server in self._listeners for each in server.sockets):
            name = listener.getsockname()
            yield f"{scheme}://{_clickable(name[0])}:{name[1]}" if isinstance(name, tuple) else f"unix:{name}"

    async def _bind(self, settings: ServerConfig) -> None:
        host = settings.host
        try:
            if host.startswith(UNIX):
                self._path = Path(host.removeprefix(UNIX))
                server = await asyncio.start_unix_server(self._accept, self._path, ssl=self._tls)
            else:
                server = await asyncio.start_server(
                    self._accept, host, settings.port, backlog=settings.backlog, ssl=self._tls
                )
        except (OSError, UnicodeError) as error:
            where = host if self._path else f"{host} port {settings.port}"
            raise ConfigError([f"cannot listen on {where}: {_reason(error)}"]) from error
        self._listeners.append(server)

    def _refuse_open_door(self, inherited: socket.socket) -> None:
        """An inherited socket is judged as `server.host` is (config.check)."""
        config = self._site.config
        local = inherited.family == socket.AF_UNIX or is_local(inherited.getsockname()[0])
        if not (local or config.key or config.auth.anonymous):
            raise ConfigError([f"socket activation: {inherited.getsockname()[0]} {OPEN_DOOR}"])

    async def stop(self, patience: float) -> None:
        """Accept no more, let answers under way and farewells finish for `patience` seconds, then cut the rest."""
        for listener in self._listeners:
            listener.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)
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
        tcp.prepare(writer, self._site.config.limits.stall_timeout)
        task = asyncio.current_task()
        assert task is not None
        connection = Connection(self._site, reader, writer)
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


def _clickable(host: str) -> str:
    """A host as a browser takes it: every-address becomes loopback, IPv6 gets its brackets."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"[{host}]" if ":" in host else host
