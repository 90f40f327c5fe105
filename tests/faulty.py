"""A network that fails on demand: a TCP proxy in front of any server of loopback."""

import asyncio
import random
import socket
import struct
import threading
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from tests.daemon import SECONDS, free_port

CHUNK = 65536
STEPS = 20.0
"""How often a second a slow connection passes something on."""
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER so that a close sends RST."""


@dataclass(frozen=True)
class Weather:
    """What becomes of bytes on their way. `rate` is in bytes a second, `garbled` the share of those that arrive wrong.

    Only what the server says is slowed down and garbled.
    """

    answers: bool = True
    forwards: bool = True
    rate: float = 0.0
    garbled: float = 0.0


class FaultyProxy:
    """Passes connections on to a port for as long as the block lasts, and does to them what it is told to.

    `ever` counts the connections that came, `now` those that are open.
    """

    def __init__(self, target: int) -> None:
        self.port = free_port()
        self.ever = 0
        self._target = target
        self._weather = Weather()
        self._flow = asyncio.Event()
        self._listener: asyncio.Task[None] | None = None
        self._open: dict[asyncio.Task[None], list[socket.socket]] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="faulty-proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.resume()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.refuse()
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5 * SECONDS)
        self._loop.close()

    @property
    def now(self) -> int:
        """How many connections are open."""
        return len(self._open)

    def resume(self) -> None:
        """Be a proxy like any other again. What was stalled goes on; what was taken into the black hole does not."""
        self._call(self._turn(Weather()))
        self._call(self._listen())

    def stall(self) -> None:
        """Keep every connection, take new ones, and pass nothing on."""
        self._call(self._turn(Weather(forwards=False)))

    def blackhole(self) -> None:
        """Take new connections and tell the server nothing of them; those that are there stall."""
        self._call(self._turn(Weather(answers=False, forwards=False)))

    def slow(self, rate: float) -> None:
        """Pass on so many bytes a second for each connection."""
        self._call(self._turn(Weather(rate=rate)))

    def garble(self, share: float) -> None:
        """Replace that share of the bytes by others."""
        self._call(self._turn(Weather(garbled=share)))

    def refuse(self) -> None:
        """Take no new connection: whoever asks is refused by the kernel."""
        self._call(self._deafen())

    def cut(self) -> None:
        """End every connection with RST, towards both sides."""
        self._call(self._cut())

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10 * SECONDS)

    async def _turn(self, weather: Weather) -> None:
        self._weather = weather
        (self._flow.set if weather.forwards else self._flow.clear)()

    async def _listen(self) -> None:
        if self._listener is None:
            listener = socket.create_server(("127.0.0.1", self.port))
            listener.setblocking(False)
            self._listener = asyncio.create_task(self._accept(listener))

    async def _deafen(self) -> None:
        if self._listener is not None:
            await _cancelled(self._listener)
            self._listener = None

    async def _cut(self) -> None:
        for sockets in self._open.values():
            for each in sockets:
                with suppress(OSError):  # it was closed just now
                    each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        await _cancelled(*self._open)

    async def _accept(self, listener: socket.socket) -> None:
        with listener:
            while True:
                client, _ = await self._loop.sock_accept(listener)
                client.setblocking(False)
                self.ever += 1
                server = socket.socket()
                server.setblocking(False)
                task = asyncio.create_task(self._connection(client, server, answered=self._weather.answers))
                self._open[task] = [client, server]
                task.add_done_callback(self._open.pop)

    async def _connection(self, client: socket.socket, server: socket.socket, *, answered: bool) -> None:
        with client, server:
            if not answered:
                await asyncio.Event().wait()
            try:
                await self._loop.sock_connect(server, ("127.0.0.1", self._target))
                async with asyncio.TaskGroup() as both:
                    both.create_task(self._ask(client, server))
                    both.create_task(self._answer(server, client))
            except* OSError:
                pass  # one side went without a word: so does the other

    async def _ask(self, client: socket.socket, server: socket.socket) -> None:
        while data := await self._received(client):
            await self._loop.sock_sendall(server, data)
        server.shutdown(socket.SHUT_WR)

    async def _answer(self, server: socket.socket, client: socket.socket) -> None:
        while data := await self._received(server):
            await self._deliver(client, garbled(data, self._weather.garbled))
        client.shutdown(socket.SHUT_WR)

    async def _received(self, sender: socket.socket) -> bytes:
        """What came, once it may be passed on."""
        data = await self._loop.sock_recv(sender, CHUNK)
        await self._flow.wait()
        return data

    async def _deliver(self, client: socket.socket, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            step = max(1, round(self._weather.rate / STEPS)) if self._weather.rate else len(rest)
            await self._loop.sock_sendall(client, rest[:step])
            await asyncio.sleep(1 / STEPS if self._weather.rate else 0)
            rest = rest[step:]


async def _cancelled(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def garbled(data: bytes, share: float) -> bytes:
    """The bytes with that share of them replaced, at random."""
    if not share:
        return data
    wrong = bytearray(data)
    for place in range(len(wrong)):
        if random.random() < share:
            wrong[place] ^= random.randrange(1, 256)
    return bytes(wrong)
