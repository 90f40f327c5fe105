"""What the kernel tells of a connection, with real sockets: how much it takes, and how long what is sent will take."""

import asyncio
import math
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import cast
from unittest.mock import Mock

import pytest

from mjpegd.http import tcp
from mjpegd.http.line import HOPE, STALL, Line
from tests.clock import stop_clocks
from tests.daemon import SECONDS

RATE = 400_000
FRAME = bytes(40_000)
SMALL = 8192
"""Bytes of a peer's receive buffer: what lies there has arrived."""

Part = Callable[["Sender"], Awaitable[None]]


class Peer:
    """Reads `rate` bytes a second in a thread of its own, in pieces of `most`; may be set at any time."""

    def __init__(self, address: tuple[str, int] | str, rate: float, most: int = 4096) -> None:
        self.socket = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
        self.socket.connect(address)
        self.rate, self.most = rate, most
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        due = time.monotonic()
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            if not self.rate:
                due = time.monotonic() + 0.01
                continue
            try:
                taken = len(self.socket.recv(self.most))
            except OSError:
                return
            due = max(due, time.monotonic() - 0.01) + taken / self.rate
            if not taken:
                return

    def close(self) -> None:
        """Leave."""
        self._stop.set()
        self.socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(2 * SECONDS)
        self.socket.close()


class Sender:
    """The daemon's side of the connection."""

    def __init__(self, writer: asyncio.StreamWriter, peer: Peer) -> None:
        self.writer, self.peer, self.written = writer, peer, 0
        tcp.prepare(writer)
        tcp.hold_nothing(writer)
        self.line = Line(writer, 0)

    async def send(self, seconds: float, fps: float = 1000.0) -> None:
        """Write the next frame when the last has left, so many a second at most; look at the line now and then."""
        loop = asyncio.get_running_loop()
        end, looked = loop.time() + seconds, loop.time()
        while (now := loop.time()) < end:
            if not self.writer.transport.get_write_buffer_size():
                self.writer.write(FRAME)
                self.written += len(FRAME)
            await asyncio.sleep(max(0.005, 1 / fps))
            if now - looked > 0.25:
                self.line.look(self.written)
                looked = now


def on_line(part: Part, address: str | None = None, rate: float = RATE, most: int = 4096) -> None:
    """Play a part on a connection over loopback, or over a UNIX socket."""

    async def play() -> None:
        came: asyncio.Future[asyncio.StreamWriter] = asyncio.get_running_loop().create_future()

        def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            came.set_result(writer)

        if address is None:
            server = await asyncio.start_server(connected, "127.0.0.1", 0)
            where = server.sockets[0].getsockname()[:2]
        else:
            server, where = await asyncio.start_unix_server(connected, address), address
        peer = Peer(where, rate, most)
        writer = await came
        try:
            await part(Sender(writer, peer))
        finally:
            peer.close()
            writer.transport.abort()
            server.close()
            await server.wait_closed()

    asyncio.run(play())


@pytest.fixture(params=["tcp", "unix"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str | None:
    """None for TCP on loopback, or the path of a UNIX socket."""
    return None if request.param == "tcp" else str(tmp_path / "socket")


@pytest.mark.parametrize("most", [2048, 16384])
def test_capacity_of_a_full_line(address: str | None, most: int) -> None:
    """Where more is sent than is taken, the capacity is that of the reader, however large its gulps are."""

    async def part(sender: Sender) -> None:
        await sender.send(3 * SECONDS)
        assert RATE / 1.5 < sender.line.capacity < RATE * 1.5

    on_line(part, address, most=most)


@pytest.mark.parametrize("fps", [2, 5])
def test_capacity_of_a_line_that_is_not_full(fps: float) -> None:
    """A line that is idle half of the time or more is not thought slower, and not much faster."""

    async def part(sender: Sender) -> None:
        await sender.send(4 * SECONDS, fps)
        assert RATE / 1.5 < sender.line.capacity < RATE * 2

    on_line(part)


def test_capacity_follows() -> None:
    """A reader that takes less, and then more, is known to do so within two seconds."""

    async def part(sender: Sender) -> None:
        for rate in (RATE, RATE / 4, 2 * RATE):
            sender.peer.rate = rate
            await sender.send(2 * SECONDS)
            assert rate / 1.5 < sender.line.capacity < rate * 1.5

    on_line(part)


def test_a_free_line_takes_much(address: str | None) -> None:
    """A reader that takes all at once has a capacity far above what it is sent, and nothing is under way."""

    async def part(sender: Sender) -> None:
        await sender.send(4 * SECONDS, 20)
        assert sender.line.capacity > 2 * 20 * len(FRAME)
        assert sender.line.delay() < 0.02

    on_line(part, address, rate=math.inf, most=1 << 16)


def test_delay(address: str | None) -> None:
    """What is under way, and more behind it, takes as long as the reader needs for that."""

    async def part(sender: Sender) -> None:
        await sender.send(2 * SECONDS)
        queued = tcp.told(sender.writer).unsent
        for more in (0, RATE // 4, RATE):
            assert sender.line.delay(more) == pytest.approx((queued + more) / RATE, rel=0.5, abs=0.1)
        assert sender.line.delay(RATE, 4.0) < sender.line.delay(RATE) / 2

    on_line(part, address)


def test_a_line_that_stands_still(address: str | None) -> None:
    """What is taken no more will never arrive; what it took before is not forgotten, and holds when it goes on."""

    async def part(sender: Sender) -> None:
        await sender.send(2 * SECONDS)
        sender.peer.rate = 0
        await sender.send(STALL + 1)
        assert sender.line.delay() == math.inf
        assert sender.line.capacity > RATE / 2
        sender.peer.rate = RATE
        await sender.send(0.5)
        assert sender.line.capacity > RATE / 2
        assert sender.line.delay(RATE // 10) < 1

    on_line(part, address)


def test_round_trip() -> None:
    """The kernel's round trip is known on TCP and short on loopback; of a UNIX socket nothing is known."""

    async def near(sender: Sender) -> None:
        await sender.send(1, 20)
        assert 0 < sender.line.round_trip < 0.1 * SECONDS
        assert 0 < sender.line.distance < 0.02

    on_line(near, rate=math.inf)


def test_a_unix_socket_has_no_round_trip(tmp_path: Path) -> None:
    """Nothing is known of the way that pictures go behind a local proxy."""

    async def part(sender: Sender) -> None:
        await sender.send(0.6, 20)
        assert (sender.line.round_trip, sender.line.distance) == (0, 0)
        before = sender.line.capacity
        await sender.send(0.3, 20)
        assert sender.line.capacity <= before * HOPE**2

    on_line(part, str(tmp_path / "socket"), rate=math.inf, most=1 << 16)


def test_nothing_is_known_at_first() -> None:
    """Before anything was sent there is no capacity, and nothing that would take its time."""

    async def part(sender: Sender) -> None:
        sender.line.look(0)
        assert (sender.line.capacity, sender.line.delay()) == (0, 0)
        assert sender.line.delay(1_000_000) < 0.01 * SECONDS

    on_line(part)


def test_a_closed_connection_is_no_error(address: str | None) -> None:
    """Looks at a connection that was cut, and at one that we closed, say nothing and raise nothing."""

    async def part(sender: Sender) -> None:
        await sender.send(0.6)
        sender.writer.transport.abort()
        await asyncio.sleep(0.05)
        sender.line.look(sender.written)
        assert sender.line.delay() >= 0
        assert tcp.backlog(sender.writer) == 0
        assert tcp.told(sender.writer).round_trip == 0

    on_line(part, address)


# Far away, where no socket of this machine leads


class Far:
    """A connection whose kernel says what a test wants."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, told: tcp.Told) -> None:
        self.told = told
        self.clock = stop_clocks(monkeypatch, "mjpegd.http.line.monotonic")
        monkeypatch.setattr(tcp, "told", lambda _: self.told)
        self.line = Line(cast("asyncio.StreamWriter", None), 0)
        self.written = 0

    def send(self, seconds: float, rate: float) -> None:
        """Let that arrive, while there is always something under way."""
        for _ in range(round(seconds / 0.1)):
            self.clock.forward(0.1)
            self.written += round(rate * 0.1)
            self.told = replace(self.told, busy=(self.told.busy or 0.0) + 0.1)
            self.line.look(self.written)


FAR_AWAY = tcp.Told(queued=0, unsent=0, round_trip=0.2, least=0.2, rate=5e6, busy=0.0)


def test_a_long_way_is_no_slow_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where something is always under way, as the way is long, the kernel's own measurement counts, not our rate."""
    far = Far(monkeypatch, FAR_AWAY)
    far.send(2, RATE)
    far.told = replace(far.told, queued=80_000)

    assert far.line.capacity == pytest.approx(FAR_AWAY.rate)
    assert far.line.delay(len(FRAME)) == pytest.approx(0.1, abs=0.03)


def test_a_long_way_that_is_full_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where bytes wait to be sent at each look, what arrives is all that it takes, whatever the kernel says."""
    far = Far(monkeypatch, replace(FAR_AWAY, queued=90_000, unsent=10_000))
    far.written = 90_000
    far.send(2, RATE)

    assert far.line.capacity == pytest.approx(RATE, rel=0.02)
    assert far.line.delay() == pytest.approx(10_000 / RATE + 80_000 / RATE - 0.1, rel=0.03)


def test_what_waits_behind_a_lost_packet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many bytes that left and are not acknowledged take longer than the way does."""
    far = Far(monkeypatch, replace(FAR_AWAY, round_trip=0.02, least=0.02, rate=float(RATE)))
    far.send(2, RATE)
    far.told = replace(far.told, queued=RATE // 2)

    assert far.line.delay() == pytest.approx(0.5, abs=0.05)


def test_a_way_that_was_never_measured_is_not_endless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind a SYN cookie the kernel has no least round trip, and says so with the greatest number there is."""

    class Unmeasured:
        """A connection of which the kernel knows little yet."""

        family = socket.AF_INET

        def getsockopt(self, level: int, option: int, size: int) -> bytes:
            """As `struct tcp_info` is then."""
            assert (level, option) == (socket.IPPROTO_TCP, socket.TCP_INFO)
            return tcp._INFO.pack(1000, 0, 2**32 - 1, 0, 0)[:size]

    monkeypatch.setattr(tcp, "backlog", lambda _: 0)
    writer = Mock()
    writer.get_extra_info.return_value = Unmeasured()
    writer.transport.get_write_buffer_size.return_value = 0

    assert tcp.told(writer).least == 0
    assert tcp.told(writer).round_trip == 0.001
