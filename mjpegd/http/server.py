"""The listener: accepts, and at the end sees everybody out."""

import asyncio
import contextlib
import errno
import os
import socket
import ssl
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mjpegd.config.check import OPEN_DOOR, opens_door
from mjpegd.config.schema import Config, ServerConfig
from mjpegd.errors import ConfigError
from mjpegd.hosts import UNIX, bracketed, reachable
from mjpegd.http import tcp, tls
from mjpegd.http.connection import Connection
from mjpegd.http.site import Site


class Server:
    """Listens, and keeps the connections it made."""

    def __init__(self, site: Site, inherited: Sequence[socket.socket] = ()) -> None:
        self._site = site
        self._inherited = inherited
        self._tls: ssl.SSLContext | None = None
        self._listeners: list[asyncio.Server] = []
        self._path: tuple[Path, int] | None = None
        self._connections: dict[asyncio.Task[None], Connection] = {}

    async def start(self) -> None:
        """Begin to listen, on the sockets we were started with if there are any; `ConfigError` if that cannot be."""
        config = self._site.config
        self._tls = tls.context(config.tls)
        self._refuse_open_door(config, self._inherited)
        options: dict[str, Any] = {
            "backlog": config.server.backlog,
            "ssl": self._tls,
            **({"ssl_handshake_timeout": config.limits.head_timeout} if self._tls else {}),
        }
        for inherited in self._inherited:
            start = asyncio.start_unix_server if inherited.family == socket.AF_UNIX else asyncio.start_server
            self._listeners.append(await start(self._accept, sock=inherited, **options))
        if not self._inherited:
            self._listeners.append(await self._bind(config.server, options))

    def prepare(self, config: Config) -> None:
        """What could be wrong with another configuration, tried before anything changes; raises `ConfigError`."""
        tls.context(config.tls)
        self._refuse_open_door(config, [each for server in self._listeners for each in server.sockets])

    def renew_certificate(self, config: Config) -> None:
        """Use the certificate as it is in its files now."""
        if self._tls is not None and config.tls.certificate:
            tls.load(self._tls, config.tls)

    @property
    def addresses(self) -> Iterator[str]:
        """The URL of the page on each socket, `unix:/PATH` for those that have none."""
        scheme = "http" if self._tls is None else "https"
        for listener in (each for server in self._listeners for each in server.sockets):
            name = listener.getsockname()
            if isinstance(name, tuple):
                yield f"{scheme}://{bracketed(reachable(name[0]))}:{name[1]}"
            else:
                yield f"{UNIX}{name}"

    async def _bind(self, settings: ServerConfig, options: Mapping[str, Any]) -> asyncio.Server:
        host = settings.host
        try:
            if host.startswith(UNIX):
                return await self._bind_path(Path(host.removeprefix(UNIX)), options)
            return await asyncio.start_server(self._accept, host, settings.port, **options)
        except (OSError, ValueError) as error:
            where = host if host.startswith(UNIX) else f"{host} port {settings.port}"
            raise ConfigError([f"cannot listen on {where}: {_reason(error)}"]) from error

    async def _bind_path(self, path: Path, options: Mapping[str, Any]) -> asyncio.Server:
        """Listen on a path, in place of a socket that a dead daemon left there, never of one that is in use."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as client:
            if client.connect_ex(str(path)) in (0, errno.EAGAIN):
                raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        server = await asyncio.start_unix_server(self._accept, path, **options)
        path.chmod(0o666)  # noqa: ASYNC240  (as open as loopback is: keys say who may)
        self._path = (path, path.stat().st_ino)  # noqa: ASYNC240  (once, at the start)
        return server

    @staticmethod
    def _refuse_open_door(config: Config, listeners: Iterable[socket.socket]) -> None:
        """What we listen on, and what we were handed, is judged as `server.host` is."""
        for listener in listeners:
            name = listener.getsockname()
            if isinstance(name, tuple) and opens_door(config, name[0]):
                raise ConfigError([f"the socket on {name[0]} port {name[1]} {OPEN_DOOR}"])

    async def stop(self, patience: float) -> None:
        """Accept no more, let answers under way and farewells finish for `patience` seconds, then cut the rest."""
        for listener in self._listeners:
            listener.close()
        self._unlink()
        for connection in self._connections.values():
            connection.finish()
        await self._ended(patience)
        for connection in self._connections.values():
            connection.abort()
        await self._ended(patience)

    def _unlink(self) -> None:
        """Take our socket away, unless somebody has put another in its place."""
        if self._path is None:
            return
        path, inode = self._path
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_ino == inode:
                path.unlink()

    async def _ended(self, patience: float) -> None:
        if self._connections:
            await asyncio.wait(self._connections, timeout=patience)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Called by asyncio in a new task for each connection."""
        task = asyncio.current_task()
        assert task is not None
        try:
            tcp.prepare(writer)
            connection = Connection(self._site, reader, writer)
        except (OSError, ValueError):  # it has left before it was looked at; uvloop makes a socket of its number, -1
            writer.transport.abort()
            return
        self._connections[task] = connection
        try:
            await connection.run()
        finally:
            del self._connections[task]


def _reason(error: OSError | ValueError) -> str:
    """Why listening failed, in the system's words; asyncio's own repeat the address."""
    if isinstance(error, ValueError):
        return "that is no host name, or no path"
    return os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)
