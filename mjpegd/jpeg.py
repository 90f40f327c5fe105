"""JPEG markers: is this picture whole, how large is it, and what must be mended before it is sent.

This file knows ITU-T T.81 and JFIF; it never decodes a pixel and never copies a picture: a mended one is a list of
pieces, joined once into the buffer that viewers are sent.

Mended here:
- zero padding after EOI (drivers that round `bytesused` up) is left off;
- missing Huffman tables (AVI1, most cheap UVC cameras) are put in before SOS, from T.81 Annex K.3;
- an `AVI1` APP0 becomes a JFIF one: `imghdr`-like checks want `JFIF` at byte 6;
- a segment holding a second SOI or EOI (an EXIF thumbnail) is cut out: scanners such as Home Assistant's still
  extractor take the first FF D9 for the end of the picture and show a torn one. Of EXIF its orientation stays.
"""

import struct
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

from mjpegd.errors import BrokenPicture

SOI, EOI = b"\xff\xd8", b"\xff\xd9"
_APP0, _APP1, _COM, _DHT, _DQT, _SOS = 0xE0, 0xE1, 0xFE, 0xC4, 0xDB, 0xDA
_REMARKS = frozenset({*range(0xE0, 0xF0), _COM})
"""APP0 to APP15 and comments."""
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""SOF0 to SOF15; C4, C8 and CC in that range are DHT, JPG and DAC."""
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})
"""TEM and RST0 to RST7 have no length."""
_SEGMENT = struct.Struct(">BBH")
_SIZE = struct.Struct(">HH")
_PADDING_BLOCK = 64
_EXIF, _ORIENTATION = b"Exif\0\0", 0x0112
_TURNED = b"\xff\xe1\0\x22" + _EXIF + struct.pack(">2sHIHHHI", b"MM", 42, 8, 1, _ORIENTATION, 3, 1)
"""An APP1 of one entry; its value and the end follow."""

MAX_SIDE, MAX_PIXELS = 16_384, 64_000_000
"""Of a picture. A header of a kilobyte may promise 65535 x 65535 pixels, for which a decoder or a card takes 12 GB."""

_LUMINANCE = bytes.fromhex(
    "100b0a101828333d0c0c0e131a3a3c370e0d1018283945380e11161d3357503e"
    "12162538446d674d182337405168715c31404e5767797865485c5f6270646763"
)
"""The luminance quantization table of T.81 Annex K.1, which libjpeg scales by the quality."""

JFIF_APP0 = bytes.fromhex("ffe000104a46494600010100000100010000")


def _huffman_tables() -> bytes:
    """The DHT segment of the typical tables, T.81 K.3.3.1 (DC) and K.3.3.2 (AC), luminance then chrominance."""
    dc = "000102030405060708090a0b"
    ac_luminance = (
        "01020300041105122131410613516107227114328191a1082342b1c11552d1f02433627282090a161718191a25262728292a34353637"
        "38393a434445464748494a535455565758595a636465666768696a737475767778797a838485868788898a92939495969798999aa2a3"
        "a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8f9fa"
    )
    ac_chrominance = (
        "000102031104052131061241510761711322328108144291a1b1c109233352f0156272d10a162434e125f11718191a262728292a3536"
        "3738393a434445464748494a535455565758595a636465666768696a737475767778797a82838485868788898a92939495969798999a"
        "a2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae2e3e4e5e6e7e8e9eaf2f3f4f5f6f7f8f9fa"
    )
    tables = bytes.fromhex(
        f"00 00010501010101010100000000000000 {dc} 10 0002010303020403050504040000017d {ac_luminance}"
        f"01 00030101010101010101010000000000 {dc} 11 00020102040403040705040400010277 {ac_chrominance}"
    )
    return b"\xff\xc4" + (len(tables) + 2).to_bytes(2, "big") + tables


HUFFMAN_TABLES = _huffman_tables()


@dataclass(frozen=True, slots=True)
class Picture:
    """A JPEG ready to be sent: its `pieces` in order, and its size in pixels."""

    pieces: tuple[memoryview | bytes, ...]
    width: int
    height: int


def examine(data: memoryview, *, complete: bool = True) -> Picture:
    """Return the picture in `data`, mended; raise `BrokenPicture` where it is none or only a part of one.

    `complete=False` lets a picture without its EOI pass, for cameras that never send one.
    """
    if data[:2] != SOI:
        raise BrokenPicture("no SOI at the start")
    end = _content_end(data)
    if complete and data[end - 2 : end] != EOI:
        raise BrokenPicture("no EOI at the end: truncated")
    return _mend(data, end)


def _content_end(data: memoryview) -> int:
    """Where the zero padding begins: looked for in blocks that grow, as there mostly is none."""
    end, size = len(data), _PADDING_BLOCK
    while end:
        block = bytes(data[max(0, end - size) : end])
        content = len(block.rstrip(b"\0"))
        end -= len(block) - content
        if content:
            break
        size *= 4
    return end


def _mend(data: memoryview, end: int) -> Picture:
    """Walk the segments up to SOS, once a frame: most are stepped over after one look at their marker."""
    width = height = kept = 0
    tables = False
    pieces: list[memoryview | bytes] = []
    for marker, start, after in _segments(data, end):
        if marker in _FRAME_HEADERS:
            height, width = _SIZE.unpack_from(data, start + 5)
        elif marker == _DHT:
            tables = True
        elif marker == _SOS and not tables:
            pieces += data[kept:start], HUFFMAN_TABLES
            kept = start
        elif marker in _REMARKS and (substitute := _substitute(marker, bytes(data[start + 4 : after]))) is not None:
            pieces += data[kept:start], substitute
            kept = after
    if not (width and height):
        raise BrokenPicture("no frame header with a size")
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise BrokenPicture(f"{width}x{height} is larger than any camera's picture")
    return Picture((*pieces, data[kept:end]), width, height)


def _segments(data: memoryview, end: int) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of each segment from SOI to SOS; `BrokenPicture` where they do not hang together."""
    at = 2
    while at + 4 <= end:
        prefix, marker, length = _SEGMENT.unpack_from(data, at)
        if prefix != 0xFF:
            raise BrokenPicture(f"no marker at byte {at}")
        if marker == 0xFF or marker in _STANDALONE:
            at += 1 if marker == 0xFF else 2
            continue
        after = at + 2 + length
        if after > end or length < 2 or (marker in _FRAME_HEADERS and length < 8):
            raise BrokenPicture(f"the segment at byte {at} is torn")
        yield marker, at, after
        if marker == _SOS:
            return
        at = after
    raise BrokenPicture("no scan")


def _substitute(marker: int, body: bytes) -> bytes | None:
    """What to send in place of an application or comment segment; None to leave it as it is."""
    if SOI in body or EOI in body:
        return _turn(body)
    return JFIF_APP0 if marker == _APP0 and body.startswith(b"AVI1") else None


def turned(picture: memoryview, source: memoryview) -> tuple[memoryview | bytes, ...]:
    """The pieces of a picture that was made of the pixels of `source`, shown turned if that one is by its EXIF."""
    for marker, start, after in _segments(source, len(source)):
        if marker == _APP1 and (turn := _turn(bytes(source[start + 4 : after]))):
            _, _, behind = next(_segments(picture, len(picture)))  # JFIF, which is to be the first
            return picture[:behind], turn, picture[behind:]
    return (picture,)


def _turn(body: bytes) -> bytes:
    """An APP1 that holds nothing but the orientation of an EXIF body; empty if that turns nothing."""
    order = "<" if body[6:8] == b"II" else ">"
    try:
        entries = 6 + struct.unpack_from(f"{order}I", body, 10)[0]
        for number in range(struct.unpack_from(f"{order}H", body, entries)[0]):
            tag, value = struct.unpack_from(f"{order}H6xH", body, entries + 2 + 12 * number)
            if tag == _ORIENTATION and 2 <= value <= 8 and body.startswith(_EXIF):
                return _TURNED + struct.pack(">HHI", value, 0, 0)
    except struct.error:
        pass  # none, or torn
    return b""


def _scaled_sum(quality: int) -> int:
    """The sum of that table at a quality of 1 to 100 (libjpeg's jcparam.c, `jpeg_quality_scaling`)."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return sum(min(255, max(1, (value * scale + 50) // 100)) for value in _LUMINANCE)


_SUMS = tuple(-_scaled_sum(quality) for quality in range(1, 101))
"""Negative, so that they rise with the quality."""


def quality(data: memoryview) -> int | None:
    """The quality on libjpeg's scale, 1 to 100, that its luminance table is nearest to; None if it shows none.

    Most cameras scale the tables of T.81 Annex K.1 as libjpeg does.
    """
    for marker, start, after in _segments(data, len(data)):
        if marker == _DQT and after - start >= 5 + 64 and data[start + 4] == 0:  # 8 bits a value, table 0
            return _nearest(-sum(data[start + 5 : start + 69]))
    return None


def _nearest(total: int) -> int:
    above = bisect_left(_SUMS, total)
    candidates = range(max(0, above - 1), min(len(_SUMS), above + 1))
    return 1 + min(candidates, key=lambda index: abs(_SUMS[index] - total))
