"""Cameras that speak HTTP: other people's servers, as they are, and what a bad network does to them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from tests.daemon import SECONDS, Daemon, pattern, wait_for
from tests.faulty import FaultyProxy
from tests.servers import stripe
from tests.servers.esp32 import Esp32
from tests.servers.ffmpeg_server import FFmpegServer
from tests.servers.loop import Loop
from tests.servers.ustreamer import UStreamer
from tests.system.client import Client, read_through, size
from tests.system.crowd import Crowd
from tests.system.fakecam import Camera, read_stamp
from tests.system.reference import Picture
from tests.system.remote import is_card, look_for, parts_of, rate, remote

SMALL = Loop(width=320, height=180, seconds=1)
CUTS = 200
WARM = 80
"""So many of them make the daemon as large as it will be: pools are full, cards were drawn."""
LEAST_LEAK = 50
"""KB a connection that would be lost with each of them: a thread's stack, a socket's buffer or a picture is more."""


@pytest.fixture
def esp32() -> Iterator[Esp32]:
    """A camera for one client."""
    with Esp32(SMALL.jpegs(), SMALL.fps) as running:
        yield running


def test_ffmpeg_as_a_camera() -> None:
    """FFmpeg's `mpjpeg` is passed on at its rate; when it ends there is a card, and the next one is found."""
    with FFmpegServer() as server, Daemon(remote(server.url)) as daemon:
        daemon.wait_state("live")
        with Client(daemon) as client:
            client.open_stream()
            parts = [client.part() for _ in range(50)]
            assert rate(parts[10:]) == pytest.approx(25, rel=0.15)
            assert size(parts[-1].jpeg) == (320, 240)
            server.process.kill()
            look_for(client, is_card, "a card")
            look_for(client, lambda part: not is_card(part), "the picture to be back")
        assert server.clients == 1


def test_ustreamer_keeps_its_time_and_its_bytes(camera: Camera) -> None:
    """Of uStreamer's pictures no byte is changed, and its X-Timestamp, in whole milliseconds of each send, is ours."""
    with UStreamer(camera) as peer, Daemon(remote(peer.url)) as daemon:
        daemon.wait_state("live")
        with ThreadPoolExecutor(2) as both:
            direct = both.submit(numbered, peer.url)
            relayed = both.submit(numbered, f"{daemon.url}/stream")
            theirs, ours = direct.result(), relayed.result()
    common = theirs.keys() & ours.keys()
    assert len(common) > 30
    for number in common:
        assert ours[number].jpeg == theirs[number].jpeg
        mine, its = (pictures[number].headers["x-timestamp"] for pictures in (ours, theirs))
        assert mine.endswith("000")
        assert float(mine) == pytest.approx(float(its), abs=0.05 * SECONDS)


def numbered(url: str) -> dict[int, Picture]:
    """Sixty pictures of a stream, by the camera's own count."""
    pictures = [picture for _, picture in read_through(url, 60)]
    stamps = [(read_stamp(picture.jpeg), picture) for picture in pictures]
    return {stamp.number: picture for stamp, picture in stamps if stamp}


def test_an_esp32_has_one_client(esp32: Esp32) -> None:
    """Twenty viewers cost the camera one connection, and each of them sees every picture."""
    with Daemon(remote(esp32.url)) as daemon:
        daemon.wait_state("live")
        with Crowd(daemon, 20) as crowd:
            crowd.wait(lambda viewer: len(viewer.ids) > 40, "forty pictures for everyone")
        assert all(viewer.share > 0.8 for viewer in crowd.viewers)
        numbers = [stripe.read_jpeg(part.jpeg) or 0 for part in parts_of(daemon, 30)]
        assert daemon.camera()["restarts"] == 0
    steps = [(later - sooner) % SMALL.length for sooner, later in pairwise(numbers)]
    assert steps.count(1) > 20
    assert (esp32.served, esp32.refused) == (1, 0)


def test_an_esp32_that_is_busy_is_waited_for(esp32: Esp32) -> None:
    """While somebody else has the camera's only place it is lost with a reason; when that one leaves it is ours."""
    with Client(esp32) as other:
        other.get("/stream").read_until(b"image/jpeg")
        with Daemon(remote(esp32.url)) as daemon:
            daemon.wait_state("lost")
            assert daemon.camera()["reason"]
            other.reset()
            daemon.wait_state("live")


@dataclass(frozen=True)
class Size:
    """What a process holds: threads, descriptors, and memory in KB."""

    threads: int
    descriptors: int
    memory: int

    @classmethod
    def of(cls, pid: int) -> "Size":
        """As it is now."""
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        status = dict(line.split(":", 1) for line in lines)
        descriptors = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        return cls(int(status["Threads"]), descriptors, int(status["VmRSS"].split()[0]))


def test_two_hundred_reconnects_leave_nothing_behind() -> None:
    """Threads, descriptors and memory are after two hundred cut connections what they were after eighty."""
    with Daemon(pattern(160, 120, fps=50)) as origin, FaultyProxy(origin.port) as proxy:
        quick = {"retry_min": 0.02, "retry_max": 0.02}
        with Daemon(remote(f"http://127.0.0.1:{proxy.port}/stream", **quick)) as daemon:
            sizes = []
            for number in range(CUTS):
                wait_for(lambda least=number: daemon.camera()["restarts"] >= least, 10, f"connection {number}")
                daemon.wait_state("live")
                if number in (WARM, CUTS - 1):
                    sizes.append(Size.of(daemon.process.pid))
                proxy.cut()
            wait_for(lambda: proxy.now == 1, 10, "the one connection that is left")
    before, after = sizes
    assert after.threads <= before.threads
    assert after.descriptors <= before.descriptors + 1
    assert after.memory < before.memory + (CUTS - WARM) * LEAST_LEAK
