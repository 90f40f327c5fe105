"""mjpegd as a service: what the manager is told and when, the watchdog, and sockets that it is handed."""

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from tests.daemon import RUN, SECONDS, Daemon, cli, free_port, join, pattern, surroundings, wait_for, write_config
from tests.peers import peer, run
from tests.system.client import Client, events, fetch, size
from tests.system.fakecam import Camera
from tests.system.manager import Manager, handing_over

GRACE = 10.0
"""Seconds of a capture thread's silence beyond its camera's own limits before it is taken for stuck."""


# What is told


@pytest.mark.parametrize("abstract", [False, True])
def test_ready_means_that_it_answers(tmp_path: Path, abstract: bool) -> None:  # noqa: FBT001  (a parameter of the test)
    """The moment READY=1 comes the port takes a request, and before that it was closed; it comes once."""
    port, statuses = free_port(), list[int]()

    def knock() -> None:
        with socket.create_connection(("127.0.0.1", port), 5 * SECONDS) as client:
            client.sendall(b"GET /health HTTP/1.0\r\n\r\n")
            statuses.append(int(client.recv(4096).split()[1]))

    with (
        Manager(tmp_path, knock, abstract=abstract) as manager,
        Daemon(join(pattern(), {"server.port": port}), environment=manager.environment()),
    ):
        wait_for(lambda: statuses == [200], 10, "an answer at READY=1")
        assert manager.messages[0].fields.get("READY") == "1" or "STATUS" in manager.messages[0].fields
        assert not manager.told("WATCHDOG")
    assert len(manager.told("READY")) == 1


def test_a_daemon_that_cannot_start_is_never_ready(tmp_path: Path) -> None:
    """With a busy port it ends with exit code 2 and has told the manager nothing."""
    with socket.create_server(("127.0.0.1", 0)) as busy, Manager(tmp_path) as manager:
        sets = ("--set", f"server.port={busy.getsockname()[1]}", "--set", "camera.cam.source=pattern")
        ended = cli("run", "--config", os.devnull, *sets, environment=manager.environment())
        assert ended.returncode == 2
    assert manager.messages == []


def test_the_status_says_how_things_are(tmp_path: Path) -> None:
    """STATUS= counts live cameras and viewers, names what is wrong without its password, and changes with it."""
    sets = join(pattern(), {"camera.gate.source": "rtsp://u:hunter2@127.0.0.1:1/"})
    with Manager(tmp_path) as manager, Daemon(sets, environment=manager.environment()) as daemon:
        manager.wait_status("1 of 2 cameras live, 0 viewers", "gate is lost (")
        with Client(daemon) as one, Client(daemon) as two:
            one.open_stream("/stream/cam")
            manager.wait_status("1 of 2 cameras live, 1 viewer;")
            two.open_stream("/stream/cam")
            manager.wait_status("2 viewers")
        manager.wait_status("0 viewers")
        before = len(manager.messages)
        time.sleep(2.2)
        assert len(manager.messages) == before  # nothing changed, nothing is told
    assert "hunter2" not in str(manager.messages)


def test_a_reload_is_told(tmp_path: Path) -> None:
    """SIGHUP is RELOADING=1 with the time, then READY=1; of a bad file the status says what is wrong."""
    file = write_config(tmp_path / "mjpegd.toml", pattern())
    with Manager(tmp_path) as manager, Daemon(config=file, environment=manager.environment()) as daemon:
        began = time.monotonic()
        daemon.reload()
        wait_for(lambda: len(manager.told("READY")) == 2, 5, "READY=1 again")
        (reloading,) = manager.told("RELOADING")
        assert began <= int(reloading.fields["MONOTONIC_USEC"]) / 1e6 <= reloading.came
        assert manager.messages.index(reloading) < manager.messages.index(manager.told("READY")[1])
        write_config(file, pattern(), {"camera.cam.fps": "many"})
        daemon.reload()
        wait_for(lambda: len(manager.told("READY")) == 3, 5, "READY=1 after a bad file")
        manager.wait_status("reload refused: ", "camera.cam.fps must be a number")
        write_config(file, pattern())
        daemon.reload()
        wait_for(lambda: "refused" not in manager.status, 5, "a status without a complaint")


def test_the_end_is_told(tmp_path: Path) -> None:
    """STOPPING=1 comes at SIGTERM, before viewers are sent home, and is the last word."""
    with (
        Manager(tmp_path) as manager,
        Daemon(pattern(), environment=manager.environment(watchdog=0.4)) as daemon,
        Client(daemon) as client,
    ):
        client.open_stream()
        began = time.monotonic()
        daemon.stop()
        wait_for(lambda: bool(manager.told("STOPPING")), 5, "STOPPING=1")
        assert manager.told("STOPPING")[0].came - began < 0.5 * SECONDS
    assert manager.messages[-1].fields["STOPPING"] == "1"


@pytest.mark.parametrize("address", ["/nonexistent/notify", "@nobody-is-there", ""])
def test_a_manager_that_is_gone_is_no_trouble(address: str) -> None:
    """A socket that nobody listens on costs nothing: it serves, reloads and ends as without one."""
    with Daemon(pattern(), environment={"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "200000"}) as daemon:
        daemon.wait_state("live")
        daemon.reload()
        assert daemon.stop() < SECONDS
    assert daemon.process.returncode == 0
    assert not [line for line in daemon.log if line["level"] in {"warning", "error"}]


# The watchdog


def beats(manager: Manager) -> list[float]:
    """When WATCHDOG=1 came."""
    return [message.came for message in manager.told("WATCHDOG")]


def test_the_watchdog_is_fed_twice_in_its_time(tmp_path: Path) -> None:
    """With WatchdogSec=1 a sign of life comes at least each half second, also under viewers and reloads."""
    with (
        Manager(tmp_path) as manager,
        Daemon(pattern(), environment=manager.environment(watchdog=1)) as daemon,
        ExitStack() as stack,
    ):
        for _ in range(20):
            stack.enter_context(Client(daemon)).open_stream()
        began = time.monotonic()
        while time.monotonic() - began < 3:
            daemon.reload()
            time.sleep(0.5)
        steps = [later - sooner for sooner, later in pairwise(beats(manager))]
    assert len(steps) >= 5
    assert max(steps) < 0.5 + 0.3 * SECONDS


def test_the_watchdog_of_another_process_is_not_fed(tmp_path: Path) -> None:
    """With WATCHDOG_PID of somebody else it is silent."""
    with Manager(tmp_path) as manager:
        environment = {**manager.environment(watchdog=0.2), "WATCHDOG_PID": "1"}
        with Daemon(pattern(), environment=environment) as daemon:
            manager.wait_status("1 of 1 cameras live")
            time.sleep(0.5)
            assert daemon.camera()["state"] == "live"
        assert beats(manager) == []


def test_a_stopped_process_feeds_no_watchdog(tmp_path: Path) -> None:
    """Under SIGSTOP no sign of life comes; with SIGCONT they do again."""
    with Manager(tmp_path) as manager, Daemon(pattern(), environment=manager.environment(watchdog=0.2)) as daemon:
        wait_for(lambda: len(beats(manager)) > 3, 5, "some signs of life")
        daemon.process.send_signal(signal.SIGSTOP)
        time.sleep(0.3)
        before = len(beats(manager))
        time.sleep(0.6)
        assert len(beats(manager)) == before
        daemon.process.send_signal(signal.SIGCONT)
        wait_for(lambda: len(beats(manager)) > before + 3, 5, "signs of life again")


def test_a_lost_camera_is_no_reason_for_a_restart(tmp_path: Path) -> None:
    """While a camera is away the watchdog is fed and `/health` is 200."""
    with (
        Manager(tmp_path) as manager,
        Daemon({"camera.cam.source": "/dev/video99"}, environment=manager.environment(watchdog=0.2)) as daemon,
    ):
        daemon.wait_state("lost")
        before = len(beats(manager))
        wait_for(lambda: len(beats(manager)) > before + 5, 5, "signs of life")
        assert fetch(daemon, "/health").status == 200


def test_a_capture_thread_that_is_held_stops_the_watchdog(camera: Camera, tmp_path: Path) -> None:
    """A driver call that does not return: `/health` 503, no WATCHDOG=1, one line; others see on; it may recover."""
    quick = {"open_timeout": 0.2, "stale_after": 0.5}
    sets = join(
        {f"camera.cam.{key}": value for key, value in quick.items()},
        {"camera.yard.source": "pattern", "camera.yard.width": 160, "camera.yard.height": 120},
    )
    ours = {"camera.cam.source": "/dev/video0", "camera.cam.width": 640, "camera.cam.height": 480}
    with Manager(tmp_path) as manager:
        environment = {**camera.environment(), **manager.environment(watchdog=0.4)}
        with Daemon(join(ours, sets), environment=environment, preload=camera.library) as daemon:
            daemon.wait_state("live")
            with Client(daemon) as other, camera.doing("wedge"):
                other.open_stream("/stream/yard")
                began = time.monotonic()
                while fetch(daemon, "/health").status == 200:
                    assert time.monotonic() - began < 0.7 + GRACE + 3 * SECONDS
                    seen = [other.part() for _ in range(6)]
                held = time.monotonic() - began
                assert held > 0.7 + GRACE - 0.5
                assert fetch(daemon, "/health").json()["status"] == "stuck"
                manager.wait_status("cam is stuck")
                last = beats(manager)[-1]
                assert last - began > GRACE - 1  # it was fed until then
                time.sleep(1)
                assert beats(manager)[-1] - last < 0.5
                while other.buffer or time.time() - seen[-1].timestamp > 0.3:
                    seen.append(other.part())
                assert all(later.id == sooner.id + 1 for sooner, later in pairwise(seen))
            wait_for(lambda: fetch(daemon, "/health").status == 200, 5, "health again")
            before = len(beats(manager))
            wait_for(lambda: len(beats(manager)) > before + 2, 5, "signs of life again")
            daemon.wait_state("live")
    (line,) = events(daemon, "capture thread stuck")
    assert (line["camera"], line["level"]) == ("cam", "error")
    assert "watchdog" in line["consequence"]


def test_a_held_thread_does_not_prolong_the_end(camera: Camera) -> None:
    """With a capture thread that a driver holds, SIGTERM still ends it within a second."""
    with camera.daemon() as daemon:
        daemon.wait_state("live")
        with camera.doing("wedge"):
            time.sleep(0.2)
            assert daemon.stop() < SECONDS
    assert daemon.process.returncode == 0
    assert events(daemon, "the source did not let go in time: left behind")


# Sockets


@contextmanager
def listeners(folder: Path) -> Iterator[tuple[socket.socket, socket.socket]]:
    """A TCP and a unix socket, as two socket units have them."""
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(folder / "http.sock"))
        unix.listen()
        yield tcp, unix


def test_sockets_of_the_manager_are_served(tmp_path: Path) -> None:
    """Two sockets that are handed over are served, TCP and unix; `server.port` is not opened, and both are named."""
    curl, unused = peer("curl", "curl"), free_port()
    with listeners(tmp_path) as (tcp, unix):
        port = tcp.getsockname()[1]
        with Daemon(
            join(pattern(), {"server.port": unused}),
            program=handing_over([tcp, unix]),
            pass_fds=[tcp.fileno(), unix.fileno()],
        ) as daemon:
            daemon.wait_state("live")
            assert daemon.port == port
            with Client(daemon) as client:
                client.open_stream()
                assert size(client.part().jpeg) == (320, 240)
            done = run(curl, "-sf", "--unix-socket", str(tmp_path / "http.sock"), "http://localhost/snapshot")
            assert (done.returncode, size(done.stdout)) == (0, (320, 240))
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", unused), 1)
            tcp_line, unix_line = events(daemon, "mjpegd listens")
            assert tcp_line["page"] == f"http://127.0.0.1:{port}/"
            assert unix_line["socket"] == f"unix:{tmp_path}/http.sock"
        assert (tmp_path / "http.sock").exists()  # it belongs to the manager


def test_whoever_came_before_the_start_is_answered(tmp_path: Path) -> None:
    """A request that was sent to the manager's socket while no daemon ran is answered by the next one, and the next."""
    with listeners(tmp_path) as (tcp, unix):
        for _ in range(2):
            with socket.create_connection(tcp.getsockname(), 10 * SECONDS) as early:
                early.sendall(b"GET /health HTTP/1.0\r\n\r\n")
                with Daemon(
                    pattern(), program=handing_over([tcp, unix]), pass_fds=[tcp.fileno(), unix.fileno()]
                ) as daemon:
                    assert early.recv(4096).startswith(b"HTTP/1.1 200 OK\r\n")
                    assert daemon.stop() < SECONDS


def test_sockets_for_another_process_are_left_alone(tmp_path: Path) -> None:
    """With LISTEN_PID of somebody else it listens on its own port."""
    with (
        listeners(tmp_path) as (tcp, unix),
        Daemon(
            pattern(),
            program=handing_over([tcp, unix]),
            pass_fds=[tcp.fileno(), unix.fileno()],
            environment={"LISTEN_PID": "1"},
        ) as daemon,
    ):
        assert daemon.port != tcp.getsockname()[1]
        assert fetch(daemon, "/health").status == 200


def test_an_open_door_of_the_manager_is_refused(tmp_path: Path) -> None:
    """A socket on every address, without a key, is one line and exit code 2, as `server.host` would be."""
    with socket.create_server(("0.0.0.0", 0)) as everywhere:
        ended = _run_with(everywhere, tmp_path)
    assert ended.returncode == 2
    (line,) = ended.stderr.decode().splitlines()
    assert "0.0.0.0" in line
    assert "lets everybody in" in line


def test_a_socket_that_was_not_handed_over_is_told(tmp_path: Path) -> None:
    """LISTEN_FDS without the descriptors it promises is one line and exit code 2."""
    command = ["sh", "-c", 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"', "sh", *RUN, "--config", os.devnull]
    ended = subprocess.run(
        command, env=surroundings(), cwd=tmp_path, capture_output=True, timeout=20 * SECONDS, check=False
    )
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1


def _run_with(listener: socket.socket, folder: Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*handing_over([listener]), "--config", os.devnull, "--set", "camera.cam.source=pattern"],
        pass_fds=[listener.fileno()],
        env=surroundings(),
        cwd=folder,
        capture_output=True,
        timeout=20 * SECONDS,
        check=False,
    )


def test_it_listens_on_a_unix_socket_of_its_own(tmp_path: Path) -> None:
    """With `server.host=unix:/PATH` curl gets picture and stream; at the end the socket is gone."""
    curl, path = peer("curl", "curl"), tmp_path / "http.sock"
    with Daemon(join(pattern(), {"server.host": f"unix:{path}", "auth.anonymous": "view,snapshot,admin"})) as daemon:
        assert daemon.wait_log("mjpegd listens")["socket"] == f"unix:{path}"
        daemon.wait_log("camera live")

        def ask(what: str, *words: str) -> bytes:
            return run(curl, "-sN", "--max-time", "2", "--unix-socket", str(path), *words, f"http://x{what}").stdout

        assert size(ask("/snapshot")) == (320, 240)
        assert ask("/stream").count(b"--mjpegdframe\r\n") > 20
        assert b'"viewers": 0' in ask("/stats")
    assert not path.exists()
    assert [line["viewer"] for line in events(daemon, "viewer left")] == ["unix"]


def test_a_socket_left_by_a_crash_is_replaced(tmp_path: Path) -> None:
    """After SIGKILL the socket file stays; the next start takes its place."""
    path = tmp_path / "http.sock"
    sets = join(pattern(), {"server.host": f"unix:{path}"})
    with Daemon(sets) as daemon:
        daemon.stop(signal.SIGKILL)
    assert path.exists()
    with Daemon(sets) as daemon, socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.sendall(b"GET /health HTTP/1.0\r\n\r\n")
        assert re.match(rb"HTTP/1.1 200 OK\r\n", client.recv(4096))


def test_a_unix_socket_in_use_is_a_busy_port(tmp_path: Path) -> None:
    """A second daemon on the same path is one line and exit code 2, and the first one goes on."""
    path = tmp_path / "http.sock"
    with Daemon(join(pattern(), {"server.host": f"unix:{path}"})), socket.socket(socket.AF_UNIX) as client:
        sets = ("--set", f"server.host=unix:{path}", "--set", "camera.cam.source=pattern")
        with subprocess.Popen(
            [*RUN, "--config", os.devnull, *sets], env=surroundings(), stderr=subprocess.PIPE, text=True
        ) as second:
            try:
                _, said = second.communicate(timeout=5 * SECONDS)
            finally:
                second.terminate()
        assert second.returncode == 2
        assert len(said.splitlines()) == 1
        client.connect(str(path))
