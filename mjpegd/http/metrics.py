"""`/metrics`: what `/stats` says, in the words of Prometheus (https://prometheus.io/docs/practices/naming/).

One row is one metric: its name, its help, and how to take its value from a camera.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from time import monotonic

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from mjpegd import __version__
from mjpegd.camera import Camera
from mjpegd.condition import State
from mjpegd.http.visit import Visit

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Family = type[CounterMetricFamily] | type[GaugeMetricFamily]


@dataclass(frozen=True, slots=True)
class Row:
    """A metric of each camera."""

    family: Family
    name: str
    about: str
    value: Callable[[Camera], float | None]


ROWS = (
    Row(GaugeMetricFamily, "mjpegd_camera_live", "1 while pictures come.", lambda camera: float(camera.is_live)),
    Row(
        GaugeMetricFamily,
        "mjpegd_camera_fps",
        "Frames a second.",
        lambda camera: camera.capture.rate.per_second() if camera.is_live else 0.0,
    ),
    Row(GaugeMetricFamily, "mjpegd_viewers", "Viewers now.", lambda camera: len(camera.audience)),
    Row(CounterMetricFamily, "mjpegd_visits", "Viewers ever.", lambda camera: camera.audience.visits),
    Row(CounterMetricFamily, "mjpegd_frames_captured", "Whole pictures taken.", lambda camera: camera.capture.captured),
    Row(CounterMetricFamily, "mjpegd_frames_broken", "Torn pictures.", lambda camera: camera.capture.broken),
    Row(CounterMetricFamily, "mjpegd_frames_missed", "Pictures the device dropped.", lambda c: c.capture.skipped),
    Row(
        GaugeMetricFamily,
        "mjpegd_lag_seconds",
        "How far a stream has fallen behind its own clock.",
        lambda c: c.capture.lag,
    ),
    Row(CounterMetricFamily, "mjpegd_opens", "Times the source was opened.", lambda camera: camera.capture.opened),
    Row(CounterMetricFamily, "mjpegd_frames_sent", "Frames sent to viewers.", lambda c: c.audience.total().frames),
    Row(
        CounterMetricFamily,
        "mjpegd_frames_skipped",
        "Frames that slow viewers never saw.",
        lambda camera: camera.audience.total().skipped,
    ),
    Row(CounterMetricFamily, "mjpegd_sent_bytes", "Bytes of parts sent.", lambda camera: camera.audience.total().bytes),
    Row(GaugeMetricFamily, "mjpegd_renditions", "Renditions watched now.", lambda camera: len(camera.renditions)),
    Row(CounterMetricFamily, "mjpegd_encodes", "Pictures made for them.", lambda camera: camera.renditions.encodes),
    Row(
        GaugeMetricFamily,
        "mjpegd_wakeup_seconds",
        "Median from a frame's publication to the loop's knowing of it.",
        lambda camera: camera.ring.wakeup.percentile(0.5),
    ),
)


class _Collector:
    def __init__(self, visit: Visit) -> None:
        self._visit = visit

    def collect(self) -> Iterable[Metric]:
        """Every metric, with the cameras that the caller may know of."""
        cameras, site = self._visit.cameras, self._visit.site
        yield GaugeMetricFamily("mjpegd_uptime_seconds", "Since the start.", monotonic() - site.started_monotonic)
        info = GaugeMetricFamily("mjpegd_info", "The version, as a label.", labels=["version"])
        info.add_metric([__version__], 1)
        yield info
        yield from _states(cameras.values())
        for row in ROWS:
            family = row.family(row.name, row.about, labels=["camera"])
            for name, camera in cameras.items():
                value = row.value(camera)
                if value is not None:
                    family.add_metric([name], value)
            yield family


def _states(cameras: Collection[Camera]) -> Iterator[Metric]:
    now = GaugeMetricFamily("mjpegd_camera_state", "1 for the state a camera is in.", labels=["camera", "state"])
    changes = CounterMetricFamily("mjpegd_state_changes", "Times it came into a state.", labels=["camera", "state"])
    for camera in cameras:
        for state in State:
            now.add_metric([camera.name, state], float(camera.capture.status.state is state))
            changes.add_metric([camera.name, state], camera.capture.changes[state])
    yield from (now, changes)


def render(visit: Visit) -> bytes:
    """The text that Prometheus scrapes."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(visit))
    return generate_latest(registry)
