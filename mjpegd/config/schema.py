"""Every key there is: one field is one key, with its type, range, default and the sentence that explains it.

`mjpegd.toml`, the README's table, `mjpegd config`, the environment and `--set` all follow from these classes.
Values are frozen, so that two configurations can be compared section by section.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Literal, get_args

from msgspec import Meta, Struct, field, structs

from mjpegd.look import MAX_FPS, MAX_SIDE, MIN_SIDE
from mjpegd.wire.http import MAX_FIELDS, MAX_HEAD

NAME = r"[a-z0-9][a-z0-9_-]{0,31}"
"""Of a camera, a rendition or a key. Safe as it is in a URL, a log line, a header, and an environment variable's name
in lower case."""

USB_SPEC = re.compile(r"usb:(?P<vendor>[0-9a-f]{4}):(?P<product>[0-9a-f]{4})(?::(?P<serial>.+))?", re.IGNORECASE)
"""A V4L2 camera by its USB identity: `usb:046d:0825`, `usb:046d:0825:4C2A91E0`."""

CONTROL = r"[a-z0-9_]{1,64}"
"""The name of a camera control, as v4l2-ctl writes it: `exposure_time_absolute`."""
ControlValue = int | bool | str
"""What a control is set to: a number, a switch, or the label of a menu's entry."""

Seconds = Annotated[float, Meta(gt=0, le=86400)]
Scope = Literal["view", "snapshot", "push", "control", "admin"]
"""What a key may allow: to watch, to take single pictures, to send pictures, to steer cameras, and all of it."""
SCOPES: tuple[str, ...] = get_args(Scope)
Scopes = tuple[Scope, ...]
Texts = tuple[Annotated[str, Meta(min_length=1, max_length=255)], ...]
Count = Annotated[int, Meta(ge=0, le=1_000_000)]


Side = Annotated[int, Meta(ge=0, le=MAX_SIDE)]
Quality = Annotated[int, Meta(ge=0, le=100)]
Fps = Annotated[float, Meta(ge=0, le=MAX_FPS)]
"""Bounds of a rendition; 0 is none."""


class ServerConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """How it listens, and what it believes of who comes."""

    host: Annotated[
        str,
        Meta(min_length=1, description="Address to listen on; 0.0.0.0 or :: for every one; unix:/PATH for a socket."),
    ] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="TCP port; 0 takes a free one and prints it.")] = 8080
    backlog: Annotated[int, Meta(ge=1, le=65535, description="Connections the kernel holds until we accept them.")] = (
        512
    )
    heartbeat: Annotated[
        float,
        Meta(gt=0, le=60, description="Seconds after which a still picture is sent again; Home Assistant waits 10."),
    ] = 5.0
    base_path: Annotated[
        str,
        Meta(
            pattern=r"\A(/[A-Za-z0-9._~-]+)*\Z",
            description="Path that a proxy puts in front of ours and does not take away, as in /cams.",
            extra={"expected": "a path as /cams, without a slash at its end"},
        ),
    ] = ""
    public_url: Annotated[
        str,
        Meta(
            pattern=r"\A(https?://[^/?#\s@]+)?\Z",
            description="How people reach it, for share links: https://cam.example.org.",
            extra={"expected": "http:// or https:// and a host, without a path"},
        ),
    ] = ""
    trusted_proxies: Annotated[
        Texts,
        Meta(description="Addresses or networks whose X-Forwarded-* headers are believed; unix for local sockets."),
    ] = ("127.0.0.0/8", "::1", "unix")
    allowed_hosts: Annotated[
        Texts,
        Meta(description="Host names that requests may ask for, against DNS rebinding; *.NAME too. Empty allows all."),
    ] = ()
    cors_origins: Annotated[
        Texts, Meta(description="Origins whose scripts may read pictures and data: https://dash.example.org, or *.")
    ] = ()
    state: Annotated[
        str, Meta(description="Folder for what outlives a restart (share links); empty for the system's usual place.")
    ] = ""


class TlsConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """HTTPS, version 1.2 or later, if both are given; read again at a reload."""

    certificate: Annotated[
        str, Meta(description="PEM file with the certificate and its chain; or credential:NAME.")
    ] = ""
    key: Annotated[str, Meta(description="PEM file with the private key; or credential:NAME.")] = ""


class AuthConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Who may look without a key, and what guessing costs."""

    anonymous: Annotated[
        Scopes, Meta(description="Scopes given to everybody. Needed to listen beyond loopback without any key.")
    ] = ()
    failures: Annotated[
        int, Meta(ge=1, le=1000, description="Wrong keys from one address before it is locked out.")
    ] = 10
    lockout: Annotated[
        float,
        Meta(
            gt=0, le=3600, description="Seconds of the first lock-out; each further one is twice as long, to an hour."
        ),
    ] = 60.0
    session: Annotated[float, Meta(gt=0, le=31_536_000, description="Seconds that a login on the page lasts.")] = (
        2_592_000.0
    )


class KeyConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """A key and what it opens. `mjpegd key NAME` makes one. Keep it out of files that everybody may read."""

    secret: Annotated[
        str,
        Meta(
            description="The key, 8 characters at least; or sha256:HEX of it; or credential:NAME.",
            extra={"secret": True},
        ),
    ] = ""
    scopes: Annotated[Scopes, Meta(description="What it allows; admin allows all.")] = ("view", "snapshot")
    cameras: Annotated[Texts, Meta(description="Names of the cameras it is for; empty for every one.")] = ()
    expires: Annotated[
        str, Meta(description="Last day or moment on which it is good: 2027-01-31, 2027-01-31T12:00:00Z.")
    ] = ""


class LimitsConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """What one client, and all of them, may take."""

    viewers: Annotated[Count, Meta(description="Viewers in all; 0 for no limit.")] = 4000
    viewers_per_camera: Annotated[Count, Meta(description="Viewers of one camera; 0 for no limit.")] = 0
    viewers_per_address: Annotated[Count, Meta(description="Viewers from one address; 0 for no limit.")] = 1000
    viewers_per_key: Annotated[Count, Meta(description="Viewers with one key; 0 for no limit.")] = 0
    renditions: Annotated[Count, Meta(description="Different renditions made at once, in all; 0 for no limit.")] = 64
    renditions_per_camera: Annotated[Count, Meta(description="The same of one camera; 0 for no limit.")] = 16
    encoders: Annotated[
        int, Meta(ge=0, le=64, description="Renditions encoded at a time; 0 for the cores but one, 4 at most.")
    ] = 0
    duration: Annotated[
        float, Meta(ge=0, le=31_536_000, description="Seconds after which a stream is ended; 0 for never.")
    ] = 0.0
    requests_per_second: Annotated[
        float, Meta(ge=0, le=1_000_000, description="Requests from one address in a second, lasting; 0 for no limit.")
    ] = 200.0
    burst: Annotated[
        int, Meta(ge=1, le=1_000_000, description="Requests that one address may make at once before the rate counts.")
    ] = 2000
    head_bytes: Annotated[int, Meta(ge=1024, le=1_048_576, description="Longest request head, in bytes.")] = MAX_HEAD
    head_fields: Annotated[int, Meta(ge=4, le=1000, description="Most header fields in a request.")] = MAX_FIELDS
    body_bytes: Annotated[int, Meta(ge=64, le=1_048_576, description="Longest request body, in bytes.")] = 16384
    head_timeout: Annotated[Seconds, Meta(description="Seconds a client has to send a whole request.")] = 10.0
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
            description="auto | camera | pattern | /dev/video0 | usb:VID:PID[:SERIAL] | URL | snapshot+URL | file.",
        ),
    ] = "auto"
    width: Annotated[int, Meta(ge=MIN_SIDE, le=MAX_SIDE, description="Picture width to ask for, in pixels.")] = 1280
    height: Annotated[int, Meta(ge=MIN_SIDE, le=MAX_SIDE, description="Picture height to ask for, in pixels.")] = 720
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
    frozen_after: Annotated[
        float,
        Meta(
            ge=0,
            le=86400,
            description="Seconds of the same picture after which the camera is frozen; 0 for screens: never.",
        ),
    ] = 60.0
    on_demand: Annotated[bool, Meta(description="Close the source while nobody watches.")] = False
    linger: Annotated[Seconds, Meta(description="Seconds after the last viewer before it is closed.")] = 30.0
    transport: Annotated[Literal["tcp", "udp"], Meta(description="How RTSP carries the video.")] = "tcp"
    low_delay: Annotated[
        bool, Meta(description="Open quickly, decode in one thread; false for what one core cannot decode.")
    ] = True
    ffmpeg_options: Annotated[
        Texts,
        Meta(
            description='Further options for FFmpeg\'s input, as ["user_agent=mjpegd", "max_delay=500000"].',
            extra={"secret": True},  # `headers=Authorization: ...` is one of them
        ),
    ] = ()
    hwaccel: Annotated[
        Literal["none", "auto", "vaapi", "mfx", "drm"],
        Meta(description="What decodes H.264 and the like; where that is not there, software does."),
    ] = "none"
    idle: Annotated[
        Literal["full", "keyframes", "nothing"],
        Meta(description="What is decoded while nobody watches; the less, the longer the first viewer waits."),
    ] = "full"
    max_lag: Annotated[
        Seconds, Meta(description="Seconds an FFmpeg source may fall behind its own clock before it is opened again.")
    ] = 3.0
    interval: Annotated[Seconds, Meta(description="Seconds between two pictures of a snapshot+http source.")] = 0.5
    token: Annotated[
        str, Meta(description="Bearer token for an HTTP source; or credential:NAME.", extra={"secret": True})
    ] = ""
    verify: Annotated[
        bool, Meta(description="Check the certificate of an https source; false for one that signed its own.")
    ] = True
    retry_min: Annotated[Seconds, Meta(description="Seconds before the first new try to open a lost camera.")] = 1.0
    retry_max: Annotated[Seconds, Meta(description="Longest pause between two tries; each is twice the last.")] = 30.0
    preset: Annotated[
        Literal["none", "cloudflare", "lan", "low-latency", "low-bandwidth"],
        Meta(description="Sets heartbeat and the stream_ keys for a kind of network; each key given here wins."),
    ] = "none"
    stream_width: Annotated[Side, Meta(description="Width of the box that streams fit into if a viewer asks none.")] = 0
    stream_height: Annotated[Side, Meta(description="Height of that box; 0 for the camera's.")] = 0
    stream_quality: Annotated[
        Quality, Meta(description="JPEG quality of streams if a viewer asks none; 0 for the camera's.")
    ] = 0
    stream_fps: Annotated[Fps, Meta(description="Most frames a second that a viewer gets; 0 for all.")] = 0.0
    heartbeat: Annotated[
        float, Meta(ge=0, le=60, description="As server.heartbeat, for this camera; 0 for the same.")
    ] = 0.0
    adapt: Annotated[
        bool, Meta(description="Give each viewer fewer or smaller pictures while its connection is too slow.")
    ] = False
    controls: Annotated[
        Mapping[str, ControlValue],
        Meta(
            description="Camera controls, set at each opening; without this line, a table [camera.NAME.controls].",
            extra={"expected": 'a table as {brightness = 10, auto_exposure = "Manual Mode"}'},
        ),
    ] = field(default_factory=dict)


VIEWING = ("preset", "stream_width", "stream_height", "stream_quality", "stream_fps", "heartbeat", "adapt")
"""Keys of a camera that say what viewers get."""


def capturing(config: CameraConfig) -> CameraConfig:
    """All else of it, which its capture needs."""
    return structs.replace(config, **{name: getattr(_VIEWING_DEFAULTS, name) for name in VIEWING})


_VIEWING_DEFAULTS = CameraConfig()


class RenditionConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Pictures in another look, by a name: /stream/cam?rendition=mobile."""

    width: Annotated[Side, Meta(description="Width of the box to fit into, in pixels; 0 for the camera's.")] = 0
    height: Annotated[Side, Meta(description="Height of that box.")] = 0
    quality: Annotated[Quality, Meta(description="JPEG quality; 0 for the camera's.")] = 0
    fps: Annotated[Fps, Meta(description="Frames a second; 0 for all.")] = 0.0


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
    tls: TlsConfig = field(default_factory=TlsConfig)
    auth: AuthConfig = field(default_factory=AuthConfig)
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    log: LogConfig = field(default_factory=LogConfig)
    camera: dict[str, CameraConfig] = field(default_factory=lambda: {"cam": CameraConfig()})
    rendition: dict[str, RenditionConfig] = field(default_factory=dict)
    key: dict[str, KeyConfig] = field(default_factory=dict)


SECTIONS: Mapping[str, type[Struct]] = {
    "server": ServerConfig,
    "tls": TlsConfig,
    "auth": AuthConfig,
    "limits": LimitsConfig,
    "log": LogConfig,
    "camera": CameraConfig,
    "rendition": RenditionConfig,
    "key": KeyConfig,
}
"""The tables of the file."""
NAMED = {"camera": "cam", "rendition": "mobile", "key": "wall"}
"""Those that hold one table for each name, and the name in the example."""
