"""A viewer on the host: reads a camera's stream and notes of each part when it came and what it showed."""

import contextlib
import http.client
import itertools
import re
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tests.edge.guest.uvccam import jpeg_size

STAMP = re.compile(rb"edge (\w+) n=(\d+) t=([\d.]+)")
"""What the emulated camera writes into each of its pictures; a card has none."""


class Failed(Exception):
    """A step cannot go on: what was waited for did not come."""


def serial_of(jpeg: bytes) -> str:
    """The serial number of the camera that took a picture; empty for a card or the test pattern."""
    stamp = STAMP.search(jpeg, 0, 256)
    return stamp[1].decode() if stamp else ""


@dataclass(frozen=True)
class Part:
    """One part of a stream. `arrived` is the host's clock, `captured` the guest's; `age` is camera to viewer."""

    arrived: float
    captured: float
    id: int
    serial: str
    size: tuple[int, int]
    age: float
    repeat: bool


class Viewer:
    """An open stream, read by a thread of its own. Use it as a context manager."""

    def __init__(self, port: int, path: str) -> None:
        self.parts: list[Part] = []
        self.ended = ""
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._path = path
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ended = self.ended or "closed by us"
        with contextlib.suppress(OSError):  # not connected any more
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)

    def first(self, wanted: Callable[[Part], bool], since: float, within: float, what: str) -> Part:
        """The first part that is wanted and arrived after `since`; waits for it."""
        deadline = time.time() + within
        while True:
            for part in tuple(self.parts):
                if part.arrived > since and wanted(part):
                    return part
            if self.ended or time.time() > deadline:
                raise Failed(f"waited {within:g} s for {what} in the stream; {self.ended or 'it is still open'}")
            time.sleep(0.02)

    def gaps(self, since: float) -> list[tuple[float, int]]:
        """Where frames are missing after `since`, by their ids: when the next one arrived, and how many."""
        pairs = itertools.pairwise(part for part in tuple(self.parts) if not part.repeat)
        return [(b.arrived, b.id - a.id - 1) for a, b in pairs if b.arrived > since and b.id - a.id != 1]

    def _run(self) -> None:
        self._socket.sendall(f"GET {self._path} HTTP/1.1\r\nHost: edge\r\n\r\n".encode())
        try:
            response = http.client.HTTPResponse(self._socket)
            response.begin()
            if response.status != 200:
                self.ended = f"answered {response.status}"
                return
            while response.readline().startswith(b"--"):
                self.parts.append(self._part(response))
            self.ended = "the stream ended"
        except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
            self.ended = self.ended or f"the stream broke: {error!r}"

    @staticmethod
    def _part(response: http.client.HTTPResponse) -> Part:
        fields = {}
        while line := response.readline().decode().strip():
            name, _, value = line.partition(": ")
            fields[name] = value
        jpeg = response.read(int(fields["Content-Length"]))
        arrived = time.time()
        response.readline()
        stamp = STAMP.search(jpeg, 0, 256)
        return Part(
            arrived,
            float(fields["X-Timestamp"]),
            int(fields["X-Frame-Id"]),
            serial_of(jpeg),
            jpeg_size(jpeg),
            arrived - float(stamp[3]) if stamp else 0.0,
            "X-Frame-Repeat" in fields,
        )
