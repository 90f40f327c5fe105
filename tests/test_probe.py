"""Looking at sources without serving them; HTTP addresses against a real server."""

import socket
import threading
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from mjpegd import probe
from mjpegd.config.schema import CameraConfig
from mjpegd.errors import SourceError
from tests.pictures import jpeg

PICTURE = jpeg(32, 24)


@dataclass
class Site:
    """An HTTP server that gives one answer to everything, and remembers who asked."""

    status: int = 200
    kind: str = "image/jpeg"
    body: bytes = PICTURE
    users: list[str] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/now.jpg"


@pytest.fixture
def site() -> Iterator[Site]:
    """A site, served until the test is over."""
    content = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            authorization = self.headers.get("Authorization", "")
            content.users.append(b64decode(authorization.removeprefix("Basic ")).decode())
            self.send_response(content.status)
            self.send_header("Content-Type", content.kind)
            self.end_headers()
            self.wfile.write(content.body)

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        content.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield content
        server.shutdown()
        thread.join()


def test_a_picture_is_fetched_as_it_is(site: Site) -> None:
    """An address that answers with a JPEG gives these bytes."""
    assert probe.picture(site.url, {}, 5) == PICTURE


def test_a_password_travels_in_a_header(site: Site) -> None:
    """User and password of an address are sent as Basic authentication, percent-decoded."""
    probe.picture(site.url.replace("//", "//me:p%40ss@"), {}, 5)

    assert site.users == ["me:p@ss"]


def test_half_a_picture_is_refused(site: Site) -> None:
    """A picture that was cut on its way is no picture."""
    site.body = PICTURE[: len(PICTURE) // 2]

    with pytest.raises(SourceError, match="sends a broken picture"):
        probe.picture(site.url, {}, 5)


def test_a_refusal_is_told(site: Site) -> None:
    """The server's own status is the reason."""
    site.status = 403

    with pytest.raises(SourceError, match="answers 403 Forbidden"):
        probe.picture(site.url, {}, 5)


def test_more_than_a_picture_is_refused(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is a limit to what is held in memory."""
    monkeypatch.setattr(probe, "LARGEST_PICTURE", 100)

    with pytest.raises(SourceError, match="sends more than 100 bytes"):
        probe.picture(site.url, {}, 5)


@pytest.mark.parametrize("greeting", [b"SSH-2.0-OpenSSH_9.2\r\n", b""])
def test_what_is_no_http_is_told(greeting: bytes) -> None:
    """A port that speaks something else, or nothing, is a reason in words."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(greeting)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(SourceError, match="cannot be read"):
            probe.picture(f"http://127.0.0.1:{listener.getsockname()[1]}/x.jpg", {}, 5)
        thread.join()


def test_a_configured_camera_by_its_name() -> None:
    """The name of a camera means its source, size and quality."""
    camera = CameraConfig(source="pattern", width=64, height=48)

    assert probe.picture("porch", {"porch": camera}, 5).startswith(b"\xff\xd8")
    assert probe.trial(camera, seconds=0.1).describe().startswith("ok: 64x48 BGR, ")
