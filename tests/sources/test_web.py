"""Opening HTTP addresses: what is there, who may see it, where it leads, and why it cannot be had."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from mjpegd import __version__, sources
from mjpegd.config.schema import CameraConfig
from mjpegd.errors import SourceError
from mjpegd.sources import ffmpeg
from mjpegd.sources.base import Grab, Source
from mjpegd.sources.client.connection import Connection, trust
from mjpegd.sources.client.loop import PrivateLoop
from mjpegd.sources.client.target import Login, Target, parse
from mjpegd.sources.poll import PollSource
from mjpegd.sources.relay import RelaySource
from mjpegd.wire.authorization import Digest, challenges
from tests.certificates import Pair
from tests.daemon import free_port
from tests.sources.site import ONE, STREAM, Request, Site, Visit, answer, answers, part, stream

TOKEN = "secret"  # noqa: S105
DIGEST = 'Digest realm="cam", nonce="{nonce}", qop="auth", algorithm=SHA-256, stale={stale}'


def open_source(spec: str, stop: threading.Event | None = None, **keys: Any) -> Source:
    """Open it with these keys changed."""
    camera = CameraConfig(**{"open_timeout": 5, "stale_after": 5, **keys})
    return sources.open_source(spec, camera, stop or threading.Event())


def picture(spec: str, **keys: Any) -> bytes:
    """The first picture."""
    with closing(open_source(spec, **keys)) as source:
        grab = source.read()
        assert isinstance(grab, Grab)
        return bytes(grab.data)


def refusal(spec: str, **keys: Any) -> str:
    """Why it cannot be opened; in words that hold no address and no password."""
    with pytest.raises(SourceError) as caught:
        open_source(spec, **keys)
    reason = str(caught.value)
    assert "://" not in reason
    assert "secret" not in reason
    return reason


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("multipart/x-mixed-replace; boundary=frame", RelaySource),
        ('Multipart/Mixed;boundary="frame"', RelaySource),
        ("image/jpeg", PollSource),
        ("image/jpg", PollSource),
    ],
)
def test_what_is_there_says_how_it_is_read(kind: str, expected: type[Source]) -> None:
    """A stream is relayed, a single picture is polled."""
    with Site(answers(answer("200 OK", kind=kind))) as site, closing(open_source(site.url)) as source:
        assert isinstance(source, expected)
        assert (source.granted.format, source.granted.device) == ("JPEG", "network")


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("text/html; charset=utf-8", r"answers a web page (text/html), not pictures"),
        ("application/json", "answers data (application/json), not pictures"),
        ("application/problem+json", "answers data (application/problem+json), not pictures"),
        ("text/plain", "answers text (text/plain), not pictures"),
    ],
)
def test_what_is_no_picture(kind: str, reason: str) -> None:
    """A page or data is told as what it is."""
    with Site(answers(answer("200 OK", kind=kind))) as site:
        assert refusal(site.url) == reason


@pytest.mark.parametrize("kind", ["video/mp4", "application/vnd.apple.mpegurl", "application/octet-stream"])
def test_video_is_left_to_ffmpeg(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What may be video is opened by FFmpeg, at the same address and once our connection is closed."""
    opened = []

    def open_with_ffmpeg(spec: str, camera: CameraConfig, stop: threading.Event) -> Source:
        opened.append(spec)
        raise SourceError("as FFmpeg says")

    monkeypatch.setattr(ffmpeg, "open_source", open_with_ffmpeg)
    with Site(answers(answer("200 OK", kind=kind))) as site:
        assert refusal(site.url) == "as FFmpeg says"
        assert opened == [site.url]


def test_video_behind_a_token_cannot_be_had() -> None:
    """FFmpeg takes no token: that is told, rather than asked for without it."""
    with Site(answers(answer("200 OK", kind="video/mp4"))) as site:
        assert refusal(site.url, token=TOKEN) == (
            "answers video/mp4, which is left to FFmpeg, and FFmpeg cannot be given a token"
        )
        assert len(site.requests) == 1


def test_a_request() -> None:
    """The request names host and client, says what is wanted, and holds no login."""
    with Site(stream(part(ONE))) as site:
        picture(site.with_login("me:secret") + "video.mjpg?a=b c&d=%20\u00fc#top")
    (request,) = site.requests

    assert request.line == "GET /video.mjpg?a=b%20c&d=%20%C3%BC HTTP/1.1"
    assert request.fields == {
        "host": f"127.0.0.1:{site.port}",
        "user-agent": f"mjpegd/{__version__}",
        "accept": "multipart/x-mixed-replace, image/jpeg",
        "connection": "close",
    }


def guarded(*challenges: str, check: Callable[[Request], bool]) -> Callable[[Visit], None]:
    """Serves a stream to requests that pass the check, and these challenges to others."""
    fields = [f"WWW-Authenticate: {challenge}" for challenge in challenges]

    def serve(visit: Visit) -> None:
        if check(visit.request()):
            visit.send(b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=frame\r\n\r\n", part(ONE))
            visit.wait_for_leave()
        else:
            visit.send(answer("401 Unauthorized", b"who?", *fields))

    return serve


def nobody(request: Request) -> bool:
    """Whether a request may pass: none may."""
    return False


def digest_check(nonce: str, user: str = "me", password: str = "p@ss") -> Callable[[Request], bool]:  # noqa: S107
    """Whether a request proves that it knows the password, for this nonce."""

    def check(request: Request) -> bool:
        field = request.fields.get("authorization", "")
        if not field.startswith("Digest "):
            return False
        given = challenges([field])[0].parameters
        (challenge,) = challenges([DIGEST.format(nonce=nonce, stale="false")])
        ours = Digest(challenge, user, password, given["cnonce"]).field("GET", request.target)
        return challenges([ours])[0].parameters["response"] == given["response"]

    return check


def test_a_password_by_digest() -> None:
    """A login is told only when asked for, and by Digest where that is offered; it is percent-decoded before."""
    serve = guarded('Basic realm="cam"', DIGEST.format(nonce="n", stale="false"), check=digest_check("n"))
    with Site(serve) as site:
        assert picture(site.with_login("me:p%40ss") + "a?b=c") == ONE
    first, second = site.requests

    assert "authorization" not in first.fields
    assert 'username="me"' in second.fields["authorization"]
    assert 'uri="/a?b=c"' in second.fields["authorization"]


@pytest.mark.parametrize("realm", ["K\u00fcche".encode(), b"K\xfcche"])
def test_a_realm_goes_back_as_it_came(realm: bytes) -> None:
    """What is no ASCII in a realm comes back byte for byte, whatever it was encoded in; the user's name is UTF-8."""

    def serve(visit: Visit) -> None:
        field = visit.request().fields.get("authorization", "").encode("latin-1")
        if b'realm="%b"' % realm in field and 'username="m\u00fc"'.encode() in field:
            visit.send(STREAM, part(ONE))
            visit.wait_for_leave()
        visit.send(b'HTTP/1.1 401 No\r\nWWW-Authenticate: Digest nonce=n, realm="%b"\r\n\r\n' % realm)

    with Site(serve) as site:
        assert picture(site.with_login("m%C3%BC:secret")) == ONE


def test_a_connection_that_takes_too_long(silent: str) -> None:
    """A connection is given up in time, a handshake that does not end included."""
    loop, target = PrivateLoop(threading.Event()), parse(silent.replace("http", "https", 1))[0]
    with pytest.raises(SourceError, match=r"does not answer within 0\.1 s"):
        loop.run(Connection.open(target, trust(verify=False), 0.1), 5)
    loop.close()


def test_a_password_by_basic() -> None:
    """Where only Basic is offered, it is used."""
    with Site(guarded('Basic realm="cam"', check=lambda asked: "authorization" in asked.fields)) as site:
        assert picture(site.with_login("me:p%40ss")) == ONE
        assert site.requests[-1].fields["authorization"] == "Basic bWU6cEBzcw=="


def test_a_token() -> None:
    """A token goes with the first request, without being asked for."""
    with Site(guarded("Bearer", check=lambda asked: asked.fields.get("authorization") == f"Bearer {TOKEN}")) as site:
        assert picture(site.url, token=TOKEN) == ONE
        assert len(site.requests) == 1


@pytest.mark.parametrize(
    ("login", "challenge", "reason", "requests"),
    [
        ("", 'Basic realm="cam"', "asks for a password", 1),
        ("me:secret@", 'Basic realm="cam"', "answers 401: the password is not accepted", 2),
        ("me:secret@", DIGEST.format(nonce="n", stale="false"), "answers 401: the password is not accepted", 2),
        ("me:secret@", DIGEST.format(nonce="n", stale="true"), "answers 401: the password is not accepted", 3),
        ("me:secret@", "Negotiate", "asks for a login of a kind that is not known here", 1),
    ],
)
def test_what_does_not_open(login: str, challenge: str, reason: str, requests: int) -> None:
    """A login that is missing, wrong or of no use is told as such, after no more tries than may help."""
    with Site(guarded(challenge, check=nobody)) as site:
        assert refusal(site.url.replace("//", f"//{login}")) == reason
        assert len(site.requests) == requests


def test_a_token_that_is_wrong() -> None:
    """A refused token is told, even if there is a login too."""
    with Site(guarded("Basic", check=nobody)) as site:
        assert refusal(site.with_login("me:secret"), token=TOKEN) == "answers 401: the token is not accepted"
        assert len(site.requests) == 1


def moved(location: str, status: str = "302 Found") -> bytes:
    """A redirect."""
    return answer(status, b"", f"Location: {location}")


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
def test_a_redirect_is_followed(status: str) -> None:
    """A redirect leads on, relative ones too, and takes the login along on the same server."""

    def serve(visit: Visit) -> None:
        request = visit.request()
        if request.target == "/":
            visit.send(moved("../live?x=y", status))
        elif "authorization" not in request.fields:
            visit.send(answer("401 Unauthorized", b"", "WWW-Authenticate: Basic"))
        else:
            visit.send(b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace\r\n\r\n" + part(ONE))

    with Site(serve) as site:
        assert picture(site.with_login("me:secret")) == ONE
        assert [request.target for request in site.requests] == ["/", "/live?x=y", "/live?x=y"]


@pytest.mark.parametrize("keys", [{}, {"token": TOKEN}])
def test_another_server_learns_no_secret(keys: dict[str, object]) -> None:
    """A redirect to another port is followed without login or token, whatever is asked for there."""
    with Site(guarded("Basic", check=nobody)) as other, Site(answers(moved(other.url))) as site:
        assert refusal(site.with_login("me:secret"), **keys) == (
            "redirects to another server, which asks for a password: name that one as the source"
        )
        assert len(other.requests) == 1
        assert "authorization" not in other.requests[0].fields


def test_a_login_that_a_redirect_names_is_not_used() -> None:
    """User and password are the operator's to give, not the server's."""
    with Site(guarded("Basic", check=nobody)) as other:
        with Site(answers(moved(other.with_login("you:secret")))) as site:
            assert "asks for a password" in refusal(site.url)
        assert "authorization" not in other.requests[0].fields


def test_redirects_end() -> None:
    """A server that only redirects is given up."""
    with Site(answers(moved("/again"))) as site:
        assert refusal(site.url) == "redirects more than 5 times"
        assert len(site.requests) == 6


@pytest.mark.parametrize("location", ["rtsp://camera/live", "file:///etc/passwd", "http://[", "http://a%0d%0ab/"])
def test_redirects_to_anything_else(location: str) -> None:
    """Only HTTP addresses are followed."""
    with Site(answers(moved(location))) as site:
        assert refusal(site.url) == "redirects to what is no HTTP address"


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (answer("403 Forbidden"), "answers 403: it does not allow this"),
        (answer("404 Not Found"), "answers 404: nothing is at this address"),
        (answer("503 Service Unavailable", b"", "Retry-After: 5"), "answers 503: it has no picture now"),
        (answer("500 Oh no, http://me:secret@camera failed"), "answers 500 Internal Server Error"),
        (answer("302 Found"), "answers 302 Found"),
        (answer("206 Partial Content"), "answers 206 Partial Content"),
        (answer("299 What"), "answers 299"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "does not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "sends a transfer coding that is not known here"),
    ],
)
def test_what_a_server_answers_instead(response: bytes, reason: str) -> None:
    """What a server answers instead of a picture is told in words of ours."""
    with Site(answers(response)) as site:
        assert refusal(site.url) == reason


def hang_up(visit: Visit) -> None:
    """Serve nothing."""
    visit.request()


def test_a_server_that_hangs_up() -> None:
    """A connection that ends before an answer came is told."""
    with Site(hang_up) as site:
        assert refusal(site.url) == "the connection ended"


def test_nobody_listens() -> None:
    """A refused connection is told by the system's own words."""
    assert refusal(f"http://me:secret@127.0.0.1:{free_port()}/") == "cannot be reached: connection refused"
    assert refusal(f"http://localhost:{free_port()}/") == "cannot be reached: connection refused"


@pytest.mark.parametrize("spec", ["http://nowhere.invalid/", "http://a..b/", f"http://{'a' * 70}.invalid/"])
def test_a_name_without_an_address(spec: str) -> None:
    """A name that means nothing is told."""
    assert refusal(spec) == "its name cannot be resolved"


@pytest.mark.parametrize("spec", ["http://", "http://camera:99999/", "http://[::1/", "http://a b/", "http://\u2100/"])
def test_what_is_no_address(spec: str) -> None:
    """An address that is none is told."""
    with pytest.raises(SourceError, match="is no HTTP address"):
        parse(spec)


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that accepts and never says a word."""
    with Site(Visit.wait_for_leave) as site:
        yield site.url


def test_a_server_that_says_nothing(silent: str) -> None:
    """A silent server is given up after `open_timeout`."""
    assert refusal(silent, open_timeout=0.1) == "does not answer within 0.1 s"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_stop_while_it_opens(silent: str, scheme: str) -> None:
    """A stop ends an opening that waits, also in the middle of a handshake."""
    stop = threading.Event()
    timer = threading.Timer(0.1, stop.set)
    timer.start()
    began = time.monotonic()
    with pytest.raises(SourceError, match="stopped"):
        open_source(silent.replace("http", scheme, 1), stop, open_timeout=60)

    timer.join()
    assert time.monotonic() - began < 5


def test_a_stop_does_not_wait_for_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server that does not answer holds nobody up."""
    stop, release = threading.Event(), threading.Event()

    def resolve(*_: object, **__: object) -> list[object]:
        stop.set()
        release.wait()
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    try:
        with pytest.raises(SourceError, match="stopped"):
            open_source("http://camera.invalid/", stop, open_timeout=60)
    finally:
        release.set()
        for thread in threading.enumerate():
            if thread.name == "resolve":
                thread.join()


def test_a_certificate_that_nobody_signed(pairs: dict[str, Pair]) -> None:
    """TLS is checked unless the operator says otherwise."""
    with Site(stream(part(ONE)), pairs["old"]) as site:
        assert refusal(site.with_login("me:secret")) == (
            "its certificate cannot be trusted: set verify = false if it signed its own"
        )
        assert site.requests == []
        assert picture(site.url, verify=False) == ONE


def test_no_tls_where_it_was_expected() -> None:
    """A server of plain HTTP behind https is told."""
    with Site(lambda visit: visit.send(answer("400 Bad Request"))) as site:
        assert refusal(site.url.replace("http", "https")) == "cannot be reached: it does not speak TLS as it should"


@pytest.mark.parametrize(
    ("url", "target", "login"),
    [
        ("http://camera", Target("http", "camera", 80, "/"), None),
        ("HTTPS://Camera:8443/A?b", Target("https", "camera", 8443, "/A?b"), None),
        ("http://me@camera/", Target("http", "camera", 80, "/"), Login("me", "")),
        ("http://me:a@b:c@camera/", Target("http", "camera", 80, "/"), Login("me", "a@b:c")),
        ("http://m%3Ae:p%2Fw@[fe80::1%25eth0]:81/", Target("http", "fe80::1%eth0", 81, "/"), Login("m:e", "p/w")),
        ("http://k\u00fcche/", Target("http", "xn--kche-0ra", 80, "/"), None),
    ],
)
def test_addresses(url: str, target: Target, login: Login | None) -> None:
    """Addresses are taken apart as RFC 3986 says."""
    assert parse(url) == (target, login)


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("http://camera:80/", "camera"),
        ("https://camera:80/", "camera:80"),
        ("http://[fe80::1%25eth0]:81/", "[fe80::1]:81"),
    ],
)
def test_the_host_field(url: str, authority: str) -> None:
    """A port is named unless it is the scheme's own; the zone of an address stays here."""
    assert parse(url)[0].authority == authority


def test_ipv6() -> None:
    """An address of IPv6 is reached."""
    with contextlib.ExitStack() as stack:
        try:
            listener = stack.enter_context(socket.create_server(("::1", 0), family=socket.AF_INET6))
        except OSError:
            pytest.skip("this machine has no IPv6")

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                stream(part(ONE))(Visit(connection, []))

        thread = threading.Thread(target=serve)
        thread.start()
        assert picture(f"http://[::1]:{listener.getsockname()[1]}/") == ONE
        thread.join()


def test_closed_twice() -> None:
    """A second close does nothing, and a closed source leaves no thread and no connection."""
    before = threading.active_count()
    with Site(stream(part(ONE))) as site:
        source = open_source(site.url)
        source.close()
        source.close()

    assert threading.active_count() == before
