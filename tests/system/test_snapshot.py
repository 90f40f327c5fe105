"""The snapshot: conditions, waits and ages, and what is said when there is no picture."""

import time
from collections.abc import Iterator
from email.utils import formatdate, parsedate_to_datetime

import pytest

from tests.daemon import SECONDS, Daemon, join, pattern, wait_for
from tests.system.client import Answer, Client, fetch, is_whole, size

ABSENT = "/dev/video99"
SLACK = 0.005
"""Seconds that wall-clock and monotonic time may disagree by within one request."""


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    """A camera with 10 pictures a second, one with a picture every 2 s, and one that is not there."""
    slow = {f"camera.slow.{key.rpartition('.')[2]}": value for key, value in pattern(160, 120, 0.5).items()}
    with Daemon(join(pattern(fps=10), slow, {"camera.absent.source": ABSENT})) as daemon:
        daemon.wait_state("live")
        daemon.wait_state("live", "slow")
        daemon.wait_state("lost", "absent")
        yield daemon


def still(daemon: Daemon) -> Answer:
    """A picture of the slow camera that stays the newest for more than a second."""
    return fetch(daemon, "/snapshot/slow?max_age=800")


def test_a_snapshot_has_all_its_headers(daemon: Daemon) -> None:
    """A snapshot is a whole JPEG with its ETag, dates, time of capture, id and age, cacheable only if asked again."""
    answer = fetch(daemon, "/snapshot")
    assert answer.status == 200
    assert is_whole(answer.body)
    assert size(answer.body) == (320, 240)
    assert answer["content-type"] == "image/jpeg"
    assert int(answer["content-length"]) == len(answer.body)
    assert answer["cache-control"] == "no-cache, private, max-age=0"
    assert answer["etag"].startswith('"')
    assert answer["etag"].endswith(f'-{answer["x-frame-id"]}"')
    assert answer["last-modified"] == formatdate(float(answer["x-timestamp"]), usegmt=True)
    assert abs(time.time() - float(answer["x-timestamp"])) < 0.5 + SECONDS
    assert answer["age"] == "0"
    assert answer["cross-origin-resource-policy"] == "cross-origin"
    assert answer["x-content-type-options"] == "nosniff"
    assert answer["connection"] == "keep-alive"


@pytest.mark.parametrize("path", ["/snapshot", "/snapshot.jpg", "/snapshot/cam", "/snapshot/cam.jpg", "/snapshot?x=1"])
def test_every_spelling_gives_the_first_camera(daemon: Daemon, path: str) -> None:
    """Without a name the first camera is meant, and query junk does not matter."""
    assert size(fetch(daemon, path).body) == (320, 240)


def test_a_camera_is_chosen_by_name(daemon: Daemon) -> None:
    """A name in the path chooses the camera."""
    assert size(fetch(daemon, "/snapshot/slow.jpg").body) == (160, 120)


def test_head_is_get_without_the_body(daemon: Daemon) -> None:
    """HEAD has the header fields of GET, Content-Length of the picture included, and no body."""
    with Client(daemon) as client:
        whole = still(daemon)
        head = client.get("/snapshot/slow", method="HEAD").answer("HEAD")
        again = client.get("/snapshot/slow").answer()
    assert head["etag"] == whole["etag"] == again["etag"]
    assert int(head["content-length"]) == len(whole.body)
    assert head.fields.keys() == whole.fields.keys()


def test_the_same_frame_has_the_same_tag_and_bytes(daemon: Daemon) -> None:
    """Two snapshots of one frame are equal in tag and bytes; a new frame has another tag."""
    first, second = still(daemon), fetch(daemon, "/snapshot/slow")
    assert (first["etag"], first.body) == (second["etag"], second.body)
    third = fetch(daemon, "/snapshot/slow?fresh=1")
    assert third["etag"] != first["etag"]
    assert third.body != first.body


@pytest.mark.parametrize(
    "condition",
    ["{tag}", "W/{tag}", "*", '"x", {tag}', '"x",W/{tag} , "y"', '{tag}, "with, comma"'],
)
def test_a_known_tag_is_answered_304(daemon: Daemon, condition: str) -> None:
    """If-None-Match with the current tag, weak, in a list or as `*`, gives 304 without a body but with its fields."""
    answer = still(daemon)
    with Client(daemon) as client:
        short = client.get("/snapshot/slow", {"If-None-Match": condition.format(tag=answer["etag"])}).answer()
        assert short.status == 304
        assert client.get("/snapshot/slow").answer().status == 200  # the connection is still in step
    for name in ("etag", "cache-control", "last-modified", "x-timestamp", "x-frame-id"):
        assert short[name] == answer[name]
    assert "date" in short.fields
    assert not {"content-type", "content-length", "transfer-encoding"} & short.fields.keys()


@pytest.mark.parametrize("condition", ['"x"', 'W/"x", "y"', "{bare}", "", '"*"'])
def test_an_unknown_tag_is_answered_in_full(daemon: Daemon, condition: str) -> None:
    """If-None-Match without the current tag, or with something that is no tag, gives 200."""
    answer = still(daemon)
    value = condition.format(bare=answer["etag"].strip('"'))
    assert fetch(daemon, "/snapshot/slow", {"If-None-Match": value}).status == 200


@pytest.mark.parametrize(
    ("offset", "status"),
    [(0, 304), (3600, 304), (-3600, 200)],
)
def test_if_modified_since_is_honoured(daemon: Daemon, offset: int, status: int) -> None:
    """A frame no newer than the client's date is answered 304."""
    answer = still(daemon)
    since = formatdate(parsedate_to_datetime(answer["last-modified"]).timestamp() + offset, usegmt=True)
    assert fetch(daemon, "/snapshot/slow", {"If-Modified-Since": since}).status == status


@pytest.mark.parametrize("since", ["yesterday", "Fri, 99 Nov 2026 13:30:00 GMT", "0", ""])
def test_a_date_that_is_none_is_ignored(daemon: Daemon, since: str) -> None:
    """An If-Modified-Since that cannot be read counts as absent."""
    assert fetch(daemon, "/snapshot", {"If-Modified-Since": since}).status == 200


def test_the_tag_wins_over_the_date(daemon: Daemon) -> None:
    """With If-None-Match there, If-Modified-Since is not looked at."""
    answer = still(daemon)
    headers = {"If-None-Match": '"other"', "If-Modified-Since": answer["last-modified"]}
    assert fetch(daemon, "/snapshot/slow", headers).status == 200


def test_age_is_the_frames_age_in_whole_seconds(daemon: Daemon) -> None:
    """`Age` grows while a frame stays the newest."""
    still(daemon)
    wait_for(lambda: fetch(daemon, "/snapshot/slow")["age"] == "1", 10, "an age of a second")


def test_fresh_waits_for_a_frame_captured_after_the_request(daemon: Daemon) -> None:
    """`?fresh=1` never gives a picture taken before it was asked for."""
    for path in ("/snapshot?fresh=1", "/snapshot?fresh", "/snapshot/slow?fresh=1"):
        asked = time.time()
        answer = fetch(daemon, path if "=" in path else f"{path}=true")
        assert answer.status == 200
        assert float(answer["x-timestamp"]) > asked - SLACK


@pytest.mark.parametrize("value", ["0", "", "false", "no"])
def test_fresh_can_be_switched_off(daemon: Daemon, value: str) -> None:
    """`?fresh=0` is as no `fresh` at all: the frame in memory."""
    known = still(daemon)
    assert fetch(daemon, f"/snapshot/slow?fresh={value}")["etag"] == known["etag"]


def test_after_gives_each_frame_once(daemon: Daemon) -> None:
    """A client that always asks for what comes after its last frame sees a new frame each time, without polling."""
    seen = [int(fetch(daemon, "/snapshot")["x-frame-id"])]
    with Client(daemon) as client:
        for _ in range(8):
            seen.append(int(client.get(f"/snapshot?after={seen[-1]}").answer()["x-frame-id"]))
    assert seen == sorted(set(seen))


def test_after_an_old_frame_returns_at_once(daemon: Daemon) -> None:
    """`?after=` a frame that is not the newest gives the newest without waiting."""
    known = still(daemon)
    before = int(known["x-frame-id"]) - 1
    assert fetch(daemon, f"/snapshot/slow?after={before}")["etag"] == known["etag"]


@pytest.mark.parametrize("ahead", [1, 1_000_000])
def test_after_a_frame_of_another_life_returns_at_once(daemon: Daemon, ahead: int) -> None:
    """An id that is yet to come is from before a restart: any frame is new to that client."""
    known = still(daemon)
    future = int(known["x-frame-id"]) + ahead
    assert fetch(daemon, f"/snapshot/slow?after={future}")["etag"] == known["etag"]


def test_max_age_takes_a_frame_that_is_young_enough(daemon: Daemon) -> None:
    """`?max_age=` takes the frame in memory if it is no older, and waits for a younger one otherwise."""
    known = still(daemon)
    assert fetch(daemon, "/snapshot/slow?max_age=60000")["etag"] == known["etag"]
    time.sleep(0.2)
    asked = time.time()
    younger = fetch(daemon, "/snapshot/slow?max_age=100")
    assert int(younger["x-frame-id"]) > int(known["x-frame-id"])
    assert float(younger["x-timestamp"]) > asked - 0.1 - SLACK


@pytest.mark.parametrize(
    ("query", "range_"),
    [
        ("max_age=-1", "from 0 to 86400000"),
        ("max_age=86400001", "from 0 to 86400000"),
        ("max_age=1.5", "from 0 to 86400000"),
        ("max_age=", "from 0 to 86400000"),
        ("max_age=%C2%B2", "from 0 to 86400000"),
        ("after=x", "from 0 to 9223372036854775808"),
        ("after=-3", "from 0 to 9223372036854775808"),
        (f"after={2**64}", "from 0 to 9223372036854775808"),
        (f"after={'9' * 5000}", "from 0 to 9223372036854775808"),
    ],
)
def test_bad_numbers_are_refused_with_their_range(daemon: Daemon, query: str, range_: str) -> None:
    """A value out of range or no number is answered 400 that names the key and what it may be."""
    answer = fetch(daemon, f"/snapshot?{query}")
    assert answer.status == 400
    assert query.partition("=")[0] in answer.json()["error"]
    assert range_ in answer.json()["error"]


def test_a_camera_that_is_not_there_is_503_after_four_seconds(daemon: Daemon) -> None:
    """Without a picture the answer is 503 within 4 s, with Retry-After, the state and the reason; not a card."""
    began = time.monotonic()
    answer = fetch(daemon, "/snapshot/absent")
    took = time.monotonic() - began
    assert answer.status == 503
    assert 3.5 < took < 4 + 0.5 * SECONDS
    assert int(answer["retry-after"]) >= 1
    said = answer.json()
    assert (said["camera"], said["state"], said["reason"]) == ("absent", "lost", "not plugged in")
    assert answer["connection"] == "keep-alive"


def test_waiting_snapshots_do_not_wait_for_each_other(daemon: Daemon) -> None:
    """Many clients that wait for a picture are all answered after the same 4 s."""
    clients = [Client(daemon).get("/snapshot/absent?fresh=1") for _ in range(20)]
    began = time.monotonic()
    statuses = [client.answer().status for client in clients]
    took = time.monotonic() - began
    for client in clients:
        client.socket.close()
    assert statuses == [503] * 20
    assert took < 4 + SECONDS


def test_an_unknown_camera_is_404(daemon: Daemon) -> None:
    """An unknown camera is 404 that names those there are."""
    answer = fetch(daemon, "/snapshot/nobody.jpg")
    assert answer.status == 404
    assert answer.json()["cameras"] == ["cam", "slow", "absent"]


def test_a_viewer_beside_it_does_not_delay_the_503() -> None:
    """The four seconds hold while somebody watches the same card, however rare its repeats are."""
    with Daemon({"camera.cam.source": "/dev/video99", "server.heartbeat": 30}) as daemon, Client(daemon) as viewer:
        daemon.wait_state("lost")
        viewer.send(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
        began = time.monotonic()
        assert fetch(daemon, "/snapshot").status == 503
        assert time.monotonic() - began < 6 * SECONDS
