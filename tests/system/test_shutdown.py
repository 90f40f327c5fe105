"""The end: within a second, with every viewer's last part whole, whatever the viewers do."""

import os
import signal
import socket
import time

import pytest

from tests.daemon import SECONDS, Daemon, cli, join, pattern
from tests.system.client import END, EOI, SOI, Client, events, is_whole, last_picture, request, wait_viewers
from tests.system.crowd import Crowd
from tests.system.fakecam import Camera

LIMIT = 1.0
"""Seconds the end may take, by the specification."""


def stalled_viewer(daemon: Daemon) -> Client:
    """A viewer that asks and never reads."""
    client = Client(daemon, receive_buffer=4096)
    client.get("/stream")
    return client


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_hundred_viewers_are_sent_home_within_a_second(number: signal.Signals) -> None:
    """A signal ends the daemon within 1 s; each of 100 viewers gets a whole last picture, the closing part and FIN."""
    with Daemon(pattern(fps=10)) as daemon:
        daemon.wait_state("live")
        with Crowd(daemon, 100) as crowd:
            wait_viewers(daemon, 100)
            seconds = daemon.stop(number)
            crowd.wait_end()
        assert seconds < LIMIT * SECONDS
        assert daemon.process.returncode == 0
        assert {viewer.ended for viewer in crowd.viewers} == {"closed"}
        for viewer in crowd.viewers:
            assert is_whole(last_picture(viewer.wire))
        assert len({last_picture(viewer.wire) for viewer in crowd.viewers}) == 1
    farewells = events(daemon, "viewer sent home")
    more = events(daemon, "viewer sent home (more of these, not shown)")
    assert len(farewells) + sum(line["count"] for line in more) == 100
    assert events(daemon, "stopped")[0]["seconds"] < LIMIT * SECONDS


def test_browsers_are_sent_home_with_a_whole_picture_too() -> None:
    """The closing part of the browser profile has a whole picture before it."""
    with Daemon(pattern(fps=10)) as daemon:
        daemon.wait_state("live")
        with Crowd(daemon, 5, "/stream?profile=browser") as crowd:
            wait_viewers(daemon, 5)
            daemon.stop()
            crowd.wait_end()
    for viewer in crowd.viewers:
        assert viewer.wire.endswith(EOI + END)
        assert bytes(viewer.wire).count(SOI) == bytes(viewer.wire).count(EOI)


def test_a_stalled_viewer_does_not_prolong_the_end(camera: Camera) -> None:
    """With viewers that never read the end still takes less than 1 s, and the others get their closing part."""
    with camera.daemon() as daemon:
        daemon.wait_state("live")
        stalled = [stalled_viewer(daemon) for _ in range(3)]
        with Crowd(daemon, 3) as crowd:
            wait_viewers(daemon, 6)
            seconds = daemon.stop(signal.SIGINT)
            crowd.wait_end()
        for client in stalled:
            client.socket.close()
        assert seconds < LIMIT * SECONDS
        assert daemon.process.returncode == 0
        for viewer in crowd.viewers:
            assert is_whole(last_picture(viewer.wire))


def test_a_viewer_that_skips_still_gets_whole_pictures_at_the_end(camera: Camera) -> None:
    """A viewer in the middle of a picture when the signal comes gets its rest before the closing part."""
    with camera.daemon() as daemon:
        daemon.wait_state("live")
        with Client(daemon, receive_buffer=4096) as client:
            client.open_stream()
            time.sleep(0.5)
            daemon.process.send_signal(signal.SIGTERM)
            wire = client.read_all()
            daemon.process.wait(5 * SECONDS)
    assert is_whole(last_picture(wire))


def test_idle_and_half_sent_requests_do_not_prolong_the_end() -> None:
    """Connections that only wait, or are in the middle of a request, are closed, and the end stays within 1 s."""
    with Daemon(pattern()) as daemon, Client(daemon) as silent, Client(daemon) as half, Client(daemon) as kept:
        half.send(request("/stats")[:10])
        kept.get("/stats").answer()
        daemon.wait_state("live")
        seconds = daemon.stop()
        assert seconds < LIMIT * SECONDS
        assert daemon.process.returncode == 0
        assert silent.at_end()
        assert kept.at_end()


def test_a_waiting_snapshot_does_not_prolong_the_end() -> None:
    """A snapshot that waits for a picture gets its 503 at the signal, not after its 4 seconds."""
    with Daemon({"camera.cam.source": "/dev/video99"}) as daemon, Client(daemon) as client:
        daemon.wait_state("lost")
        client.get("/snapshot")
        time.sleep(0.3)
        seconds = daemon.stop()
        assert seconds < LIMIT * SECONDS
        assert client.answer().status == 503


def test_a_second_signal_ends_at_once(camera: Camera) -> None:
    """While viewers are still being sent home a second SIGINT kills the daemon there and then."""
    with camera.daemon() as daemon:
        daemon.wait_state("live")
        stalled = stalled_viewer(daemon)
        with Crowd(daemon, 1) as crowd, stalled:
            wait_viewers(daemon, 2)
            time.sleep(0.3)
            daemon.process.send_signal(signal.SIGINT)
            crowd.wait_end()
            daemon.process.send_signal(signal.SIGINT)
            daemon.process.wait(5 * SECONDS)
    assert daemon.process.returncode == -signal.SIGINT
    assert not events(daemon, "stopped")


def test_nobody_is_accepted_once_the_end_began(camera: Camera) -> None:
    """After the signal the port is closed to new connections while the old ones are sent home."""
    with camera.daemon() as daemon:
        daemon.wait_state("live")
        with stalled_viewer(daemon), Crowd(daemon, 1) as crowd:
            wait_viewers(daemon, 2)
            daemon.process.send_signal(signal.SIGTERM)
            crowd.wait_end()
            with pytest.raises(OSError, match=r"refused|reset"), Client(daemon) as late:
                late.get("/stats").head()
            daemon.process.wait(5 * SECONDS)


def test_the_port_is_free_again_at_once() -> None:
    """A restart on the same port works right after the end, TIME_WAIT or not."""
    with Daemon(pattern()) as daemon:
        daemon.wait_state("live")
        with Crowd(daemon, 3) as crowd:
            daemon.stop()
            crowd.wait_end()
    with Daemon(join(pattern(), {"server.port": daemon.port})) as again:
        assert again.port == daemon.port
        again.wait_state("live")


def test_a_camera_that_never_opens_does_not_prolong_the_end() -> None:
    """A source that hangs in opening (a server that accepts and is silent) is left behind within the second."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with Daemon({"camera.cam.source": f"http://127.0.0.1:{port}/"}) as daemon:
            connection, _ = silent.accept()
            with connection:
                seconds = daemon.stop(signal.SIGINT)
            assert seconds < LIMIT * SECONDS
            assert daemon.process.returncode == 0


def test_a_busy_port_is_one_clear_line() -> None:
    """Where the port is taken the daemon ends with exit code 2 and one line that says so, having started nothing."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = cli("run", "--config", os.devnull, "--set", f"server.port={port}", "--set", "camera.cam.source=pattern")
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert line.lower() == f"mjpegd: cannot listen on 127.0.0.1 port {port}: address already in use"
