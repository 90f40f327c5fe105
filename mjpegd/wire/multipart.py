"""The stream's bytes: multipart/x-mixed-replace as real clients parse it.

Two profiles share one buffer a frame (`assemble`), so that a viewer is sent one slice of it and nothing is joined,
copied or allocated for that viewer:

    Content-Type: image/jpeg          ┐
    Content-Length: 54996             │          default profile: ffmpeg, OpenCV, go2rtc and Mainsail need the length,
    X-Timestamp: 1795180804.832609    │ part     VLC and Firefox the boundary right behind the picture
    X-Frame-Id: 1042                  │
                                      │
    <JPEG>                ┐           │
    --mjpegdframe         │ advance   ┘
    Content-Type: image/jpeg          │          browser profile: Chromium paints a part only when the header block of
                          ┘                      the NEXT one is complete, so each picture brings the next one's along

The rule behind each byte is in docs/wire-format.md.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from operator import attrgetter
from time import monotonic

from mjpegd.frame import Frame

BOUNDARY = "mjpegdframe"
"""Alphanumeric, unquoted, without leading dashes: ZoneMinder puts it into a regular expression as it is."""
CONTENT_TYPE = f"multipart/x-mixed-replace; boundary={BOUNDARY}"

_DELIMITER = f"--{BOUNDARY}\r\n".encode()
_ADVANCE_HEAD = b"Content-Type: image/jpeg\r\n\r\n"
_TAIL = b"\r\n" + _DELIMITER
_TRAILER = _TAIL + _ADVANCE_HEAD
_CLOSE = f"\r\n--{BOUNDARY}--\r\n".encode()

Pieces = tuple[memoryview | bytes, ...]


def part_head(
    length: int, captured: float, seq: int, missing: str = "", *, repeat: bool = False, more: Iterable[str] = ()
) -> bytes:
    """The header block of a part of the default profile; every line is under 128 bytes, ffmpeg's line buffer.

    A card says in `X-Source-State` what is `missing`, so that a relay behind us does not take it for a picture. `more`
    are further lines.
    """
    head = (
        f"Content-Type: image/jpeg\r\nContent-Length: {length}\r\nX-Timestamp: {captured:.6f}\r\nX-Frame-Id: {seq}\r\n"
    )
    card = f"X-Source-State: {missing}\r\n" if missing else ""
    lines = "".join(f"{line}\r\n" for line in more)
    return (head + card + lines + ("X-Frame-Repeat: 1\r\n\r\n" if repeat else "\r\n")).encode()


def assemble(
    pieces: Pieces,
    *,
    seq: int,
    captured: float,
    taken: float,
    width: int,
    height: int,
    missing: str = "",
    encode: float = 0.0,
) -> Frame:
    """Join a picture's `pieces` and all that goes around it: the only copy of a frame between kernel and kernel."""
    length = sum(map(len, pieces))
    head = part_head(length, captured, seq, missing)
    buffer = memoryview(b"".join((head, *pieces, _TRAILER)))
    start, end = len(head), len(head) + length
    return Frame(
        seq=seq,
        captured=captured,
        taken=taken,
        ready=monotonic(),
        width=width,
        height=height,
        jpeg=buffer[start:end],
        part=buffer[: end + len(_TAIL)],
        advance=buffer[start:],
        missing=missing,
        encode=encode,
    )


def with_lines(frame: Frame, more: Iterable[str]) -> memoryview:
    """A part of the default profile with header lines that are one viewer's own: a copy, for whoever wants to know."""
    head = part_head(len(frame.jpeg), frame.captured, frame.seq, frame.missing, more=more)
    return memoryview(b"".join((head, frame.jpeg, _TAIL)))


def _repeated_head(frame: Frame) -> bytes:
    return part_head(len(frame.jpeg), frame.captured, frame.seq, frame.missing, repeat=True)


@dataclass(frozen=True, slots=True)
class Profile:
    """How one kind of client wants its parts.

    `opening` follows the response head, `view` is a new frame as one buffer for one write, and `own_head` says whether
    a part carries its own header block.
    """

    name: str
    opening: bytes
    view: Callable[[Frame], memoryview]
    own_head: bool

    def repeat(self, frame: Frame) -> Pieces:
        """The same frame once more: the only heartbeat that no client takes for an error."""
        if not self.own_head:
            return (frame.advance,)
        return _repeated_head(frame), frame.jpeg, _TAIL

    def last(self, frame: Frame) -> Pieces:
        """The frame once more with the closing delimiter behind it: the orderly end of a stream."""
        head = _repeated_head(frame) if self.own_head else b""
        return head, frame.jpeg, _CLOSE


DEFAULT = Profile("default", _DELIMITER, attrgetter("part"), own_head=True)
BROWSER = Profile("browser", _DELIMITER + _ADVANCE_HEAD, attrgetter("advance"), own_head=False)
PROFILES = {profile.name: profile for profile in (DEFAULT, BROWSER)}
