"""A stream passed through: which picture is given, what it is known by, and how it ends."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise

import pytest

from mjpegd import sources
from mjpegd.config.schema import CameraConfig
from mjpegd.errors import SourceError, SourceStalled
from mjpegd.sources.base import Grab, Source
from tests.certificates import Pair
from tests.daemon import Daemon, join, pattern
from tests.sources.site import ONE, STREAM, THREE, TWO, Site, Visit, part, stream

CHUNKED = STREAM.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n")


@contextmanager
def opened(serve: Callable[[Visit], None], pair: Pair | None = None, stale_after: float = 5) -> Iterator[Source]:
    """A source of what this serves."""
    camera = CameraConfig(open_timeout=5, stale_after=stale_after, verify=False)
    with Site(serve, pair) as site:
        source = sources.open_source(site.url, camera, threading.Event())
        try:
            yield source
        finally:
            source.close()


def read(source: Source) -> Grab:
    """The next picture, behind no more than a few signs of life."""
    grabs = (source.read() for _ in range(20))
    return next(grab for grab in grabs if grab is not None)


class Script:
    """Serves a stream whose pieces the test releases, one by one."""

    def __init__(self, head: bytes = STREAM) -> None:
        self._head = head
        self._pieces: list[bytes] = []
        self._more = threading.Semaphore(0)

    def __call__(self, visit: Visit) -> None:
        visit.request()
        visit.send(self._head)
        while self._more.acquire(timeout=10):
            piece = self._pieces.pop(0)
            if not piece:
                return
            visit.send(piece)

    def send(self, *pieces: bytes) -> None:
        """Send these; an empty one ends the connection."""
        for piece in pieces:
            self._pieces.append(piece)
            self._more.release()


@pytest.fixture
def script() -> Iterator[Script]:
    """A script that ends with the test."""
    script = Script()
    yield script
    script.send(b"")


def test_pictures_are_passed_through(script: Script) -> None:
    """Each picture is given as it was sent, with the moment it came."""
    with opened(script) as source:
        for picture in (ONE, TWO, THREE):
            before = time.monotonic()
            script.send(part(picture))
            grab = read(source)
            assert (bytes(grab.data), grab.format, grab.skipped, grab.missing) == (picture, "JPEG", 0, "")
            assert grab.captured is None
            assert before <= grab.taken <= time.monotonic()
        script.send(b"")


def test_the_newest_is_given_and_the_others_are_counted() -> None:
    """Of several pictures that are there, all but the last one are skipped."""
    with opened(stream(part(ONE) + part(TWO) + part(THREE))) as source:
        grab = read(source)

        assert (bytes(grab.data), grab.skipped) == (THREE, 2)


def test_a_backlog_is_gone_at_once(script: Script) -> None:
    """However much waits in the kernel, a reader that was busy gets the last picture next."""
    big = [b"\xff\xd8" + bytes([number]) * 100_000 + b"\xff\xd9" for number in range(1, 40)]
    with opened(script) as source:
        script.send(b"".join(map(part, big)), part(ONE))
        last, seen = b"", 0
        while last != ONE:
            grab = read(source)
            last, seen = bytes(grab.data), seen + 1 + grab.skipped
        script.send(b"")

        assert seen == len(big) + 1


@pytest.mark.parametrize("tls", [False, True])
def test_a_picture_stays_whole_while_the_next_comes(tls: bool, pairs: dict[str, Pair]) -> None:  # noqa: FBT001
    """Memory that was given is not touched before the next read, whatever comes meanwhile."""
    pictures = [b"\xff\xd8" + bytes([number]) * 90_000 + b"\xff\xd9" for number in range(1, 60)]
    with opened(stream(*map(part, pictures)), pairs["old"] if tls else None) as source:
        count = 0
        while count < len(pictures):
            grab = read(source)
            count += 1 + grab.skipped
            assert bytes(grab.data) == pictures[count - 1]


def test_chunks_of_any_size() -> None:
    """A stream in chunks is the same stream."""
    wire = b"".join(map(part, (ONE, TWO, THREE)))
    pieces = [wire[at : at + 7] for at in range(0, len(wire), 7)]

    def serve(visit: Visit) -> None:
        visit.request()
        visit.send(CHUNKED, *(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces), b"0\r\n\r\n")
        visit.wait_for_leave()

    with opened(serve) as source:
        seen = 0
        while seen < 3:
            grab = read(source)
            seen += 1 + grab.skipped
        assert bytes(grab.data) == THREE
        with pytest.raises(SourceError, match="the connection ended"):
            source.read()


def test_chunks_that_make_no_sense() -> None:
    """A stream whose chunks stop making sense is an error in words."""
    picture, given = part(ONE), threading.Event()

    def serve(visit: Visit) -> None:
        visit.request()
        visit.send(CHUNKED, b"%x\r\n%b\r\n" % (len(picture), picture))
        given.wait(10)
        visit.send(b"nonsense\r\n")
        visit.wait_for_leave()

    with opened(serve) as source:
        assert bytes(read(source).data) == ONE
        given.set()
        with pytest.raises(SourceError, match="chunks that cannot be read"):
            source.read()


def test_a_stream_without_lengths(script: Script) -> None:
    """Without a length, a picture is given once the next boundary came."""
    with opened(script) as source:
        script.send(b"--frame\r\n\r\n" + ONE + b"\r\n--frame\r\n")
        assert bytes(read(source).data) == ONE
        script.send(b"")


def test_moments_of_capture_are_believed_if_they_can_be(script: Script) -> None:
    """A source that says when it took the picture is believed as long as its clock agrees with ours."""
    now = time.time()
    with opened(script) as source:
        for said, believed in ((now - 59, True), (now - 61, False), (now + 3600, False), (float("nan"), False)):
            script.send(part(ONE, f"X-Timestamp: {said:.6f}"))
            grab = read(source)
            assert (grab.captured is not None) is believed
            assert grab.captured is None or grab.captured == pytest.approx(said, abs=1e-5)
        script.send(b"")


@pytest.mark.parametrize(("age", "counts"), [(0.3, True), (2, False), (50, False), (-0.5, False)])
def test_what_is_measured_here_goes_by_our_clock(script: Script, age: float, counts: bool) -> None:  # noqa: FBT001
    """A picture counts as old as it says if it may have been so long on its way; else a clock elsewhere is wrong."""
    with opened(script) as source:
        said, before = time.time() - age, time.monotonic()
        script.send(part(ONE, f"X-Timestamp: {said:.6f}"))
        grab = read(source)
        script.send(b"")

        assert grab.captured == pytest.approx(said, abs=1e-5)
        old = before - age if counts else before
        assert old - 0.01 < grab.taken < old + (time.monotonic() - before) + 0.01


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([(ONE, "X-Frame-Id: 5"), (TWO, "X-Frame-Id: 6")], [(ONE, 0), (TWO, 0)]),
        ([(ONE, "X-Frame-Id: 5"), (TWO, "X-Frame-Id: 9")], [(ONE, 0), (TWO, 3)]),
        ([(ONE, "X-Frame-Id: 5"), (ONE, "X-Frame-Id: 5"), (TWO, "X-Frame-Id: 6")], [(ONE, 0), (TWO, 0)]),
        ([(ONE, "X-Frame-Id: 5"), (ONE, "X-Frame-Repeat: 1"), (TWO, "X-Frame-Id: 6")], [(ONE, 0), (TWO, 0)]),
        ([(ONE, "X-Frame-Id: 5"), (TWO, "X-Frame-Id: 2")], [(ONE, 0), (TWO, 0)]),
        ([(ONE, "X-Frame-Repeat: 1"), (TWO, "X-Frame-Id: x")], [(ONE, 0), (TWO, 0)]),
    ],
)
def test_ids_tell_what_was_lost(
    script: Script, parts: list[tuple[bytes, str]], expected: list[tuple[bytes, int]]
) -> None:
    """Ids that jump count what was lost on the way; a picture sent again is a sign of life and no picture."""
    left = list(expected)
    with opened(script) as source:
        for body, field in parts:
            script.send(part(body, field))
            if left and body == left[0][0]:
                grab = read(source)
                assert (bytes(grab.data), grab.skipped) == left.pop(0)
        script.send(b"")

    assert left == []


@pytest.mark.parametrize(("said", "known"), [("frozen", "frozen"), ("Stale", "stale"), ("on fire", "lost")])
def test_a_card_is_known_as_one(said: str, known: str) -> None:
    """A card that the server shows for want of a picture is given as what it is."""
    with opened(stream(part(ONE, f"X-Source-State: {said}"))) as source:
        assert read(source).missing == known


TEXT = b"--frame\r\nContent-Type: text/plain\r\n\r\nhello\r\n"


def test_what_is_no_picture_is_passed_over() -> None:
    """Text and empty parts are no pictures."""
    with opened(stream(TEXT, part(b""), part(ONE))) as source:
        assert bytes(read(source).data) == ONE


def test_a_sign_of_life_is_told(script: Script) -> None:
    """A server that has nothing new does not hold up who reads: it may not be wanted any more."""
    with opened(script) as source:
        script.send(part(ONE))
        assert bytes(read(source).data) == ONE
        for _ in range(3):
            script.send(part(ONE, "X-Frame-Repeat: 1"))
            assert source.read() is None
        script.send(part(TWO))
        assert bytes(read(source).data) == TWO
        script.send(b"")


def test_relays_on_the_way() -> None:
    """Relays of our kind are known from the response."""
    via = b"\r\nVia: 1.1 3fa94c01d2ee (mjpegd), 1.1 proxy.example (nginx)\r\n\r\n"

    def serve(visit: Visit) -> None:
        visit.request()
        visit.send(STREAM.replace(b"\r\n\r\n", via))
        visit.wait_for_leave()

    with opened(serve) as source:
        assert source.granted.via == ("3fa94c01d2ee",)


@pytest.mark.parametrize("begun", [b"", part(TWO)[:-5], TEXT + b"--frame\r\n\r\n", part(b"") * 3])
def test_silence(begun: bytes) -> None:
    """A stream without pictures is stale after `stale_after`, also in the middle of one, and whatever else it sends."""
    with opened(stream(part(ONE), begun), stale_after=0.2) as source:
        assert bytes(read(source).data) == ONE
        with pytest.raises(SourceStalled, match=r"no frames for 0\.2 s"):
            source.read()


def test_a_card_may_stay_for_long(script: Script) -> None:
    """Behind a card there is more patience: the server has nothing else to send."""
    with opened(script, stale_after=0.1) as source:
        script.send(part(ONE, "X-Source-State: lost"))
        assert read(source).missing == "lost"
        timer = threading.Timer(0.5, script.send, (part(TWO),))
        timer.start()
        assert read(source).missing == ""
        with pytest.raises(SourceStalled, match=r"no frames for 0\.1 s"):
            source.read()
        timer.join()
        script.send(b"")


def test_a_slow_server_of_our_kind_is_no_silent_one(script: Script) -> None:
    """A server that numbers its pictures may have one only now and then: what becomes of its camera it says itself."""
    with opened(script, stale_after=0.1) as source:
        for number in range(6):
            timer = threading.Timer(0.3, script.send, (part(ONE, f"X-Frame-Id: {number}"),))
            if number:
                timer.start()
            else:
                timer.function(*timer.args)
            assert bytes(read(source).data) == ONE
        with pytest.raises(SourceStalled, match=r"no frames for 1\.[6-9]"):
            source.read()
        script.send(b"")


def test_repeats_are_signs_of_life() -> None:
    """A server that repeats a still picture is not silent."""
    over = threading.Event()

    def serve(visit: Visit) -> None:
        visit.request()
        visit.send(STREAM, part(ONE))
        for _ in range(12):
            over.wait(0.1)
            visit.send(part(ONE, "X-Frame-Repeat: 1"))
        visit.send(part(TWO))
        visit.wait_for_leave()

    with opened(serve, stale_after=0.6) as source:
        assert bytes(read(source).data) == ONE
        assert bytes(read(source).data) == TWO


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (b"", "the connection ended"),
        (part(TWO)[:-5], "the connection ended"),
        (b"--frame--\r\n", "the upstream ended the stream"),
        (part(ONE, "X-Frame-Repeat: 1") + b"--frame--\r\n", "the upstream ended the stream"),
    ],
)
def test_the_end_of_a_stream(end: bytes, reason: str) -> None:
    """A stream that ends, in order or in the middle of a picture, is lost."""
    with opened(stream(part(ONE), end, linger=False)) as source:
        assert bytes(read(source).data) == ONE
        with pytest.raises(SourceError, match=reason):
            read(source)


def test_nonsense_in_the_middle() -> None:
    """A stream that stops making sense is an error in words."""
    with opened(stream(part(ONE), b"--frame\r\n", b"x" * 9000)) as source:
        assert bytes(read(source).data) == ONE
        with pytest.raises(SourceError, match="header line of more than"):
            source.read()


def test_a_stop_ends_a_read() -> None:
    """A read that waits ends soon after it is asked to."""
    stop = threading.Event()
    with Site(stream()) as site:
        source = sources.open_source(site.url, CameraConfig(stale_after=60), stop)
        timer = threading.Timer(0.1, stop.set)
        timer.start()
        assert source.read() is None
        assert source.read() is None
        timer.join()
        source.close()


def test_a_close_is_seen_by_the_server() -> None:
    """A closed source leaves no connection behind, even with more to come."""
    gone = threading.Event()

    def serve(visit: Visit) -> None:
        try:
            visit.request()
            visit.send(STREAM, *[part(ONE)] * 10)
            visit.wait_for_leave()
        finally:
            gone.set()

    with opened(serve) as source:
        read(source)
        source.close()
        assert gone.wait(10)


def test_another_mjpegd(pairs: dict[str, Pair]) -> None:
    """A stream of mjpegd's own over TLS is read with ids, moments of capture and no loss."""
    with Daemon(join(pattern(64, 48, 50), pairs["old"].sets)) as daemon:
        daemon.wait_state("live")
        camera = CameraConfig(verify=False)
        source = sources.open_source(f"{daemon.url}/stream", camera, threading.Event())
        grabs = [read(source) for _ in range(20)]
        source.close()

    assert sum(grab.skipped for grab in grabs) <= 5
    moments = [grab.captured for grab in grabs if grab.captured is not None]
    assert len(moments) == 20
    assert all(before < after for before, after in pairwise(moments))
