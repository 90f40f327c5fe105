"""Why an address could not be opened, in words."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from mjpegd.sources import diagnosis
from mjpegd.sources.diagnosis import NO_VIDEO, UNKNOWN, reason
from tests.daemon import free_port

NOT_FOUND = b"RTSP/1.0 404 Stream Not Found\r\nCSeq: 1\r\n\r\n"
UNAUTHORIZED = b'RTSP/1.0 401 Unauthorized\r\nCSeq: 1\r\nWWW-Authenticate: Basic realm="x"\r\n\r\n'


class Asked:
    """A server that answers one request with the same bytes, whatever it is; none at all where they are None."""

    def __init__(self, answer: bytes | None) -> None:
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.heard = b""
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            if self._answer is None:
                self._done.wait(10)
                return
            self.heard = connection.recv(4096)
            connection.sendall(self._answer)

    def close(self) -> None:
        """End."""
        self._done.set()
        self._thread.join(10)
        self._listener.close()


@contextmanager
def answering(answer: bytes | None) -> Iterator[Asked]:
    """A server that answers so, for as long as the block lasts."""
    server = Asked(answer)
    try:
        yield server
    finally:
        server.close()


@pytest.mark.parametrize(
    ("answer", "login", "words"),
    [
        (UNAUTHORIZED, "", "asks for a password: rtsp://user:password@..."),
        (UNAUTHORIZED, "me:secret@", "does not accept the password"),
        (NOT_FOUND, "", "answers 404: it has no stream at that path"),
        (b"RTSP/1.0 403 Forbidden\r\n\r\n", "", "answers 403: forbidden"),
        (b"RTSP/1.0 453 Not Enough Bandwidth\r\n\r\n", "", "answers 453: it has too many viewers"),
        (b"RTSP/1.0 200 OK\r\n\r\nv=0\r\n", "", NO_VIDEO),
        (b"RTSP/1.0 500 Oops\r\n\r\n", "", "answers 500"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "", "answers, but does not speak RTSP"),
        (b"\x00\xff garbage \xfe", "", "answers, but does not speak RTSP"),
        (b"", "", "answers, but does not speak RTSP"),
    ],
)
def test_answers(answer: bytes, login: str, words: str) -> None:
    """What a camera answers is told in words that say what to do."""
    with answering(answer) as server:
        assert reason(f"rtsp://{login}127.0.0.1:{server.port}/live") == words


def test_what_is_asked() -> None:
    """It is asked for a description of the same address, without the password or what stands behind a hash."""
    with answering(NOT_FOUND) as server:
        reason(f"rtsp://me:a@secret@127.0.0.1:{server.port}/live/ch0?x=y#z")
        first, *fields = server.heard.decode().split("\r\n")

    assert first == f"DESCRIBE rtsp://127.0.0.1:{server.port}/live/ch0?x=y RTSP/1.0"
    assert "CSeq: 1" in fields
    assert b"secret" not in server.heard


def test_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A camera that takes the connection and says nothing is waited for no longer than the time limit."""
    monkeypatch.setattr(diagnosis, "TIMEOUT", 0.1)
    with answering(None) as server:
        assert reason(f"rtsp://127.0.0.1:{server.port}/") == "cannot be reached: no answer"


@pytest.mark.parametrize("scheme", ["rtsp", "rtsps", "http", "rtmp"])
def test_refused(scheme: str) -> None:
    """Where nobody listens the connection is refused, whatever was to be spoken."""
    assert reason(f"{scheme}://me:secret@127.0.0.1:{free_port()}/") == "cannot be reached: connection refused"


@pytest.mark.parametrize("scheme", ["rtsps", "http", "https", "rtmp"])
def test_other_schemes(scheme: str) -> None:
    """Of a server that speaks something else, no more is said than that it is there."""
    with answering(b"") as server:
        assert reason(f"{scheme}://127.0.0.1:{server.port}/") == NO_VIDEO


@pytest.mark.parametrize(
    "spec", ["udp://239.0.0.1:1234", "rtp://camera/", "rtsp:///live", "rtsp://:554/live", "srt://"]
)
def test_nobody_to_ask(spec: str) -> None:
    """Where there is no connection to be had, no more is said than that it does not work."""
    assert reason(spec) == UNKNOWN


@pytest.mark.parametrize("spec", ["rtsp://me:se:cret/path", "rtsp://camera:99999/", "rtsp://[::1/", "rtsp://camera:x/"])
def test_no_address(spec: str) -> None:
    """What cannot be read as an address is told with an example of one."""
    assert reason(spec).startswith("that is no address: write rtsp://user:password@host:port/path")


def test_a_name_that_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name without an address is told as such."""

    def unknown(*arguments: object, **more: object) -> object:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    assert reason("rtsp://camera.example/") == "its name cannot be resolved"
