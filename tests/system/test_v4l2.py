"""A V4L2 camera, end to end: what it gives is what viewers get, and what happens when it misbehaves or goes away."""

import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.daemon import SECONDS, Daemon, wait_for
from tests.system.client import Client, Part, decode, events, fetch, is_whole, size, wait_viewers
from tests.system.fakecam import HEIGHT, WIDTH, Camera, read_stamp, unstamped

REPLUG = 3.0
CARD = 2.0
"""Seconds that the design gives from replug to live and from unplug to the card."""


@pytest.fixture(scope="module")
def shared(fakecam: Path, camera_frames: Path, tmp_path_factory: pytest.TempPathFactory) -> Camera:
    """One camera for the tests that only watch."""
    return Camera(fakecam, camera_frames, tmp_path_factory.mktemp("control"))


@pytest.fixture(scope="module")
def healthy(shared: Camera) -> Iterator[Daemon]:
    """A daemon with a camera that does all it should."""
    with shared.daemon() as daemon:
        daemon.wait_state("live")
        yield daemon


def parts_of(daemon: Daemon, count: int, camera: str = "cam") -> list[Part]:
    """So many parts of a stream."""
    with Client(daemon) as client:
        client.open_stream(f"/stream/{camera}")
        return [client.part() for _ in range(count)]


def wait_picture(client: Client, *, card: bool, within: float) -> Part:
    """The first part that is a card, or the first that is not; fails when none came within that many seconds."""
    began = time.monotonic()
    while True:
        part = client.part()
        if (read_stamp(part.jpeg) is None) is card:
            assert time.monotonic() - began < within * SECONDS
            return part
        assert time.monotonic() - began < within * SECONDS


def test_the_cameras_jpeg_is_passed_through_byte_for_byte(healthy: Daemon, shared: Camera) -> None:
    """Each picture in the stream is the camera's own, with the stamp that the camera put in, and nothing is encoded."""
    files = shared.files()
    for part in parts_of(healthy, 15):
        stamp = read_stamp(part.jpeg)
        assert stamp is not None
        assert unstamped(part.jpeg) == files[stamp.number % len(files)]
    assert healthy.camera()["milliseconds"]["encode"] == {"p50": None, "p95": None}


def test_a_daemon_that_passes_jpeg_through_never_loads_opencv(healthy: Daemon) -> None:
    """The picture library, 40 MB of it, stays on disk as long as nobody needs a pixel."""
    maps = Path(f"/proc/{healthy.process.pid}/maps").read_text()
    assert "libfakecam" in maps
    assert "cv2" not in maps


def test_the_timestamp_is_the_kernels_capture_time(healthy: Daemon) -> None:
    """X-Timestamp is the buffer's timestamp turned into wall-clock time, not the time of sending."""
    for part in parts_of(healthy, 10):
        stamp = read_stamp(part.jpeg)
        assert stamp is not None
        since = time.monotonic() - stamp.taken
        assert abs(time.time() - since - part.timestamp) < 0.02


def test_every_frame_is_sent_or_counted_as_skipped(healthy: Daemon) -> None:
    """A viewer sees the camera's frames in order, and those it does not see are counted, by capture or by viewer."""
    before = healthy.camera()
    numbers = [stamp.number for part in parts_of(healthy, 30) if (stamp := read_stamp(part.jpeg))]
    wait_viewers(healthy, 0)
    after = healthy.camera()
    lost = after["frames"]["skipped"] - before["frames"]["skipped"]
    skipped = after["sent"]["skipped"] - before["sent"]["skipped"]
    assert len(numbers) == 30
    assert all(earlier < later for earlier, later in pairwise(numbers))
    assert numbers[-1] - numbers[0] <= 29 + lost + skipped


def test_stats_show_what_was_asked_for_and_what_was_granted(healthy: Daemon) -> None:
    """`/stats` and the log have requested and granted size, rate and format."""
    stats = healthy.camera()
    assert stats["source"] == "v4l2"
    assert stats["requested"] == {"width": WIDTH, "height": HEIGHT, "fps": 30.0}
    assert stats["granted"] == {"width": WIDTH, "height": HEIGHT, "fps": 30.0, "format": "MJPG", "decoder": None}
    (line,) = events(healthy, "camera live")
    assert (line["asked"], line["got"], line["device"]) == ("640x480@30", "640x480@30", "/dev/video0")


def test_yuyv_is_encoded_once_for_all_viewers(camera: Camera) -> None:
    """Raw pixels are encoded once a frame, however many watch, and the quality key decides how well."""
    with camera.daemon({"camera.cam.quality": 20}, formats="YUYV") as daemon:
        daemon.wait_state("live")
        with Client(daemon) as one, Client(daemon) as two:
            one.open_stream()
            two.open_stream()
            ones = {part.id: part.jpeg for part in (one.part() for _ in range(20))}
            twos = {part.id: part.jpeg for part in (two.part() for _ in range(20))}
        shared = ones.keys() & twos.keys()
        assert shared
        assert all(ones[seq] == twos[seq] for seq in shared)
        assert size(next(iter(ones.values()))) == (WIDTH, HEIGHT)
        stats = daemon.camera()
        assert stats["granted"]["format"] == "YUYV"
        assert stats["milliseconds"]["encode"]["p50"] > 0
        coarse = stats["jpeg_bytes"]
    with camera.daemon({"camera.cam.quality": 95}, formats="YUYV") as daemon:
        daemon.wait_state("live")
        assert daemon.camera()["jpeg_bytes"] > 2 * coarse


def test_zero_padding_after_the_picture_is_left_off(camera: Camera) -> None:
    """A driver that rounds `bytesused` up has its padding cut off, and nothing counts as broken."""
    with camera.daemon(pad=5000) as daemon:
        daemon.wait_state("live")
        files = camera.files()
        for part in parts_of(daemon, 5):
            assert unstamped(part.jpeg) in files
        assert daemon.camera()["frames"]["broken"] == 0


def test_missing_huffman_tables_are_put_in(camera: Camera) -> None:
    """Pictures of a camera that leaves the tables out have them when sent, and decode to the same pixels."""
    files = camera.files()
    with camera.daemon(strip_dht=1) as daemon:
        daemon.wait_state("live")
        for part in parts_of(daemon, 3):
            stamp = read_stamp(part.jpeg)
            assert stamp is not None
            assert b"\xff\xc4" in part.jpeg
            assert (decode(part.jpeg) == decode(files[stamp.number % len(files)])).all()


@pytest.mark.parametrize("mode", ["truncate", "garbage", "empty", "error"])
def test_broken_pictures_are_counted_and_never_sent(camera: Camera, mode: str) -> None:
    """Truncated, garbled, empty and error-flagged buffers are skipped and counted; the others come through."""
    with camera.daemon(corrupt_every=3, corrupt_mode=mode) as daemon:
        daemon.wait_state("live")
        files = camera.files()
        parts = parts_of(daemon, 20)
        frames = daemon.camera()["frames"]
    numbers = [stamp.number for part in parts if (stamp := read_stamp(part.jpeg))]
    assert len(numbers) == 20
    assert all(unstamped(part.jpeg) in files for part in parts)
    assert not [number for number in numbers if number % 3 == 2]
    assert frames["broken"] >= 9
    assert frames["captured"] > frames["broken"]
    line = events(daemon, "picture skipped")[0]
    assert line["level"] == "warning"
    assert line["reason"]


def test_a_flood_of_broken_pictures_is_ten_lines_and_a_count(camera: Camera) -> None:
    """The log has one event at most ten times a period, then one line with the number of the others."""
    with camera.daemon({"log.flood_period": 2}, corrupt_every=2) as daemon:
        more = daemon.wait_log("picture skipped (more of these, not shown)")
        assert len(events(daemon, "picture skipped")) >= 10
        assert more["camera"] == "cam"
        assert more["count"] > 1
        assert len(events(daemon, "picture skipped")) <= 10 * (1 + more["seconds"] // 2) + 10


def test_incomplete_pictures_pass_where_the_switch_says_so(camera: Camera) -> None:
    """`complete_only = false` lets pictures without EOI through, for cameras that never send one."""
    with camera.daemon({"camera.cam.complete_only": "false"}, corrupt_every=1) as daemon:
        daemon.wait_state("live")
        answer = fetch(daemon, "/snapshot")
        frames = daemon.camera()["frames"]
    assert answer.status == 200
    assert not is_whole(answer.body)
    assert len(answer.body) > 1000
    assert [whole for whole in camera.files() if whole.startswith(unstamped(answer.body))]
    assert frames["broken"] == 0


def test_nothing_but_broken_pictures_is_an_outage_with_its_reason(camera: Camera) -> None:
    """A camera that sends only torn pictures is stale and says why; it comes back with the first good one."""
    with camera.daemon({"camera.cam.retry_min": 0.2}) as daemon:
        daemon.wait_state("live")
        with camera.doing("corrupt"):
            daemon.wait_state("stale")
            assert "broken pictures" in daemon.camera()["reason"]
        daemon.wait_state("live")


def test_unplug_shows_a_card_and_replug_the_camera(camera: Camera) -> None:
    """A viewer sees a card of the same size after an unplug and the camera after a replug, on one connection."""
    with camera.daemon() as daemon:
        daemon.wait_state("live")
        with Client(daemon) as client:
            client.open_stream()
            live = client.part()
            camera.unplug()
            card = wait_picture(client, card=True, within=CARD)
            daemon.wait_state("lost", within=CARD)
            lost = daemon.camera()
            camera.plug()
            again = wait_picture(client, card=False, within=REPLUG)
            daemon.wait_state("live", within=REPLUG)
        stats = daemon.camera()
    assert size(card.jpeg) == (WIDTH, HEIGHT)
    assert live.id < card.id < again.id
    assert live.timestamp < card.timestamp < again.timestamp
    assert lost["reason"] in {"unplugged", "not plugged in"}
    assert lost["fps"] == 0.0
    assert (stats["restarts"], stats["reason"]) == (1, "")


def test_a_snapshot_of_a_lost_camera_is_503_and_not_its_last_picture(camera: Camera) -> None:
    """While a camera is gone its snapshot is neither the old picture nor the card, but 503 with the reason."""
    with camera.daemon() as daemon:
        daemon.wait_state("live")
        assert read_stamp(fetch(daemon, "/snapshot").body)
        camera.unplug()
        daemon.wait_state("lost", within=CARD)
        answer = fetch(daemon, "/snapshot")
        assert answer.status == 503
        assert answer.json()["reason"] == "not plugged in"
        camera.plug()
        assert read_stamp(fetch(daemon, "/snapshot").body)


def test_a_long_unplug_stays_one_outage(camera: Camera) -> None:
    """While a camera stays away its state keeps its beginning, and the log has one line for it, not one a try."""
    with camera.daemon({"camera.cam.retry_min": 0.05, "camera.cam.retry_max": 0.1}) as daemon:
        daemon.wait_state("live")
        camera.unplug()
        daemon.wait_state("lost", within=CARD)
        wait_for(lambda: daemon.camera()["reason"] == "not plugged in", 5, "the second reason")
        since = daemon.camera()["since"]
        time.sleep(1)
        assert daemon.camera()["since"] == since
        assert len(events(daemon, "camera lost")) <= 2
        camera.plug()
        daemon.wait_state("live", within=REPLUG)
        assert daemon.camera()["since"] > since


def test_a_camera_that_stalls_is_stale_and_opened_again(camera: Camera) -> None:
    """A silent camera is stale after `stale_after` with a card, is reopened, and is live when it speaks again."""
    with camera.daemon({"camera.cam.retry_min": 0.2, "camera.cam.retry_max": 0.5}) as daemon:
        daemon.wait_state("live")
        with Client(daemon) as client:
            client.open_stream()
            with camera.doing("stall"):
                wait_picture(client, card=True, within=4)
                daemon.wait_state("stale")
                assert daemon.camera()["reason"] == "no frames for 1 s"
                wait_for(lambda: daemon.camera()["restarts"] >= 1, 10, "a new try")
            wait_picture(client, card=False, within=6)
            daemon.wait_state("live")


def test_a_camera_absent_at_the_start_comes_in_when_plugged(camera: Camera) -> None:
    """The daemon starts without its camera, shows a card of the size asked for, and takes the camera when it comes."""
    camera.unplug()
    with camera.daemon({"camera.cam.width": 800, "camera.cam.height": 600}) as daemon:
        daemon.wait_state("lost")
        assert daemon.camera()["reason"] == "not plugged in"
        with Client(daemon) as client:
            client.open_stream()
            assert size(wait_picture(client, card=True, within=2).jpeg) == (800, 600)
            camera.plug()
            assert size(wait_picture(client, card=False, within=REPLUG).jpeg) == (WIDTH, HEIGHT)
        daemon.wait_state("live", within=REPLUG)


def test_auto_takes_the_camera_and_waits_for_it_when_it_goes(camera: Camera) -> None:
    """`source = "auto"` takes the first camera, says which, and after an unplug shows a card, not the pattern."""
    with camera.daemon({"camera.cam.source": "auto"}) as daemon:
        line = daemon.wait_log("using the first usable camera")
        assert line["device"] == "/dev/video0"
        daemon.wait_state("live")
        assert read_stamp(fetch(daemon, "/snapshot").body)
        camera.unplug()
        daemon.wait_state("lost", within=CARD)
        time.sleep(1.5)
        assert daemon.camera()["state"] == "lost"
        assert not events(daemon, "no camera found: showing the test pattern until one is plugged in")
        camera.plug()
        daemon.wait_state("live", within=REPLUG)
        assert read_stamp(fetch(daemon, "/snapshot?fresh=1").body)


def test_auto_without_a_camera_shows_the_pattern_until_one_comes(camera: Camera) -> None:
    """`source = "auto"` without cameras says so and shows the moving pattern, then the camera that is plugged in."""
    camera.unplug()
    with camera.daemon({"camera.cam.source": "auto"}) as daemon:
        line = daemon.wait_log("no camera found: showing the test pattern until one is plugged in")
        assert line["level"] == "warning"
        daemon.wait_state("live")
        first, second = fetch(daemon, "/snapshot"), fetch(daemon, "/snapshot?fresh=1")
        assert first.body != second.body
        assert read_stamp(first.body) is None
        camera.plug()
        wait_for(lambda: read_stamp(fetch(daemon, "/snapshot").body) is not None, 6, "the camera's picture")
        assert daemon.camera()["granted"]["format"] == "MJPG"


def test_a_camera_far_below_the_rate_asked_for_is_reported(camera: Camera) -> None:
    """Below 70 % of the frames asked for the operator is warned once, with both numbers and a hint."""
    with camera.daemon({"camera.cam.fps": 30}, fps=10, fps_fixed=1) as daemon:
        line = daemon.wait_log("camera gives fewer frames than asked for")
        assert (line["level"], line["asked"], line["granted"]) == ("warning", 30.0, 10.0)
        assert line["measured"] == pytest.approx(10, abs=2)
        assert line["hint"]
        stats = daemon.camera()
        assert (stats["requested"]["fps"], stats["granted"]["fps"]) == (30.0, 10.0)
        assert stats["fps"] == pytest.approx(10, abs=2)
        assert len(events(daemon, "camera gives fewer frames than asked for")) == 1


def test_two_cameras_live_side_by_side(camera: Camera) -> None:
    """One daemon serves two devices, each under its name; when one goes the other does not notice."""
    other = {"camera.back.source": "/dev/video1", "camera.back.width": WIDTH, "camera.back.height": HEIGHT}
    devices = f"/dev/video0={camera.frames},/dev/video1={camera.frames}"
    with camera.daemon(other, devices=devices) as daemon:
        for name in ("cam", "back"):
            daemon.wait_state("live", name)
            assert all(read_stamp(part.jpeg) for part in parts_of(daemon, 3, name))
        (camera.control / "unplug.video1").touch()
        daemon.wait_state("lost", "back", within=CARD)
        stats = daemon.json("/stats")["cameras"]
    assert (stats["cam"]["state"], stats["cam"]["reason"], stats["cam"]["restarts"]) == ("live", "", 0)
    assert stats["cam"]["frames"]["broken"] == 0


def test_a_device_in_use_elsewhere_is_lost_with_words(camera: Camera) -> None:
    """Two cameras on one device: the second says that another program has it open."""
    twin = {"camera.twin.source": "/dev/video0", "camera.twin.width": WIDTH, "camera.twin.height": HEIGHT}
    with camera.daemon(twin) as daemon:
        wait_for(
            lambda: {daemon.camera(name)["state"] for name in ("cam", "twin")} == {"live", "lost"}, 10, "one to win"
        )
        reasons = {daemon.camera(name)["reason"] for name in ("cam", "twin")}
    assert reasons == {"", "another program has it open"}


@pytest.mark.parametrize(
    ("source", "reason"),
    [("/dev/null", "not a V4L2 device"), ("/dev/video9", "not plugged in"), ("usb:1234:5678", "not plugged in")],
)
def test_a_device_that_is_no_camera_is_lost_with_words(source: str, reason: str) -> None:
    """What cannot be a camera is reported in words an operator understands, and the daemon runs on."""
    with Daemon({"camera.cam.source": source}) as daemon:
        daemon.wait_state("lost")
        assert reason in daemon.camera()["reason"]
        assert daemon.get("/health")[0].status == 200


def test_a_log_reader_that_leaves_costs_no_camera(camera: Camera) -> None:
    """With nobody reading the log any more, a camera is still lost, shown as such, and comes back."""
    with camera.daemon() as daemon:
        daemon.wait_state("live")
        daemon.read_no_more()
        camera.unplug()
        daemon.wait_state("lost")
        camera.plug()
        daemon.wait_state("live")
