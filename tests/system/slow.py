"""Viewers whose connection is slow: readers that take so many bytes a second, and links that let no more through."""

import contextlib
import ctypes
import os
import re
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.daemon import SECONDS, Daemon
from tests.system.background import Background
from tests.system.client import BOUNDARY, request

_LENGTH = re.compile(rb"Content-Length: (\d+)\r\n")
_NEWNET = 0x40000000
"""CLONE_NEWNET, sched.h."""


@dataclass(frozen=True)
class Arrival:
    """One part: the time of day at which its last byte was read, and what was in it; 0 where the part did not say."""

    arrived: float
    id: int
    stamp: float
    size: tuple[int, int]
    length: int
    repeat: bool

    @property
    def age(self) -> float:
        """Seconds since the picture was taken; both clocks are this machine's."""
        return self.arrived - self.stamp


def tcp(address: tuple[str, int], receive_buffer: int = 8192) -> socket.socket:
    """A connection whose kernel holds little of what is not read."""
    connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if receive_buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.settimeout(10 * SECONDS)
    connection.connect(address)
    return connection


class Reader(Background):
    """A viewer in a thread of its own. `rate` is how many bytes a second it reads, and may be set at any time."""

    def __init__(
        self,
        daemon: Daemon,
        path: str,
        rate: float = float("inf"),
        *,
        connection: socket.socket | None = None,
        agent: str = "reader",
        most: int = 1 << 16,
        version: str = "1.1",
    ) -> None:
        super().__init__()
        self.rate = rate
        self.arrivals: list[Arrival] = []
        self.agent = agent
        self._daemon = daemon
        self._most = most
        self._buffer = bytearray()
        self._socket = connection or tcp(("127.0.0.1", daemon.port))
        self._socket.sendall(request(path, {"User-Agent": agent}, version=version))

    def interrupt(self) -> None:
        """Nothing more is received."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Leave."""
        self._socket.close()

    def row(self) -> dict[str, Any]:
        """What `/clients` says of it."""
        rows: list[dict[str, Any]] = self._daemon.json("/clients")["clients"]
        return next(row for row in rows if row["agent"] == self.agent)

    def since(self, moment: float) -> list[Arrival]:
        """What came after that time of day, repeats left out."""
        return [each for each in self.arrivals if each.arrived > moment and not each.repeat]

    def fps(self, seconds: float = 3.0) -> float:
        """Frames a second that came last."""
        return len(self.since(time.time() - seconds)) / seconds

    def work(self) -> None:
        """Read."""
        took, began = 0, time.monotonic()
        rate = self.rate
        while not self.stop.is_set():
            if self.rate != rate:
                took, began, rate = 0, time.monotonic(), self.rate
            if not rate:
                self.stop.wait(0.01)
                continue
            early = began + took / rate - time.monotonic()
            if early > 0:
                self.stop.wait(min(early, 0.05))
                continue
            if early < -1:  # nothing came for a while: what was not read then is not made up for
                took, began = 0, time.monotonic()
            try:
                chunk = self._socket.recv(int(min(self._most, max(1024, rate / 100))))
            except OSError:
                return
            if not chunk:
                return
            took += len(chunk)
            self._buffer += chunk
            self._parse()

    def _parse(self) -> None:
        """Every part that is whole: the default profile tells its length, the browser's ends where the next one is."""
        while (end := self._part_end()) is not None:
            part, self._buffer = bytes(self._buffer[:end]), self._buffer[end:]
            head, _, body = part.partition(b"\r\n\r\n")
            if body.startswith(b"\xff\xd8"):
                self.arrivals.append(_arrival(head, body))

    def _part_end(self) -> int | None:
        head_end = self._buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return None
        length = _LENGTH.search(self._buffer, 0, head_end)
        if length is not None:
            end = head_end + 4 + int(length[1])
            return end if len(self._buffer) >= end else None
        found = self._buffer.find(BOUNDARY, 1)
        return found if found > 0 else None


def _arrival(head: bytes, body: bytes) -> Arrival:
    fields = dict(line.split(": ", 1) for line in head.decode("latin-1").split("\r\n") if ": " in line)
    return Arrival(
        arrived=time.time(),
        id=int(fields.get("X-Frame-Id", 0)),
        stamp=float(fields.get("X-Timestamp", 0)),
        size=picture_size(body),
        length=len(body),
        repeat="X-Frame-Repeat" in fields,
    )


def picture_size(jpeg: bytes) -> tuple[int, int]:
    """Width and height in the frame header of a JPEG."""
    at = 2
    while jpeg[at + 1] not in {0xC0, 0xC1, 0xC2}:
        at += 2 + int.from_bytes(jpeg[at + 2 : at + 4])
    return int.from_bytes(jpeg[at + 7 : at + 9]), int.from_bytes(jpeg[at + 5 : at + 7])


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of them does not exceed."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


class Journal(Background):
    """Notes where every adaptive viewer of a daemon stands, a few times a second, in a thread of its own."""

    def __init__(self, daemon: Daemon) -> None:
        super().__init__()
        self.rows: list[tuple[float, dict[str, dict[str, Any]]]] = []
        """Time of day, and the rows of `/clients` by agent."""
        self.shared: list[dict[str, int]] = []
        """Viewers by rendition, as `/stats` has them."""
        self._daemon = daemon

    def rungs(self, agent: str, since: float = 0.0, until: float = float("inf")) -> list[tuple[float, int]]:
        """Where it stood between these times of day, and when."""
        told = [(at, rows[agent]) for at, rows in self.rows if since < at < until and agent in rows]
        return [(at, row["adaptive"]["rung"]) for at, row in told if row["adaptive"] is not None]

    def steps(self, agent: str, since: float = 0.0, until: float = float("inf")) -> int:
        """How often it moved between these times of day."""
        return sum(one != other for (_, one), (_, other) in pairwise(self.rungs(agent, since, until)))

    def rung(self, agent: str) -> int:
        """Where it stands now; -1 if nobody knows."""
        last = self.rungs(agent)[-1:]
        return last[0][1] if last else -1

    def work(self) -> None:
        """Note."""
        while not self.stop.wait(0.25):
            with contextlib.suppress(OSError):
                told = {row["agent"]: row for row in self._daemon.json("/clients")["clients"]}
                self.rows.append((time.time(), told))
                renditions = self._daemon.camera()["renditions"]
                self.shared.append({row["rendition"]: row["viewers"] for row in renditions})


class NoLink(Exception):
    """There can be no shaped link on this machine, and why."""


def _run(*words: object) -> None:
    subprocess.run([str(word) for word in words], check=True, capture_output=True, timeout=10 * SECONDS)


class Link:
    """A pair of virtual Ethernet devices into a network namespace, and a token bucket before the one out of here."""

    def __init__(self, name: str, subnet: int) -> None:
        self.here, self.there = f"10.213.{subnet}.1", f"10.213.{subnet}.2"
        self._space, self._device, self._other = f"mj-{name}", f"mj{name}", f"mk{name}"

    def __enter__(self) -> Self:
        try:
            _run("ip", "netns", "add", self._space)
            _run("ip", "link", "add", self._device, "type", "veth", "peer", "name", self._other, "netns", self._space)
            _run("ip", "address", "add", f"{self.here}/24", "dev", self._device)
            _run("ip", "link", "set", self._device, "up")
            inside = ("ip", "netns", "exec", self._space)
            _run(*inside, "ip", "address", "add", f"{self.there}/24", "dev", self._other)
            _run(*inside, "ip", "link", "set", self._other, "up")
            self.allow(1e9, "add")
        except (OSError, subprocess.SubprocessError) as error:
            self._remove()
            words = getattr(error, "stderr", b"") or str(error).encode()
            raise NoLink(f"no shaped link: needs root, ip, tc, veth and sch_tbf: {words.decode().strip()}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove()

    def _remove(self) -> None:
        for words in (("ip", "link", "del", self._device), ("ip", "netns", "del", self._space)):
            with contextlib.suppress(OSError, subprocess.SubprocessError):
                _run(*words)

    def allow(self, rate: float, verb: str = "change", latency: str = "50ms") -> None:
        """Let so many bits a second through from now on, and hold them for no longer than that."""
        burst = "32kbit" if rate < 1e8 else "1mbit"
        _run(
            "tc",
            "qdisc",
            verb,
            "dev",
            self._device,
            "root",
            "tbf",
            "rate",
            round(rate),
            "burst",
            burst,
            "latency",
            latency,
        )

    def break_off(self) -> None:
        """Let nothing through any more, in either direction."""
        _run("ip", "link", "set", self._device, "down")

    def connect(self, daemon: Daemon) -> socket.socket:
        """A connection to a daemon that listens here, from there, with the kernel's own receive buffer."""
        return inside(self._space, lambda: tcp((self.here, daemon.port), receive_buffer=0))


def inside(space: str, make: Callable[[], socket.socket]) -> socket.socket:
    """Make a socket in a network namespace, where it stays."""
    made: list[socket.socket] = []
    failed: list[OSError] = []

    def enter() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        with Path("/run/netns", space).open() as handle:
            if libc.setns(handle.fileno(), _NEWNET):
                failed.append(OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno())))
                return
        try:
            made.append(make())
        except OSError as error:
            failed.append(error)

    thread = threading.Thread(target=enter)  # it alone enters, and ends there
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return made[0]


def encrypted(connection: socket.socket) -> ssl.SSLSocket:
    """The same connection with TLS that trusts everybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(connection)
