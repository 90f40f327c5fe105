"""What is measured: one row a column of the report. A new figure is a row here and a line where it is read."""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Metric:
    """A figure: its key in the JSON file, its heading in the tables, and the decimals it is shown with."""

    key: str
    heading: str
    decimals: int


Reading = dict[Metric, float]
"""One run of one server. A figure that does not apply (the latency where nobody watches) is absent."""

FPS_MIN = Metric("fps_min", "fps min", 1)
FPS_P50 = Metric("fps_p50", "fps p50", 1)
FPS_TO_DUE = Metric("fps_min_to_due", "fps min / due", 3)
LATENCY_P50 = Metric("latency_p50_ms", "latency p50 ms", 2)
LATENCY_P99 = Metric("latency_p99_ms", "p99 ms", 2)
BOUNDARY_P50 = Metric("boundary_p50_ms", "to boundary p50 ms", 2)
AGE_P50 = Metric("slow_age_p50_s", "slow age p50 s", 2)
AGE_MAX = Metric("slow_age_max_s", "slow age max s", 2)
THROUGHPUT = Metric("gb_per_s", "GB/s", 2)
ENCODES = Metric("encodes_per_s", "encodes/s", 1)
ENCODES_TO_DUE = Metric("encodes_to_due", "x renditions' fps", 3)
ENCODES_TO_SENT = Metric("encodes_to_sent", "x viewers' fps", 3)
CPU = Metric("cpu_percent", "CPU %", 1)
CPU_PER_GB = Metric("cpu_s_per_gb", "CPU s/GB", 3)
CPU_PER_SENDS = Metric("cpu_s_per_1000_sends", "CPU s/1000 sends", 4)
LIMIT_RATIO = Metric("cpu_per_gb_to_limit", "x limit", 2)
PSS = Metric("pss_mb", "PSS MB", 1)
PSS_PER_VIEWER = Metric("pss_kb_per_viewer", "PSS KB/viewer", 1)
FAULTS = Metric("faults", "faults", 0)
LOAD_CPU = Metric("load_cpu_percent", "mjload CPU %", 0)
FOREIGN_CPU = Metric("foreign_cpu_percent", "foreign CPU %", 0)
CPU_PER_CAMERA = Metric("cpu_percent_per_camera", "CPU % per camera", 1)
DECODED_P50 = Metric("decoded_p50_ms", "from decoder p50 ms", 1)
DECODED_P95 = Metric("decoded_p95_ms", "p95 ms", 1)
TAKEN_P50 = Metric("taken_p50_ms", "from camera p50 ms", 1)
TAKEN_P95 = Metric("taken_p95_ms", "p95 ms", 1)
FRESH_P50 = Metric("fresh_picture_p50_s", "fresh picture p50 s", 2)
FRESH_MAX = Metric("fresh_picture_max_s", "max s", 2)
ERRORS = Metric("errors", "errors", 0)
AROUND_CPU = Metric("around_cpu_percent", "cameras and viewers CPU %", 0)


def medians(readings: Iterable[Reading]) -> Reading:
    """The median of each figure over the runs that have it."""
    found: dict[Metric, list[float]] = {}
    for reading in readings:
        for metric, value in reading.items():
            found.setdefault(metric, []).append(value)
    return {metric: median(values) for metric, values in found.items()}
