"""Single pictures asked for in turn: over one connection, with conditions, as long as there are answers."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from mjpegd import sources
from mjpegd.config.schema import CameraConfig
from mjpegd.errors import SourceError, SourceStalled
from mjpegd.sources import poll
from mjpegd.sources.base import Grab, Source
from tests.certificates import Pair
from tests.daemon import Daemon, join, pattern
from tests.sources.site import ONE, THREE, TWO, Request, Site, Visit, answer, answers

FIRST, SECOND = answer("200 OK", ONE), answer("200 OK", TWO)
SAME = b"HTTP/1.1 304 Not Modified\r\n\r\n"


@contextmanager
def opened(site: Site, path: str = "", interval: float = 0.01, stale_after: float = 5) -> Iterator[Source]:
    """A source that polls this site."""
    camera = CameraConfig(open_timeout=5, stale_after=stale_after, interval=interval, verify=False)
    source = sources.open_source(f"snapshot+{site.url}{path}", camera, threading.Event())
    try:
        yield source
    finally:
        source.close()


def read(source: Source) -> Grab:
    """The next picture, behind no more than a few signs of life."""
    grabs = (source.read() for _ in range(50))
    return next(grab for grab in grabs if grab is not None)


def test_pictures_in_turn() -> None:
    """Each answer is a picture, all of them over one connection."""
    with Site(answers(FIRST, SECOND, answer("200 OK", THREE))) as site, opened(site, "now.jpg?x=y") as source:
        assert [bytes(read(source).data) for _ in range(3)] == [ONE, TWO, THREE]
        assert site.connections == 1
        assert [request.target for request in site.requests] == ["/now.jpg?x=y"] * 3
        assert site.requests[0].fields["connection"] == "keep-alive"
        assert site.requests[0].fields["accept"] == "image/jpeg"


def test_a_picture_at_an_address_is_asked_for_again() -> None:
    """An address that is not known to be one of single pictures is polled too, if it answers with one."""
    with Site(answers(FIRST, SECOND)) as site:
        source = sources.open_source(site.url, CameraConfig(interval=0.01), threading.Event())
        assert [bytes(read(source).data) for _ in range(2)] == [ONE, TWO]
        source.close()


def test_even_times() -> None:
    """Pictures are asked for at even times."""
    with Site(answers(FIRST)) as site, opened(site, interval=0.1) as source:
        began = time.monotonic()
        for _ in range(4):
            read(source)

    assert 0.25 < time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("once", "connections"),
    [
        (lambda visit: visit.send(answer("200 OK", ONE, "Connection: close")), 3),
        (lambda visit: visit.send(b"HTTP/1.0 200 OK\r\n\r\n" + ONE), 3),
        (lambda visit: visit.send(FIRST), 3),
        (lambda visit: visit.send(FIRST + b"surplus"), 3),
    ],
)
def test_a_connection_that_is_closed_is_opened_again(once: Callable[[Visit], None], connections: int) -> None:
    """A server that closes after each answer, with notice or without, is asked again over a new connection."""

    def serve(visit: Visit) -> None:
        visit.request()
        once(visit)

    with Site(serve) as site, opened(site) as source:
        assert [bytes(read(source).data) for _ in range(3)] == [ONE] * 3
        assert site.connections == connections


@pytest.mark.parametrize(
    ("fields", "condition"),
    [
        (('ETag: "x"', "Last-Modified: Fri, 20 Nov 2026 13:30:00 GMT"), ("if-none-match", '"x"')),
        (
            ("Last-Modified: Fri, 20 Nov 2026 13:30:00 GMT", "Date: Fri, 20 Nov 2026 13:30:05 GMT"),
            ("if-modified-since", "Fri, 20 Nov 2026 13:30:00 GMT"),
        ),
    ],
)
def test_the_same_picture_is_not_sent_twice(fields: tuple[str, ...], condition: tuple[str, str]) -> None:
    """What tells two pictures apart is sent back; 304 is the same picture again, by the server's own word."""
    name, value = condition
    with Site(answers(answer("200 OK", ONE, *fields), SAME, SAME, SECOND)) as site, opened(site) as source:
        before = time.monotonic()
        grabs = [read(source) for _ in range(3)]
        assert [bytes(grab.data) for grab in grabs] == [ONE, b"", b""]
        assert bytes(read(source).data) == TWO
        assert [request.fields.get(name) for request in site.requests] == [None, value, value, value]
    assert {grab.format for grab in grabs} == {"JPEG"}
    assert all(before < grab.taken < time.monotonic() for grab in grabs)


def test_the_same_picture_is_known_by_its_tag() -> None:
    """A server that knows no conditions may say the same by its ETag; one that has the same for all is not believed."""
    tag = 'ETag: "x"'
    responses = [answer("200 OK", picture, tag) for picture in (ONE, ONE, THREE)]
    with Site(answers(*responses)) as site, opened(site) as source:
        assert [bytes(read(source).data) for _ in range(3)] == [ONE, b"", THREE]


@pytest.mark.parametrize("again", [SAME, answer("200 OK", ONE, "X-Frame-Id: 7", 'ETag: "7"')])
def test_the_same_picture_of_a_server_of_our_kind(again: bytes) -> None:
    """Whether a camera is frozen such a server says itself: the same picture is only a sign of life."""
    first = answer("200 OK", ONE, "X-Frame-Id: 7", 'ETag: "7"')
    with Site(answers(first, again, again, SECOND)) as site, opened(site) as source:
        assert bytes(read(source).data) == ONE
        assert source.read() is None
        assert source.read() is None
        assert bytes(read(source).data) == TWO


@pytest.mark.parametrize("date", [(), ("Date: Fri, 20 Nov 2026 13:30:00 GMT",)])
def test_a_date_of_whole_seconds_is_not_trusted_at_once(date: tuple[str, ...]) -> None:
    """A modification in the second of the answer may be followed by another: no condition is made of it."""
    response = answer("200 OK", ONE, "Last-Modified: Fri, 20 Nov 2026 13:30:00 GMT", *date)
    with Site(answers(response, SECOND)) as site, opened(site) as source:
        assert [bytes(read(source).data) for _ in range(2)] == [ONE, TWO]
        assert "if-modified-since" not in site.requests[1].fields


def test_marks_of_a_picture() -> None:
    """The moment of capture is taken from the answer; a picture with the last one's id is that one."""
    now = time.time()
    first = answer("200 OK", ONE, "X-Frame-Id: 7", f"X-Timestamp: {now - 2:.6f}")
    other = answer("200 OK", TWO, "X-Frame-Id: 20", "X-Source-State: stale")
    with Site(answers(first, first, other)) as site, opened(site) as source:
        one, two = read(source), read(source)

    assert one.captured == pytest.approx(now - 2, abs=1e-5)
    assert (bytes(two.data), two.skipped, two.missing, two.captured) == (TWO, 0, "stale", None)


@pytest.mark.parametrize(
    ("then", "reason"),
    [
        (answer("503 Service Unavailable", b"", "Retry-After: 5"), "answers 503: it has no picture now"),
        (answer("200 OK", b"<html>", kind="text/html"), "answers text/html, not a picture"),
        (answer("200 OK", b"--x", kind="multipart/x-mixed-replace"), "answers multipart/x-mixed-replace, not a"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n" + bytes(101), "sends more than 100 bytes"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "the connection ended"),
    ],
)
def test_what_is_no_picture(then: bytes, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A camera that has no picture any more, or sends something else, is lost with words."""
    monkeypatch.setattr(poll, "MAX_PART", 100)

    def serve(visit: Visit) -> None:
        visit.request()
        visit.send(FIRST if len(site.requests) == 1 else then)

    with Site(serve) as site, opened(site) as source:
        assert bytes(read(source).data) == ONE
        with pytest.raises(SourceError, match=reason):
            source.read()


def test_a_server_that_goes_away() -> None:
    """A server that is not there any more is lost."""
    with Site(answers(FIRST)) as site:
        source = sources.open_source(f"snapshot+{site.url}", CameraConfig(interval=0.01), threading.Event())
        read(source)
    with pytest.raises(SourceError, match="connection refused"):
        source.read()
    source.close()


@pytest.mark.parametrize("begun", [b"", SECOND[:10], SECOND[:-3]])
def test_silence(begun: bytes) -> None:
    """A server that stops answering is stale, in the middle of an answer too, however rarely it is asked."""

    def serve(visit: Visit) -> None:
        visit.request()
        visit.send(FIRST)
        visit.request()
        visit.send(begun)
        visit.wait_for_leave()

    with Site(serve) as site, opened(site, stale_after=0.3, interval=1) as source:
        assert bytes(read(source).data) == ONE
        began = time.monotonic()
        with pytest.raises(SourceStalled, match=r"no answer for 0\.3 s"):
            source.read()
        assert time.monotonic() - began < 1 + 0.3 + 1


def test_a_connection_may_take_its_time(pairs: dict[str, Pair]) -> None:
    """To connect there is `open_timeout`, each time, whatever the time for an answer is."""

    def serve(visit: Visit) -> None:
        visit.request()
        visit.send(answer("200 OK", ONE, "Connection: close"))

    with Site(serve, pairs["old"], slow=0.8) as site, opened(site, stale_after=0.7) as source:
        assert [bytes(read(source).data) for _ in range(2)] == [ONE, ONE]
        assert site.connections == 2


@pytest.mark.parametrize(
    ("statuses", "asked"),
    [
        (["302", ""], "/ /1 / /"),
        (["303", ""], "/ /1 / /"),
        (["307", ""], "/ /1 / /"),
        (["301", ""], "/ /1 /1 /1"),
        (["308", ""], "/ /1 /1 /1"),
        (["301", "307", ""], "/ /1 /2 /1 /1"),
        (["307", "301", ""], "/ /1 /2 / /"),
    ],
)
def test_redirects_are_kept_that_are_to_be_kept(statuses: list[str], asked: str) -> None:
    """A redirect for now leads nowhere next time: RFC 9110 15.4."""

    def serve(visit: Visit) -> None:
        while True:
            visit.request()
            status = statuses[len(site.requests) - 1] if len(site.requests) <= len(statuses) else ""
            visit.send(answer(f"{status} Moved", b"", f"Location: /{len(site.requests)}") if status else FIRST)

    with Site(serve) as site, opened(site) as source:
        for _ in range(3):
            read(source)
        assert " ".join(request.target for request in site.requests) == asked


def test_a_login_is_told_once() -> None:
    """A login is proven anew with each request, but asked for once; an old nonce costs one request."""
    seen: list[str] = []

    def respond(request: Request) -> bytes:
        field = request.fields.get("authorization", "")
        seen.append(field)
        nonce = "one" if len(seen) < 4 else "two"
        if f'nonce="{nonce}"' in field:
            return FIRST
        stale = "true" if "nonce" in field else "false"
        return answer("401 Unauthorized", b"", f'WWW-Authenticate: Digest nonce="{nonce}", qop="auth", stale={stale}')

    with Site(answers(respond)) as site:
        spec = f"snapshot+{site.with_login('me:secret')}"
        source = sources.open_source(spec, CameraConfig(interval=0.01), threading.Event())
        for _ in range(3):
            read(source)
        source.close()
    counts = [field.partition("nc=")[2][:8] for field in seen]

    assert counts == ["", "00000001", "00000002", "00000003", "00000001"]


def once(visit: Visit) -> None:
    """Serve one picture, and then nothing."""
    visit.request()
    visit.send(FIRST)
    visit.wait_for_leave()


@pytest.mark.parametrize(("serve", "interval"), [(answers(FIRST), 60.0), (once, 0.01)])
def test_a_stop_ends_a_read(serve: Callable[[Visit], None], interval: float) -> None:
    """A read that waits for its time, or for an answer, ends soon after it is asked to."""
    stop = threading.Event()
    with Site(serve) as site:
        camera = CameraConfig(interval=interval, stale_after=60)
        source = sources.open_source(f"snapshot+{site.url}", camera, stop)
        read(source)
        timer = threading.Timer(0.1, stop.set)
        timer.start()
        assert source.read() is None
        timer.join()
        source.close()


def test_another_mjpegd(pairs: dict[str, Pair]) -> None:
    """The snapshots of another mjpegd are polled over TLS, each once."""
    with Daemon(join(pattern(64, 48, 20), pairs["old"].sets)) as daemon:
        daemon.wait_state("live")
        camera = CameraConfig(verify=False, interval=0.02)
        source = sources.open_source(f"snapshot+{daemon.url}/snapshot", camera, threading.Event())
        pictures = [bytes(read(source).data) for _ in range(10)]
        source.close()

    assert len(set(pictures)) == 10
