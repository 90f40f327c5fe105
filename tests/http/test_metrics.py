"""What Prometheus scrapes."""

import pytest
from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily
from prometheus_client.parser import text_string_to_metric_families

from mjpegd import __version__
from mjpegd.condition import State, Status
from mjpegd.config.schema import CameraConfig, Config, KeyConfig
from mjpegd.http.metrics import CONTENT_TYPE, ROWS
from mjpegd.http.response import Response
from mjpegd.http.site import Site
from tests.http.requests import NAMES, ask, request, site

KEYS = {"wall": KeyConfig(secret="a wall display's", cameras=("attic",))}  # noqa: S106  (a test's)
KEYED = Config(camera={name: CameraConfig(source="pattern") for name in NAMES}, key=KEYS)


async def scraped(place: Site, *fields: str) -> dict[str, Metric]:
    """What Prometheus reads of the answer."""
    answer = await ask(place, request("/metrics", *fields))
    assert isinstance(answer, Response)
    assert (answer.status, answer.content_type, answer.headers) == (200, CONTENT_TYPE, {"Cache-Control": "no-store"})
    return {metric.name: metric for metric in text_string_to_metric_families(bytes(answer.body).decode())}


def values(metric: Metric) -> dict[str, float]:
    """The values of a metric by camera."""
    return {sample.labels["camera"]: sample.value for sample in metric.samples}


async def test_every_row_is_there() -> None:
    """Each row is a metric with its help and type, and a sample for each camera that has a value."""
    place = site()
    found = await scraped(place)

    for row in ROWS:
        metric = found[row.name]
        assert metric.documentation == row.about
        assert metric.type == ("counter" if row.family is CounterMetricFamily else "gauge")
        assert values(metric) == {
            name: value for name, camera in place.cameras.items() if (value := row.value(camera)) is not None
        }


def test_names() -> None:
    """Metrics are named as Prometheus wants it: with our name in front, and no counter's `_total` twice."""
    names = [row.name for row in ROWS]

    assert all(name.startswith("mjpegd_") and not name.endswith("_total") for name in names)
    assert len(set(names)) == len(names)


async def test_what_is_counted() -> None:
    """The samples are what was counted."""
    place = site()
    porch = place.cameras["porch"]
    porch.capture.captured, porch.capture.broken, porch.capture.skipped, porch.capture.opened = 10, 2, 3, 4
    porch.ring.wakeup.add(0.25)
    with porch.audience.seat() as tally:
        tally.frames, tally.skipped, tally.bytes = 7, 1, 700
        found = await scraped(place)

    expected = {
        "mjpegd_frames_captured": 10,
        "mjpegd_frames_broken": 2,
        "mjpegd_frames_missed": 3,
        "mjpegd_opens": 4,
        "mjpegd_viewers": 1,
        "mjpegd_visits": 1,
        "mjpegd_frames_sent": 7,
        "mjpegd_frames_skipped": 1,
        "mjpegd_sent_bytes": 700,
        "mjpegd_wakeup_seconds": 0.25,
    }
    assert {name: values(found[name])["porch"] for name in expected} == expected
    assert "attic" not in values(found["mjpegd_wakeup_seconds"])


@pytest.mark.parametrize("state", State)
async def test_state(state: State) -> None:
    """A camera is in exactly one state, and live or not."""
    place = site()
    place.cameras["porch"].capture.status = Status(state, 0.0)
    found = await scraped(place)
    states = {
        sample.labels["state"]: sample.value
        for sample in found["mjpegd_camera_state"].samples
        if sample.labels["camera"] == "porch"
    }

    assert states == {each.value: float(each is state) for each in State}
    assert values(found["mjpegd_camera_live"])["porch"] == (state is State.LIVE)


async def test_changes() -> None:
    """It is counted how often each camera came into each state, states that it never was in included."""
    place = site()
    place.cameras["porch"].capture.changes.update({State.LIVE: 3, State.FROZEN: 1})
    found = await scraped(place)
    changes = {
        (sample.labels["camera"], sample.labels["state"]): sample.value
        for sample in found["mjpegd_state_changes"].samples
    }

    assert found["mjpegd_state_changes"].type == "counter"
    assert changes == {(name, state.value): 0 for name in NAMES for state in State} | {
        ("porch", "live"): 3,
        ("porch", "frozen"): 1,
    }


async def test_lag() -> None:
    """How far a stream is behind is told in seconds."""
    place = site()
    place.cameras["porch"].capture.lag = 1.25

    assert values((await scraped(place))["mjpegd_lag_seconds"]) == {"porch": 1.25, "attic": 0}


async def test_rate() -> None:
    """Frames a second are those of a live camera; one that was lost has none."""
    place = site()
    capture = place.cameras["porch"].capture
    from time import monotonic

    for number in range(31):
        capture.rate.tick(monotonic() - 1 + number / 30)
    rates = []
    for state in (State.LIVE, State.LOST):
        capture.status = Status(state, 0.0)
        rates.append(values((await scraped(place))["mjpegd_camera_fps"])["porch"])

    assert rates == [pytest.approx(30, rel=0.05), 0.0]


async def test_the_daemon() -> None:
    """The version and the time since the start are told."""
    found = await scraped(site())

    assert [sample.labels for sample in found["mjpegd_info"].samples] == [{"version": __version__}]
    assert found["mjpegd_uptime_seconds"].samples[0].value >= 0


async def test_only_cameras_that_the_key_is_for() -> None:
    """A key that is for one camera sees that one's metrics, and no trace of the others."""
    found = await scraped(site(config=KEYED), "X-API-Key: a wall display's")
    labels = {sample.labels.get("camera") for metric in found.values() for sample in metric.samples}

    assert labels == {"attic", None}
