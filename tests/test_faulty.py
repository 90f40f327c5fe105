"""The faulty network: what each of its switches does to a connection."""

import socket
import socketserver
import threading
from collections.abc import Iterator
from time import monotonic

import pytest

from tests.daemon import SECONDS, wait_for
from tests.faulty import FaultyProxy, garbled

WORDS = b"over and over again\n" * 500


class Echo(socketserver.BaseRequestHandler):
    """Says again what it hears."""

    def handle(self) -> None:
        while data := self.request.recv(65536):
            self.request.sendall(data)


class Server(socketserver.ThreadingTCPServer):
    """Does not mind clients that go without a word."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing."""


@pytest.fixture
def proxy() -> Iterator[FaultyProxy]:
    """A faulty network in front of an echo."""
    with Server(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        with FaultyProxy(server.server_address[1]) as proxy:
            yield proxy
        server.shutdown()


def connect(proxy: FaultyProxy, patience: float = 5.0) -> socket.socket:
    """A client of the proxy."""
    return socket.create_connection(("127.0.0.1", proxy.port), patience * SECONDS)


def echo(client: socket.socket, data: bytes = WORDS) -> bytes:
    """What comes back."""
    client.sendall(data)
    return hear(client, len(data))


def hear(client: socket.socket, length: int) -> bytes:
    """So many bytes."""
    heard = b""
    while len(heard) < length:
        more = client.recv(65536)
        assert more, f"the end after {len(heard)} bytes"
        heard += more
    return heard


def test_a_fair_day(proxy: FaultyProxy) -> None:
    """Untouched it passes everything on, both ways, and the end too; it counts who came and who is there."""
    with connect(proxy) as client:
        assert echo(client) == WORDS
        assert (proxy.now, proxy.ever) == (1, 1)
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
    wait_for(lambda: proxy.now == 0, 5, "the connection to be over")
    with connect(proxy) as client:
        assert echo(client) == WORDS
    assert proxy.ever == 2


@pytest.mark.parametrize("switch", ["stall", "blackhole"])
def test_silence(proxy: FaultyProxy, switch: str) -> None:
    """Stalled or in the black hole an open connection stays and hears nothing; later it hears all that was said."""
    with connect(proxy) as client:
        echo(client)
        getattr(proxy, switch)()
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            echo(client)
        client.settimeout(5 * SECONDS)
        proxy.resume()
        assert hear(client, len(WORDS)) == WORDS


def test_a_new_connection_while_it_stalls(proxy: FaultyProxy) -> None:
    """A connection that came in a stall is served when that is over."""
    proxy.stall()
    with connect(proxy) as client:
        client.sendall(WORDS)
        wait_for(lambda: proxy.ever == 1, 5, "the connection to come in the stall")
        proxy.resume()
        assert hear(client, len(WORDS)) == WORDS


def test_a_new_connection_in_the_black_hole(proxy: FaultyProxy) -> None:
    """A connection that came in the black hole is taken, and never answered."""
    proxy.blackhole()
    with connect(proxy, 0.2 / SECONDS) as client:
        client.sendall(WORDS)
        wait_for(lambda: proxy.ever == 1, 5, "the connection to come in the black hole")
        proxy.resume()
        with pytest.raises(TimeoutError):
            client.recv(1)


def test_cut(proxy: FaultyProxy) -> None:
    """Every connection ends with RST, and the next one is served."""
    with connect(proxy) as one, connect(proxy) as two:
        echo(one)
        echo(two)
        proxy.cut()
        for client in (one, two):
            with pytest.raises(ConnectionResetError):
                client.recv(1)
    assert proxy.now == 0
    with connect(proxy) as client:
        assert echo(client) == WORDS


def test_refuse(proxy: FaultyProxy) -> None:
    """New connections are refused until it resumes, on the same port; those that are there go on."""
    with connect(proxy) as client:
        echo(client)
        proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            connect(proxy)
        assert echo(client) == WORDS
    proxy.resume()
    with connect(proxy) as client:
        assert echo(client) == WORDS


def test_slow(proxy: FaultyProxy) -> None:
    """What the server says comes at the rate that was asked for."""
    proxy.slow(len(WORDS) * 2)
    with connect(proxy) as client:
        began = monotonic()
        assert echo(client) == WORDS
        assert 0.4 < monotonic() - began < 2 * SECONDS


def test_garble(proxy: FaultyProxy) -> None:
    """Some bytes of what the server says arrive as others, and none is lost."""
    proxy.garble(0.1)
    with connect(proxy) as client:
        heard = echo(client)
    wrong = sum(said != came for said, came in zip(WORDS, heard, strict=True))
    assert wrong / len(WORDS) == pytest.approx(0.1, rel=0.3)
    assert garbled(WORDS, 0) == WORDS
