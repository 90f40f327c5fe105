"""What the field recommends for a kind of network: keys of a camera, and renditions that need no table in the file.

The numbers are those of people who run cameras there: through Cloudflare's tunnel a stream is closed that is silent for
long, and bandwidth counts; on a LAN neither does.
"""

from collections.abc import Mapping
from typing import Any

from mjpegd.config.schema import Config, RenditionConfig

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "none": {},
    "cloudflare": {
        "stream_fps": 15.0,
        "stream_quality": 70,
        "stream_width": 640,
        "stream_height": 480,
        "heartbeat": 5.0,
    },
    "lan": {"stream_fps": 30.0, "stream_quality": 85, "heartbeat": 10.0},
    "low-latency": {"stream_fps": 20.0, "stream_quality": 90, "stream_width": 1280, "stream_height": 720},
    "low-bandwidth": {"stream_fps": 10.0, "stream_quality": 60, "stream_width": 480, "stream_height": 360},
}
"""Keys of `CameraConfig`, by the names that its `preset` may have."""


def renditions(config: Config) -> Mapping[str, RenditionConfig]:
    """Every rendition that has a name: the presets, and the file's, which win."""
    return {**{name: _rendition(keys) for name, keys in PRESETS.items() if keys}, **config.rendition}


def _rendition(keys: Mapping[str, Any]) -> RenditionConfig:
    return RenditionConfig(
        **{name.removeprefix("stream_"): value for name, value in keys.items() if name.startswith("stream_")}
    )
