"""What a network camera sees: some seconds of video, encoded once and then sent in a loop by whoever plays the camera.

Each picture carries its place in the loop as a `stripe`. H.264 is as IP cameras make it: main profile, no B-frames, a
keyframe each second, one slice a picture, access units behind delimiters. MJPEG has the tables of the standard, since
RTP carries no others.
"""

import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy

from tests.peers import peer
from tests.servers import stripe
from tests.servers.stripe import Pixels

_ENCODERS: dict[str, Sequence[str]] = {
    "h264": (
        *("-c:v", "libx264", "-pix_fmt", "yuv420p", "-preset", "veryfast", "-profile:v", "main", "-bf", "0"),
        *("-sc_threshold", "0", "-x264-params", "aud=1:sliced-threads=0:slices=1"),
        *("-b:v", "{bits}", "-maxrate", "{bits}", "-bufsize", "{bits}"),
    ),
    "mjpeg": ("-c:v", "mjpeg", "-huffman", "default", "-q:v", "5", "-pix_fmt", "yuvj420p", "-strict", "-1"),
}
_BITS_PER_PIXEL = 0.13
"""3 Mbit/s for 720p25, the usual setting of such cameras."""


@dataclass(frozen=True)
class Loop:
    """Size, rate and length of the video, and its codec, `h264` or `mjpeg`."""

    codec: str = "h264"
    width: int = 640
    height: int = 360
    fps: int = 25
    seconds: int = 4

    @property
    def length(self) -> int:
        """How many pictures it has."""
        return self.fps * self.seconds

    def file(self, folder: Path) -> Path:
        """The video in that folder, where its name ends in the codec's; made if it is not there."""
        path = folder / f"{self.width}x{self.height}-{self.fps}-{self.seconds}s.{self.codec}"
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(".partial")
            self._encode(partial)
            partial.rename(path)
        return path

    def _encode(self, path: Path) -> None:
        bits = str(round(self.width * self.height * self.fps * _BITS_PER_PIXEL))
        options = [word.format(bits=bits) for word in _ENCODERS[self.codec]]
        command = [
            *(peer("ffmpeg", "ffmpeg"), "-loglevel", "error", "-y", "-f", "rawvideo", "-pix_fmt", "bgr24"),
            *("-video_size", f"{self.width}x{self.height}", "-framerate", str(self.fps), "-i", "-"),
            *(*options, "-g", str(self.fps), "-f", self.codec, str(path)),
        ]
        with subprocess.Popen(command, stdin=subprocess.PIPE) as encoder:
            assert encoder.stdin is not None
            for picture in self.pictures():
                encoder.stdin.write(picture.tobytes())
        assert encoder.returncode == 0, command

    def pictures(self) -> Iterator[Pixels]:
        """The pictures, in order: things that move in front of a wall with a sensor's noise."""
        wall = self._wall()
        for number in range(self.length):
            picture = wall.copy()
            self._draw(picture, number)
            stripe.draw(picture, number)
            yield picture

    def jpegs(self) -> list[bytes]:
        """The same, each as a JPEG."""
        return [cv2.imencode(".jpg", picture)[1].tobytes() for picture in self.pictures()]

    def _wall(self) -> Pixels:
        y, x = numpy.mgrid[0 : self.height, 0 : self.width].astype(numpy.float32) / self.height
        waves = numpy.stack((numpy.sin(x * 7) * numpy.cos(y * 5), numpy.sin((x + y) * 4.5), numpy.cos(y * 6)), -1)
        noise = numpy.random.default_rng(3).normal(0, 9, (self.height, self.width, 1))
        return numpy.clip(128 + 80 * waves + noise, 0, 255).astype(numpy.uint8)

    def _draw(self, picture: Pixels, number: int) -> None:
        """Eight balls on their ways, which they end where they began."""
        angle = 2 * numpy.pi * number / self.length
        for ball in range(8):
            x = (0.5 + 0.42 * numpy.sin(angle * (1 + ball % 2) + ball)) * self.width
            y = (0.55 + 0.35 * numpy.cos(angle * (1 + ball % 3) + 2 * ball)) * self.height
            colour = 37 * ball % 255, 91 * ball % 255, 200 - 13 * ball
            cv2.circle(picture, (int(x), int(y)), self.height // 14 + 3 * ball, colour, -1)
