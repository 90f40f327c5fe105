"""Looking at sources without serving them; HTTP addresses against a real server."""

import time
from collections.abc import Callable

import pytest

from mjpegd import probe
from mjpegd.config.schema import CameraConfig
from mjpegd.errors import SourceError
from mjpegd.sources import poll
from mjpegd.sources.base import Granted
from tests.pictures import jpeg
from tests.sources.site import Request, Site, Visit, answer, answers, part, stream

PICTURE = jpeg(32, 24)
WHOLE = answer("200 OK", PICTURE)


def trial(spec: str, patience: float = 10, interval: float = 0.01) -> probe.Trial:
    """What a short look gives, with so much patience for the first picture."""
    camera = CameraConfig(source=spec, open_timeout=patience / 2, stale_after=patience / 2, interval=interval)
    return probe.trial(camera, seconds=0.2)


def test_a_picture_is_fetched_as_it_is() -> None:
    """An address that answers with a JPEG gives these bytes."""
    with Site(answers(WHOLE)) as site:
        assert probe.picture(site.url, {}, 5) == PICTURE
        assert len(site.requests) == 1


def test_a_picture_of_a_stream() -> None:
    """An address that answers with a stream gives its first picture."""
    with Site(stream(part(PICTURE))) as site:
        assert probe.picture(site.url, {}, 5) == PICTURE


def guarded(request: Request) -> bytes:
    """A picture for those who log in."""
    asked = "authorization" not in request.fields
    return answer("401 Unauthorized", b"", "WWW-Authenticate: Basic") if asked else WHOLE


def test_a_password_travels_in_a_header() -> None:
    """User and password of an address are sent as Basic authentication, percent-decoded, once that is asked for."""
    with Site(answers(guarded)) as site:
        assert probe.picture(site.with_login("me:p%40ss"), {}, 5) == PICTURE
        assert [request.fields.get("authorization") for request in site.requests] == [None, "Basic bWU6cEBzcw=="]


def test_another_server_learns_no_password() -> None:
    """A redirect leads to a picture elsewhere, and the password stays here."""
    with Site(answers(WHOLE)) as other:
        elsewhere = other.url.replace("127.0.0.1", "localhost")
        with Site(answers(answer("302 Found", b"", f"Location: {elsewhere}"))) as site:
            assert probe.picture(site.with_login("me:secret"), {}, 5) == PICTURE
        assert [request.fields.get("authorization") for request in other.requests] == [None]


def test_half_a_picture_is_refused() -> None:
    """A picture that was cut on its way is no picture."""
    with (
        Site(answers(answer("200 OK", PICTURE[: len(PICTURE) // 2]))) as site,
        pytest.raises(SourceError, match="only broken pictures: "),
    ):
        probe.picture(site.url, {}, 0.2)


def test_a_refusal_is_told() -> None:
    """The server's own status is the reason."""
    with (
        Site(answers(answer("403 Forbidden"))) as site,
        pytest.raises(SourceError, match="answers 403: it does not allow this"),
    ):
        probe.picture(site.url, {}, 5)


def test_more_than_a_picture_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is a limit to what is held in memory."""
    monkeypatch.setattr(poll, "MAX_PART", 100)
    with Site(answers(WHOLE)) as site, pytest.raises(SourceError, match="sends more than 100 bytes"):
        probe.picture(site.url, {}, 5)


@pytest.mark.parametrize(
    ("greeting", "reason"), [(b"SSH-2.0-OpenSSH_9.2\r\n", "does not speak HTTP"), (b"", "the connection ended")]
)
def test_what_is_no_http_is_told(greeting: bytes, reason: str) -> None:
    """A port that speaks something else, or nothing, is a reason in words."""

    def serve(visit: Visit) -> None:
        visit.request()
        visit.send(greeting)

    with Site(serve) as site, pytest.raises(SourceError, match=reason):
        probe.picture(site.url, {}, 5)


def test_a_configured_camera_by_its_name() -> None:
    """The name of a camera means its source, size and quality."""
    camera = CameraConfig(source="pattern", width=64, height=48)

    assert probe.picture("porch", {"porch": camera}, 5).startswith(b"\xff\xd8")
    assert probe.trial(camera, seconds=0.1).describe().startswith("ok: 64x48 BGR, ")


def card(state: str, *more: str) -> bytes:
    """A part that is no picture."""
    return part(PICTURE, "X-Frame-Id: 1", f"X-Source-State: {state}", *more)


@pytest.mark.parametrize("state", ["lost", "stale", "frozen", "paused"])
def test_a_card_is_no_picture(state: str) -> None:
    """Another mjpegd that shows a card has no picture to give, and says why."""
    with (
        Site(stream(card(state))) as site,
        pytest.raises(SourceError, match=f"its camera is {state}: what it shows is a card"),
    ):
        probe.picture(site.url, {}, 5)


def test_a_camera_that_starts_is_waited_for() -> None:
    """A camera on demand is opened because we look: its card is followed by a picture."""
    with Site(stream(card("idle"), card("starting"), part(PICTURE))) as site:
        assert probe.picture(site.url, {}, 5) == PICTURE


def forever(piece: bytes) -> Callable[[Visit], None]:
    """Serves a stream of the same part again and again."""

    def serve(visit: Visit) -> None:
        stream(linger=False)(visit)
        while True:
            visit.send(piece)
            time.sleep(0.05)

    return serve


@pytest.mark.parametrize(
    ("piece", "reason"),
    [(card("starting", "X-Frame-Repeat: 1"), "its camera is starting"), (part(b""), r"no frames for 0\.3 s")],
)
def test_heartbeats_alone_are_no_picture(piece: bytes, reason: str) -> None:
    """A stream that goes on without a picture is left after a while."""
    with Site(forever(piece)) as site, pytest.raises(SourceError, match=reason):
        trial(site.url, patience=0.6)


def test_signs_of_life_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """A source that is there and gives nothing is left when its time is over."""

    class Idle:
        granted = Granted(0, 0, 0, "JPEG", "network")

        def read(self, *, pixels: bool = True) -> None:
            time.sleep(0.01)

        def close(self) -> None:
            pass

    monkeypatch.setattr("mjpegd.sources.open_source", lambda *_: Idle())
    with pytest.raises(SourceError, match=r"no picture within 0\.6 s"):
        trial("http://camera/", patience=0.6)


def test_a_picture_that_stays_the_same() -> None:
    """A server that has nothing new for us does not hold us up."""

    def respond(request: Request) -> bytes:
        known = "if-none-match" in request.fields
        return b"HTTP/1.1 304 Not Modified\r\n\r\n" if known else answer("200 OK", PICTURE, 'ETag: "x"')

    with Site(answers(respond)) as site:
        found = trial(f"snapshot+{site.url}")
        assert len(site.requests) > 2
    assert (found.picture, found.fps, found.width) == (PICTURE, 0.0, 32)


def test_pictures_that_come_rarely() -> None:
    """A source is not waited for once it was looked at long enough."""
    with Site(answers(WHOLE)) as site:
        began = time.monotonic()
        assert trial(f"snapshot+{site.url}", interval=60).picture == PICTURE
    assert time.monotonic() - began < 5


def test_the_rate_is_measured() -> None:
    """Pictures are counted by the time between the first and the last of them."""
    with Site(answers(WHOLE)) as site:
        assert 5 < trial(f"snapshot+{site.url}", interval=0.05).fps < 25
