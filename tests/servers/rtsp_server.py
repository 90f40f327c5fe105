#!/usr/bin/python3
"""Network cameras over RTSP: `rtsp_server.py [--port N] [--fps F] [--user U --password P] /PATH=FILE ...`.

For Debian's own Python, whose `gi` has GStreamer's RTSP server; it needs nothing of ours. FILE is H.264 with access
unit delimiters (.h264) or JPEGs one after the other (.mjpeg); it is sent in an endless loop at F pictures a second, the
same to all who look. Nothing is encoded here, so a camera costs little.

When it listens it prints one line of JSON: `{"port": 8554, "epoch": 1234.5}`. Picture n (from 0, over all rounds of the
loop) of the k-th of K paths is taken and sent at `epoch + (n + k/K) / F` seconds of the monotonic clock: whoever knows
n modulo the length of the loop, from the picture itself, knows how old it is. The server keeps to this schedule whether
somebody looks or not. As from any camera, what a new viewer gets begins with the next keyframe.
"""

import argparse
import json
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gi  # type: ignore[import-not-found, import-untyped, unused-ignore]

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # type: ignore[import-not-found, unused-ignore]  # noqa: E402

ROLE = "viewer"
QUEUE = "leaky-type=downstream max-bytes=4000000"
"""What that may wait between a viewer's DESCRIBE and its PLAY."""


@dataclass(frozen=True)
class Codec:
    """Where a picture begins in a file, what marks one that stands for itself, and how RTP carries it."""

    begin: bytes
    key: bytes
    caps: str
    payloader: str


CODECS = {
    ".h264": Codec(
        b"\0\0\0\1\x09",
        b"\0\0\0\1\x67",
        "video/x-h264,stream-format=byte-stream,alignment=au",
        "rtph264pay name=pay0 pt=96 config-interval=1 aggregate-mode=zero-latency",
    ),
    ".mjpeg": Codec(b"\xff\xd8\xff", b"\xff\xd8\xff", "image/jpeg", "rtpjpegpay name=pay0 pt=26"),
}


@dataclass
class Camera:
    """One path: its pictures, and where they go while somebody looks."""

    path: str
    file: Path
    sink: Any = None
    started: bool = False
    pictures: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        begin = self.codec.begin
        self.pictures = [begin + part for part in self.file.read_bytes().split(begin)[1:]]

    @property
    def codec(self) -> Codec:
        """What the file's name says."""
        return CODECS[self.file.suffix]

    def factory(self, fps: int) -> Any:
        """What answers for the path: one pipeline for all viewers."""
        width, height = self.file.stem.split("-")[0].split("x")
        caps = f"{self.codec.caps},width={width},height={height},framerate={fps}/1"
        source = f"appsrc name=source is-live=true do-timestamp=true format=time {QUEUE} caps={caps}"
        made = GstRtspServer.RTSPMediaFactory()
        made.set_launch(f"( {source} ! {self.codec.payloader} )")
        made.set_shared(True)
        made.connect("media-configure", self._configure)
        return made

    def take(self, number: int) -> None:
        """Send picture `number` to whoever looks; the first one of a pipeline must be a keyframe."""
        sink, picture = self.sink, self.pictures[number % len(self.pictures)]
        if sink is None or not (self.started or self.codec.key in picture):
            return
        self.started = True
        sink.emit("push-buffer", Gst.Buffer.new_wrapped(picture))

    def _configure(self, _factory: Any, media: Any) -> None:
        self.started, self.sink = False, media.get_element().get_by_name_recurse_up("source")
        media.connect("unprepared", self._leave)

    def _leave(self, _media: Any) -> None:
        self.sink = None


def take_pictures(cameras: list[Camera], fps: int, epoch: float) -> None:
    """Let the cameras take their pictures when these are due, for ever."""
    number, count = 0, len(cameras)
    while True:
        for place, camera in enumerate(cameras):
            due = epoch + (number + place / count) / fps
            time.sleep(max(0.0, due - time.monotonic()))
            camera.take(number)
        number += 1


def protect(server: Any, factories: list[Any], user: str, password: str) -> None:
    """Let only that user in, by Basic or by Digest."""
    auth, token = GstRtspServer.RTSPAuth(), GstRtspServer.RTSPToken()
    token.set_string(GstRtspServer.RTSP_TOKEN_MEDIA_FACTORY_ROLE, ROLE)
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    auth.add_digest(user, password, token)
    server.set_auth(auth)
    for factory in factories:
        permissions = GstRtspServer.RTSPPermissions()
        for permission in (
            GstRtspServer.RTSP_PERM_MEDIA_FACTORY_ACCESS,
            GstRtspServer.RTSP_PERM_MEDIA_FACTORY_CONSTRUCT,
        ):
            permissions.add_permission_for_role(ROLE, permission, True)
        factory.set_permissions(permissions)


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description="Network cameras over RTSP.")
    parser.add_argument("--port", default="0")
    parser.add_argument("--fps", type=int, default=25)
    parser.add_argument("--user", default="")
    parser.add_argument("--password", default="")
    parser.add_argument("cameras", nargs="+", metavar="/PATH=FILE")
    options = parser.parse_args()
    Gst.init(None)
    pairs = (word.split("=", 1) for word in options.cameras)
    cameras = [Camera(path, Path(file)) for path, file in pairs]
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(options.port)
    factories = [camera.factory(options.fps) for camera in cameras]
    for camera, factory in zip(cameras, factories, strict=True):
        server.get_mount_points().add_factory(camera.path, factory)
    if options.user:
        protect(server, factories, options.user, options.password)
    if not server.attach(None):
        sys.exit(f"cannot listen on port {options.port}")
    epoch = time.monotonic()
    threading.Thread(target=take_pictures, args=(cameras, options.fps, epoch), daemon=True).start()
    sys.stdout.write(json.dumps({"port": server.get_bound_port(), "epoch": epoch}) + "\n")
    sys.stdout.flush()
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
