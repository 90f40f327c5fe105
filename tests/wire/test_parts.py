"""multipart/x-mixed-replace as the field sends it: quirks as a table, cuts and garbage as properties."""

import tracemalloc
from collections.abc import Iterable, Sequence
from time import process_time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mjpegd.errors import SourceError
from mjpegd.wire import multipart
from mjpegd.wire.buffer import SIZE, Buffer
from mjpegd.wire.http import MAX_HEAD
from mjpegd.wire.parts import PartParser
from tests.pictures import frame
from tests.wire.test_response import cut, fill

ONE, TWO = b"\xff\xd8one\xff\xd9", b"\xff\xd8\r\n--two\xff\xd9"
TYPE = b"Content-Type: image/jpeg\r\n"


def parts(pieces: Iterable[bytes], boundary: str = "x") -> list[tuple[dict[str, str], bytes]]:
    """Fields and bodies of the parts in these pieces, each read before the next piece comes."""
    buffer = Buffer()
    parser, found = PartParser(buffer, boundary), []
    for piece in pieces:
        fill(buffer, piece)
        while (part := parser.next_part()) is not None:
            found.append((dict(part.fields), bytes(part.body)))
        buffer.release()
    return found


def bodies(data: bytes, boundary: str = "x") -> list[bytes]:
    """The bodies in a stream, which must be the same in one piece and byte by byte."""
    whole = parts([data], boundary)
    assert parts([data[at : at + 1] for at in range(len(data))], boundary) == whole
    return [body for _, body in whole]


def sized(body: bytes, length: int | None = None, end: bytes = b"\r\n") -> bytes:
    """A part that tells its length, or lies about it."""
    told = len(body) if length is None else length
    return b"--x\r\n" + TYPE + b"Content-Length: %d\r\n\r\n" % told + body + end


def plain(body: bytes, end: bytes = b"\r\n") -> bytes:
    """A part that does not."""
    return b"--x\r\n" + TYPE + b"\r\n" + body + end


LAST = b"--x\r\n"

STREAMS: dict[str, tuple[str, bytes, list[bytes]]] = {
    "with lengths": ("x", sized(ONE) + sized(TWO), [ONE, TWO]),
    "without lengths": ("x", plain(ONE) + plain(TWO) + LAST, [ONE, TWO]),
    "a length is enough": ("x", sized(ONE, end=b""), [ONE]),
    "no line end behind a length": ("x", sized(ONE, end=b"") + sized(TWO), [ONE, TWO]),
    "no line end behind a picture": ("x", plain(ONE, end=b"") + LAST, [ONE]),
    "line end of LF": ("x", (plain(ONE) + sized(b"\xff\xd8")).replace(b"\r\n", b"\n") + b"--x\n", [ONE, b"\xff\xd8"]),
    "dashes in the parameter, two on the wire": ("--x", plain(ONE) + LAST, [ONE]),
    "dashes in the parameter, four on the wire": ("--x", (plain(ONE) + LAST).replace(b"--x", b"----x"), [ONE]),
    "no dashes on the wire": ("xyz", (plain(ONE) + LAST).replace(b"--x", b"xyz"), [ONE]),
    "another boundary on the wire": ("y", plain(ONE) + LAST, [ONE]),
    "no boundary in the parameter": ("", plain(ONE) + sized(TWO), [ONE, TWO]),
    "empty lines first": ("x", b"\r\n\r\n" + sized(ONE), [ONE]),
    "a preamble": ("x", b"hello: this is a camera\r\n" + sized(ONE), [ONE]),
    "a long preamble without a line end": ("x", b"." * 3000 + b"\r\n" + sized(ONE), [ONE]),
    "first boundary missing": ("x", sized(ONE).removeprefix(b"--x\r\n") + sized(TWO), [ONE, TWO]),
    "first boundary and length missing": ("x", plain(ONE).removeprefix(b"--x\r\n") + LAST, [ONE]),
    "first boundary missing everywhere": ("", plain(ONE).removeprefix(b"--x\r\n") + LAST, [ONE]),
    "boundary sent twice": ("x", LAST + sized(ONE), [ONE]),
    "blanks behind the boundary": ("x", sized(ONE).replace(b"--x", b"--x \t"), [ONE]),
    "a length too small": ("x", sized(ONE, 3) + sized(TWO) + LAST, [ONE, TWO]),
    "a length too large": ("x", sized(ONE, 11) + sized(ONE) + LAST, [ONE, ONE]),
    "a length with the line end": ("x", sized(ONE, 9) + sized(b"\xff\xd8", 4) + LAST, [ONE, b"\xff\xd8"]),
    "a length of nothing": ("x", sized(ONE, 0) + sized(TWO, 1) + LAST, [ONE, TWO]),
    "a length beyond belief": ("x", sized(ONE, 10**17) + sized(TWO) + LAST, [ONE, TWO]),
    "a length that is no number": ("x", sized(ONE).replace(b": 7", b": 7 bytes") + LAST, [ONE]),
    "once wrong, never believed": ("x", sized(ONE, 3) + sized(ONE + ONE, len(ONE)) + LAST, [ONE, ONE + ONE]),
    "padding behind the picture": ("x", sized(ONE + bytes(5)), [ONE + bytes(5)]),
    "a picture without end": ("x", sized(b"\xff\xd8torn") + LAST, [b"\xff\xd8torn"]),
    "an empty part": ("x", sized(b"") + sized(ONE), [b"", ONE]),
    "an empty part without length": ("x", plain(b"") + sized(ONE), [b"", ONE]),
    "a part that is all header": ("x", b"--x\r\n" + TYPE + sized(ONE), [b"", ONE]),
    "a part of text": ("x", plain(b"hello\r\n") + sized(ONE), [b"hello\r\n", ONE]),
    "rubbish between parts": ("x", sized(ONE) + b"rubbish--x\r\n" + sized(TWO), [ONE, TWO]),
    "much rubbish between parts": ("x", sized(ONE) + bytes(5000) + b"\r\n" + sized(TWO), [ONE, TWO]),
    "a line as long as no boundary": ("x", sized(ONE) + b"--x" + b"y" * 9000 + b"\r\n" + sized(TWO), [ONE, TWO]),
    "a closing delimiter": ("x", sized(ONE) + b"--x--\r\n" + sized(TWO), [ONE]),
    "a closing delimiter without lengths": ("x", plain(ONE) + b"--x--", [ONE]),
    "nothing": ("x", b"", []),
    "nothing, closed": ("x", b"--x--\r\n", []),
}  # fmt: skip


@pytest.mark.parametrize("name", STREAMS)
def test_streams(name: str) -> None:
    """Each way of sending a stream gives its pictures, in one piece and byte by byte."""
    boundary, data, expected = STREAMS[name]
    assert bodies(data, boundary) == expected


def test_fields_of_a_part() -> None:
    """A part's fields are known by their lower-case names."""
    data = b"--x\r\nCONTENT-type: Image/JPEG\r\ncontent-LENGTH:7\r\nX-Timestamp: 1.5\r\nodd\r\n\r\n" + ONE
    ((fields, body),) = parts([data])

    assert fields == {"content-type": "Image/JPEG", "content-length": "7", "x-timestamp": "1.5"}
    assert body == ONE


def test_our_own_streams() -> None:
    """Both profiles of mjpegd's own stream are read, repeats and the orderly end included."""
    first, second = frame(1, (ONE,)), frame(2, (TWO,))
    for profile in multipart.PROFILES.values():
        pieces = (profile.opening, profile.view(first), *profile.repeat(first), profile.view(second))
        stream = b"".join((*pieces, *profile.last(second)))
        buffer = Buffer()
        parser = PartParser(buffer, multipart.BOUNDARY)
        fill(buffer, stream)
        found = list(iter(parser.next_part, None))
        assert [bytes(part.body) for part in found] == [ONE, ONE, TWO, TWO]
        assert parser.ended


def test_a_part_lies_where_it_was_received() -> None:
    """A part's body is the received memory itself, and stays while more comes in."""
    buffer = Buffer()
    parser = PartParser(buffer, "x")
    fill(buffer, sized(ONE))
    part = parser.next_part()
    assert part is not None
    assert part.body.obj is buffer.data
    fill(buffer, sized(TWO) * 50_000)

    assert bytes(part.body) == ONE


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"--x\r\n" + b"A: " + b"b" * MAX_HEAD, "header line of more than"),
        (b"--x\r\n" + b"A: b\r\n" * MAX_HEAD, "part with a header of more than"),
    ],
)
def test_headers_have_a_limit(data: bytes, reason: str) -> None:
    """A header that does not end is an error in words."""
    with pytest.raises(SourceError, match=reason):
        parts([data])


@pytest.mark.parametrize("length", [b"", b"Content-Length: 5000\r\n", b"Content-Length: 9000\r\n"])
def test_parts_have_a_limit(length: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part that does not end is an error in words, whatever length it told."""
    monkeypatch.setattr("mjpegd.wire.parts.MAX_PART", 4000)
    with pytest.raises(SourceError, match="sends a part of more than 4000 bytes"):
        parts([b"--x\r\n" + length + b"\r\n" + bytes(8000)])


part_bodies = st.binary(max_size=60) | st.sampled_from([ONE, TWO, b"\r", b"\r\n--", b"-", b"--y\r\n"])


@given(
    st.lists(
        st.tuples(part_bodies, st.none() | st.integers(0, 80), st.sampled_from([b"\r\n", b"\n", b""])), max_size=5
    ),
    st.binary(max_size=20),
    st.lists(st.integers(0, 2000), max_size=20),
)
@example([(ONE, 3, b"\r\n")], b"", [5])
def test_any_cut_gives_the_same_parts(
    content: list[tuple[bytes, int | None, bytes]], between: bytes, cuts: Sequence[int]
) -> None:
    """Parts do not depend on how the bytes came, for streams right and wrong."""
    stream = between.join(
        plain(body, end) if length is None else sized(body, length, end) for body, length, end in content
    )
    assert parts(cut(stream, cuts)) == parts([stream])


@given(st.lists(st.tuples(st.binary(max_size=100).filter(lambda body: b"--x" not in body), st.booleans()), max_size=8))
def test_what_was_sent_comes_out(content: list[tuple[bytes, bool]]) -> None:
    """Any bodies come out as they went in, with a length or without."""
    pictures = [b"\xff\xd8" + body + b"\xff\xd9" for body, _ in content]
    stream = b"".join((sized if told else plain)(body) for body, (_, told) in zip(pictures, content, strict=True))
    assert [body for _, body in parts([stream + LAST])] == pictures


@given(st.binary(max_size=400), st.text(max_size=10), st.lists(st.integers(0, 400), max_size=5))
def test_garbage_is_an_error_or_nothing(garbage: bytes, boundary: str, cuts: Sequence[int]) -> None:
    """Nothing but the documented error comes of bytes that mean nothing."""
    try:
        parts(cut(garbage, cuts), boundary)
    except SourceError:
        return


def test_rubbish_takes_no_memory() -> None:
    """What is no part is not kept, however much of it comes."""
    piece = b"rubbish without a boundary\n" * 10_000
    tracemalloc.start()
    try:
        parts([piece] * 100)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 4 * SIZE


@pytest.mark.parametrize("boundary", ["", "x"])
def test_dashes_are_passed_over_at_once(boundary: str) -> None:
    """A sender of nothing but dashes costs no more than another, also where dashes are all that is looked for."""
    dashes = b"hello\nx" + b"-" * 200_000 + (boundary.encode() + b"-" * 300) * 1000
    began = process_time()
    found = parts([dashes, b"\n--x\r\n\r\n" + ONE + b"\n--x\r\n"], boundary)

    assert process_time() - began < 0.5
    assert found == [({}, ONE)]


def test_a_large_part_in_small_pieces_is_searched_once() -> None:
    """The time for a part without a length grows with its size, not with the square of it."""
    piece = bytes(1400)
    stream = [b"--x\r\n\r\n", *[piece] * 10_000, b"\r\n--x\r\n"]
    began = process_time()
    ((_, body),) = parts(stream)

    assert len(body) == 14_000_000
    assert process_time() - began < 2
