"""Real clients and a real proxy against the running daemon, each as its users start it."""

import http.client
import os
import re
import statistics
import subprocess
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import cv2
import pytest

from tests.daemon import SECONDS, Daemon, pattern, wait_for
from tests.peers import missing, nginx_in_front, opencv_frames, peer, run
from tests.system.client import decode, read_through
from tests.system.reference import Go2rtc

WIDTH, HEIGHT = 320, 240
I420 = WIDTH * HEIGHT * 3 // 2
FRAMES = 20
END = re.compile(r"Stream ends prematurely at \d+, should be 18446744073709551615$|: Input/output error$")
"""What ffmpeg says at the end of any stream without a length."""


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    """One daemon with a pattern of 30 frames a second for all."""
    with Daemon(pattern(WIDTH, HEIGHT)) as running:
        running.wait_state("live")
        yield running


# FFmpeg


def decoded(framecrc: bytes) -> list[str]:
    """The checksum of each picture that ffmpeg decoded, all of which must have our size."""
    rows = [line.split(",") for line in framecrc.decode().splitlines() if not line.startswith("#")]
    assert {int(row[4]) for row in rows} <= {I420}
    return [row[5] for row in rows]


@pytest.mark.parametrize("options", [(), ("-f", "mpjpeg"), ("-f", "mpjpeg", "-strict_mime_boundary", "1")])
@pytest.mark.parametrize("path", ["/stream", "/?action=stream", "/video"])
def test_ffmpeg_decodes_every_frame(daemon: Daemon, path: str, options: tuple[str, ...]) -> None:
    """Ffmpeg takes just as many frames as it was told to, all different, and says no word about them."""
    ffmpeg = peer("ffmpeg", "ffmpeg")
    command = (ffmpeg, "-loglevel", "warning", *options, "-i", daemon.url + path)
    done = run(*command, "-frames:v", str(FRAMES), "-f", "framecrc", "-")
    assert (done.returncode, done.stderr) == (0, b"")
    assert len(set(decoded(done.stdout))) == FRAMES


def test_ffmpeg_asks_for_a_range_and_gets_the_stream(daemon: Daemon) -> None:
    """To ffmpeg's `Range: bytes=0-` the answer is 200, as if it had not asked."""
    ffmpeg = peer("ffmpeg", "ffmpeg")
    done = run(ffmpeg, "-loglevel", "trace", "-i", f"{daemon.url}/stream", "-frames:v", "1", "-f", "null", "-")
    assert done.returncode == 0
    assert b"Range: bytes=0-" in done.stderr
    assert b"header='HTTP/1.1 200 OK'" in done.stderr


def test_ffmpeg_sees_the_end_of_a_stream() -> None:
    """When the daemon stops ffmpeg ends too, with every frame decoded and no complaint but its usual one."""
    ffmpeg = peer("ffmpeg", "ffmpeg")
    with Daemon(pattern(WIDTH, HEIGHT)) as daemon:
        daemon.wait_state("live")
        command = (ffmpeg, "-loglevel", "warning", "-i", f"{daemon.url}/stream", "-f", "framecrc", "-")
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as client:
            try:
                wait_for(lambda: daemon.camera()["sent"]["frames"] >= FRAMES, 10, f"{FRAMES} frames to be sent")
                daemon.stop()
                output, errors = client.communicate(timeout=10 * SECONDS)
            finally:
                client.kill()
    assert len(decoded(output)) >= FRAMES
    assert all(END.search(line) for line in errors.decode().splitlines()), errors


def test_ffprobe_knows_the_format(daemon: Daemon) -> None:
    """Ffprobe names codec and size from the first part."""
    ffprobe = peer("ffprobe", "ffmpeg")
    entries = "format=format_name:stream=codec_name,width,height"
    done = run(ffprobe, "-v", "error", "-show_entries", entries, "-of", "default=nk=1:nw=1", f"{daemon.url}/stream")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode().split() == ["mjpeg", str(WIDTH), str(HEIGHT), "mpjpeg"]


# OpenCV


def test_opencv_reads_frames(daemon: Daemon) -> None:
    """VideoCapture reads thirty frames of the right size, each with another number drawn into it."""
    frames = opencv_frames(f"{daemon.url}/stream", 30)
    assert {frame.shape for frame in frames} == {(HEIGHT, WIDTH, 3)}
    numbers = [frame[HEIGHT * 3 // 4 :] for frame in frames]
    assert all(cv2.absdiff(one, other).max() > 100 for one, other in pairwise(numbers))


# GStreamer


@pytest.mark.parametrize("options", [(), ("single-stream=true",)])
def test_gstreamer_decodes_every_frame(daemon: Daemon, options: tuple[str, ...]) -> None:
    """A pipeline with multipartdemux ends in order after the wanted number of pictures, all different."""
    launch, inspect = (peer(name, "gstreamer1.0-tools") for name in ("gst-launch-1.0", "gst-inspect-1.0"))
    for element in ("souphttpsrc", "multipartdemux", "jpegdec"):
        if run(inspect, "--exists", element).returncode:
            missing(f"GStreamer's {element}", "gstreamer1.0-plugins-good")
    pipeline = ["souphttpsrc", f"location={daemon.url}/stream", "!", "multipartdemux", *options, "!", "jpegdec"]
    pipeline += ["!", "video/x-raw,format=I420", "!", "identity", f"eos-after={FRAMES + 1}", "!", "fdsink"]
    done = run(launch, "-q", *pipeline)
    assert (done.returncode, done.stderr) == (0, b"")
    assert len(done.stdout) == FRAMES * I420
    assert len({done.stdout[start : start + I420] for start in range(0, len(done.stdout), I420)}) == FRAMES


# VLC


def test_vlc_plays(daemon: Daemon) -> None:
    """VLC decodes and shows one different picture after the other."""
    vlc = peer("cvlc", "vlc-bin vlc-plugin-base")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)  # VLC does not run as root
        command = [vlc, "-I", "dummy", "--no-audio", "--vout", "dummy", "--video-filter", "scene"]
        command += ["--scene-format", "png", "--scene-ratio", "5", "--scene-path", name, f"{daemon.url}/stream"]
        player = subprocess.Popen(
            command,
            user="nobody" if os.getuid() == 0 else None,
            env={**os.environ, "HOME": name},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_for(lambda: len(scenes(folder)) >= 5, 20, "VLC to show five pictures")
        finally:
            player.terminate()
            player.wait(10 * SECONDS)


def scenes(folder: Path) -> set[bytes]:
    """The different pictures that VLC has written so far, but for the one it may be at."""
    files = sorted(folder.glob("scene*.png"))[:-1]
    pictures = [decode(file.read_bytes()) for file in files]
    assert all(picture.shape[1] == WIDTH for picture in pictures)  # the height is rounded up by its decoder
    return {picture.tobytes() for picture in pictures}


# curl


def test_curl_saves_the_stream(daemon: Daemon) -> None:
    """What `curl -N` writes are whole parts, one after the other."""
    curl = peer("curl", "curl")
    done = run(curl, "-sN", "--max-time", "1", f"{daemon.url}/stream")
    assert done.returncode == 28  # the time was up
    pictures = Go2rtc("mjpegdframe").feed(done.stdout)
    assert len(pictures) >= FRAMES // 2
    assert all(decode(picture.jpeg).shape == (HEIGHT, WIDTH, 3) for picture in pictures)


def test_curl_asks_for_the_head(daemon: Daemon) -> None:
    """`curl -I` ends at once, with the head of the stream and nothing behind it."""
    curl = peer("curl", "curl")
    done = run(curl, "-sSI", "--max-time", "5", f"{daemon.url}/stream")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nContent-Type: multipart/x-mixed-replace; boundary=mjpegdframe\r\n" in done.stdout
    assert done.stdout.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("same", [("-z", "{folder}/picture.jpg"), ("--etag-compare", "{folder}/etag")])
def test_curl_fetches_a_picture_only_once(still: Daemon, tmp_path: Path, same: tuple[str, ...]) -> None:
    """By date (`-z`) and by ETag curl is told 304 for the picture that it has."""
    curl = peer("curl", "curl")
    fetch = (curl, "-sSR", "-o", f"{tmp_path}/picture.jpg", "-w", "%{http_code}", f"{still.url}/snapshot")
    assert run(*fetch, "--etag-save", f"{tmp_path}/etag").stdout == b"200"
    assert decode((tmp_path / "picture.jpg").read_bytes()).shape == (480, 640, 3)
    assert run(*fetch, *(word.format(folder=tmp_path) for word in same)).stdout == b"304"


# nginx


@pytest.mark.parametrize(
    ("path", "directives", "width", "height"),
    [
        ("/stream", "", 32, 24),  # several pictures would fit into one of its buffers
        ("/stream", "", 640, 480),  # one takes several, and the last of them is not full
        ("/cams/stream", "", 32, 24),
        ("/stream", "proxy_http_version 1.0;", 32, 24),  # its default before 1.29.7
        ("/stream", "proxy_http_version 1.1;", 32, 24),  # its default since then
    ],
)
def test_nginx_passes_frames_on_one_by_one(tmp_path: Path, path: str, directives: str, width: int, height: int) -> None:
    """With nothing but proxy_pass nginx keeps no picture back, large or small: they come in step and fresh."""
    with Daemon(pattern(width, height, fps=2.5)) as daemon, nginx_in_front(tmp_path, daemon.port, directives) as nginx:
        daemon.wait_state("live")
        parts = read_through(nginx.url + path, 7)[1:]
    ages = [came - float(picture.headers["x-timestamp"]) for came, picture in parts]
    assert statistics.median(ages) < 0.3 * SECONDS
    steps = [later - sooner for (sooner, _), (later, _) in pairwise(parts)]
    assert statistics.median(steps) == pytest.approx(0.4, rel=0.5)


def test_nginx_serves_pictures_and_the_page(daemon: Daemon, tmp_path: Path) -> None:
    """Under a location of its own the page, its neighbours and a snapshot with its 304 come through as they are."""
    with nginx_in_front(tmp_path, daemon.port) as nginx:
        connection = http.client.HTTPConnection("127.0.0.1", nginx.port, timeout=10 * SECONDS)
        try:
            fetched = {}
            for path in ("", "snapshot", "cameras", "favicon.ico"):
                connection.request("GET", f"/cams/{path}")
                response = connection.getresponse()
                fetched[path] = response.status, response.headers.get_content_type(), response.read()
            connection.request("GET", "/cams/snapshot", headers={"If-None-Match": "*"})
            not_modified = connection.getresponse().status
        finally:
            connection.close()
    assert {path: answer[:2] for path, answer in fetched.items()} == {
        "": (200, "text/html"),
        "snapshot": (200, "image/jpeg"),
        "cameras": (200, "application/json"),
        "favicon.ico": (200, "image/svg+xml"),
    }
    assert fetched[""][2] == daemon.get("/")[1]
    assert decode(fetched["snapshot"][2]).shape == (HEIGHT, WIDTH, 3)
    assert not_modified == 304
