"""What one viewer does is nobody else's business: stalled and slow ones beside fast ones."""

import contextlib
import statistics
import time
from pathlib import Path

import pytest

from tests.daemon import SECONDS, Daemon, join, pattern, wait_for
from tests.system.client import Client, Part, events, request, wait_viewers
from tests.system.crowd import Crowd
from tests.system.fakecam import Camera, read_stamp

PATIENT = {"limits.stall_timeout": 60}
FULL = 0.8
"""Share of the frames above which a viewer has full speed: a busy machine costs some, a blocked loop all of them."""


def stalled(daemon: Daemon) -> Client:
    """A viewer that asks, reads nothing, and has little room in its kernel."""
    return Client(daemon, receive_buffer=4096).get("/stream")


def is_over(client: Client) -> bool:
    """Whether the server ended the connection, without reading on: what is sent to it meets an RST sooner or later."""
    try:
        client.send(b"x")
    except (BrokenPipeError, ConnectionResetError):
        return True
    return False


def read_slowly(client: Client, seconds: float, rate: int) -> list[tuple[Part, float]]:
    """Read at `rate` bytes a second; whole parts, each with its age when its last byte was read."""
    parts = []
    got = len(client.buffer)
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        due = began + got / rate
        time.sleep(max(0.0, due - time.monotonic()))
        chunk = client.socket.recv(8192)
        assert chunk
        got += len(chunk)
        client.buffer += chunk
        while b"\r\n\r\n" in client.buffer:
            length = int(client.buffer.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
            head_end = client.buffer.index(b"\r\n\r\n") + 4
            if len(client.buffer) < head_end + length + len(b"\r\n--mjpegdframe\r\n"):
                break
            now = time.time()
            part = client.part()
            parts.append((part, now - part.timestamp))
    return parts


def test_a_stalled_viewer_costs_the_fast_ones_no_frame_and_is_cut(camera: Camera) -> None:
    """Beside a viewer that never reads ten fast ones get every frame; after `stall_timeout` the stalled one is cut."""
    with camera.daemon({"limits.stall_timeout": 1}) as daemon:
        daemon.wait_state("live")
        with stalled(daemon) as client, Crowd(daemon, 10) as crowd:
            wait_viewers(daemon, 11)
            first = daemon.camera()["frames"]["captured"]
            wait_viewers(daemon, 10, within=5)
            wait_for(lambda: daemon.camera()["frames"]["captured"] >= first + 60, 10, "sixty frames")
            wait_for(lambda: is_over(client), 5, "the end of the stalled connection")
        wait_viewers(daemon, 0)
    (line,) = events(daemon, "viewer stalled")
    assert (line["viewer"], line["camera"]) == (client.name, "cam")
    assert line["seconds"] >= 1
    assert all(viewer.span >= 60 and viewer.share > FULL for viewer in crowd.viewers)
    assert len(events(daemon, "viewer left")) == 10


def test_a_viewer_that_takes_a_little_is_slow_and_not_stalled(camera: Camera) -> None:
    """A viewer that takes some bytes now and then is not cut, though no frame of its is done within the limit."""
    with camera.daemon({"limits.stall_timeout": 1}) as daemon:
        daemon.wait_state("live")
        with stalled(daemon) as client:
            for _ in range(25):
                time.sleep(0.1)
                assert client.socket.recv(4096)
            assert daemon.camera()["viewers"] == 1
            assert not events(daemon, "viewer stalled")


def test_a_slow_viewer_skips_whole_frames_and_never_lags(camera: Camera) -> None:
    """At a third of the rate needed pictures are whole, jump ahead, and are at most half a second old (median)."""
    with camera.daemon() as daemon:
        daemon.wait_state("live")
        with Client(daemon, receive_buffer=65536) as client:
            client.open_stream()
            frame = client.part()
            rate = len(frame.jpeg) * 30 // 3
            read_slowly(client, 1.5, rate)
            parts = read_slowly(client, 4, rate)
        wait_viewers(daemon, 0)
        sent = daemon.camera()["sent"]
    ids = [part.id for part, _ in parts]
    ages = [age for _, age in parts]
    assert len(parts) >= 10
    assert all(read_stamp(part.jpeg) for part, _ in parts)
    assert ids == sorted(set(ids))
    assert ids[-1] - ids[0] > 2 * len(ids)
    assert statistics.median(ages) < 0.5 * SECONDS, ages
    assert sent["skipped"] > sent["frames"]


def test_slow_viewers_cost_the_fast_ones_no_frame(camera: Camera) -> None:
    """Beside slow readers ten fast viewers still get every frame."""
    with camera.daemon(PATIENT) as daemon:
        daemon.wait_state("live")
        with Client(daemon, receive_buffer=65536) as slow, Crowd(daemon, 10) as crowd:
            slow.open_stream()
            read_slowly(slow, 2.5, 300_000)
    assert all(viewer.span > 30 and viewer.share > FULL for viewer in crowd.viewers)


def test_memory_does_not_grow_with_stalled_viewers(camera: Camera) -> None:
    """Twenty viewers that never read cost less than a frame each, however long they stay."""
    with camera.daemon(PATIENT) as daemon:
        daemon.wait_state("live")
        with Crowd(daemon, 1), contextlib.ExitStack() as stack:
            for _ in range(20):
                stack.enter_context(stalled(daemon))
            wait_viewers(daemon, 21)
            time.sleep(0.5)
            before = resident(daemon)
            captured = daemon.camera()["frames"]["captured"]
            wait_for(lambda: daemon.camera()["frames"]["captured"] >= captured + 90, 15, "ninety frames")
            after = resident(daemon)
    assert after - before < 4_000_000, (before, after)


def resident(daemon: Daemon) -> int:
    """The daemon's resident memory in bytes."""
    status = Path(f"/proc/{daemon.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


def test_viewers_that_come_and_go_leave_nothing_open() -> None:
    """After many viewers in every manner of leaving, the daemon has no more descriptors and threads than before."""
    with Daemon(pattern(fps=25)) as daemon:
        daemon.wait_state("live")
        daemon.get("/stats")
        before, threads = len(descriptors(daemon)), len(list(Path(f"/proc/{daemon.process.pid}/task").iterdir()))
        for number in range(150):
            with Client(daemon) as client:
                client.get("/stream" if number % 2 else "/stream?profile=browser")
                if number % 3:
                    client.head()
                if number % 5 == 0:
                    client.reset()
        wait_viewers(daemon, 0)
        wait_for(lambda: len(descriptors(daemon)) <= before, 10, "all descriptors to be closed")
        assert len(list(Path(f"/proc/{daemon.process.pid}/task").iterdir())) <= threads
        assert daemon.camera()["visits"] >= 100


def descriptors(daemon: Daemon) -> list[Path]:
    """The daemon's open files."""
    return list(Path(f"/proc/{daemon.process.pid}/fd").iterdir())


@pytest.mark.parametrize("path", ["/stats", "/health", "/snapshot", "/"])
def test_finite_answers_are_quick_beside_stalled_viewers(camera: Camera, path: str) -> None:
    """A request is answered at once while viewers stall and other clients hold back half a request each."""
    with camera.daemon(PATIENT) as daemon, contextlib.ExitStack() as stack:
        daemon.wait_state("live")
        for _ in range(5):
            stack.enter_context(stalled(daemon))
            stack.enter_context(Client(daemon)).send(request(path)[:-2])
        wait_viewers(daemon, 5)
        began = time.monotonic()
        response, _ = daemon.get(path)
        assert response.status == 200
        assert time.monotonic() - began < SECONDS


def test_a_client_that_never_reads_its_snapshots_is_cut(camera: Camera) -> None:
    """Pipelined snapshots nobody reads end with the connection after `stall_timeout`, not in memory."""
    with camera.daemon({"limits.stall_timeout": 1}) as daemon:
        daemon.wait_state("live")
        with Client(daemon, receive_buffer=4096) as client:
            client.send(request("/snapshot") * 400)
            wait_for(lambda: is_over(client), 10, "the end of the connection")


def test_cameras_do_not_share_their_viewers_fate() -> None:
    """A lost camera and its viewers do not slow down the viewers of another one."""
    sets = join(pattern(fps=25), {"camera.lost.source": "/dev/video99", "server.heartbeat": 0.5})
    with Daemon(sets) as daemon:
        daemon.wait_state("live")
        daemon.wait_state("lost", "lost")
        with Crowd(daemon, 5, "/stream/lost") as waiting, Crowd(daemon, 5, "/stream/cam") as crowd:
            wait_for(lambda: all(len(viewer.ids) > 40 for viewer in crowd.viewers), 10, "forty frames")
        assert all(len(viewer.ids) >= 1 for viewer in waiting.viewers)
    assert all(viewer.share > FULL for viewer in crowd.viewers)
