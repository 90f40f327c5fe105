"""What one client, and all of them, may take; and that the daemon outlives those who want more."""

import contextlib
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.daemon import RUN, SECONDS, Daemon, join, pattern, wait_for, write_config
from tests.peers import peer
from tests.system.client import Answer, Client, Part, events, fetch, last_picture, request, wait_viewers
from tests.system.fakecam import Camera

ONE, OTHER = "one-3f9c1e77", "other-8d1b5a02"
TWO = join(pattern(), {"camera.yard.source": "pattern", "camera.yard.width": 160, "camera.yard.height": 120})


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def watching(daemon: Daemon, path: str = "/stream", source: str = "", **headers: str) -> Client:
    """A viewer that was let in."""
    client = Client(daemon, source=source)
    client.open_stream(path, headers)
    return client


def ask(daemon: Daemon, path: str = "/stream", source: str = "", **headers: str) -> int:
    """The status that one more viewer gets; it leaves at once."""
    with Client(daemon, source=source) as client:
        return client.get(path, headers).head().status


# Viewers


def refused(answer: Answer, status: int, limit: str, most: int) -> bool:
    """Whether an answer says that this limit is reached, when to come again, and says it in JSON."""
    said = answer.json()
    return (answer.status, said["limit"], said["most"]) == (status, limit, most) and int(answer["retry-after"]) > 0


@pytest.mark.parametrize(
    ("limit", "status", "elsewhere"),
    [
        ("viewers", 503, None),
        ("viewers_per_camera", 503, {"path": "/stream/yard"}),
        ("viewers_per_address", 429, {"source": "127.0.0.2"}),
    ],
)
def test_a_limit_on_viewers(limit: str, status: int, elsewhere: dict[str, str] | None) -> None:
    """The third of two is refused in JSON that names the limit, until one leaves; others have room of their own."""
    with Daemon(join(TWO, {f"limits.{limit}": 2})) as daemon:
        daemon.wait_state("live")
        with watching(daemon) as first, watching(daemon):
            assert refused(fetch(daemon, "/stream"), status, limit, 2)
            assert fetch(daemon, "/snapshot").status == 200
            assert fetch(daemon, "/stats").json()["viewers"] == 2
            if elsewhere is not None:
                assert ask(daemon, **elsewhere) == 200
            first.part()
            first.socket.close()
            wait_for(lambda: ask(daemon) == 200, 5, "room for one more")
    assert not [line for line in daemon.log if line["level"] == "error"]


def test_a_limit_for_each_key(tmp_path: Path) -> None:
    """With `limits.viewers_per_key` each key has its own number of viewers."""
    keys = {"key.one.secret": ONE, "key.other.secret": OTHER, "limits.viewers_per_key": 1}
    with Daemon(config=write_config(tmp_path / "mjpegd.toml", pattern(), keys)) as daemon:
        with watching(daemon, **bearer(ONE)):
            assert refused(fetch(daemon, "/stream", bearer(ONE), source="127.0.0.2"), 429, "viewers_per_key", 1)
            assert ask(daemon, **bearer(OTHER)) == 200
        wait_for(lambda: ask(daemon, **bearer(ONE)) == 200, 5, "room for one more")


def test_a_tab_that_is_reloaded_ends_its_last_stream() -> None:
    """`?viewer=NAME` once more, where only one has room, is let in, and the stream before ends in order."""
    with Daemon(join(TWO, {"limits.viewers": 1})) as daemon:
        daemon.wait_state("live")
        with watching(daemon, "/stream/cam?viewer=tab") as before:
            before.part()
            with watching(daemon, "/stream/yard?viewer=tab") as after:
                assert last_picture(before.read_all())
                after.part()
                assert ask(daemon, "/stream?viewer=other") == 503
                assert ask(daemon, "/stream?viewer=tab", source="127.0.0.2") == 503
                assert after.part().jpeg
    assert len(events(daemon, "viewer replaced")) == 1


def test_without_a_name_nobody_is_replaced() -> None:
    """Two streams to the same client stay side by side, also where one has a name."""
    with Daemon(pattern()) as daemon:
        daemon.wait_state("live")
        with watching(daemon) as one, watching(daemon) as two, watching(daemon, "/stream?viewer=x") as three:
            wait_viewers(daemon, 3)
            assert all(client.part().jpeg for client in (one, two, three))


def test_a_stream_that_was_left_open_makes_room(camera: Camera) -> None:
    """Where the limit is reached, a stream nobody reads from for two seconds ends for a new one of the same program."""
    limits = {"limits.viewers_per_address": 1, "limits.stall_timeout": 60}
    with camera.daemon(limits) as daemon:
        daemon.wait_state("live")
        with Client(daemon, receive_buffer=4096) as stuck:
            stuck.get("/stream", {"User-Agent": "player"})
            wait_viewers(daemon, 1)
            assert ask(daemon, **{"User-Agent": "player"}) == 429
            time.sleep(2.5)
            assert ask(daemon, **{"User-Agent": "another"}) == 429
            with watching(daemon, **{"User-Agent": "player"}) as client:
                client.part()
                assert daemon.json("/stats")["viewers"] == 1
    assert len(events(daemon, "viewer replaced")) == 1


def test_a_viewer_that_reads_is_never_made_room_of(camera: Camera) -> None:
    """A slow viewer keeps its place against a second one of the same program."""
    with camera.daemon({"limits.viewers": 1}) as daemon:
        daemon.wait_state("live")
        with Client(daemon, receive_buffer=4096) as slow:
            slow.get("/stream")
            for _ in range(30):
                assert slow.socket.recv(8192)
                time.sleep(0.1)
            assert ask(daemon) == 503


def test_a_stream_ends_after_the_duration() -> None:
    """With `limits.duration` a stream ends in order after that time."""
    with Daemon(join(pattern(), {"limits.duration": 1})) as daemon:
        daemon.wait_state("live")
        began = time.monotonic()
        with watching(daemon) as client:
            assert last_picture(client.read_all())
        assert 0.9 < time.monotonic() - began < 1 + SECONDS


# Requests


def test_requests_in_a_hurry_are_refused() -> None:
    """Beyond the burst it is 429 with the seconds to wait, for that address only, and a stream goes on."""
    with Daemon(join(pattern(), {"limits.requests_per_second": 2, "limits.burst": 5})) as daemon:
        with watching(daemon) as client:
            statuses = [fetch(daemon, "/health").status for _ in range(8)]
            answer = fetch(daemon, "/health")
            assert fetch(daemon, "/health", source="127.0.0.2").status == 200
            client.part()
        assert statuses[:4] == [200] * 4
        assert statuses[-1] == 429
        assert (answer.status, answer["retry-after"]) == (429, "1")
        assert "too many requests" in answer.json()["error"]
        time.sleep(1.1)
        assert [fetch(daemon, "/health").status for _ in range(2)] == [200, 200]


@pytest.mark.parametrize("kept", [True, False])
def test_ten_snapshots_a_second_are_welcome(kept: bool) -> None:  # noqa: FBT001  (a parameter of the test)
    """With the defaults a client that polls ten times a second is never refused, on one connection or many."""
    with Daemon(pattern()) as daemon, Client(daemon) as client:
        daemon.wait_state("live")
        ids = []
        for _ in range(25):
            answer = client.get("/snapshot").answer() if kept else fetch(daemon, "/snapshot")
            assert answer.status == 200
            ids.append(int(answer["x-frame-id"]))
            time.sleep(0.1)
    assert all(later > sooner for sooner, later in pairwise(ids))


@pytest.fixture(scope="module")
def tight() -> Iterator[Daemon]:
    """A daemon with little room and patience for requests."""
    limits = {"head_bytes": 1024, "head_fields": 5, "body_bytes": 64, "head_timeout": 0.5, "idle_timeout": 1}
    sets = {f"limits.{key}": value for key, value in limits.items()}
    with Daemon(join(pattern(), sets)) as running:
        running.wait_state("live")
        yield running


def test_the_head_has_a_longest_size(tight: Daemon) -> None:
    """A head longer than `limits.head_bytes` is 431, a request line 414, one just below is answered."""
    assert fetch(tight, "/health", {"X-Long": "x" * 900}).status == 200
    assert fetch(tight, "/health", {"X-Long": "x" * 1000}).status == 431
    assert fetch(tight, "/health?" + "x" * 1100).status == 414


def test_the_head_has_a_most_of_fields(tight: Daemon) -> None:
    """One field more than `limits.head_fields` is 431."""
    fields = {f"X-{number}": "1" for number in range(5)}
    assert fetch(tight, "/health", fields).status == 431
    del fields["X-0"]
    assert fetch(tight, "/health", fields).status == 200


def test_a_request_has_a_time_to_come(tight: Daemon) -> None:
    """Half a head that does not go on within `limits.head_timeout` is answered 408, also when it drips."""
    with Client(tight) as client:
        began = time.monotonic()
        for byte in request("/health")[:5]:
            client.send(bytes([byte]))
            time.sleep(0.12)
        assert client.answer().status == 408
        assert 0.5 <= time.monotonic() - began < 0.5 + SECONDS
        assert client.at_end()


def test_a_silent_connection_is_closed(tight: Daemon) -> None:
    """After `limits.idle_timeout` a connection without a request is closed without a word, before and after one."""
    with Client(tight) as new, Client(tight) as kept:
        assert kept.get("/health").answer().status == 200
        began = time.monotonic()
        assert kept.at_end()
        assert new.at_end()
        assert 0.5 < time.monotonic() - began < 1 + SECONDS


def post(daemon: Daemon, headers: dict[str, str], body: bytes) -> Answer:
    """Post to the login form."""
    with Client(daemon) as client:
        client.get("/login", headers, method="POST").send(body)
        answer = client.answer()
        if answer.status != 303:
            assert answer["connection"] == ("keep-alive" if answer.status == 401 else "close")
        return answer


def test_bodies_have_a_size_and_a_time(tight: Daemon) -> None:
    """A body longer than `limits.body_bytes` is 413, one without a length 411, one that does not come 408."""
    assert post(tight, {"Content-Length": "64"}, b"key=" + b"x" * 60).status == 401
    assert post(tight, {"Content-Length": "65"}, b"key=" + b"x" * 61).status == 413
    assert post(tight, {"Content-Length": "9" * 30}, b"").status == 413
    assert post(tight, {"Transfer-Encoding": "chunked"}, b"4\r\nkey=\r\n0\r\n\r\n").status == 411
    assert post(tight, {"Content-Length": "50"}, b"key=").status == 408
    assert not [line for line in tight.log if line["level"] == "error"]


# File descriptors


def seconds_of_work(daemon: Daemon) -> float:
    """CPU seconds the daemon has used."""
    fields = Path(f"/proc/{daemon.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def whole_part(client: Client) -> Part | None:
    """A viewer's next part; None if it was turned away."""
    with contextlib.suppress(AssertionError, ConnectionError):
        client.open_stream()
        return client.part()
    return None


def test_running_out_of_files_ends_nothing() -> None:
    """With 64 descriptors and 150 clients those inside go on, nothing spins, and when they leave all is as before."""
    limited = (peer("prlimit", "util-linux"), "--nofile=64:64", *RUN)
    with Daemon(pattern(fps=10), program=limited) as daemon:
        daemon.wait_state("live")
        with watching(daemon) as first, contextlib.ExitStack() as stack:
            crowd = [stack.enter_context(Client(daemon)) for _ in range(150)]
            seen = [client for client in crowd[:20] if whole_part(client)]
            assert len(seen) >= 10
            worked, began = seconds_of_work(daemon), time.monotonic()
            ids = [first.part().id for _ in range(20)]
            assert ids[-1] > ids[0]
            assert seconds_of_work(daemon) - worked < 0.6 * (time.monotonic() - began)
        wait_for(lambda: answers(daemon), 10, "an answer")
        wait_viewers(daemon, 0)
        assert [fetch(daemon, "/snapshot").status for _ in range(5)] == [200] * 5
    assert not [line for line in daemon.log if line["level"] == "error"]
    assert len(daemon.log) < 60


def answers(daemon: Daemon) -> bool:
    """Whether it answers now; connections of the crowd may still be in its queue."""
    with contextlib.suppress(OSError, AssertionError):
        return fetch(daemon, "/health").status == 200
    return False
