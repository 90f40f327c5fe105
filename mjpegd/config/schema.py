"""Every key there is: one field is one key, with its type, range, default and the sentence that explains it.

`mjpegd.toml`, the README's table, `mjpegd config`, the environment and `--set` all follow from these classes.
Values are frozen, so that two configurations can be compared section by section.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

CAMERA_NAME = r"[a-z0-9][a-z0-9_-]{0,31}"
"""Safe as it is in a URL, a log line, a header and an environment variable's lower-cased name."""

USB_SPEC = re.compile(r"usb:(?P<vendor>[0-9a-f]{4}):(?P<product>[0-9a-f]{4})(?::(?P<serial>.+))?", re.IGNORECASE)
"""A V4L2 camera by its USB identity: `usb:046d:0825`, `usb:046d:0825:4C2A91E0`."""

Seconds = Annotated[float, Meta(gt=0, le=86400)]


class ServerConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """How it listens, and how long it waits for clients."""

    host: Annotated[str, Meta(min_length=1, description="Address to listen on; 0.0.0.0 or :: for every one.")] = (
        "127.0.0.1"
    )
    port: Annotated[int, Meta(ge=0, le=65535, description="TCP port; 0 takes a free one and prints it.")] = 8080
    backlog: Annotated[int, Meta(ge=1, le=65535, description="Connections the kernel holds until we accept them.")] = (
        512
    )
    heartbeat: Annotated[
        float,
        Meta(gt=0, le=60, description="Seconds after which a still picture is sent again; Home Assistant waits 10."),
    ] = 5.0
    head_timeout: Annotated[Seconds, Meta(description="Seconds a client has to send a whole request head.")] = 10.0
    idle_timeout: Annotated[Seconds, Meta(description="Seconds a kept-alive connection may stay silent.")] = 75.0
    stall_timeout: Annotated[
        Seconds, Meta(description="Seconds a viewer may take nothing of a frame before it is cut.")
    ] = 20.0


class CameraConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """One picture source and how it is read."""

    source: Annotated[
        str,
        Meta(
            min_length=1,
            description="auto | camera | pattern | /dev/video0 | /dev/v4l/by-id/* | usb:VID:PID[:SERIAL] | URL | file.",
        ),
    ] = "auto"
    width: Annotated[int, Meta(ge=16, le=7680, description="Picture width to ask for, in pixels.")] = 1280
    height: Annotated[int, Meta(ge=16, le=7680, description="Picture height to ask for, in pixels.")] = 720
    fps: Annotated[float, Meta(gt=0, le=1000, description="Frames per second to ask for.")] = 30.0
    quality: Annotated[
        int, Meta(ge=1, le=100, description="JPEG quality of pictures encoded here; a camera's own JPEG is kept.")
    ] = 85
    complete_only: Annotated[
        bool, Meta(description="Skip a JPEG that does not end in EOI; false for cameras that never send one.")
    ] = True
    stale_after: Annotated[
        Seconds, Meta(description="Seconds without a frame after which the camera is stale and opened again.")
    ] = 2.0
    open_timeout: Annotated[Seconds, Meta(description="Seconds a network source has to open.")] = 10.0
    retry_min: Annotated[Seconds, Meta(description="Seconds before the first new try to open a lost camera.")] = 1.0
    retry_max: Annotated[Seconds, Meta(description="Longest pause between two tries; each is twice the last.")] = 30.0


class LogConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """What is written to standard error."""

    level: Annotated[Literal["debug", "info", "warning", "error"], Meta(description="Least level that is written.")] = (
        "info"
    )
    format: Annotated[
        Literal["auto", "console", "json", "journal"],
        Meta(description="auto: console on a terminal, journal under systemd, else json."),
    ] = "auto"
    flood_period: Annotated[
        Seconds, Meta(description="Seconds in which one event is written ten times at most; the rest is counted.")
    ] = 10.0


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """All of it. Without any `camera` table there is one camera, `cam`, with every default."""

    server: ServerConfig = field(default_factory=ServerConfig)
    log: LogConfig = field(default_factory=LogConfig)
    camera: dict[str, CameraConfig] = field(default_factory=lambda: {"cam": CameraConfig()})


SECTIONS: Mapping[str, type[Struct]] = {"server": ServerConfig, "log": LogConfig, "camera": CameraConfig}
"""The tables of the file; those under `camera` have a name each."""
