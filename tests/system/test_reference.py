"""Recorded streams of the daemon, read by parsers after each client's rules: what they show, and at which write."""

import itertools
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import monotonic

import pytest

from mjpegd.config.schema import ServerConfig
from tests.daemon import SECONDS, Daemon, pattern
from tests.system import reference
from tests.system.client import Client, decode, is_whole
from tests.system.fakecam import Camera
from tests.system.reference import homeassistant

FPS = 15
"""Slow enough for one write to be told from the next, faster than the early repeat of the browser profile."""
PAUSE = 0.02
"""Seconds without a byte that end a write."""
FRAMES = 12

DEFAULT, BROWSER, OLD = "default", "browser", "HTTP/1.0"
REQUESTS = {
    DEFAULT: b"GET /stream HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n",
    BROWSER: b"GET /stream HTTP/1.1\r\nHost: x\r\nAccept: image/avif,image/webp,image/*,*/*;q=0.8\r\n\r\n",
    OLD: b"GET /?action=stream HTTP/1.0\r\n\r\n",
}

SERVED = [
    (reference.Ffmpeg, DEFAULT),
    (reference.Go2rtc, DEFAULT),
    (reference.GStreamer, DEFAULT),
    (reference.Vlc, DEFAULT),
    (reference.MotionEye, OLD),
    (reference.Mainsail, DEFAULT),
    (reference.Android, DEFAULT),
    (reference.HomeAssistant, DEFAULT),
    (reference.Chromium, BROWSER),
    (reference.Firefox, BROWSER),
    # Without need, but so it is: whoever is taken for the wrong kind of client still sees every picture at once.
    (reference.Firefox, DEFAULT),
    (reference.GStreamer, BROWSER),
    (reference.Vlc, BROWSER),
    (reference.Android, BROWSER),
    (reference.HomeAssistant, BROWSER),
]
"""Who must see each picture with the write that brings it, on which stream."""


@dataclass(frozen=True)
class Write:
    """Bytes that came together, and when."""

    data: bytes
    arrived: float


@dataclass(frozen=True)
class Recording:
    """A response: its head, and its body write by write; the first one came with the head."""

    head: bytes
    writes: Sequence[Write]

    @property
    def body(self) -> bytes:
        """The whole body."""
        return b"".join(write.data for write in self.writes)

    def pictures(self) -> list[tuple[int, bytes]]:
        """Each picture that has come whole, and the number of the write that brought its last byte."""
        ends, end = [], 0
        for write in self.writes:
            end += len(write.data)
            ends.append(end)
        found = re.finditer(rb"\xff\xd8.*?\xff\xd9(?=\r\n--mjpegdframe\r\n)", self.body, re.DOTALL)
        return [(next(n for n, end in enumerate(ends) if end >= match.end()), match[0]) for match in found]

    def parser(self, kind: type[reference.Parser]) -> reference.Parser:
        """A parser that has seen the head as its client does."""
        boundary = re.search(rb"\r\nContent-Type: multipart/x-mixed-replace; boundary=([A-Za-z0-9]+)\r\n", self.head)
        assert boundary, self.head
        parser = kind(boundary[1].decode())
        if parser.from_head:
            assert parser.feed(self.head) == []
        return parser

    def play(self, kind: type[reference.Parser]) -> list[tuple[int, bytes]]:
        """Each picture that a client shows, and the number of the write at which it does."""
        parser = self.parser(kind)
        return [(n, picture.jpeg) for n, write in enumerate(self.writes) for picture in parser.feed(write.data)]


def record(daemon: Daemon, request: bytes, seconds: float) -> Recording:
    """What a stream sends in that time."""
    writes: list[Write] = []
    with Client(daemon) as client:
        client.send(request)
        head = client.read_until(b"\r\n\r\n")
        data, arrived, until = bytes(client.buffer), monotonic(), monotonic() + seconds
        client.socket.settimeout(PAUSE)
        while monotonic() < until:
            try:
                received = client.socket.recv(1 << 20)
            except TimeoutError:
                writes += [Write(data, arrived)] if data else []
                data = b""
            else:
                assert received, "the stream ended"
                data, arrived = data + received, monotonic()
    return Recording(head, writes)


def record_stop(camera: Camera, request: bytes, heartbeat: float, seconds: float) -> Recording:
    """The same of a camera that stops delivering half a second into it."""
    with camera.daemon({"server.heartbeat": heartbeat, "camera.cam.stale_after": 600}, fps=5) as daemon:
        daemon.wait_state("live")
        stop = threading.Timer(0.5, (camera.control / "stall").touch)
        stop.start()
        try:
            return record(daemon, request, 0.5 + seconds)
        finally:
            stop.join()


@pytest.fixture(scope="module")
def recordings() -> Iterator[dict[str, Recording]]:
    """A second of each kind of stream."""
    with Daemon(pattern(fps=FPS)) as daemon:
        daemon.wait_state("live")
        yield {name: record(daemon, request, FRAMES / FPS) for name, request in REQUESTS.items()}


@pytest.mark.parametrize("name", REQUESTS)
def test_a_write_brings_one_picture(recordings: dict[str, Recording], name: str) -> None:
    """The recordings are what the tests below take them for: different, whole pictures, each in a write of its own."""
    pictures = recordings[name].pictures()
    assert len(pictures) >= FRAMES // 2
    assert len({write for write, _ in pictures}) >= len(pictures) - 2  # one may come right behind the first
    assert len({jpeg for _, jpeg in pictures}) >= len(pictures) - 2  # a busy machine lets an early repeat slip in
    assert all(is_whole(jpeg) and decode(jpeg).shape == (240, 320, 3) for _, jpeg in pictures)


@pytest.mark.parametrize(("kind", "name"), SERVED)
def test_a_picture_is_shown_by_the_write_that_brings_it(
    recordings: dict[str, Recording], kind: type[reference.Parser], name: str
) -> None:
    """The client sees every picture, byte for byte, without waiting for any byte of the next one."""
    recording = recordings[name]
    assert recording.play(kind) == recording.pictures()


@pytest.mark.parametrize(("kind", "name"), SERVED)
def test_pieces_do_not_matter(recordings: dict[str, Recording], kind: type[reference.Parser], name: str) -> None:
    """Fed whole and byte by byte the client shows the same pictures; Mainsail's alone breaks, on a halved SOI."""
    recording = recordings[name]
    body, pictures = recording.body[:40_000], [jpeg for _, jpeg in recording.pictures()]
    whole = [picture.jpeg for picture in recording.parser(kind).feed(body)]
    assert len(whole) >= 2
    assert whole == pictures[: len(whole)]
    parser = recording.parser(kind)
    pieces = [picture.jpeg for byte in body for picture in parser.feed(bytes((byte,)))]
    assert pieces == ([] if kind is reference.Mainsail else whole)


@pytest.mark.parametrize(("kind", "name"), [(reference.Chromium, DEFAULT), (reference.Ffmpeg, BROWSER)])
def test_the_other_profile_is_late(recordings: dict[str, Recording], kind: type[reference.Parser], name: str) -> None:
    """Why there are two profiles: with the other one's bytes this client shows a picture when the next comes."""
    recording = recordings[name]
    shown, brought = recording.play(kind), recording.pictures()
    assert [jpeg for _, jpeg in shown] == [jpeg for _, jpeg in brought[: len(shown)]]
    late = [at - carried for (at, _), (carried, _) in zip(shown, brought, strict=False)]
    assert late.count(1) >= len(late) - 2  # ffmpeg's blocks end between two pictures now and then
    assert len(shown) < len(brought)


@pytest.mark.parametrize("kind", [reference.Go2rtc, reference.Mainsail])
def test_without_length_some_clients_end(recordings: dict[str, Recording], kind: type[reference.Parser]) -> None:
    """Why a client that is not known for a browser gets Content-Length: these end without it."""
    with pytest.raises(reference.GaveUp, match=r"no content length|ArrayBuffer\(-1\)"):
        recordings[BROWSER].play(kind)


def test_without_length_motioneye_waits_for_ever(recordings: dict[str, Recording]) -> None:
    """Nor does motionEye ever see a picture without Content-Length."""
    assert recordings[BROWSER].play(reference.MotionEye) == []


def test_a_stopped_camera_keeps_its_viewers(camera: Camera) -> None:
    """While no frame comes a byte does, at least every heartbeat, and the repeated picture keeps its X-Timestamp."""
    heartbeat = 0.4 * SECONDS
    recording = record_stop(camera, REQUESTS[DEFAULT], heartbeat, 6 * heartbeat)
    arrivals = [write.arrived for write in recording.writes]
    assert max(later - sooner for sooner, later in itertools.pairwise(arrivals)) < 1.5 * heartbeat
    parser = recording.parser(reference.Go2rtc)
    pictures = [picture for write in recording.writes for picture in parser.feed(write.data)]
    repeats = pictures[-4:]
    assert repeats[0].jpeg != pictures[0].jpeg
    assert len({(picture.headers["x-timestamp"], picture.headers["x-frame-id"]) for picture in repeats}) == 1
    assert len({picture.jpeg for picture in repeats}) == 1
    assert {picture.headers.get("x-frame-repeat") for picture in repeats} == {"1"}


def test_the_heartbeat_is_home_assistants() -> None:
    """Two heartbeats fit into the patience of the least patient client, so one may be lost."""
    assert 2 * ServerConfig().heartbeat <= homeassistant.READ_TIMEOUT


@pytest.mark.parametrize("query", ["profile=browser", "profile=default&repeat_ms=100"])
def test_chromium_has_the_last_picture_before_a_stop(camera: Camera, query: str) -> None:
    """The picture before a camera stops is painted within 150 ms of its coming, though nothing follows it."""
    request = REQUESTS[BROWSER].replace(b"/stream", f"/stream?{query}".encode())
    recording = record_stop(camera, request, 60, 0.6 * SECONDS)
    brought = recording.pictures()
    assert len({jpeg for _, jpeg in brought}) > 1
    came = next(write for write, jpeg in brought if jpeg == brought[-1][1])
    painted = [at for at, jpeg in recording.play(reference.Chromium) if jpeg == brought[-1][1]]
    assert painted
    assert recording.writes[painted[0]].arrived - recording.writes[came].arrived < 0.15 * SECONDS
