"""Pictures by size, quality and pace: what each client gets, what that costs, and what never changes in a stream."""

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from statistics import mean

import cv2
import pytest

from mjpegd.jpeg import quality
from tests.daemon import SECONDS, Daemon, join, pattern, wait_for, write_config
from tests.peers import opencv_frames, peer, run
from tests.system.client import Client, Part, decode, fetch, last_picture, size, wait_viewers
from tests.system.crowd import Crowd
from tests.system.fakecam import Camera, unstamped
from tests.system.test_reload import serving, unbroken, yard
from tests.system.test_share import Shop

Size = tuple[int, int]
RESOLUTION = "resolution must be WIDTHxHEIGHT, as 640x480, each from 16 to 7680, or one of QCIF, CIF, 4CIF, D1"
OPEN = {"auth.anonymous": ["view", "snapshot", "admin"]}


def camera(name: str, **keys: object) -> dict[str, object]:
    """`sets` for one more camera."""
    given = {"source": "pattern", "width": 320, "height": 240, "fps": 30, **keys}
    return {f"camera.{name}.{key}": value for key, value in given.items()}


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    """Patterns for all: a plain one, one with a preset, one with a pace, one that is slow, and one to be counted on."""
    mobile = {"width": 200, "quality": 40, "fps": 10}
    sets = join(
        pattern(),
        camera("home", width=640, height=480, preset="low-bandwidth"),
        camera("even", stream_fps=15),
        camera("slow", fps=0.5, stale_after=10),
        camera("busy"),
        {f"rendition.mobile.{key}": value for key, value in mobile.items()},
        {"limits.renditions": 0, "limits.renditions_per_camera": 0},  # many come and go here, and each goes a bit later
    )
    with Daemon(sets) as running:
        for name in ("cam", "home", "even", "slow", "busy"):
            running.wait_state("live", name)
        yield running


def parts(daemon: Daemon, path: str, count: int = 1) -> list[Part]:
    """The first parts of a stream."""
    with Client(daemon) as client:
        client.open_stream(path)
        return [client.part() for _ in range(count)]


def pictures(daemon: Daemon, query: str, name: str = "cam") -> list[bytes]:
    """A picture of a stream and a single one, asked for in the same words."""
    return [parts(daemon, f"/stream/{name}?{query}")[0].jpeg, fetch(daemon, f"/snapshot/{name}?{query}").body]


def gaps(seen: Sequence[Part]) -> list[int]:
    """By how much the camera's count rose from one frame to the next."""
    return [after.id - before.id for before, after in pairwise(seen)]


def pace(seen: Sequence[Part]) -> float:
    """Frames a second, by the moments at which they were taken; the first may be from before anybody watched."""
    return (len(seen) - 2) / (seen[-1].timestamp - seen[1].timestamp)


# What is asked for


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", (320, 240)),
        ("width=160", (160, 120)),
        ("w=100", (100, 75)),
        ("height=60", (80, 60)),
        ("h=61", (81, 61)),
        ("width=160&height=60", (80, 60)),
        ("width=1000&height=120", (160, 120)),
        ("width=1000", (320, 240)),
        ("width=16", (16, 12)),
        ("resolution=160x90", (120, 90)),
        ("rendition=mobile", (200, 150)),
        ("rendition=mobile&width=100", (100, 75)),
        ("rendition=low-bandwidth", (320, 240)),
        ("rendition=low-bandwidth&height=90", (120, 90)),
        ("rendition=passthrough", (320, 240)),
    ],
)
def test_size(daemon: Daemon, query: str, expected: Size) -> None:
    """A picture fits into the box that is asked for, in its proportions, and is never made larger."""
    assert [size(picture) for picture in pictures(daemon, query)] == [expected, expected]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", 85),
        ("quality=30", 30),
        ("q=30&width=160", 30),
        ("compression=80", 20),
        ("width=160", 85),
        ("quality=100", 85),
        ("rendition=mobile", 40),
        ("rendition=mobile&quality=75", 75),
        ("rendition=low-bandwidth", 60),
    ],
)
def test_quality(daemon: Daemon, query: str, expected: int) -> None:
    """A picture has the quality that is asked for, and never a higher one than the camera's at the same size."""
    assert [quality(memoryview(picture)) for picture in pictures(daemon, query)] == [expected, expected]


@pytest.mark.parametrize(
    ("query", "expected", "made"),
    [
        ("", (480, 360), 60),
        ("width=160", (160, 120), 60),
        ("quality=30", (480, 360), 30),
        ("rendition=mobile", (200, 150), 40),
        ("rendition=passthrough", (640, 480), 85),
        ("rendition=passthrough&height=120", (160, 120), 85),
    ],
)
def test_a_preset(daemon: Daemon, query: str, expected: Size, made: int) -> None:
    """A camera's preset says how its streams are; a number or a name in the query wins."""
    (part,) = parts(daemon, f"/stream/home?{query}")
    assert (size(part.jpeg), quality(memoryview(part.jpeg))) == (expected, made)


def test_a_preset_is_for_streams(daemon: Daemon) -> None:
    """Single pictures of a camera with a preset are the camera's own."""
    picture = fetch(daemon, "/snapshot/home").body
    assert (size(picture), quality(memoryview(picture))) == ((640, 480), 85)


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("width=8", "width must be a whole number from 16 to 7680"),
        ("h=9999", "h must be a whole number from 16 to 7680"),
        ("quality=0", "quality must be a whole number from 1 to 100"),
        ("compression=x", "compression must be a whole number from 0 to 100"),
        ("fps=0.01", "fps must be a number from 0.1 to 240"),
        ("resolution=HUGE", RESOLUTION),
        ("resolution=640x9", RESOLUTION),
        (
            "rendition=nothing",
            "rendition must be one of cloudflare, lan, low-latency, low-bandwidth, mobile, passthrough",
        ),
    ],
)
@pytest.mark.parametrize("path", ["/stream", "/snapshot"])
def test_what_cannot_be(daemon: Daemon, path: str, query: str, problem: str) -> None:
    """A value out of its range is 400, and the JSON says what it may be."""
    answer = fetch(daemon, f"{path}?{query}")
    assert (answer.status, answer.json()["error"]) == (400, problem)


def test_the_same_picture(daemon: Daemon) -> None:
    """What is made smaller shows what the camera's own picture shows."""
    own = decode(fetch(daemon, "/snapshot/slow?max_age=1000").body)
    small = decode(fetch(daemon, "/snapshot/slow?max_age=2000&width=160").body)
    shrunk = cv2.resize(own, (160, 120), interpolation=cv2.INTER_AREA)
    assert cv2.PSNR(shrunk[:90], small[:90]) > 22  # above the line with the time


def test_a_card_in_another_look() -> None:
    """That there is no camera is said in the size that was asked for."""
    with Daemon({"camera.cam.source": "/dev/video99"}) as daemon:
        daemon.wait_state("lost")
        (part,) = parts(daemon, "/stream?width=320&quality=50&fps=1")
        assert part.fields["X-Source-State"] == "lost"
        assert size(part.jpeg) == (320, 180)


# Pace


def test_half_of_the_frames(daemon: Daemon) -> None:
    """15 frames a second of 30 are every second one."""
    seen = parts(daemon, "/stream?fps=15", 40)
    assert mean(gap == 2 for gap in gaps(seen)) > 0.85, gaps(seen)
    assert pace(seen) == pytest.approx(15, rel=0.1)


def test_two_of_three(daemon: Daemon) -> None:
    """20 frames a second of 30 are two of each three: never three in a row, never two left out."""
    seen = parts(daemon, "/stream?fps=20", 60)
    three = [after.id - before.id for before, after in zip(seen, seen[2:], strict=False)]
    assert mean(each == 3 for each in three) > 0.85, gaps(seen)
    assert pace(seen) == pytest.approx(20, rel=0.1)


@pytest.mark.parametrize(("query", "expected"), [("", 15), ("fps=60", 15), ("rendition=lan", 15), ("fps=5", 5)])
def test_a_cameras_pace(daemon: Daemon, query: str, expected: float) -> None:
    """A camera's `stream_fps` is the most that anybody gets; less may be asked for."""
    seen = parts(daemon, f"/stream/even?{query}", 4 + round(expected))
    assert pace(seen) == pytest.approx(expected, rel=0.12)


def test_each_viewer_has_its_own_pace(daemon: Daemon) -> None:
    """Viewers of one camera at different paces get each their own, and what is left out is not skipped."""
    counts = {"?fps=5&extra_headers=1": 8, "?fps=10": 16, "": 45}
    with ThreadPoolExecutor() as pool:
        slow, fast, every = pool.map(lambda query: parts(daemon, f"/stream{query}", counts[query]), counts)
    assert pace(slow) == pytest.approx(5, rel=0.12)
    assert pace(fast) == pytest.approx(10, rel=0.12)
    assert pace(every) == pytest.approx(30, rel=0.12)
    assert [part.fields["X-Skipped"] for part in slow] == ["0"] * 8


# What it costs


def test_ten_viewers_cost_one(daemon: Daemon) -> None:
    """Ten viewers of one rendition cost one encoding a frame, and when they have left none."""
    before = daemon.camera("busy")
    assert (before["renditions"], before["encodes"]) == ([], 0)
    with Crowd(daemon, 10, "/stream/busy?width=160") as crowd:
        crowd.wait(lambda viewer: len(viewer.ids) > 30, "thirty frames for everyone")
        told = daemon.camera("busy")
    (row,) = told["renditions"]
    came = told["frames"]["captured"] - before["frames"]["captured"]
    assert (row["rendition"], row["viewers"], row["width"], row["height"]) == ("w160", 10, 160, 120)
    assert row["fps"] == pytest.approx(30, rel=0.2)
    assert 30 <= row["encodes"] == told["encodes"] <= came + 1
    assert row["milliseconds"]["encode"]["p50"] > 0
    assert 0 < row["jpeg_bytes"] < told["jpeg_bytes"]
    assert all(viewer.share > 0.9 for viewer in crowd.viewers)
    wait_for(lambda: not daemon.camera("busy")["renditions"], 5, "the rendition to end")
    counted = daemon.camera("busy")
    wait_for(lambda: daemon.camera("busy")["frames"]["captured"] > counted["frames"]["captured"] + 20, 5, "frames")
    assert daemon.camera("busy")["encodes"] == counted["encodes"]


def test_two_paces_of_one_size_share(daemon: Daemon) -> None:
    """Viewers of one size at two paces get pictures that were encoded once: to the byte the same."""
    with Client(daemon) as fast, Client(daemon) as slow:
        fast.open_stream("/stream?width=96")
        slow.open_stream("/stream?width=96&fps=10")
        one = {part.id: part.jpeg for part in (fast.part() for _ in range(40))}
        two = {part.id: part.jpeg for part in (slow.part() for _ in range(12))}
        encodes = {row["rendition"]: row["encodes"] for row in daemon.camera()["renditions"]}
    both = one.keys() & two.keys()
    assert len(both) > 8
    assert all(one[number] == two[number] for number in both)
    assert sum(encodes.values()) < 1.2 * max(one) - min(one) + 10


def test_a_cameras_own_jpeg(camera: Camera) -> None:
    """A camera that sends JPEG is decoded for what is smaller only: the rest is passed on, to the byte."""
    with camera.daemon({"limits.encoders": 1}) as daemon:
        daemon.wait_state("live")
        files = set(camera.files())
        for query in ("", "?quality=90", "?width=2000&quality=60", "?fps=10"):
            assert all(unstamped(part.jpeg) in files for part in parts(daemon, f"/stream{query}", 3)), query
            assert unstamped(fetch(daemon, f"/snapshot{query}").body) in files, query
        assert daemon.camera()["encodes"] == 0
        small = fetch(daemon, "/snapshot?width=160")
        assert size(small.body) == (160, 120)
        assert daemon.camera()["encodes"] == 1
        lower = fetch(daemon, "/snapshot?quality=20")
        assert (size(lower.body), quality(memoryview(lower.body))) == ((640, 480), 20)


# Limits


def test_limits() -> None:
    """One rendition too many, of a camera or in all, is 503 that names the limit; who leaves makes room."""
    limits = {"limits.renditions_per_camera": 2, "limits.renditions": 3}
    with (
        Daemon(join(pattern(), camera("yard"), limits)) as daemon,
        Client(daemon) as one,
        Client(daemon) as two,
        Client(daemon) as three,
    ):
        daemon.wait_state("live")
        daemon.wait_state("live", "yard")
        one.open_stream("/stream?width=160")
        two.open_stream("/stream?width=80")
        for path in ("/stream?width=40", "/snapshot?width=40", "/stream?quality=40"):
            answer = fetch(daemon, path)
            assert (answer.status, answer.json()["limit"], answer.json()["most"]) == (503, "renditions_per_camera", 2)
            assert "this camera makes" in answer.json()["error"]
            assert int(answer["retry-after"]) > 0
        assert fetch(daemon, "/snapshot?width=80").status == 200  # as another watches
        assert size(parts(daemon, "/stream")[0].jpeg) == (320, 240)
        three.open_stream("/stream/yard?width=160")
        answer = fetch(daemon, "/snapshot/yard?width=40")
        assert (answer.status, answer.json()["limit"], answer.json()["most"]) == (503, "renditions", 3)
        two.socket.close()
        wait_viewers(daemon, 1)
        assert fetch(daemon, "/snapshot/yard?width=40").status == 200
        assert fetch(daemon, "/snapshot?width=40").status == 200


def test_odd_paces_shut_out_nobody() -> None:
    """However many paces viewers think of, they share few, and others get what the file has and what they ask for."""
    sets = join(camera("home", preset="low-bandwidth"), {"limits.renditions": 2, "limits.renditions_per_camera": 2})
    with Daemon(sets) as daemon, ExitStack() as stack:
        daemon.wait_state("live", "home")
        clients = [stack.enter_context(Client(daemon)) for _ in range(60)]
        for number, client in enumerate(clients[:40]):
            client.open_stream(f"/stream/home?rendition=passthrough&fps={1 + number / 20}")
            client.part()
        assert len(daemon.camera("home")["renditions"]) <= 5
        for client, width in zip(clients[40:], (64, 32), strict=False):
            client.open_stream(f"/stream/home?width={width}")
            client.part()
        assert fetch(daemon, "/stream/home?width=48").status == 503
        assert size(parts(daemon, "/stream/home")[0].jpeg) == (320, 240)
        assert size(parts(daemon, "/stream/home?rendition=low-latency")[0].jpeg) == (320, 240)


# Conditions


def test_tags(daemon: Daemon) -> None:
    """Each look of a frame has a tag of its own, with which it is not sent again, and no other look's is taken.

    However often it is asked for, it is made once.
    """
    queries = ("", "width=160", "width=80", "quality=30", "width=160&quality=30")
    fetch(daemon, "/snapshot/slow?fresh=1")
    before = daemon.camera("slow")["encodes"]
    answers = {query: fetch(daemon, f"/snapshot/slow?max_age=1900&{query}") for query in queries}
    assert len({answer["x-frame-id"] for answer in answers.values()}) == 1
    assert len({answer["etag"] for answer in answers.values()}) == len(queries)
    for query, answer in answers.items():
        for other, also in answers.items():
            again = fetch(daemon, f"/snapshot/slow?{query}", {"If-None-Match": also["etag"]})
            assert again["x-frame-id"] == answer["x-frame-id"]
            assert again.status == (304 if other == query else 200)
            assert again.body == (b"" if other == query else answer.body)
    assert daemon.camera("slow")["encodes"] - before == len(queries) - 1


# The size of a stream's pictures


def lit(picture: bytes, rows: slice) -> bool:
    """Whether these rows of a picture show anything."""
    return int(decode(picture)[rows].max()) > 40


def until(client: Client, number: int) -> list[Part]:
    """The parts up to that frame."""
    seen = [client.part()]
    while seen[-1].id < number:
        seen.append(client.part())
    return seen


def test_size_never_changes_inside_a_stream(tmp_path: Path) -> None:
    """Who watches while the camera gets another shape sees it in the old size, with bars; a browser takes the new."""
    with (
        serving(tmp_path, pattern(), OPEN) as desk,
        Client(desk.daemon) as plain,
        Client(desk.daemon) as small,
        Client(desk.daemon) as browser,
    ):
        plain.open_stream("/stream")
        small.open_stream("/stream?width=160&fps=15")
        browser.open_browser()
        assert [size(plain.part().jpeg), size(small.part().jpeg)] == [(320, 240), (160, 120)]
        assert size(browser.advance_part().jpeg) == (320, 240)
        desk.change(pattern(width=480, height=120), OPEN)
        wait_for(lambda: size(fetch(desk.daemon, "/snapshot").body) == (480, 120), 10, "the new shape")
        now = int(fetch(desk.daemon, "/snapshot")["x-frame-id"])
        seen, fewer = until(plain, now + 10), until(small, now + 10)
        assert {size(part.jpeg) for part in seen} == {(320, 240)}
        assert {size(part.jpeg) for part in fewer} == {(160, 120)}
        for picture, scale in ((seen[-1].jpeg, 1), (fewer[-1].jpeg, 2)):
            assert not lit(picture, slice(0, 70 // scale))
            assert lit(picture, slice(90 // scale, 130 // scale))
            assert not lit(picture, slice(170 // scale, 240 // scale))
        ids = [part.id for part in seen]
        assert sorted(set(ids)) == ids
        while size(browser.advance_part().jpeg) != (480, 120):
            pass
        told = sorted(row["rendition"] for row in desk.daemon.json("/clients")["clients"])
        assert told == ["160x120! 15fps", "320x240!", "passthrough"]
        desk.change(pattern(), OPEN)
        wait_for(lambda: size(fetch(desk.daemon, "/snapshot").body) == (320, 240), 10, "the old shape")
        now = int(fetch(desk.daemon, "/snapshot")["x-frame-id"])
        seen = until(plain, now + 5)
        assert {size(part.jpeg) for part in seen} == {(320, 240)}
        assert lit(seen[-1].jpeg, slice(0, 70))
        assert size(parts(desk.daemon, "/stream")[0].jpeg) == (320, 240)


def test_the_size_is_kept_beyond_the_limit(tmp_path: Path) -> None:
    """A viewer's size is kept though there are as many renditions as there may be: it did not ask for one."""
    full = {"limits.renditions": 1}
    with serving(tmp_path, pattern(), full) as desk, Client(desk.daemon) as plain, Client(desk.daemon) as other:
        plain.open_stream("/stream")
        other.open_stream("/stream?width=80")
        other.part()
        assert size(plain.part().jpeg) == (320, 240)
        desk.change(pattern(width=480, height=120), full)
        wait_for(lambda: size(fetch(desk.daemon, "/snapshot").body) == (480, 120), 10, "the new shape")
        now = int(fetch(desk.daemon, "/snapshot")["x-frame-id"])
        assert {size(part.jpeg) for part in until(plain, now + 10)} == {(320, 240)}


def test_new_keys_for_viewers_open_no_camera(tmp_path: Path) -> None:
    """After a reload of `stream_` keys who comes next gets what they say; who watches loses no frame of its own."""
    with serving(tmp_path, pattern()) as desk, Client(desk.daemon) as before:
        before.open_stream("/stream")
        seen = [before.part() for _ in range(3)]
        desk.change(pattern(preset="low-bandwidth", stream_width=160, stream_fps=15))
        (part,) = parts(desk.daemon, "/stream")
        assert (size(part.jpeg), quality(memoryview(part.jpeg))) == ((160, 120), 60)
        seen += [before.part() for _ in range(15)]
        assert unbroken(seen)
        assert {size(part.jpeg) for part in seen} == {(320, 240)}
        told = desk.daemon.camera()
        assert (told["restarts"], told["state"]) == (0, "live")


def test_limits_of_a_reload(tmp_path: Path) -> None:
    """Names and limits of a reload count at once; what is watched goes on."""
    with serving(tmp_path, pattern(), yard()) as desk, Client(desk.daemon) as client:
        client.open_stream("/stream?width=160")
        client.part()
        assert fetch(desk.daemon, "/snapshot?rendition=tiny").status == 400
        desk.change(pattern(), yard(), {"rendition.tiny.width": 32, "limits.renditions": 1})
        assert fetch(desk.daemon, "/snapshot/yard?width=32").status == 503
        assert size(fetch(desk.daemon, "/snapshot/yard?rendition=tiny").body) == (32, 24)
        assert size(client.part().jpeg) == (160, 120)
        desk.change(pattern(), yard(), {"rendition.tiny.width": 32})
        assert size(fetch(desk.daemon, "/snapshot/yard?width=32").body) == (32, 24)


def test_the_end(tmp_path: Path) -> None:
    """Viewers of renditions are sent home in order when their camera goes, and when the daemon does."""
    with serving(tmp_path, pattern(), yard()) as desk, Client(desk.daemon) as one, Client(desk.daemon) as other:
        one.open_stream("/stream/yard?width=80")
        other.open_stream("/stream?width=160&fps=10")
        assert [size(one.part().jpeg), size(other.part().jpeg)] == [(80, 60), (160, 120)]
        desk.change(pattern())
        assert size(last_picture(one.read_all())) == (80, 60)
        assert desk.daemon.stop() < SECONDS
        assert size(last_picture(other.read_all())) == (160, 120)


# Where the time goes


def test_extra_headers(daemon: Daemon) -> None:
    """Each part tells how long its frame took where, what the viewer missed and how many watch, in short lines."""
    with Client(daemon) as other:
        other.open_stream("/stream/busy")
        other.part()
        seen = parts(daemon, "/stream/busy?width=160&extra_headers=1", 5)
    for part in seen:
        assert list(part.fields)[:4] == ["Content-Type", "Content-Length", "X-Timestamp", "X-Frame-Id"]
        for name in ("Capture", "Encode", "Wake"):
            assert re.fullmatch(r"\d+\.\d{3}", part.fields[f"X-{name}-Ms"])
            assert float(part.fields[f"X-{name}-Ms"]) < 1000 * SECONDS
        assert float(part.fields["X-Encode-Ms"]) > 0
        assert (part.fields["X-Skipped"], part.fields["X-Viewers"]) == ("0", "2")
        assert max(map(len, part.head.split(b"\r\n"))) < 128


def test_extra_headers_are_for_the_default_profile(daemon: Daemon) -> None:
    """Who asks for them gets the default profile, a browser too; the other one has no place for them."""
    with Client(daemon) as client:
        client.open_stream("/stream?extra_headers=1", {"Sec-Fetch-Dest": "image"})
        assert "X-Wake-Ms" in client.part().fields
    assert fetch(daemon, "/stream?extra_headers=1&profile=browser").status == 400
    assert "X-Wake-Ms" not in parts(daemon, "/stream?extra_headers=0")[0].fields


# Other programs


@pytest.mark.parametrize("query", ["width=160", "width=160&extra_headers=1", "rendition=mobile&width=160&fps=30"])
def test_ffmpeg_plays_it(daemon: Daemon, query: str) -> None:
    """Ffmpeg takes a rendition as it takes a camera's own stream, with further lines in its parts too."""
    ffmpeg = peer("ffmpeg", "ffmpeg")
    done = run(
        *(ffmpeg, "-loglevel", "warning", "-f", "mpjpeg", "-i", f"{daemon.url}/stream?{query}"),
        *("-frames:v", "15", "-f", "framecrc", "-"),
    )
    rows = [line.split(",") for line in done.stdout.decode().splitlines() if not line.startswith("#")]
    assert (done.returncode, done.stderr) == (0, b"")
    assert len({row[5] for row in rows}) == 15
    assert {int(row[4]) for row in rows} == {160 * 120 * 3 // 2}


def test_opencv_plays_it(daemon: Daemon) -> None:
    """VideoCapture reads frames of the size that was asked for."""
    frames = opencv_frames(f"{daemon.url}/stream?width=160", 10)
    assert {frame.shape for frame in frames if frame is not None} == {(120, 160, 3)}
    assert all(frame is not None for frame in frames)


# Share links


def test_a_share_link_is_a_bound(tmp_path: Path) -> None:
    """Through a link less than it says may be asked for, and never more, by whatever words."""
    keys = {"key.wall.secret": "wall-3f9c1e77", "server.state": str(tmp_path / "state")}
    file = write_config(tmp_path / "mjpegd.toml", pattern(), keys)
    with Daemon(config=file, key="wall-3f9c1e77") as daemon:
        daemon.wait_state("live")
        link = Shop(daemon, file).share("--width", "160", "--fps", "5")
        for query, expected in (
            ("", (160, 120)),
            ("width=320", (160, 120)),
            ("width=80", (80, 60)),
            ("height=60", (80, 60)),
            ("rendition=passthrough", (160, 120)),
            ("rendition=low-latency", (160, 120)),
        ):
            (part,) = parts(daemon, f"{link.stream}?{query}")
            assert size(part.jpeg) == expected, query
        assert size(fetch(daemon, f"{link.picture}?width=320").body) == (160, 120)
        assert size(fetch(daemon, f"{link.picture}?width=80").body) == (80, 60)
        assert pace(parts(daemon, f"{link.stream}?fps=30", 8)) == pytest.approx(5, rel=0.12)
        assert pace(parts(daemon, f"{link.stream}?fps=2", 5)) < 2.5
