"""What a picture must have to be sent, and what is mended in one that lacks it."""

import struct

import cv2
import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mjpegd.errors import BrokenPicture
from mjpegd.jpeg import EOI, HUFFMAN_TABLES, JFIF_APP0, SOI, Picture, examine, quality, turned
from tests.pictures import decode, jpeg, segment, segments

APP0, APP1, APP2, COM, DHT, DQT = 0xE0, 0xE1, 0xE2, 0xFE, 0xC4, 0xDB

WHOLE = jpeg()
KINDS = {
    "baseline": WHOLE,
    "grey": jpeg(grey=True),
    "progressive": jpeg(options=(cv2.IMWRITE_JPEG_PROGRESSIVE, 1)),
    "restart markers": jpeg(options=(cv2.IMWRITE_JPEG_RST_INTERVAL, 2)),
    "optimised tables": jpeg(options=(cv2.IMWRITE_JPEG_OPTIMIZE, 1)),
}
kinds = pytest.mark.parametrize("data", KINDS.values(), ids=KINDS)


def sent(picture: Picture) -> bytes:
    """The picture as viewers get it."""
    return b"".join(picture.pieces)


def mended(data: bytes) -> bytes:
    """What `examine` makes of the data."""
    return sent(examine(memoryview(data)))


def without(marker: int, data: bytes = WHOLE) -> bytes:
    """The JPEG without its segments of that kind."""
    return SOI + b"".join(part for kind, part in segments(data) if kind != marker)


def exif(orientation: int, order: str = "<", *, more: bytes = b"") -> bytes:
    """An APP1 with that orientation, behind another entry, and with `more` behind the two, as a thumbnail."""
    header = struct.pack(f"{order}2sHIH", b"II" if order == "<" else b"MM", 42, 8, 2)
    make = struct.pack(f"{order}HHI4s", 0x010F, 2, 4, b"me\0\0")
    turn = struct.pack(f"{order}HHIHH", 0x0112, 3, 1, orientation, 0)
    return segment(APP1, b"Exif\0\0" + header + make + turn + bytes(4) + more)


def as_shown(data: bytes) -> tuple[int, int]:
    """Rows and columns of a picture as it is shown, turned if need be."""
    image = cv2.imdecode(numpy.frombuffer(data, numpy.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    rows, columns, _ = image.shape
    return rows, columns


orders = pytest.mark.parametrize("order", ["<", ">"], ids=["Intel", "Motorola"])


def behind_soi(*parts: bytes, data: bytes = WHOLE) -> bytes:
    """The JPEG with segments put in front of all others."""
    return SOI + b"".join(parts) + data[2:]


@kinds
def test_whole_picture_is_left_as_it_is(data: bytes) -> None:
    """A picture that lacks nothing is sent byte for byte, in one piece that is a view of the camera's buffer."""
    picture = examine(memoryview(data))

    assert data == sent(picture)
    assert [data] == [piece.obj for piece in picture.pieces if isinstance(piece, memoryview)]


@kinds
def test_size(data: bytes) -> None:
    """Width and height are read from the frame header, whatever its kind."""
    picture = examine(memoryview(data))

    assert (picture.width, picture.height) == (64, 48)


@pytest.mark.parametrize("count", [1, 63, 64, 65, 1000, 100_000])
def test_padding_is_left_off(count: int) -> None:
    """Zero bytes behind EOI are not sent, however many."""
    assert mended(WHOLE + bytes(count)) == WHOLE


def test_fill_bytes_before_a_marker() -> None:
    """Any number of FF may stand before a marker, T.81 B.1.1.2."""
    padded = behind_soi(b"\xff\xff\xff")

    assert padded == mended(padded)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no SOI"),
        (b"\xff", "no SOI"),
        (b"garbage", "no SOI"),
        (bytes(1000), "no SOI"),
        (WHOLE[1:], "no SOI"),
        (b"\0" + WHOLE, "no SOI"),
        (WHOLE[:-1], "no EOI"),
        (WHOLE[: len(WHOLE) // 2], "no EOI"),
        (WHOLE + b"x", "no EOI"),
        (SOI, "no EOI"),
        (SOI + EOI, "no scan"),
        (SOI + b"\xff\xe0\x00" + EOI, "torn"),
        (SOI + b"garbage" + EOI, "no marker at byte 2"),
        (SOI + b"\xff\xe0\xff\xff" + EOI, "torn"),
        (SOI + b"\xff\xe0\x00\x01" + EOI, "torn"),
        (SOI + b"\xff\xc0\x00\x04\x08\x00" + EOI, "torn"),
        (SOI + segment(0xDA, b"") + EOI, "no frame header"),
        (without(0xC0), "no frame header"),
        (WHOLE.replace(b"\xff\xc0\x00\x11\x08\x00\x30", b"\xff\xc0\x00\x11\x08\x00\x00"), "no frame header"),
    ],
)
def test_broken(data: bytes, reason: str) -> None:
    """What is no whole JPEG is a `BrokenPicture` that says why."""
    with pytest.raises(BrokenPicture, match=reason):
        examine(memoryview(data))


@pytest.mark.parametrize(
    ("width", "height", "good"), [(7680, 4320, True), (30_000, 100, False), (16_000, 16_000, False)]
)
def test_a_size_beyond_belief(width: int, height: int, good: bool) -> None:  # noqa: FBT001  (a row)
    """A header that promises more pixels than any camera has breaks the picture: somebody would make room for them."""
    at = WHOLE.index(b"\xff\xc0") + 5
    data = WHOLE[:at] + height.to_bytes(2, "big") + width.to_bytes(2, "big") + WHOLE[at + 4 :]
    if good:
        assert (examine(memoryview(data)).width, examine(memoryview(data)).height) == (width, height)
    else:
        with pytest.raises(BrokenPicture, match=f"{width}x{height} is larger"):
            examine(memoryview(data))


@pytest.mark.parametrize("end", [len(WHOLE) - 2, len(WHOLE) - 1, len(WHOLE) - 100])
def test_cameras_that_never_send_eoi(end: int) -> None:
    """With `complete=False` a picture may lack its end; it is sent as it is, zero bytes at the end left off."""
    assert WHOLE[:end].rstrip(b"\0") == sent(examine(memoryview(WHOLE[:end] + bytes(70)), complete=False))


def test_complete_false_still_wants_a_picture() -> None:
    """With `complete=False` a picture torn before its scan is broken all the same."""
    with pytest.raises(BrokenPicture, match=r"no scan|torn"):
        examine(memoryview(WHOLE)[:100], complete=False)


@pytest.mark.parametrize("kind", ["baseline", "grey", "restart markers"])
def test_missing_huffman_tables(kind: str) -> None:
    """A picture without DHT gets the typical tables, right before its scan, and shows the very same pixels."""
    bare = without(DHT, KINDS[kind])
    result = mended(bare)

    assert numpy.array_equal(decode(KINDS[kind]), decode(result))
    assert len(bare) + len(HUFFMAN_TABLES) == len(result)
    assert HUFFMAN_TABLES + b"\xff\xda" in result


def test_huffman_tables_are_libjpegs() -> None:
    """The tables put in are those of T.81 K.3, which libjpeg writes into every baseline picture."""
    theirs = b"".join(part[4:] for kind, part in segments(WHOLE) if kind == DHT)

    assert sorted(tables_of(theirs)) == sorted(tables_of(HUFFMAN_TABLES[4:]))


def tables_of(body: bytes) -> list[bytes]:
    """The single tables in a DHT segment's body: class and number, 16 counts, as many symbols."""
    found = []
    while body:
        length = 17 + sum(body[1:17])
        found.append(body[:length])
        body = body[length:]
    return found


def test_avi1() -> None:
    """The picture of a cheap UVC camera (AVI1, no tables) becomes a JFIF one with the same pixels."""
    avi1 = SOI + segment(APP0, b"AVI1" + bytes(10)) + without(DHT, without(APP0))[2:]
    result = mended(avi1)

    assert result[:20] == SOI + JFIF_APP0
    assert result[6:10] == b"JFIF"
    assert b"AVI1" not in result
    assert numpy.array_equal(decode(WHOLE), decode(result))


@pytest.mark.parametrize(
    "part",
    [
        segment(APP1, b"Exif\0\0" + jpeg(16, 16)),
        segment(COM, b"a " + EOI),
        segment(APP2, SOI),
        segment(APP0, b"AVI1" + SOI),
    ],
)
def test_second_picture_is_cut_out(part: bytes) -> None:
    """A segment with an SOI or EOI of its own, such as an EXIF thumbnail, is cut out: scanners find one each."""
    result = mended(behind_soi(part))

    assert result == WHOLE
    assert (result.count(SOI), result.count(EOI)) == (1, 1)
    assert numpy.array_equal(decode(WHOLE), decode(result))


@st.composite
def torn_exif(draw: st.DrawFn) -> bytes:
    """The body of an EXIF segment with some bytes changed, or with an end that is too early."""
    body = bytearray(exif(6, draw(st.sampled_from("<>")))[4:])
    for at in draw(st.lists(st.integers(0, len(body) - 1), max_size=6)):
        body[at] = draw(st.integers(0, 255))
    return bytes(body[: draw(st.integers(0, len(body)))])


@orders
@pytest.mark.parametrize("orientation", range(10))
def test_orientation_of_a_source(orientation: int, order: str) -> None:
    """A picture made of the pixels of one that its EXIF turns is turned alike; of one that is not, it is left alone."""
    picture, source = memoryview(jpeg(32, 24)), memoryview(behind_soi(exif(orientation, order)))
    made = b"".join(turned(picture, source))

    assert (made == picture) is (orientation not in range(2, 9))
    assert made[6:10] == b"JFIF"
    assert as_shown(made) == ((32, 24) if orientation in range(5, 9) else (24, 32))
    assert len(made) - len(picture) in (0, 36)
    assert mended(made) == made


@orders
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_orientation_beside_a_thumbnail(orientation: int, order: str) -> None:
    """Of an EXIF segment that is cut out for its thumbnail the orientation stays: browsers go on turning."""
    result = mended(behind_soi(exif(orientation, order, more=jpeg(16, 16))))

    assert (result.count(SOI), result.count(EOI)) == (1, 1)
    assert (result == WHOLE) is (orientation == 1)
    assert as_shown(result) == ((64, 48) if orientation in range(5, 9) else (48, 64))


@given(torn_exif() | st.binary(max_size=60))
def test_torn_exif(body: bytes) -> None:
    """Whatever stands in an EXIF segment, it costs no picture."""
    source = memoryview(behind_soi(segment(APP1, body)))

    assert numpy.array_equal(decode(b"".join(turned(memoryview(WHOLE), memoryview(WHOLE)))), decode(WHOLE))
    assert len(b"".join(turned(memoryview(WHOLE), source))) - len(WHOLE) in (0, 36)
    assert examine(source).width == 64


def test_no_exif_is_no_piece() -> None:
    """A picture whose source is not turned stays in one piece."""
    assert turned(memoryview(WHOLE), memoryview(behind_soi(segment(COM, b"Exif")))) == (memoryview(WHOLE),)


def test_thumbnail_between_others() -> None:
    """What stands before and behind a cut segment is kept, in its order."""
    before, thumbnail, after = segment(COM, b"before"), segment(APP1, jpeg(16, 16)), segment(COM, b"after")

    assert behind_soi(before, after) == mended(behind_soi(before, thumbnail, after))


def test_harmless_remarks_stay() -> None:
    """Application segments and comments without a second picture are sent as they are."""
    remarked = behind_soi(
        segment(APP1, b"Exif\0\0no thumbnail"), segment(COM, b"ts=1.5"), segment(APP2, b"ICC_PROFILE")
    )

    assert remarked == mended(remarked)


def test_nothing_is_copied() -> None:
    """A mended picture is a list of views of the camera's buffer and the few bytes put in between."""
    bare = without(DHT)
    pieces = examine(memoryview(bare)).pieces

    assert [bare, HUFFMAN_TABLES, bare] == [piece.obj if isinstance(piece, memoryview) else piece for piece in pieces]


def examines_or_breaks(data: bytes, *, complete: bool) -> None:
    """Whatever bytes they are, they are a picture or a broken one."""
    try:
        picture = examine(memoryview(data), complete=complete)
    except BrokenPicture:
        return
    assert picture.width > 0
    assert picture.height > 0
    assert sent(picture)[:2] == SOI
    assert not complete or sent(picture)[-2:] == EOI


SOURCES = (*KINDS.values(), without(DHT), behind_soi(segment(APP1, jpeg(16, 16)), segment(APP0, b"AVI1" + bytes(10))))
INTERESTING = st.one_of(st.integers(0, 700), st.integers(0, len(WHOLE)))


@given(st.sampled_from(SOURCES), st.lists(st.tuples(INTERESTING, st.binary(max_size=3)), max_size=4), st.booleans())
def test_mutations(data: bytes, changes: list[tuple[int, bytes]], complete: bool) -> None:  # noqa: FBT001
    """A picture with any of its bytes overwritten is examined or a `BrokenPicture`, nothing else."""
    for at, new in changes:
        data = data[:at] + new + data[at + len(new) :]
    examines_or_breaks(data, complete=complete)


@given(st.sampled_from(SOURCES), INTERESTING, st.booleans())
def test_truncations(data: bytes, end: int, complete: bool) -> None:  # noqa: FBT001
    """A picture cut off anywhere, with or without an EOI behind, is examined or a `BrokenPicture`, nothing else."""
    examines_or_breaks(data[:end], complete=complete)
    examines_or_breaks(data[:end] + EOI, complete=complete)


@given(st.lists(st.sampled_from((b"\xff", b"\xd8", b"\xc0", b"\xda", b"\xe0", b"\0", b"\x08", b"\x11")), max_size=40))
def test_marker_soup(parts: list[bytes]) -> None:
    """Markers in any order are examined or a `BrokenPicture`, nothing else."""
    examines_or_breaks(SOI + b"".join(parts) + EOI, complete=True)


def read(asked: int, *, grey: bool = False) -> int | None:
    """What is read from a picture that libjpeg was to write in that quality."""
    return quality(memoryview(jpeg(grey=grey, options=(cv2.IMWRITE_JPEG_QUALITY, asked))))


@pytest.mark.parametrize("asked", range(20, 100))
def test_quality(asked: int) -> None:
    """The quality that libjpeg was asked for is read from what it wrote."""
    assert read(asked) == read(asked, grey=True) == asked


def test_quality_at_both_ends() -> None:
    """So it is where a table's values would be below 1 or above 255, and are not."""
    ends = [*range(1, 20), 100]

    assert [read(asked) for asked in ends] == ends


def test_quality_rises() -> None:
    """Of two pictures that libjpeg wrote, the one that was to be better is never taken for the worse."""
    every = [read(asked) or 0 for asked in range(1, 101)]

    assert every == sorted(every)
    assert 1 <= every[0] <= every[-1] <= 100


@kinds
def test_quality_of_every_kind(data: bytes) -> None:
    """It is read of every kind of picture, whatever stands in front of its tables."""
    assert quality(memoryview(data)) == 80
    assert quality(memoryview(behind_soi(segment(COM, b"x" * 5000), segment(APP1, b"Exif"), data=data))) == 80


@pytest.mark.parametrize(
    "data",
    [
        without(DQT),
        behind_soi(segment(DQT, b"\x00" + bytes(63)), data=without(DQT)),
        behind_soi(segment(DQT, b"\x10" + bytes(128)), data=without(DQT)),
        behind_soi(segment(DQT, b"\x01" + bytes([7]) * 64), data=without(DQT)),
    ],
    ids=["none", "short", "16 bits", "another"],
)
def test_no_quality(data: bytes) -> None:
    """Where there is no luminance table of 8 bits a value, nothing is made up."""
    assert quality(memoryview(data)) is None


@given(st.binary(min_size=64, max_size=64))
def test_quality_of_any_table(values: bytes) -> None:
    """Whatever a camera's own tables hold, what is read is a quality."""
    found = quality(memoryview(behind_soi(segment(DQT, b"\x00" + values), data=without(DQT))))

    assert found is not None
    assert 1 <= found <= 100
