"""A client on a bare socket: what bytes came, in what order and when. Every response head it reads must satisfy h11."""

import json
import re
import socket
import ssl
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection
from time import monotonic, time
from types import TracebackType
from typing import Any, Protocol, Self
from urllib.parse import urlsplit

import cv2
import h11
import numpy

from tests.daemon import SECONDS, Daemon, JsonDict, wait_for
from tests.system.reference import Go2rtc, Picture

BOUNDARY = b"\r\n--mjpegdframe"
OPENING = b"--mjpegdframe\r\n"
ADVANCE = b"Content-Type: image/jpeg\r\n\r\n"
SOI, EOI = b"\xff\xd8", b"\xff\xd9"
END = BOUNDARY + b"--\r\n"


class Listening(Protocol):
    """A daemon, or a proxy in front of it."""

    @property
    def port(self) -> int:
        """Where on loopback."""


@dataclass(frozen=True)
class Answer:
    """A finite response; field names are lower-case."""

    status: int
    fields: Mapping[str, str]
    head: bytes
    body: bytes = b""

    def __getitem__(self, name: str) -> str:
        return self.fields[name]

    def json(self) -> JsonDict:
        """The body, which must say that it is JSON."""
        assert self["content-type"] == "application/json"
        content: JsonDict = json.loads(self.body)
        return content


@dataclass(frozen=True)
class Part:
    """One part of a stream. `last` says that the closing delimiter followed; `arrived` is monotonic."""

    head: bytes
    jpeg: bytes
    last: bool
    arrived: float

    @property
    def fields(self) -> dict[str, str]:
        """The part's header block, names as they were sent."""
        return dict(line.split(": ", 1) for line in self.head.decode("ascii").split("\r\n") if line)

    @property
    def id(self) -> int:
        """X-Frame-Id."""
        return int(self.fields["X-Frame-Id"])

    @property
    def timestamp(self) -> float:
        """X-Timestamp."""
        return float(self.fields["X-Timestamp"])


class Client:
    """One connection. Use it as a context manager: it is closed at the end however the test ended.

    `source` is the address it comes from, any of 127.0.0.0/8; with `tls` it is encrypted.
    """

    def __init__(
        self,
        daemon: Listening,
        *,
        receive_buffer: int = 0,
        patience: float = 10.0,
        source: str = "",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(patience * SECONDS)
        try:
            self.socket.bind((source, 0))
            self.socket.connect(("127.0.0.1", daemon.port))
            if tls is not None:
                self.socket = tls.wrap_socket(self.socket)
        except OSError:
            self.socket.close()
            raise
        self.name = "{}:{}".format(*self.socket.getsockname())
        self.buffer = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def reset(self) -> None:
        """Leave with RST instead of FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.socket.sendall(data)

    def get(
        self, path: str, headers: Mapping[str, str] | None = None, *, method: str = "GET", version: str = "1.1"
    ) -> Self:
        """Send a request head."""
        self.send(request(path, headers, method=method, version=version))
        return self

    def read(self, length: int) -> bytes:
        """Exactly so many bytes."""
        while len(self.buffer) < length:
            self._receive()
        return self._take(length)

    def read_until(self, mark: bytes) -> bytes:
        """Everything up to and including `mark`."""
        searched = 0
        while (found := self.buffer.find(mark, max(0, searched - len(mark)))) < 0:
            searched = len(self.buffer)
            self._receive()
        return self._take(found + len(mark))

    def read_all(self, within: float = 10.0) -> bytes:
        """Everything up to the end of the connection; fails on RST, and if that does not come in time."""
        deadline = monotonic() + within * SECONDS
        while chunk := self.socket.recv(65536):
            assert monotonic() < deadline, f"no end within {within * SECONDS:g} s"
            self.buffer += chunk
        return self._take(len(self.buffer))

    def at_end(self) -> bool:
        """Whether the connection ends in order and without another byte."""
        return not self.read_all()

    def answer(self, method: str = "GET") -> Answer:
        """A finite answer: its head, and the body that its Content-Length announces."""
        answer = self.head(method)
        bodiless = method == "HEAD" or answer.status in {204, 304}
        body = b"" if bodiless else self.read(int(answer["content-length"]))
        return Answer(answer.status, answer.fields, answer.head, body)

    def head(self, method: str = "GET") -> Answer:
        """A response head, as strict h11 understands it."""
        head = self.read_until(b"\r\n\r\n")
        peer = h11.Connection(h11.CLIENT)
        peer.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
        peer.receive_data(head)
        event = peer.next_event()
        assert isinstance(event, h11.Response), event
        names = [name for name, _ in event.headers]
        assert len(names) == len(set(names)), f"a field came twice: {head!r}"
        fields = {name.decode(): value.decode() for name, value in event.headers}
        return Answer(event.status_code, fields, head)

    def open_stream(self, path: str = "/stream", headers: Mapping[str, str] | None = None) -> Answer:
        """Ask for a stream of the default profile and read as far as its first boundary line."""
        answer = self.get(path, headers).head()
        assert answer.status == 200, self.buffer
        assert self.read(len(OPENING)) == OPENING
        return answer

    def open_browser(self, path: str = "/stream") -> Answer:
        """Ask for a stream of the browser profile and read as far as its first part's header block."""
        answer = self.get(path, {"Sec-Fetch-Dest": "image"}).head()
        assert answer.status == 200, self.buffer
        assert self.read(len(OPENING + ADVANCE)) == OPENING + ADVANCE
        return answer

    def part(self) -> Part:
        """The next part of the default profile, with the boundary behind it."""
        head = self.read_until(b"\r\n\r\n")
        length = re.search(rb"^Content-Length: (\d+)\r\n", head, re.MULTILINE)
        assert length, head
        jpeg = self.read(int(length[1]))
        return self._part(head, jpeg)

    def advance_part(self) -> Part:
        """The next part of the browser profile: its head came before; the next one's is read with it."""
        jpeg = self.read_until(BOUNDARY)[: -len(BOUNDARY)]
        self.buffer[:0] = BOUNDARY
        part = self._part(ADVANCE, jpeg)
        if not part.last:
            assert self.read(len(ADVANCE)) == ADVANCE
        return part

    def _part(self, head: bytes, jpeg: bytes) -> Part:
        assert is_whole(jpeg)
        assert self.read(len(BOUNDARY)) == BOUNDARY
        end = self.read(2)
        last = end == b"--"
        assert (self.read(2) if last else end) == b"\r\n"
        return Part(head, jpeg, last, monotonic())

    def _receive(self) -> None:
        chunk = self.socket.recv(65536)
        assert chunk, f"the connection ended after {bytes(self.buffer[:200])!r}"
        self.buffer += chunk

    def _take(self, length: int) -> bytes:
        taken = bytes(self.buffer[:length])
        del self.buffer[:length]
        return taken


def request(path: str, headers: Mapping[str, str] | None = None, *, method: str = "GET", version: str = "1.1") -> bytes:
    """A request head as bytes."""
    fields = {"Host": "localhost", **(headers or {})}
    lines = [f"{method} {path} HTTP/{version}", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    return "\r\n".join(lines).encode()


def fetch(
    daemon: Listening,
    path: str,
    headers: Mapping[str, str] | None = None,
    *,
    method: str = "GET",
    version: str = "1.1",
    source: str = "",
) -> Answer:
    """One finite request on a connection of its own."""
    with Client(daemon, source=source) as client:
        return client.get(path, headers, method=method, version=version).answer(method)


def read_through(url: str, count: int, source: str = "") -> list[tuple[float, Picture]]:
    """So many parts of a stream behind a proxy, each with the time of day at which it came."""
    where = urlsplit(url)
    connection = HTTPConnection(where.netloc, timeout=10 * SECONDS, source_address=(source, 0))
    try:
        connection.request("GET", where.path)
        response = connection.getresponse()
        assert response.status == 200
        parser, pictures = Go2rtc("mjpegdframe"), list[tuple[float, Picture]]()
        while len(pictures) < count:
            data = response.read1(1 << 16)
            assert data, "the stream ended"
            pictures += [(time(), picture) for picture in parser.feed(data)]
        return pictures
    finally:
        connection.close()


def last_picture(wire: bytes | bytearray) -> bytes:
    """The body of the last part of a stream of the default profile, which must have ended in order."""
    assert wire.endswith(END), wire[-100:]
    head, _, picture = bytes(wire).removesuffix(END).rpartition(b"\r\n\r\n" + SOI)
    assert head
    length = int(head.rpartition(b"Content-Length: ")[2].split(b"\r\n")[0])
    assert length == len(SOI + picture)
    return SOI + picture


def is_whole(jpeg: bytes) -> bool:
    """Whether the bytes begin and end as a JPEG does."""
    return jpeg.startswith(SOI) and jpeg.endswith(EOI)


def decode(jpeg: bytes) -> numpy.typing.NDArray[numpy.uint8]:
    """The pixels of a JPEG (BGR), which must decode."""
    image: Any = cv2.imdecode(numpy.frombuffer(jpeg, numpy.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    pixels: numpy.typing.NDArray[numpy.uint8] = image
    return pixels


def size(jpeg: bytes) -> tuple[int, int]:
    """Width and height of a JPEG."""
    height, width = decode(jpeg).shape[:2]
    return width, height


def events(daemon: Daemon, event: str, **context: object) -> list[JsonDict]:
    """The log lines of one event whose context has these values."""
    return [line for line in daemon.log if line["event"] == event and context.items() <= line.items()]


def wait_viewers(daemon: Daemon, count: int, name: str = "cam", within: float = 10.0) -> float:
    """Wait until a camera has so many viewers; returns the seconds it took."""
    return wait_for(lambda: daemon.camera(name)["viewers"] == count, within, f"{count} viewers")
