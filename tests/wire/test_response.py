"""Response heads and bodies as cameras send them: lenient in form, strict in length."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mjpegd.errors import SourceError
from mjpegd.wire.buffer import ROOM, SIZE, Buffer
from mjpegd.wire.fields import media_type
from mjpegd.wire.framing import MAX_LINE as MAX_CHUNK_LINE
from mjpegd.wire.framing import Chunked, Sized
from mjpegd.wire.http import MAX_FIELDS, MAX_HEAD, MAX_LINE
from mjpegd.wire.response import Head, ResponseParser

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def fill(buffer: Buffer, data: bytes) -> None:
    """Put bytes into a buffer as a socket does."""
    while data:
        tail = buffer.tail()
        length = min(len(tail), len(data))
        tail[:length] = data[:length]
        buffer.commit(length)
        data = data[length:]


def answer(pieces: Iterable[bytes]) -> tuple[Head | None, Buffer]:
    """The head of a response that comes in these pieces, and the buffer with what of its body has come."""
    buffer = Buffer()
    parser, head = ResponseParser(buffer), None
    for piece in pieces:
        fill(buffer, piece)
        if head is None and (head := parser.next_head()) is not None:
            buffer.unwrap(head.framing())
    return head, buffer


def body(data: bytes) -> tuple[bytes, bool]:
    """The body of a response, and whether it is whole."""
    _, buffer = answer([data])
    return bytes(buffer.view[buffer.start : buffer.end]), buffer.framing.done


def cut(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    """The data in pieces."""
    places = sorted({0, len(data), *(place % (len(data) + 1) for place in cuts)})
    return [data[begin:end] for begin, end in pairwise(places)]


@pytest.mark.parametrize(
    ("data", "status", "fields"),
    [
        (b"HTTP/1.1 200 OK\r\nServer: cam\r\n\r\n", 200, {"server": "cam"}),
        (b"HTTP/1.1 200 OK\nServer: cam\n\n", 200, {"server": "cam"}),
        (b"HTTP/1.0 401\r\n\r\n", 401, {}),
        (b"HTTP/1.1  200  OK \r\n\r\n", 200, {}),
        (b"\r\nHTTP/1.1 200 OK\r\n\r\n", 200, {}),
        (b"HTTP/1.1 200 \xff\xfe\r\n\r\n", 200, {}),
        (b"HTTP/1.1 200 OK\r\nA: 1\r\na:2\r\n\r\n", 200, {"a": "1, 2"}),
        (b"HTTP/1.1 200 OK\r\nA: 1\r\n  2\r\n\r\n", 200, {"a": "1 2"}),
        (b"HTTP/1.1 200 OK\r\n folded\r\nno colon\r\nA : x:y \r\n\r\n", 200, {"a": "x:y"}),
        (b"HTTP/1.1 100 Continue\r\nA: 1\r\n\r\nHTTP/1.1 204 No\r\nB: 2\r\n\r\n", 204, {"b": "2"}),
    ],
)
def test_heads(data: bytes, status: int, fields: dict[str, str]) -> None:
    """What cameras send for a head is one, however it is cut."""
    for pieces in ([data], [data[at : at + 1] for at in range(len(data))]):
        head, _ = answer(pieces)
        assert head is not None
        assert (head.status, dict(head.fields)) == (status, fields)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "does not speak HTTP"),
        (b"ICY 200 OK\r\n\r\n", "does not speak HTTP"),
        (b"HTTP/2 200\r\n\r\n", "does not speak HTTP"),
        (b"HTTP/1.1 20 OK\r\n\r\n", "does not speak HTTP"),
        (b"\x15\x03\x01", "does not speak HTTP"),
        (b"HTTP/1.1 200 " + b"x" * MAX_LINE, "header line of more than"),
        (b"HTTP/1.1 200 OK\r\n" + b"A: 1\r\n" * (MAX_FIELDS + 2), "header that is too long"),
        (b"HTTP/1.1 200 OK\r\n" + (b"A: " + b"x" * 8000 + b"\r\n") * (MAX_HEAD // 8000 + 1), "header that is too long"),
    ],
)
def test_what_is_no_head(data: bytes, reason: str) -> None:
    """What is no HTTP, or too much of it, is told in words as soon as that is certain."""
    with pytest.raises(SourceError, match=reason):
        answer([data])


@pytest.mark.parametrize(
    ("head", "keep_alive"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nConnection: Close\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n\r\n", True),
    ],
)
def test_keep_alive(head: bytes, keep_alive: bool) -> None:  # noqa: FBT001
    """Whether the connection stays open is the version's default, unless said otherwise."""
    parsed, _ = answer([head])
    assert parsed is not None
    assert parsed.keep_alive is keep_alive


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef", (b"abc", True)),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\n\r\nab", (b"ab", False)),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", (b"", True)),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", (b"", True)),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nab", (b"ab", False)),
        (b"HTTP/1.0 200 OK\r\n\r\nab", (b"ab", False)),
        (CHUNKED + b"2\r\nab\r\n3;x=y\r\ncde\r\n0\r\nT: x\r\n\r\n", (b"abcde", True)),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: CHUNKED\r\nContent-Length: 9\r\n\r\n1\na\n0\n\n", (b"a", True)),
        (CHUNKED + b"A\r\nabcd", (b"abcd", False)),
    ],
)  # fmt: skip
def test_bodies(data: bytes, expected: tuple[bytes, bool]) -> None:
    """A body ends after its length, its last chunk, or with the connection."""
    assert body(data) == expected


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n", "two lengths"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "transfer coding"),
        (CHUNKED + b"xyz\r\n", "chunks that cannot be read"),
        (CHUNKED + b"-1\r\n", "chunks that cannot be read"),
        (CHUNKED + b"0" * MAX_CHUNK_LINE + b"0", "chunks that cannot"),
    ],
)
def test_bodies_that_cannot_be_read(data: bytes, reason: str) -> None:
    """A body whose end cannot be known is an error in words."""
    with pytest.raises(SourceError, match=reason):
        body(data)


def test_what_follows_a_body_is_noticed() -> None:
    """Bytes behind a body belong to nothing that was asked for: that connection is not used again."""
    for framing, data in ((Sized(1), b"ab"), (Chunked(), b"0\r\n\r\nb")):
        framing.decode(memoryview(bytearray(data)))
        assert framing.done
        assert framing.surplus


@given(st.lists(st.binary(min_size=1, max_size=200), max_size=8), st.lists(st.integers(0, 10_000), max_size=20))
def test_chunks_in_any_pieces(chunks: list[bytes], cuts: list[int]) -> None:
    """However chunks and pieces lie, the payload is the same and in one run."""
    wire = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    _, buffer = answer([CHUNKED, *cut(wire, cuts)])
    assert bytes(buffer.view[buffer.start : buffer.end]) == b"".join(chunks)
    assert buffer.framing.done


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5))
def test_garbage_is_an_error_or_nothing(garbage: bytes, cuts: list[int]) -> None:
    """Whatever comes behind a good beginning, nothing but the documented error is raised."""
    try:
        answer([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n", *cut(garbage, cuts)])
    except SourceError:
        return


def test_views_outlive_the_buffers_growth() -> None:
    """What was handed out stays as it is until it is released, even when the buffer moves or grows."""
    buffer = Buffer()
    fill(buffer, b"first")
    view = buffer.view[: buffer.end]
    buffer.start = buffer.end
    fill(buffer, bytes(2 * SIZE))

    assert bytes(view) == b"first"
    assert len(buffer) == 2 * SIZE


def test_a_buffer_is_bounded_by_what_it_holds() -> None:
    """Whatever flows through, memory is taken only for what is held at one time."""
    buffer = Buffer()
    for _ in range(50):
        fill(buffer, bytes(ROOM))
        buffer.start = buffer.end - 10
        buffer.release()

    assert len(buffer.data) == SIZE
    assert (buffer.start, buffer.end) == (0, 10)


@pytest.mark.parametrize(
    ("value", "kind", "parameters"),
    [
        ("image/jpeg", "image/jpeg", {}),
        ("Multipart/X-Mixed-Replace;Boundary=--x", "multipart/x-mixed-replace", {"boundary": "--x"}),
        ('multipart/mixed; boundary="a;\\"b" ; y=z', "multipart/mixed", {"boundary": 'a;"b', "y": "z"}),
        ("multipart/mixed; boundary=a:b/c==", "multipart/mixed", {"boundary": "a:b/c=="}),
        ('multipart/mixed; boundary="a', "multipart/mixed", {"boundary": "a"}),
        ("", "", {}),
    ],
)
def test_media_types(value: str, kind: str, parameters: dict[str, str]) -> None:
    """A media type and its parameters are read as browsers do."""
    assert media_type(value) == (kind, parameters)
