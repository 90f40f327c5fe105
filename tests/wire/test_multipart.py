"""The stream's bytes, literally; what each client makes of them is in tests/system."""

import re
from dataclasses import replace

import pytest

from mjpegd.frame import Frame
from mjpegd.wire.multipart import (
    BOUNDARY,
    BROWSER,
    CONTENT_TYPE,
    DEFAULT,
    PROFILES,
    Pieces,
    Profile,
    part_head,
    with_lines,
)
from tests.pictures import frame

PICTURE = b"\xff\xd8 one picture \xff\xd9"
SEQ, CAPTURED = 1042, 1795180804.832609

HEAD = b"Content-Type: image/jpeg\r\nContent-Length: 17\r\nX-Timestamp: 1795180804.832609\r\nX-Frame-Id: 1042\r\n\r\n"
REPEAT_HEAD = HEAD[:-2] + b"X-Frame-Repeat: 1\r\n\r\n"
LONGEST_HEAD = part_head(10**9, 1e11, 2**63, repeat=True)

GOLDEN = {
    "default": {
        "opening": b"--mjpegdframe\r\n",
        "view": HEAD + PICTURE + b"\r\n--mjpegdframe\r\n",
        "repeat": REPEAT_HEAD + PICTURE + b"\r\n--mjpegdframe\r\n",
        "last": REPEAT_HEAD + PICTURE + b"\r\n--mjpegdframe--\r\n",
    },
    "browser": {
        "opening": b"--mjpegdframe\r\nContent-Type: image/jpeg\r\n\r\n",
        "view": PICTURE + b"\r\n--mjpegdframe\r\nContent-Type: image/jpeg\r\n\r\n",
        "repeat": PICTURE + b"\r\n--mjpegdframe\r\nContent-Type: image/jpeg\r\n\r\n",
        "last": PICTURE + b"\r\n--mjpegdframe--\r\n",
    },
}
"""Section 6 of the wire format."""

profiles = pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)


@pytest.fixture
def still() -> Frame:
    """A frame joined from two pieces."""
    return frame(SEQ, (PICTURE[:5], PICTURE[5:]), CAPTURED)


def joined(pieces: Pieces | memoryview | bytes) -> bytes:
    """What goes over the wire, in one."""
    return b"".join(pieces) if isinstance(pieces, tuple) else bytes(pieces)


def test_content_type() -> None:
    """The boundary is one unquoted alphanumeric word of 8 to 30 characters, and the only parameter."""
    assert CONTENT_TYPE == "multipart/x-mixed-replace; boundary=mjpegdframe"
    assert re.fullmatch(r"[A-Za-z0-9]{8,30}", BOUNDARY)


def test_profiles() -> None:
    """There are two profiles, found by their names."""
    assert {"default": DEFAULT, "browser": BROWSER} == PROFILES


def test_further_lines(still: Frame) -> None:
    """A part with lines of one viewer's own differs from everybody's by these, behind all others of its head."""
    told = bytes(with_lines(still, ["X-Wake-Ms: 0.123", "X-Viewers: 2"]))

    assert told == HEAD[:-2] + b"X-Wake-Ms: 0.123\r\nX-Viewers: 2\r\n\r\n" + PICTURE + b"\r\n--mjpegdframe\r\n"
    assert bytes(with_lines(still, [])) == bytes(still.part)


def test_further_lines_of_a_card() -> None:
    """A card's part says that it is one, with lines of a viewer's own too."""
    card = replace(frame(SEQ, (PICTURE,), CAPTURED), missing="lost")

    assert b"\r\nX-Source-State: lost\r\nX-Viewers: 1\r\n\r\n" in bytes(with_lines(card, ["X-Viewers: 1"]))


@profiles
def test_opening(profile: Profile) -> None:
    """Directly behind the response head comes the first boundary, and in the browser profile the first part's head."""
    assert GOLDEN[profile.name]["opening"] == profile.opening


@profiles
@pytest.mark.parametrize("what", ["view", "repeat", "last"])
def test_golden_bytes(profile: Profile, what: str, still: Frame) -> None:
    """A new frame, the same once more, and the last one of a stream are exactly these bytes."""
    assert GOLDEN[profile.name][what] == joined(getattr(profile, what)(still))


@profiles
def test_a_whole_stream(profile: Profile, still: Frame) -> None:
    """Opening, frame, repeat and last make one multipart body: each part between two delimiters, none of them empty."""
    stream = b"".join(
        joined(sent) for sent in (profile.opening, profile.view(still), profile.repeat(still), profile.last(still))
    )
    preamble, *parts, epilogue = re.split(rb"(?:^|\r\n)--mjpegdframe(?:--)?\r\n", stream)

    assert (preamble, epilogue) == (b"", b"")
    assert [part.partition(b"\r\n\r\n")[2] for part in parts] == [PICTURE] * 3
    assert all(part.startswith(b"Content-Type: image/jpeg\r\n") for part in parts)


def test_views_share_one_buffer(still: Frame) -> None:
    """A frame is in memory once: its three views look at the same read-only bytes."""
    assert still.jpeg.obj is still.part.obj is still.advance.obj
    assert isinstance(still.jpeg.obj, bytes)
    assert still.jpeg.readonly
    assert still.part.readonly
    assert still.advance.readonly


def test_frame(still: Frame) -> None:
    """The JPEG of a frame is its pieces in order, and the rest of it what was said of them."""
    assert bytes(still.jpeg) == PICTURE
    assert (still.seq, still.captured, still.width, still.height, still.live) == (SEQ, CAPTURED, 64, 48, True)
    assert still.taken <= still.ready


@profiles
def test_a_new_frame_is_a_view(profile: Profile, still: Frame) -> None:
    """To send a frame nothing is joined or copied: what is written is a view of the frame's own buffer."""
    assert profile.view(still).obj is still.jpeg.obj


def test_repeat_shares_the_picture(still: Frame) -> None:
    """A repeat copies headers only."""
    assert any(isinstance(piece, memoryview) and piece.obj is still.jpeg.obj for piece in DEFAULT.repeat(still))
    assert any(isinstance(piece, memoryview) and piece.obj is still.jpeg.obj for piece in BROWSER.repeat(still))


@pytest.mark.parametrize("head", [HEAD, REPEAT_HEAD, LONGEST_HEAD])
def test_head_fits_small_buffers(head: bytes) -> None:
    """Lines are under 128 bytes, which is ffmpeg's buffer for one, and the whole block is under 300."""
    assert max(map(len, head.split(b"\r\n"))) < 128
    assert len(head) < 300
    assert re.fullmatch(rb"(?:[A-Z][A-Za-z-]*: [\x21-\x7e]+\r\n)+\r\n", head)


def test_timestamp_has_six_decimals() -> None:
    """Microseconds are written in full also where they are zero."""
    assert b"\r\nX-Timestamp: 5.000000\r\n" in part_head(1, 5, 1)
