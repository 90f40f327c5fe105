#!/usr/bin/env python3
"""A USB webcam (UVC 1.0, MJPG, bulk) for QEMU: a usbredir peer on a unix socket.

The guest's own xHCI, uvcvideo and udev see a camera on a USB port; this process, on the host at full speed, is the
camera. Standard library only.

  uvccam.py SOCKET --mjpeg FILE [--mjpeg FILE ...] [--serial S]

FILE holds JPEG frames one after the other (ffmpeg -f mjpeg); each file becomes a frame size. Every frame carries a
comment, `edge SERIAL n=COUNT t=HOSTTIME`. Lines to SOCKET.ctl while it runs:
  freeze | thaw        keeps the plug in, sends no frames | goes on
  stat                 one line: frames sent, frames skipped for want of a request, streaming or not, frozen or not
"""

import argparse
import select
import socket
import struct
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

ENDPOINT, PAYLOAD, HEADER = 0x81, 16384, 2
"""The bulk endpoint, and the length of a payload on it with its UVC header."""
INTERVALS = (333_333, 666_666, 1_000_000, 2_000_000)
"""30, 15, 10 and 5 frames a second, in units of 100 ns."""
VENDOR, PRODUCT = 0x1D6B, 0x0102
STALLED = 4
"""usb_redir_stall: how a device refuses."""


def split_jpegs(data: bytes) -> list[bytes]:
    """Cut a stream of JPEG files, walking the segments so that thumbnails and comments do not fool it."""
    found, at = [], 0
    while (at := data.find(b"\xff\xd8", at)) >= 0:
        end = at + 2
        while data[end + 1] != 0xDA:
            end += 2 + _length(data, end)
        end = data.find(b"\xff\xd9", end) + 2
        found.append(data[at:end])
        at = end
    return found


def jpeg_size(jpeg: bytes) -> tuple[int, int]:
    """Width and height, from the frame header."""
    at = 2
    while jpeg[at + 1] not in {0xC0, 0xC1, 0xC2}:
        at += 2 + _length(jpeg, at)
    height, width = struct.unpack_from(">HH", jpeg, at + 5)
    return width, height


def _length(jpeg: bytes, at: int) -> int:
    return int.from_bytes(jpeg[at + 2 : at + 4], "big")


class Film:
    """The pictures of one frame size, shown again and again."""

    def __init__(self, path: Path) -> None:
        self._pictures = split_jpegs(path.read_bytes())
        self.width, self.height = jpeg_size(self._pictures[0])
        self.largest = self.width * self.height * 2

    def picture(self, number: int, serial: str) -> bytes:
        """The picture with that number, its comment behind the SOI."""
        picture = self._pictures[number % len(self._pictures)]
        comment = f"edge {serial} n={number} t={time.time():.6f}".encode()
        return picture[:2] + b"\xff\xfe" + struct.pack(">H", 2 + len(comment)) + comment + picture[2:]


@dataclass(frozen=True)
class Setting:
    """A control of a unit: bytes, limits, and the switch with the value that it must have for this one to be set."""

    size: int
    low: int
    high: int
    step: int
    default: int
    master: tuple[int, int] | None = None
    manual: int = 0

    def pack(self, number: int) -> bytes:
        """As it travels."""
        return number.to_bytes(self.size, "little", signed=self.low < 0)

    def unpack(self, data: bytes) -> int:
        """As it came."""
        return int.from_bytes(data[: self.size], "little", signed=self.low < 0)


SENSOR, PROCESSING = 1, 3
"""The units that have controls."""
EXPOSURE_MODE, WHITE_BALANCE_AUTO = (SENSOR, 0x02), (PROCESSING, 0x0B)
SETTINGS: Mapping[tuple[int, int], Setting] = {
    EXPOSURE_MODE: Setting(1, 1, 8, 1 | 8, 8),  # a set of bits: manual, aperture priority; `step` has those there are
    (SENSOR, 0x04): Setting(4, 3, 2047, 1, 250, EXPOSURE_MODE, 1),
    (PROCESSING, 0x02): Setting(2, -64, 64, 1, 0),
    (PROCESSING, 0x0A): Setting(2, 2800, 6500, 1, 4600, WHITE_BALANCE_AUTO, 0),
    WHITE_BALANCE_AUTO: Setting(1, 0, 1, 1, 1),
}
"""By unit and selector (UVC 1.0, A.9): exposure mode and time, brightness, white balance temperature and its switch."""
WRONG_STATE, OUT_OF_RANGE = 2, 4
"""What VC_REQUEST_ERROR_CODE_CONTROL says after a refusal."""


class Panel:
    """The camera's controls. A camera that is plugged in again is a new process: it has forgotten them."""

    def __init__(self) -> None:
        self._values = {key: setting.default for key, setting in SETTINGS.items()}
        self._error = 0

    def get(self, unit: int, selector: int, request: int) -> bytes | None:
        """The answer to a GET request; None where there is none."""
        if (unit, selector) == (0, 2):
            return bytes([self._error])
        setting = SETTINGS.get((unit, selector))
        if setting is None:
            return None
        now = self._values[unit, selector]
        numbers = {0x81: now, 0x82: setting.low, 0x83: setting.high, 0x84: setting.step, 0x87: setting.default}
        plain = {0x85: struct.pack("<H", setting.size), 0x86: b"\x03"}  # GET_LEN, GET_INFO
        return setting.pack(numbers[request]) if request in numbers else plain.get(request)

    def set(self, unit: int, selector: int, data: bytes) -> bool:
        """Take a value, unless it is out of its range or governed by an automatic mode."""
        setting = SETTINGS.get((unit, selector))
        if setting is None:
            return False
        number = setting.unpack(data)
        waits = setting.master is not None and self._values[setting.master] != setting.manual
        self._error = WRONG_STATE if waits else 0 if setting.low <= number <= setting.high else OUT_OF_RANGE
        if not self._error:
            self._values[unit, selector] = number
        return not self._error


# Descriptors, as USB 2.0 chapter 9 and the USB Video Class 1.0 lay them out.


def device_descriptor() -> bytes:
    """A USB 2.0 device of several interfaces that belong together."""
    return struct.pack("<BBHBBBBHHHBBBB", 18, 1, 0x0200, 0xEF, 2, 1, 64, VENDOR, PRODUCT, 0x0100, 1, 2, 3, 1)


def configuration_descriptor(films: Sequence[Film]) -> bytes:
    """Video control (a sensor, its processing, an output), and video streaming with one MJPG format."""
    sensor = bytes([18, 0x24, 2, SENSOR, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0b1010, 0, 0])  # exposure mode and time
    processing = bytes([11, 0x24, 5, PROCESSING, SENSOR, 0, 0, 2, 0b0100_0001, 0b0001_0000, 0])  # brightness, white
    output = bytes([9, 0x24, 3, 2, 1, 1, 0, PROCESSING, 0])
    units = sensor + processing + output
    control = struct.pack("<BBBHHIBB", 13, 0x24, 1, 0x0100, 13 + len(units), 48_000_000, 1, 1) + units
    colour = bytes([6, 0x24, 0x0D, 1, 1, 4])
    form = bytes([11, 0x24, 6, 1, len(films), 1, 1, 0, 0, 0, 0])
    form += b"".join(_frame_descriptor(index, film) for index, film in enumerate(films, 1)) + colour
    streaming = struct.pack("<BBBBHBBBBBBBB", 14, 0x24, 1, 1, 14 + len(form), ENDPOINT, 0, 2, 0, 0, 0, 1, 0) + form
    endpoint = struct.pack("<BBBBHB", 7, 5, ENDPOINT, 2, 512, 0)
    association = bytes([8, 0x0B, 0, 2, 0x0E, 3, 0, 2])
    body = association + bytes([9, 4, 0, 0, 0, 0x0E, 1, 0, 2]) + control
    body += bytes([9, 4, 1, 0, 1, 0x0E, 2, 0, 0]) + streaming + endpoint
    return struct.pack("<BBHBBBBB", 9, 2, 9 + len(body), 2, 1, 0, 0x80, 250) + body


def _frame_descriptor(index: int, film: Film) -> bytes:
    bits, count = film.largest * 8, len(INTERVALS)
    sizes = (film.width, film.height, bits, bits * 30, film.largest, INTERVALS[0])
    head = struct.pack("<BBBBBHHIIIIB", 26 + 4 * count, 0x24, 7, index, 0, *sizes, count)
    return head + struct.pack(f"<{count}I", *INTERVALS)


def string_descriptor(index: int, serial: str) -> bytes:
    """The language, or one of the three texts."""
    if index == 0:
        return b"\x04\x03\x09\x04"
    text = ("Edge Test", "Edge UVC Camera", serial)[index - 1].encode("utf-16-le")
    return bytes([2 + len(text), 3]) + text


class Kind(IntEnum):
    """Packets of usbredir 0.7 that concern us."""

    HELLO = 0
    CONNECT = 1
    RESET = 3
    INTERFACES = 4
    ENDPOINTS = 5
    SET_CONFIGURATION = 6
    CONFIGURATION = 8
    SET_SETTING = 9
    SETTING = 11
    CANCEL = 21
    CONTROL = 100
    BULK = 101


class Redirection:
    """The connection to QEMU: packets in both directions."""

    CAPABILITIES = 1 << 1 | 1 << 4 | 1 << 5 | 1 << 6
    """Device version, packet sizes, 64-bit ids, 32-bit lengths: xHCI wants them."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._buffer = b""
        self._wide = False
        self.send(Kind.HELLO, 0, b"edge uvccam".ljust(64, b"\0") + struct.pack("<I", self.CAPABILITIES))

    def send(self, kind: Kind, ident: int, body: bytes) -> None:
        """One packet; ids are 64 bits wide once both sides said so."""
        wide = self._wide and kind is not Kind.HELLO
        self.socket.sendall(struct.pack("<IIQ" if wide else "<III", kind, len(body), ident) + body)

    def receive(self) -> Iterator[tuple[int, int, bytes]]:
        """Read what there is, and give the whole packets in it; `ConnectionError` at the end."""
        chunk = self.socket.recv(1 << 16)
        if not chunk:
            raise ConnectionResetError
        self._buffer += chunk
        while (packet := self._packet()) is not None:
            yield packet

    def _packet(self) -> tuple[int, int, bytes] | None:
        if len(self._buffer) < 12:
            return None
        kind, length = struct.unpack_from("<II", self._buffer)
        head = 16 if self._wide and kind != Kind.HELLO else 12
        if len(self._buffer) < head + length:
            return None
        ident, body = int.from_bytes(self._buffer[8:head], "little"), self._buffer[head : head + length]
        self._buffer = self._buffer[head + length :]
        if kind == Kind.HELLO:
            self._wide = len(body) >= 68 and bool(body[64] & 1 << 5)
        return kind, ident, body


class Camera:
    """What the guest sees: its answers on the control pipe, and frames at their pace on the bulk pipe."""

    def __init__(self, films: Sequence[Film], serial: str) -> None:
        self.frozen = False
        self._films, self._serial, self._panel = films, serial, Panel()
        self._probe = self._commit = self._negotiate(1, INTERVALS[0])
        self._link: Redirection
        self._requests: deque[tuple[int, int]] = deque()  # bulk reads that wait for data: id and length
        self._payloads: deque[bytes] = deque()  # the rest of the frame on its way
        self._due: float | None = None
        self._shown = self._sent = self._skipped = 0

    def attach(self, link: Redirection) -> None:
        """Begin on a new connection."""
        self._link = link
        self.detach()

    def detach(self) -> None:
        """Forget the reads of a connection that is gone."""
        self._requests.clear()
        self._idle()

    def __str__(self) -> str:
        state = f"streaming {self._due is not None} frozen {self.frozen}"
        return f"sent {self._sent} skipped {self._skipped} waiting-requests {len(self._requests)} {state}"

    def patience(self) -> float:
        """Seconds until `pump` has something to do."""
        if self._due is None or self.frozen or self._payloads:
            return 1.0
        return max(0.0, self._due - time.monotonic())

    def freeze(self, *, frozen: bool) -> None:
        """Stop sending frames, or go on."""
        self.frozen = frozen
        if self._due is not None:
            self._due = time.monotonic()

    def packet(self, kind: int, ident: int, body: bytes) -> None:
        """React to one packet."""
        if kind == Kind.HELLO:
            self._describe()
            self._link.send(Kind.CONNECT, 0, struct.pack("<BBBBHHH", 2, 0xEF, 2, 1, VENDOR, PRODUCT, 0x0100))
        elif kind == Kind.RESET:
            self._idle()
        elif kind == Kind.SET_CONFIGURATION:
            self._describe()
            self._link.send(Kind.CONFIGURATION, ident, bytes([0, body[0]]))
        elif kind == Kind.SET_SETTING:
            self._idle()
            self._describe()
            self._link.send(Kind.SETTING, ident, bytes([0, *body[:2]]))
        elif kind == Kind.CANCEL:
            self._cancel(ident)
        elif kind == Kind.CONTROL:
            self._control(ident, body)
        elif kind == Kind.BULK:
            self._read(ident, body)

    def pump(self) -> None:
        """Begin a frame if one is due, and send as much as the guest asked for."""
        self._begin()
        while self._payloads and self._requests:
            ident, length = self._requests.popleft()
            payload = self._payloads.popleft()[:length]
            self._answer(ident, payload)
            self._sent += not self._payloads

    def _begin(self) -> None:
        now = time.monotonic()
        if self._payloads or self.frozen or self._due is None or now < self._due:
            return
        index, interval = struct.unpack_from("<xxxBI", self._commit)
        pace = interval / 1e7
        late = max(0, int((now - self._due) / pace) - 1)
        self._due += (late + 1) * pace
        self._skipped += late
        if not self._requests:
            self._skipped += 1
            return
        self._shown += 1
        picture = self._films[index - 1].picture(self._shown, self._serial)
        step = PAYLOAD - HEADER
        parts = [picture[at : at + step] for at in range(0, len(picture), step)]
        flags = 0x80 | self._shown & 1
        self._payloads.extend(bytes([HEADER, flags]) + part for part in parts[:-1])
        self._payloads.append(bytes([HEADER, flags | 2]) + parts[-1])

    def _idle(self) -> None:
        self._payloads.clear()
        self._due = None

    def _read(self, ident: int, body: bytes) -> None:
        _, _, low, _, high = struct.unpack_from("<BBHIH", body)
        self._requests.append((ident, low | high << 16))
        if self._due is None:
            self._due = time.monotonic()
        self.pump()

    def _cancel(self, ident: int) -> None:
        waiting = [request for request in self._requests if request[0] != ident]
        if len(waiting) < len(self._requests):
            self._requests = deque(waiting)
            self._answer(ident, b"", status=1)
        if not self._requests:
            self._idle()

    def _answer(self, ident: int, payload: bytes, status: int = 0) -> None:
        length = len(payload)
        head = struct.pack("<BBHIH", ENDPOINT, status, length & 0xFFFF, 0, length >> 16)
        self._link.send(Kind.BULK, ident, head + payload)

    def _describe(self) -> None:
        """Two interfaces; the control pipe both ways; the bulk endpoint."""

        def pad(*values: int) -> bytes:
            return bytes(values).ljust(32, b"\0")

        interfaces = struct.pack("<I", 2) + pad(0, 1) + pad(0x0E, 0x0E) + pad(1, 2) + pad(0, 0)
        kinds, owners, sizes = [255] * 32, [0] * 32, [0] * 32
        kinds[0] = kinds[16] = 0
        sizes[0] = sizes[16] = 64
        kinds[17], owners[17], sizes[17] = 2, 1, 512
        self._link.send(Kind.INTERFACES, 0, interfaces)
        endpoints = bytes(kinds) + bytes(32) + bytes(owners) + struct.pack("<32H", *sizes)
        self._link.send(Kind.ENDPOINTS, 0, endpoints)

    def _control(self, ident: int, body: bytes) -> None:
        endpoint, request, kind, _, value, index, length = struct.unpack_from("<BBBBHHH", body)
        data = body[10:]
        answer: bytes | None
        if kind & 0x80:
            answer = self._get(kind, request, value, index)
            answer = None if answer is None else answer[:length]
        else:
            answer = b"" if self._set(kind, request, value, index, data) else None
        moved = len(answer or b"") if kind & 0x80 else len(data)
        status = STALLED if answer is None else 0
        head = struct.pack("<BBBBHHH", endpoint, request, kind, status, value, index, moved)
        self._link.send(Kind.CONTROL, ident, head + (answer or b""))

    def _get(self, kind: int, request: int, value: int, index: int) -> bytes | None:
        selector = value >> 8
        if kind == 0x80 and request == 6:  # GET_DESCRIPTOR
            wanted = {1: device_descriptor(), 2: configuration_descriptor(self._films)}
            return string_descriptor(value & 255, self._serial) if selector == 3 else wanted.get(selector)
        if kind in {0x80, 0x81, 0x82} and request == 0:  # GET_STATUS
            return b"\0\0"
        if kind == 0xA1 and index & 255 == 0:
            return self._panel.get(index >> 8, selector, request)
        if kind != 0xA1 or index & 255 != 1 or selector not in {1, 2}:
            return None
        number, interval = struct.unpack_from("<xxxBI", self._probe)
        return {
            0x81: self._probe if selector == 1 else self._commit,  # GET_CUR
            0x82: self._negotiate(number, min(INTERVALS)),
            0x83: self._negotiate(number, max(INTERVALS)),
            0x84: self._negotiate(number, interval),
            0x85: struct.pack("<H", 26),  # GET_LEN
            0x86: b"\x03",  # GET_INFO
            0x87: self._negotiate(number, interval),
        }.get(request)

    def _set(self, kind: int, request: int, value: int, index: int, data: bytes) -> bool:
        if kind == 0x02 and request == 1:  # CLEAR_FEATURE(halt): so the driver stops a bulk stream
            self._idle()
            return True
        if kind == 0x21 and request == 1 and index & 255 == 0:
            return self._panel.set(index >> 8, value >> 8, data)
        if kind != 0x21 or request != 1 or value >> 8 not in {1, 2}:
            return False
        agreed = self._negotiate(*struct.unpack_from("<xxxBI", data.ljust(26, b"\0")))
        if value >> 8 == 1:
            self._probe = agreed
        else:
            self._commit = agreed
            self._idle()
        return True

    def _negotiate(self, number: int, interval: int) -> bytes:
        """The nearest to what is asked for that we have."""
        number = number if 1 <= number <= len(self._films) else 1
        interval = min(INTERVALS, key=lambda have: abs(have - interval))
        largest = self._films[number - 1].largest
        return struct.pack("<HBBIHHHHHII", 1, 1, number, interval, 0, 0, 0, 0, 32, largest, PAYLOAD)


class Server:
    """The two sockets, and whoever is connected to them."""

    def __init__(self, camera: Camera, path: str) -> None:
        self._camera = camera
        self._plug, self._desk = self._listen(path), self._listen(path + ".ctl")
        self._link: Redirection | None = None
        self._callers: list[socket.socket] = []

    @staticmethod
    def _listen(path: str) -> socket.socket:
        Path(path).unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen(4)
        return listener

    def serve(self) -> None:
        """For ever."""
        while True:
            link = self._link
            sockets = [self._plug, self._desk, *self._callers, *([link.socket] if link else [])]
            for ready in select.select(sockets, [], [], self._camera.patience())[0]:
                self._serve(ready)
            if self._link:
                self._camera.pump()

    def _serve(self, ready: socket.socket) -> None:
        if ready is self._plug:
            self._link = Redirection(ready.accept()[0])
            self._camera.attach(self._link)
        elif ready is self._desk:
            self._callers.append(ready.accept()[0])
        elif self._link and ready is self._link.socket:
            self._hear(self._link)
        else:
            self._obey(ready)

    def _hear(self, link: Redirection) -> None:
        try:
            for kind, ident, body in link.receive():
                self._camera.packet(kind, ident, body)
        except ConnectionError:
            link.socket.close()
            self._link = None
            self._camera.detach()

    def _obey(self, caller: socket.socket) -> None:
        word = caller.recv(4096).decode().strip()
        if not word:
            caller.close()
            self._callers.remove(caller)
            return
        if word in {"freeze", "thaw"}:
            self._camera.freeze(frozen=word == "freeze")
        caller.sendall(f"{self._camera}\n".encode() if word in {"freeze", "thaw", "stat"} else b"?\n")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("socket")
    parser.add_argument("--mjpeg", type=Path, action="append", required=True)
    parser.add_argument("--serial", default="EDGE0000")
    options = parser.parse_args()
    Server(Camera([Film(path) for path in options.mjpeg], options.serial), options.socket).serve()


if __name__ == "__main__":
    main()
