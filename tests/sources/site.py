"""A camera's web server on loopback that does what a test tells it to, one thread a connection."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tests.certificates import Pair
from tests.daemon import SECONDS

ONE, TWO, THREE = (b"\xff\xd8" + name + b"\xff\xd9" for name in (b"one", b"two", b"three"))
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n"


@dataclass(frozen=True)
class Request:
    """What a client sent: its first line and its fields by lower-case name."""

    line: str
    fields: Mapping[str, str]

    @property
    def target(self) -> str:
        return self.line.split(" ")[1]


class Visit:
    """One connection, from the server's side. What fails because the client left, is over."""

    def __init__(self, connection: socket.socket, requests: list[Request]) -> None:
        self._connection, self._requests = connection, requests
        self._pending = b""

    def request(self) -> Request:
        """The next request; `OSError` when there is none any more."""
        while b"\r\n\r\n" not in self._pending:
            data = self._connection.recv(4096)
            if not data:
                raise ConnectionResetError
            self._pending += data
        head, _, self._pending = self._pending.partition(b"\r\n\r\n")
        line, *fields = head.decode("latin-1").split("\r\n")
        pairs = (field.split(": ", 1) for field in fields)
        request = Request(line, {name.lower(): value for name, value in pairs})
        self._requests.append(request)
        return request

    def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self._connection.sendall(piece)

    def wait_for_leave(self) -> None:
        """Until the client has closed the connection."""
        with contextlib.suppress(OSError):
            while self._connection.recv(4096):
                pass


class Site:
    """Serves every connection with `serve`, over TLS with a certificate. `requests` has what was asked.

    `slow` is how many seconds it takes until it shows its certificate.
    """

    def __init__(self, serve: Callable[[Visit], None], pair: Pair | None = None, slow: float = 0) -> None:
        self.requests: list[Request] = []
        self.connections = 0
        self._serve, self._slow = serve, slow
        self._context: ssl.SSLContext | None = None
        if pair is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(pair.certificate, pair.key)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join(5 * SECONDS)
        self._listener.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads[1:]:
            thread.join(5 * SECONDS)
        assert not any(thread.is_alive() for thread in self._threads)

    @property
    def url(self) -> str:
        return f"{'https' if self._context else 'http'}://127.0.0.1:{self.port}/"

    def with_login(self, login: str) -> str:
        """The address with user and password in it."""
        return self.url.replace("://", f"://{login}@")

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection = self._listener.accept()[0]
                self.connections += 1
                self._open.append(connection)
                self._threads.append(threading.Thread(target=self._handle, args=(connection,)))
                self._threads[-1].start()

    def _handle(self, plain: socket.socket) -> None:
        connection = plain
        try:
            if self._context is not None:
                time.sleep(self._slow)
                connection = self._context.wrap_socket(plain, server_side=True)
            self._serve(Visit(connection, self.requests))
        except OSError:
            pass
        finally:
            connection.close()


def part(body: bytes, *fields: str) -> bytes:
    """A part as mjpegd sends one, these fields in its head."""
    lines = ["--frame", "Content-Type: image/jpeg", f"Content-Length: {len(body)}", *fields, "", ""]
    return "\r\n".join(lines).encode() + body + b"\r\n"


def stream(*pieces: bytes, linger: bool = True) -> Callable[[Visit], None]:
    """Serves a stream of these pieces, and keeps it open until the client leaves, or not."""

    def serve(visit: Visit) -> None:
        visit.request()
        visit.send(STREAM, *pieces)
        if linger:
            visit.wait_for_leave()

    return serve


def answer(status: str, body: bytes = b"", *fields: str, kind: str = "image/jpeg") -> bytes:
    """A whole response."""
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *fields, "", ""]
    return "\r\n".join(lines).encode() + body


def answers(*responses: bytes | Callable[[Request], bytes]) -> Callable[[Visit], None]:
    """Serves one response a request on kept connections, the last one for ever."""
    left = list(responses)

    def serve(visit: Visit) -> None:
        while True:
            request = visit.request()
            response = left.pop(0) if len(left) > 1 else left[0]
            visit.send(response if isinstance(response, bytes) else response(request))

    return serve
