"""What the daemon says of its cameras: one report each, and a status code for monitors."""

import json
from time import monotonic
from typing import Any

import pytest

from mjpegd.condition import State, Status
from mjpegd.config.presets import PRESETS
from mjpegd.config.schema import AuthConfig, CameraConfig, Config, RenditionConfig
from mjpegd.errors import HttpError
from mjpegd.http.response import Response
from mjpegd.http.site import Site
from mjpegd.sources.base import Granted
from tests.http.requests import ask, request, site

SINCE = 1_800_000_000.1234
SECRET = "hunter2-hunter2"  # noqa: S105  (a test's)
ADDRESS = f"rtsp://me:{SECRET}@10.1.2.3/live"
CONFIG = Config(
    camera={"porch": CameraConfig(source=ADDRESS, fps=15, on_demand=True), "attic": CameraConfig(source="pattern")},
    auth=AuthConfig(anonymous=("view",)),
    rendition={"mobile": RenditionConfig(480, quality=60)},
)


@pytest.fixture
async def place() -> Site:
    """A site of a network camera and a pattern, neither of them open."""
    return site(config=CONFIG)


async def told(place: Site, path: str) -> tuple[int, dict[str, Any]]:
    """Status and JSON of the answer."""
    answer = await ask(place, request(path))
    assert isinstance(answer, Response)
    assert answer.headers["Cache-Control"] == "no-store"
    return answer.status, json.loads(bytes(answer.body))


async def test_a_camera_that_was_never_open(place: Site) -> None:
    """The report of a camera has all its keys from the beginning, with nulls and zeros."""
    status, report = await told(place, "/cameras/porch")

    assert status == 200
    assert report.pop("since") > 1e9
    assert report.pop("named_renditions").keys() == {*PRESETS, "mobile"} - {"none"}
    assert report == {
        "name": "porch",
        "state": "starting",
        "reason": "",
        "stream": "/stream/porch.mjpg",
        "snapshot": "/snapshot/porch.jpg",
        "source": "ffmpeg",
        "device": None,
        "model": None,
        "requested": {"width": 1280, "height": 720, "fps": 15.0},
        "granted": None,
        "relays": 0,
        "on_demand": True,
        "paused": False,
        "fps": 0.0,
        "lag": 0.0,
        "reconnects": 0,
        "last_error": None,
        "changes": {},
        "viewers": 0,
    }


async def test_a_camera_that_is_live(place: Site) -> None:
    """What it is, what it gives, how it is, what was the matter last, and who watches."""
    porch = place.cameras["porch"]
    capture = porch.capture
    capture.status = Status(State.LIVE, SINCE)
    capture.trouble = Status(State.STALE, SINCE - 60, "no frames for 2 s")
    capture.granted = Granted(640, 360, 14.98765, "BGR", ADDRESS, "vaapi", "Doorbell", ("3fa94c01d2ee",) * 2)
    capture.changes[State.LIVE] += 2
    capture.changes[State.STALE] += 1
    capture.reconnects, capture.lag = 2, 0.12345
    for number in range(31):
        capture.rate.tick(monotonic() - 2 + number / 15)
    porch.demand.paused = True
    with porch.audience.seat(), porch.audience.seat():
        _, report = await told(place, "/cameras/porch")

    assert report.pop("fps") == pytest.approx(15, rel=0.1)
    expected = {
        "state": "live",
        "since": 1_800_000_000.123,
        "reason": "",
        "device": "rtsp://me:***@10.1.2.3/live",
        "model": "Doorbell",
        "granted": {"width": 640, "height": 360, "fps": 14.988, "format": "BGR", "decoder": "vaapi"},
        "relays": 2,
        "paused": True,
        "lag": 0.123,
        "reconnects": 2,
        "last_error": {"state": "stale", "since": pytest.approx(SINCE - 60, abs=0.001), "reason": "no frames for 2 s"},
        "changes": {"live": 2, "stale": 1},
        "viewers": 2,
    }
    assert {key: report[key] for key in expected} == expected


@pytest.mark.parametrize("path", ["/cameras/porch", "/cameras", "/stats", "/health", "/health/porch", "/metrics"])
async def test_no_source(path: str, place: Site) -> None:
    """No report says where a camera is, let alone its password."""
    place.cameras["porch"].capture.status = Status(State.LIVE, SINCE)
    answer = await ask(place, request(path))
    assert isinstance(answer, Response)

    assert answer.status == 200
    assert b"10.1.2.3" not in answer.body
    assert SECRET.encode() not in answer.body


async def test_passed_through(place: Site) -> None:
    """What decodes nothing names no decoder, and a lost camera has no rate."""
    capture = place.cameras["attic"].capture
    capture.granted = Granted(640, 480, 30.0, "MJPG", "/dev/video0")
    for number in range(31):
        capture.rate.tick(monotonic() - 1 + number / 30)
    capture.status = Status(State.LOST, SINCE, "unplugged")
    _, report = await told(place, "/cameras/attic")

    assert report["granted"]["decoder"] is None
    assert (report["device"], report["model"], report["source"]) == ("/dev/video0", None, "pattern")
    assert (report["fps"], report["state"], report["reason"]) == (0.0, "lost", "unplugged")


async def test_an_unknown_camera(place: Site) -> None:
    """A camera there is not is 404, with those there are."""
    for path in ("/cameras/cellar", "/health/cellar"):
        with pytest.raises(HttpError) as caught:
            await ask(place, request(path))
        assert (caught.value.status, caught.value.facts) == (404, {"cameras": ["porch", "attic"]})


@pytest.mark.parametrize("state", State)
async def test_health(state: State, place: Site) -> None:
    """A camera that is live or idle is healthy, any other is not; the daemon is well in either case."""
    place.cameras["porch"].capture.status = Status(state, SINCE, "for a test")
    status, report = await told(place, "/health/porch")

    assert (status == 200) is (state in {State.LIVE, State.IDLE})
    assert status in {200, 503}
    assert report == {"camera": "porch", "state": state, "since": 1_800_000_000.123, "reason": "for a test"}
    status, report = await told(place, "/health")
    assert (status, report["status"], report["cameras"]["porch"]["state"]) == (200, "ok", state)


async def test_a_stuck_thread(place: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that only a restart frees makes the daemon unwell."""
    monkeypatch.setattr(place.cameras["porch"].capture, "stuck", lambda: 42.0)  # of no device: others go on
    assert (await told(place, "/health"))[0] == 200
    monkeypatch.setattr(place.cameras["attic"].capture, "stuck", lambda: 42.0)

    assert (await told(place, "/health"))[0] == 503


async def test_renditions_that_have_names(place: Site) -> None:
    """A camera's report has each name that `?rendition=` takes, and what pictures of that name are like."""
    _, report = await told(place, "/cameras/attic")

    assert report["named_renditions"]["mobile"] == {"width": 480, "height": 0, "quality": 60, "fps": 0.0}
    assert report["named_renditions"]["low-bandwidth"] == {"width": 480, "height": 360, "quality": 60, "fps": 10.0}


async def test_stats_has_the_report(place: Site) -> None:
    """`/stats` says of each camera all that its own report does, but for its addresses and what it may be asked for."""
    _, report = await told(place, "/cameras/attic")
    _, stats = await told(place, "/stats")
    mine = stats["cameras"]["attic"]

    others = {"name", "stream", "snapshot", "named_renditions"}
    assert {key: mine[key] for key in report.keys() - others} == {
        key: value for key, value in report.items() if key not in others
    }
    assert mine["renditions"] == []  # those that are made now
