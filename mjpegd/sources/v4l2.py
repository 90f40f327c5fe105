"""A V4L2 camera read by ioctl and mmap, MJPG passed through as it is.

OpenCV's reader is not used: it was measured to pass truncated and error-flagged buffers as good, to block for ten
seconds in a stall and to hand out stale pictures after a pause. Here `bytesused`, sequence gaps, error flags, kernel
timestamps and the poll deadline are ours. The structures are linuxpy's; the calls are those of the V4L2 API, chapter
"Streaming I/O (Memory Mapping)".
"""

import errno
import fcntl
import mmap
import os
import select
import threading
from collections.abc import Iterator, Mapping
from time import monotonic
from typing import Any

from linuxpy.video import raw

from mjpegd import log
from mjpegd.config.schema import CameraConfig, ControlValue
from mjpegd.errors import BrokenPicture, SourceError, SourceStalled
from mjpegd.sources import controls, devices
from mjpegd.sources.base import JPEG, NOTHING, Grab, Granted
from mjpegd.sources.pace import Sparing

BUFFERS = 4
"""One we hold, one the driver fills, two for a thread that the scheduler forgot. uStreamer takes 2 to 5."""

OLDEST = 10.0
"""Seconds that a buffer's timestamp may lie back; a driver that stamps with another clock is far off."""

POLL_SLICE = 0.2
"""Seconds between two looks at `stop`."""

FORMATS: dict[str, str] = {
    "MJPG": JPEG,
    "JPEG": JPEG,
    "YUYV": "YUYV",
    "UYVY": "UYVY",
    "YVYU": "YVYU",
    "NV12": "NV12",
    "NV21": "NV21",
    "YU12": "I420",
    "YV12": "YV12",
    "BGR3": "BGR",
    "RGB3": "RGB",
    "GREY": "GREY",
}
"""Pixel formats we take, best first: the camera's own JPEG costs nothing. The right column is `Grab.format`."""

_WORDS = {
    errno.ENOSPC: "no room on its USB bus: choose MJPG, a smaller size, or another port",
    errno.EBUSY: "another program has it open",
    errno.EACCES: "not permitted: add the user to group video",
    errno.EPERM: "not permitted: add the user to group video",
    errno.ENODEV: "unplugged",
    errno.ENXIO: "unplugged",
    errno.ENOENT: "not plugged in",
    errno.ENOTTY: "not a V4L2 device",
    errno.EINVAL: "the driver refuses the settings",
}

_CAPTURE = int(raw.BufType.VIDEO_CAPTURE)
_MMAP = int(raw.Memory.MMAP)
_ERROR = int(raw.BufferFlag.ERROR)
_CLOCK = int(raw.BufferFlag.TIMESTAMP_MASK)
_MONOTONIC = int(raw.BufferFlag.TIMESTAMP_MONOTONIC)


def open_source(spec: str, camera: CameraConfig, stop: threading.Event) -> "V4L2Source":
    """Open, configure and start the camera that `spec` names."""
    try:
        path = devices.resolve(spec)
    except ValueError as error:
        raise SourceError(str(error)) from None
    if path is None:
        raise SourceError("not plugged in")
    try:
        return V4L2Source(path, camera, stop)
    except OSError as error:
        raise SourceError(explain(error)) from error


def explain(error: OSError) -> str:
    """An ioctl's errno in words that say what to do."""
    return _WORDS.get(error.errno or 0, f"{error.strerror} (errno {error.errno})")


class V4L2Source:
    """An open camera, streaming into `BUFFERS` mapped buffers."""

    def __init__(self, path: str, camera: CameraConfig, stop: threading.Event) -> None:
        self._stop = stop
        self._patience = camera.stale_after
        self._maps: list[mmap.mmap] = []
        self._buffer = _new_buffer()
        self._held = False
        self._sparing = Sparing()
        self._sequence: int | None = None
        self._skipped = 0
        self._fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            name = self._require_capture()
            self.granted = self._negotiate(path, camera, name)
            if self.granted.fps:
                self._patience = max(self._patience, 2 / self.granted.fps)  # a slow camera is not a silent one
            self._start()
            self._set_controls(camera.controls)  # now: some cameras take a focus only while they stream
        except BaseException:
            self.close()
            raise
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)

    def read(self, *, pixels: bool = True) -> Grab | None:
        """The next picture; the mapped buffer it lies in goes back to the driver at the next call."""
        try:
            self._give_back()
            if not self._wait():
                return None
            return self._take(pixels=pixels)
        except OSError as error:
            raise SourceError(explain(error)) from error

    def close(self) -> None:
        """Unmap and close; the kernel stops the stream with the last descriptor."""
        self._held = False
        maps, self._maps = self._maps, []
        for mapped in maps:
            try:
                mapped.close()
            except BufferError:  # a picture still refers to it: freed with that one
                continue
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _ioctl(self, request: raw.IOC, argument: Any) -> Any:
        fcntl.ioctl(self._fd, request, argument)
        return argument

    def _require_capture(self) -> str:
        """What the camera calls itself, if it is one."""
        caps = self._ioctl(raw.IOC.QUERYCAP, raw.v4l2_capability())
        own = caps.device_caps or caps.capabilities
        if not own & raw.Capability.VIDEO_CAPTURE or not own & raw.Capability.STREAMING:
            raise SourceError("not a camera that streams (a metadata or output node?)")
        return str(caps.card.decode(errors="replace"))

    def _negotiate(self, path: str, camera: CameraConfig, name: str) -> Granted:
        """Ask for size, format and rate; drivers round each to what they can."""
        form = raw.v4l2_format()
        form.type = _CAPTURE
        form.fmt.pix.width, form.fmt.pix.height = camera.width, camera.height
        form.fmt.pix.pixelformat = self._choose_format()
        pix = self._ioctl(raw.IOC.S_FMT, form).fmt.pix
        fourcc = _fourcc(pix.pixelformat)
        if fourcc not in FORMATS:
            raise SourceError(f"gives pixel format {fourcc}, which is not known here")
        self._format = FORMATS[fourcc]
        self._layout = (pix.width, pix.height, pix.bytesperline)
        return Granted(pix.width, pix.height, self._set_rate(camera.fps), fourcc, path, name=name)

    def _choose_format(self) -> int:
        offered = {_fourcc(code): code for code in self._offered_formats()}
        for fourcc in FORMATS:
            if fourcc in offered:
                return offered[fourcc]
        raise SourceError(f"offers only {', '.join(offered) or 'no formats'}; known here are {', '.join(FORMATS)}")

    def _offered_formats(self) -> Iterator[int]:
        description = raw.v4l2_fmtdesc()
        description.type = _CAPTURE
        for index in range(64):
            description.index = index
            try:
                yield int(self._ioctl(raw.IOC.ENUM_FMT, description).pixelformat)
            except OSError as error:
                if error.errno != errno.EINVAL:  # the end of the list
                    raise
                return

    def _set_rate(self, fps: float) -> float:
        """The rate granted; 0 from drivers without one."""
        parameters = raw.v4l2_streamparm()
        parameters.type = _CAPTURE
        interval = parameters.parm.capture.timeperframe
        interval.numerator, interval.denominator = 1000, round(fps * 1000)
        try:
            self._ioctl(raw.IOC.S_PARM, parameters)
        except OSError as error:
            if error.errno == errno.ENODEV:
                raise
            return 0.0  # a rate is optional, and drivers have many ways to say that they know none
        return interval.denominator / interval.numerator if interval.numerator else 0.0

    def _start(self) -> None:
        request = raw.v4l2_requestbuffers()
        request.count, request.type, request.memory = BUFFERS, _CAPTURE, _MMAP
        self._ioctl(raw.IOC.REQBUFS, request)
        for index in range(request.count):
            buffer = self._ioctl(raw.IOC.QUERYBUF, _new_buffer(index))
            self._maps.append(mmap.mmap(self._fd, buffer.length, offset=buffer.m.offset))
            self._ioctl(raw.IOC.QBUF, buffer)
        fcntl.ioctl(self._fd, raw.IOC.STREAMON, _CAPTURE.to_bytes(4, "little"))

    def _set_controls(self, wanted: Mapping[str, ControlValue]) -> None:
        """Set what the camera takes; a control that it refuses does not keep it from giving pictures."""
        for name, reason in controls.apply(self._fd, wanted).items():
            log.get(device=self.granted.device).warning("control not set", control=name, reason=reason)

    def _give_back(self) -> None:
        if self._held:
            self._held = False
            self._ioctl(raw.IOC.QBUF, self._buffer)

    def _wait(self) -> bool:
        """Until a buffer is filled; False when `stop` was set."""
        deadline = monotonic() + self._patience
        while not self._stop.is_set():
            left = deadline - monotonic()
            if left <= 0:
                raise SourceStalled(f"no frames for {self._patience:g} s")
            if self._filled(min(left, POLL_SLICE)):
                return True
        return False

    def _filled(self, timeout: float) -> bool:
        """Whether a buffer is filled within `timeout` seconds."""
        for _, event in self._poll.poll(timeout * 1000):
            if event & select.POLLIN:
                return True
            raise SourceError("unplugged" if event & select.POLLHUP else "the driver stopped the stream")
        return False

    def _take(self, *, pixels: bool) -> Grab | None:
        """The newest filled buffer, checked; those that filled while we were busy are skipped and counted."""
        buffer = self._dequeue()
        while buffer is not None and self._filled(0):
            self._give_back()
            self._skipped += 1
            buffer = self._dequeue()
        if buffer is None:
            return self.read(pixels=pixels)
        if buffer.flags & _ERROR:
            raise BrokenPicture("the driver flags it as damaged")
        if not buffer.bytesused:
            raise BrokenPicture("empty")
        skipped, self._skipped = self._skipped, 0
        taken = _taken(buffer)
        if self._format != JPEG and not self._sparing.wants(taken, pixels=pixels):
            return Grab(NOTHING, self._format, taken, skipped)
        data = memoryview(self._maps[buffer.index])[: buffer.bytesused]
        return Grab(data, self._format, taken, skipped, *self._layout)

    def _dequeue(self) -> Any:
        """Take a filled buffer from the driver, counting those it lost before it; None if there is none after all."""
        try:
            buffer = self._ioctl(raw.IOC.DQBUF, self._buffer)
        except BlockingIOError:
            return None
        self._held = True
        if self._sequence is not None:
            self._skipped += max(0, buffer.sequence - self._sequence - 1)
        self._sequence = buffer.sequence
        return buffer


def _new_buffer(index: int = 0) -> Any:
    buffer = raw.v4l2_buffer()
    buffer.index, buffer.type, buffer.memory = index, _CAPTURE, _MMAP
    return buffer


def _taken(buffer: Any) -> float:
    """The kernel's timestamp in monotonic seconds; now for a stamp of no clock we know, or beyond belief."""
    now = monotonic()
    if buffer.flags & _CLOCK == _MONOTONIC:
        stamp = float(buffer.timestamp.secs + buffer.timestamp.usecs / 1e6)
        if now - OLDEST < stamp <= now:
            return stamp
    return now


def _fourcc(code: int) -> str:
    return (code & 0x7FFFFFFF).to_bytes(4, "little").decode("ascii", "replace").strip()
