"""Sources that FFmpeg reads: files, HTTP, RTSP; and the pattern."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import cv2
import numpy
import pytest

from tests.daemon import SECONDS, Daemon, join, pattern, wait_for
from tests.system.client import Client, Part, decode, events, fetch, size

FPS = 20
SHADES = tuple(range(20, 240, 24))
"""Grey levels of a video's pictures, one each, in order."""
QUICK = {"camera.cam.retry_min": 0.2, "camera.cam.retry_max": 0.5, "camera.cam.stale_after": 1}


def write_video(path: Path, codec: str) -> None:
    """A video of as many pictures as there are shades."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), FPS, (320, 240))
    for shade in SHADES:
        writer.write(numpy.full((240, 320, 3), shade, numpy.uint8))
    writer.release()
    assert path.stat().st_size > 1000


def parts_of(daemon: Daemon, count: int) -> list[Part]:
    """So many parts of the stream."""
    with Client(daemon) as client:
        client.open_stream()
        return [client.part() for _ in range(count)]


def shade_of(part: Part) -> int:
    """Which of the shades a picture has."""
    mean = float(decode(part.jpeg).mean())
    return min(range(len(SHADES)), key=lambda index: abs(SHADES[index] - mean))


@pytest.mark.parametrize(
    ("name", "codec", "form", "decoder"),
    [("film.mp4", "mp4v", "BGR", "software"), ("film.avi", "MJPG", "JPEG", None)],
)
def test_a_file_loops_at_its_own_pace(tmp_path: Path, name: str, codec: str, form: str, decoder: str | None) -> None:
    """A video file is played at its own rate, whatever fps is asked for, and begins again at its end."""
    write_video(tmp_path / name, codec)
    with Daemon({"camera.cam.source": tmp_path / name, "camera.cam.fps": 60}) as daemon:
        daemon.wait_state("live")
        parts = parts_of(daemon, 35)
        stats = daemon.camera()
    seen = [shade_of(part) for part in parts]
    steps = [(after - before) % len(SHADES) for before, after in pairwise(seen)]
    assert steps.count(1) >= 30
    assert seen.count(0) >= 2
    pace = (parts[-1].timestamp - parts[0].timestamp) / (parts[-1].id - parts[0].id)
    assert pace == pytest.approx(1 / FPS, rel=0.2)
    assert (stats["source"], stats["restarts"]) == ("ffmpeg", 0)
    assert stats["granted"] == {"width": 320, "height": 240, "fps": FPS, "format": form, "decoder": decoder}
    assert size(parts[0].jpeg) == (320, 240)


def test_a_missing_file_is_a_card_until_it_is_there(tmp_path: Path) -> None:
    """A file that is not there is lost with the reason and shown as a card; once it is written it plays."""
    film = tmp_path / "film.avi"
    with Daemon(join({"camera.cam.source": film, "camera.cam.width": 400, "camera.cam.height": 300}, QUICK)) as daemon:
        daemon.wait_state("lost")
        assert daemon.camera()["reason"] == "no such file"
        with Client(daemon) as client:
            client.open_stream()
            assert size(client.part().jpeg) == (400, 300)
            write_video(tmp_path / "part.avi", "MJPG")
            (tmp_path / "part.avi").rename(film)
            assert size(client.part().jpeg) == (320, 240)
        daemon.wait_state("live")


def test_a_file_that_is_no_video_is_lost_with_words(tmp_path: Path) -> None:
    """What FFmpeg cannot read is named as such, and tried again without flooding the log."""
    (tmp_path / "film.avi").write_text("not a film\n" * 100)
    with Daemon(join({"camera.cam.source": tmp_path / "film.avi"}, QUICK)) as daemon:
        daemon.wait_state("lost")
        assert daemon.camera()["reason"] == "FFmpeg cannot read this file"
        time.sleep(1.5)
        assert len(events(daemon, "camera lost")) == 1


def test_another_mjpegd_is_a_source() -> None:
    """An HTTP MJPEG stream is passed through; its end is an outage, and its return ends that."""
    with Daemon(pattern(320, 240, 20)) as upstream:
        port = upstream.port
        with Daemon(join({"camera.cam.source": f"{upstream.url}/stream"}, QUICK)) as daemon:
            daemon.wait_state("live")
            assert {size(part.jpeg) for part in parts_of(daemon, 10)} == {(320, 240)}
            assert daemon.camera()["granted"]["format"] == "JPEG"
            upstream.stop()
            daemon.wait_state("lost")
            wait_for(lambda: daemon.camera()["reason"] == "cannot be reached: connection refused", 10, "the reason")
            with Daemon(join(pattern(160, 120, 20), {"server.port": port})):
                daemon.wait_state("live")
                answer = fetch(daemon, "/snapshot?fresh=1")
                assert size(answer.body) == (160, 120)
            assert daemon.camera()["restarts"] == 1


@contextmanager
def silent_server() -> Iterator[int]:
    """A port that accepts connections and never says a word."""
    kept = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            try:
                while True:
                    kept.append(listener.accept()[0])
            except OSError:
                return

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
    for connection in kept:
        connection.close()


def test_a_server_that_says_nothing_is_given_up_after_open_timeout() -> None:
    """A network source that accepts and is silent is lost after `open_timeout`, with words."""
    with silent_server() as port:
        sets = {"camera.cam.source": f"http://127.0.0.1:{port}/", "camera.cam.open_timeout": 1}
        with Daemon(join(sets, QUICK)) as daemon:
            daemon.wait_state("starting")
            daemon.wait_state("lost", within=15)
            assert daemon.camera()["reason"] == "does not answer within 1 s"


@pytest.mark.parametrize(
    "source",
    [
        "rtsp://user:hunter2@127.0.0.1:1/",
        "http://user:hunter2@127.0.0.1:1/video?x=y",
        "http://127.0.0.1:1/video?user=me&password=hunter2",
        "http://user:hunter2@[::1]:1/",
        "rtsp://user:a%40hunter2%2F@127.0.0.1:1/live",
        "rtsp://user:a@hunter2@127.0.0.1:1/live",
    ],
)
def test_the_password_of_a_source_is_never_shown(source: str) -> None:
    """A source's password is not in the log, any report or any error; the daemon starts and ends in time with it."""
    with Daemon(join({"camera.cam.source": source, "log.flood_period": 0.5}, QUICK)) as daemon:
        daemon.wait_state("lost")
        said = [fetch(daemon, path).body for path in ("/stats", "/health", "/health/cam", "/cameras", "/state", "/")]
        said.append(fetch(daemon, "/stream/nobody").body)
        assert daemon.camera()["reason"] == "cannot be reached: connection refused"
        assert daemon.stop() < SECONDS
    log = "\n".join(daemon.raw_log)
    assert "127.0.0.1:1/" in log or "[::1]:1/" in log
    assert "***" in log
    assert "hunter2" not in log
    assert b"hunter2" not in b"".join(said)


def test_the_pattern_moves_and_keeps_its_rate_and_size() -> None:
    """The test pattern has the size and rate asked for, and no two pictures of it are alike."""
    with Daemon(pattern(200, 100, 25)) as daemon:
        daemon.wait_state("live")
        parts = parts_of(daemon, 50)
        stats = daemon.camera()
    assert size(parts[0].jpeg) == (200, 100)
    assert len({part.jpeg for part in parts}) == 50
    pace = (parts[-1].timestamp - parts[0].timestamp) / (parts[-1].id - parts[0].id)
    assert pace == pytest.approx(1 / 25, rel=0.1)
    assert stats["frames"]["broken"] == 0


@pytest.mark.parametrize(("width", "height"), [(16, 16), (17, 31), (3840, 2160)])
def test_the_pattern_can_have_any_size(width: int, height: int) -> None:
    """The smallest, an odd and a large size all give pictures of that size."""
    with Daemon(pattern(width, height, 5)) as daemon:
        daemon.wait_state("live")
        assert size(fetch(daemon, "/snapshot").body) == (width, height)
