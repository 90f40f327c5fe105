"""The stream as bytes on the wire: golden bytes, repeats, profiles, and how viewers come and go."""

import re
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise

import pytest

from tests.daemon import SECONDS, Daemon, join, pattern, wait_for
from tests.system.client import ADVANCE, OPENING, Client, events, request, wait_viewers

HEAD = b"""\
HTTP/1.1 200 OK
Date: <date>
Server: mjpegd
Content-Type: multipart/x-mixed-replace; boundary=mjpegdframe
Cache-Control: no-store, no-cache, must-revalidate, max-age=0
Pragma: no-cache
Connection: close
X-Accel-Buffering: no
Vary: Accept
X-Content-Type-Options: nosniff
Cross-Origin-Resource-Policy: cross-origin
Via: 1.1 <relay> (mjpegd)

"""
DEFAULT_BODY = b"""\
--mjpegdframe
Content-Type: image/jpeg
Content-Length: <number>
X-Timestamp: <seconds>
X-Frame-Id: <number>

<jpeg>
--mjpegdframe
Content-Type: image/jpeg
Content-Length: <number>
X-Timestamp: <seconds>
X-Frame-Id: <number>

<jpeg>
--mjpegdframe
"""
REPEAT_BODY = b"""\
--mjpegdframe
Content-Type: image/jpeg
Content-Length: <number>
X-Timestamp: <seconds>
X-Frame-Id: <number>

<jpeg>
--mjpegdframe
Content-Type: image/jpeg
Content-Length: <number>
X-Timestamp: <seconds>
X-Frame-Id: <number>
X-Frame-Repeat: 1

<jpeg>
--mjpegdframe
"""
BROWSER_BODY = b"""\
--mjpegdframe
Content-Type: image/jpeg

<jpeg>
--mjpegdframe
Content-Type: image/jpeg

<jpeg>
--mjpegdframe
Content-Type: image/jpeg

"""
CLOSED_BODY = b"<jpeg>\n--mjpegdframe--\n"

CHROMIUM = "image/jxl,image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
FIREFOX = "image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5"


@pytest.fixture(scope="module")
def moving() -> Iterator[Daemon]:
    """A daemon whose picture changes 25 times a second."""
    with Daemon(join(pattern(fps=25), {"log.flood_period": 0.2})) as daemon:
        daemon.wait_state("live")
        yield daemon


@pytest.fixture(scope="module")
def still() -> Iterator[Daemon]:
    """A daemon whose picture stays the same for minutes, with a heartbeat of a second."""
    with still_daemon(heartbeat=1) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def quiet() -> Iterator[Daemon]:
    """The same with a heartbeat so long that nothing is sent meanwhile."""
    with still_daemon(heartbeat=60) as daemon:
        yield daemon


@contextmanager
def still_daemon(heartbeat: float) -> Iterator[Daemon]:
    """A daemon that has a picture and gets no other for minutes."""
    sets = join(pattern(fps=0.004), {"server.heartbeat": heartbeat, "log.flood_period": 0.2})
    with Daemon(sets) as daemon:
        with Client(daemon) as client:
            client.open_stream()
            client.part()
        wait_viewers(daemon, 0)
        yield daemon


def golden(wire: bytes) -> bytes:
    """Wire bytes with what differs each time replaced, and LF for CRLF; a stray LF would show as a doubled one."""
    assert b"\n" not in re.sub(rb"\xff\xd8.*?\xff\xd9", b"", wire, flags=re.DOTALL).replace(b"\r\n", b"")
    wire = re.sub(rb"\xff\xd8.*?\xff\xd9(?=\r\n--mjpegdframe)", b"<jpeg>", wire, flags=re.DOTALL)
    wire = re.sub(rb"(?<=Date: )\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", b"<date>", wire)
    wire = re.sub(rb"(?<=Via: 1.1 )[0-9a-f]{12}(?= \(mjpegd\)\r)", b"<relay>", wire)
    wire = re.sub(rb"(?<=X-Timestamp: )\d{10}\.\d{6}(?=\r)", b"<seconds>", wire)
    wire = re.sub(rb"(?<=Content-Length: )\d+(?=\r)|(?<=X-Frame-Id: )\d+(?=\r)", b"<number>", wire)
    return wire.replace(b"\r\n", b"\n")


def two_parts(daemon: Daemon, path: str, version: str = "1.1") -> bytes:
    """Every byte of a stream up to the end of its second part."""
    client = Client(daemon)
    with client:
        client.get(path, version=version)
        wire = client.read_until(b"\r\n\r\n" + OPENING)
        browser = client.read(len(ADVANCE)) if "browser" in path else b""
        for _ in range(2):
            wire += browser + client.read_until(b"\xff\xd9\r\n" + OPENING)
            browser = client.read(len(ADVANCE)) if browser else b""
        return wire + browser


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize(("profile", "body"), [("default", DEFAULT_BODY), ("browser", BROWSER_BODY)])
def test_the_bytes_of_a_moving_picture_are_the_golden_ones(
    moving: Daemon, profile: str, body: bytes, version: str
) -> None:
    """Head and parts are, byte for byte, those of wire-format.md section 6, whichever HTTP version asks."""
    assert golden(two_parts(moving, f"/stream?profile={profile}", version)) == HEAD + body


@pytest.mark.parametrize(("profile", "body"), [("default", REPEAT_BODY), ("browser", BROWSER_BODY)])
def test_the_bytes_of_a_repeat_are_the_golden_ones(still: Daemon, profile: str, body: bytes) -> None:
    """A repeat is the same part again, marked as one only where a part has a head of its own."""
    assert golden(two_parts(still, f"/stream?profile={profile}")) == HEAD + body


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_head_gives_the_head_of_get_and_registers_no_viewer(moving: Daemon, version: str) -> None:
    """HEAD is answered with the golden head and nothing else, and is not counted as a visit."""
    visits = moving.camera()["visits"]
    with Client(moving) as client:
        head = client.get("/stream", method="HEAD", version=version).head("HEAD").head
        assert client.at_end()
    assert golden(head) == HEAD
    assert moving.camera()["visits"] == visits


def test_part_headers_stay_below_the_line_buffer_of_ffmpeg(moving: Daemon) -> None:
    """No header line of a part is as long as 128 bytes, and no block as long as 300."""
    with Client(moving) as client:
        client.open_stream()
        head = client.part().head
    assert max(map(len, head.split(b"\r\n"))) < 128
    assert len(head) < 300


def test_the_first_frame_comes_with_the_head(still: Daemon) -> None:
    """A viewer is shown the newest frame at once, from memory and unmarked, and does not wait for the camera."""
    with Client(still) as client:
        client.open_stream()
        part = client.part()
    assert "X-Frame-Repeat" not in part.fields


def test_the_closing_part_ends_both_profiles() -> None:
    """At an orderly end the last frame comes once more with the closing delimiter behind it, then FIN."""
    with Daemon(pattern(fps=25)) as daemon, Client(daemon) as plain, Client(daemon) as browser:
        daemon.wait_state("live")
        plain.get("/stream")
        browser.get("/stream?profile=browser")
        wait_viewers(daemon, 2)
        daemon.stop()
        wires = [client.read_all() for client in (plain, browser)]
    for wire in wires:
        assert golden(wire).endswith(CLOSED_BODY)
    assert b"X-Frame-Repeat: 1\r\n\r\n\xff\xd8" in wires[0]
    assert b"X-Frame-Repeat" not in wires[1]


def test_a_still_picture_is_repeated_as_heartbeat(still: Daemon) -> None:
    """In the default profile the frame comes again every heartbeat with its id and time, marked as a repeat."""
    with Client(still) as client:
        client.open_stream()
        first, *repeats = [client.part() for _ in range(4)]
    assert [part.fields["X-Frame-Repeat"] for part in repeats] == ["1"] * 3
    for part in repeats:
        assert (part.id, part.timestamp, part.jpeg) == (first.id, first.timestamp, first.jpeg)
    for before, after in pairwise([first, *repeats]):
        assert 0.7 < after.arrived - before.arrived < 1 + SECONDS


def test_a_browser_gets_a_still_picture_twice_then_as_heartbeat(still: Daemon) -> None:
    """In the browser profile the frame comes again after 100 ms, and then every heartbeat."""
    with Client(still) as client:
        client.get("/stream?profile=browser").head()
        assert client.read(len(OPENING + ADVANCE)) == OPENING + ADVANCE
        parts = [client.advance_part() for _ in range(4)]
    early, *later = [after.arrived - before.arrived for before, after in pairwise(parts)]
    assert len({part.jpeg for part in parts}) == 1
    assert early < 0.5
    assert all(0.6 < gap < 1 + SECONDS for gap in later), later


def test_repeat_ms_asks_for_an_early_repeat(still: Daemon) -> None:
    """`?repeat_ms=` gives the default profile the early repeat, for browsers behind a byte proxy."""
    with Client(still) as client:
        client.open_stream("/stream?repeat_ms=100")
        first, early, later = [client.part() for _ in range(3)]
    assert early.fields["X-Frame-Repeat"] == "1"
    assert early.arrived - first.arrived < 0.5
    assert later.arrived - early.arrived > 0.6


@pytest.mark.parametrize("value", ["9", "60001", "-5", "1e3", "abc", ""])
def test_a_bad_repeat_ms_is_refused_with_its_range(moving: Daemon, value: str) -> None:
    """A `repeat_ms` out of range or not a number is answered 400 with the range."""
    response, body = moving.get(f"/stream?repeat_ms={value}")
    assert response.status == 400
    assert b"from 10 to 60000" in body


@pytest.mark.parametrize(
    ("path", "headers", "browser"),
    [
        ("/stream", {"Accept": CHROMIUM}, True),
        ("/stream", {"Accept": FIREFOX}, True),
        ("/stream", {"Accept": "text/html,application/xhtml+xml"}, True),
        ("/stream", {"Accept": "*/*", "Sec-Fetch-Dest": "image"}, True),
        ("/stream", {"Accept": "*/*"}, False),
        ("/stream", {"Accept": "*/*", "Sec-Fetch-Dest": "empty"}, False),
        ("/stream", {"Accept": "image/jpeg"}, False),
        ("/stream", {}, False),
        ("/stream?advance_headers=1", {}, True),
        ("/stream?profile=default", {"Accept": CHROMIUM, "Sec-Fetch-Dest": "image"}, False),
        ("/stream?profile=browser", {"Accept": "*/*"}, True),
        ("/stream?profile=default&advance_headers=1", {}, False),
    ],
)
def test_the_profile_fits_the_client(moving: Daemon, path: str, headers: Mapping[str, str], browser: bool) -> None:  # noqa: FBT001
    """Image loaders and opened pages get the browser profile, all else the default one; `?profile=` wins."""
    with Client(moving) as client:
        client.get(path, headers).head()
        assert client.read(len(OPENING)) == OPENING
        head = client.read_until(b"\r\n\r\n")
        assert client.read(2) == b"\xff\xd8"
    assert (head == ADVANCE) is browser


@pytest.mark.parametrize("value", ["chrome", "", "BROWSER", "default%0d%0aX-Evil:1"])
def test_an_unknown_profile_is_refused_with_those_there_are(moving: Daemon, value: str) -> None:
    """A `profile` that does not exist is answered 400 naming both."""
    response, body = moving.get(f"/stream?profile={value}")
    assert response.status == 400
    assert b"default, browser" in body


@pytest.mark.parametrize(
    "path",
    [
        "/stream?1732109400123",
        "/stream?_=1&&=&%00&t=%ff%fe",
        "/stream/cam?cache=bust",
        "/stream/cam.mjpg?x=a?b&c#d",
        "/stream.mjpg",
        "/%73tream",
        "http://127.0.0.1/stream?x",
    ],
)
def test_spellings_and_query_junk_do_not_matter(moving: Daemon, path: str) -> None:
    """Every spelling of the stream's address, and any unknown query, gives the stream."""
    with Client(moving) as client:
        client.open_stream(path)
        assert client.part().jpeg


def test_timestamps_are_wall_clock_times_of_capture_and_increase(moving: Daemon) -> None:
    """X-Timestamp is close to now, and it and X-Frame-Id increase from part to part."""
    with Client(moving) as client:
        client.open_stream()
        parts = []
        for _ in range(10):
            parts.append(client.part())
            assert -0.1 < time.time() - parts[-1].timestamp < SECONDS
    assert all(before.timestamp < after.timestamp for before, after in pairwise(parts))
    assert all(before.id < after.id for before, after in pairwise(parts))


def test_two_viewers_see_the_same_frames(moving: Daemon) -> None:
    """A frame has the same id, time and bytes for every viewer."""
    with Client(moving) as one, Client(moving) as two:
        one.open_stream()
        two.open_stream()
        ones = {part.id: part for part in (one.part() for _ in range(20))}
        twos = {part.id: part for part in (two.part() for _ in range(20))}
    shared = ones.keys() & twos.keys()
    assert shared
    assert all((ones[seq].head, ones[seq].jpeg) == (twos[seq].head, twos[seq].jpeg) for seq in shared)


@pytest.mark.parametrize("daemon_name", ["moving", "still"])
def test_a_half_closed_client_goes_on_watching(request: pytest.FixtureRequest, daemon_name: str) -> None:
    """A client that shuts down its sending side right after the request still gets the stream (`nc`, Android)."""
    daemon: Daemon = request.getfixturevalue(daemon_name)
    with Client(daemon) as client:
        client.get("/stream")
        client.socket.shutdown(socket.SHUT_WR)
        client.head()
        assert client.read(len(OPENING)) == OPENING
        parts = [client.part() for _ in range(4)]
        assert daemon.camera()["viewers"] == 1
    assert parts[-1].arrived > parts[0].arrived
    wait_viewers(daemon, 0)
    wait_for(lambda: bool(events(daemon, "viewer left", viewer=client.name)), 5, "the line in the log")
    assert len([line for line in daemon.log if line.get("viewer") == client.name]) == 1


@pytest.mark.parametrize("how", ["close", "reset", "shutdown"])
@pytest.mark.parametrize("profile", ["default", "browser"])
def test_a_viewer_that_leaves_a_still_picture_is_noticed_at_once(quiet: Daemon, profile: str, how: str) -> None:
    """FIN, RST and shutdown each end the viewer within a second though nothing is captured, with one log line."""
    with Client(quiet) as client:
        client.get(f"/stream?profile={profile}").read_until(b"\xff\xd9\r\n" + OPENING)
        wait_viewers(quiet, 1)
        if how == "reset":
            client.reset()
        elif how == "shutdown":
            client.socket.shutdown(socket.SHUT_RDWR)
    wait_viewers(quiet, 0, within=1)
    wait_for(lambda: bool(events(quiet, "viewer left", viewer=client.name)), 5, "the line in the log")
    (line,) = [line for line in quiet.log if line.get("viewer") == client.name]
    assert (line["level"], line["camera"], line["profile"], line["skipped"]) == ("info", "cam", profile, 0)


def test_a_viewer_that_leaves_a_moving_picture_is_noticed_at_once(moving: Daemon) -> None:
    """A viewer that closes between frames is gone within a second, with one log line that counts its frames."""
    with Client(moving) as client:
        client.open_stream()
        for _ in range(5):
            client.part()
    wait_viewers(moving, 0, within=1)
    wait_for(lambda: bool(events(moving, "viewer left", viewer=client.name)), 5, "the line in the log")
    (line,) = [line for line in moving.log if line.get("viewer") == client.name]
    assert line["frames"] >= 5


@pytest.mark.parametrize("cut", [1, 20, len(request("/stream")) - 1])
def test_a_client_that_leaves_inside_its_request_leaves_no_trace(moving: Daemon, cut: int) -> None:
    """A connection that ends in the middle of a request head is no viewer and no line above debug."""
    before = len([line for line in moving.log if line["level"] != "debug"])
    with Client(moving) as client:
        client.send(request("/stream")[:cut])
    wait_viewers(moving, 0)
    assert len([line for line in moving.log if line["level"] != "debug"]) == before


def test_bytes_behind_a_stream_request_are_ignored(moving: Daemon) -> None:
    """Pipelined requests and garbage after the stream's request change nothing in the stream."""
    with Client(moving) as client:
        client.send(request("/stream") + request("/stats") + b"\x16\x03\x01 garbage")
        client.head()
        assert client.read(len(OPENING)) == OPENING
        client.part()
        client.send(request("/health") * 200)
        for _ in range(5):
            client.part()


def test_viewers_frames_and_bytes_are_counted(moving: Daemon) -> None:
    """`/stats` counts viewers now, visits ever, and frames and bytes sent, heads of parts included."""
    wait_viewers(moving, 0)
    before = moving.camera()
    with Client(moving) as client:
        client.open_stream()
        parts = [client.part() for _ in range(10)]
        assert moving.camera()["viewers"] == 1
    wait_viewers(moving, 0)
    after = moving.camera()
    assert after["visits"] == before["visits"] + 1
    assert after["sent"]["frames"] >= before["sent"]["frames"] + 10
    received = sum(len(part.head + part.jpeg) for part in parts)
    assert after["sent"]["bytes"] >= before["sent"]["bytes"] + received


@pytest.mark.parametrize("option", [{"Range": "bytes=0-"}, {"Icy-MetaData": "1"}, {"Upgrade": "h2c"}])
def test_what_players_send_along_is_ignored(moving: Daemon, option: Mapping[str, str]) -> None:
    """`Range` (ffmpeg, VLC), `Icy-MetaData` and `Upgrade` get the same 200."""
    with Client(moving) as client:
        assert client.open_stream("/stream", option)["connection"] == "close"
        client.part()
