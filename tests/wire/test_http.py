"""The request parser and response heads: RFC 9112 as a table, as properties, and against h11."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from time import process_time
from typing import Any

import h11
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from mjpegd.errors import ProtocolError
from mjpegd.wire.http import MAX_FIELDS, MAX_HEAD, MAX_LINE, Request, RequestParser, render_head

LINE = b"GET /stream HTTP/1.1\r\n"
HOST = b"Host: camera\r\n"
END = b"\r\n"


def outcome(pieces: Iterable[bytes]) -> list[Request | int]:
    """Requests in their order, ended by the status of a `ProtocolError` if one is raised."""
    parser = RequestParser()
    found: list[Request | int] = []
    try:
        for piece in pieces:
            parser.feed(piece)
            while (request := parser.next_request()) is not None:
                found.append(request)
    except ProtocolError as error:
        found.append(error.status)
    return found


def by_byte(payload: bytes) -> Iterable[bytes]:
    """The payload in pieces of one byte."""
    return (payload[at : at + 1] for at in range(len(payload)))


def head(*fields: bytes, line: bytes = LINE, host: bytes = HOST) -> bytes:
    """A request head of these parts."""
    return b"".join((line, host, *fields, END))


def target(text: bytes) -> bytes:
    """A GET of that target."""
    return head(line=b"GET " + text + b" HTTP/1.1\r\n")


def one(payload: bytes) -> Request:
    """The only request in the payload."""
    (request,) = outcome([payload])
    assert isinstance(request, Request)
    return request


ACCEPTED: dict[str, tuple[bytes, dict[str, Any]]] = {
    "plain": (
        head(),
        {
            "method": "GET",
            "path": "/stream",
            "query": {},
            "version": "1.1",
            "headers": {"host": "camera"},
            "has_body": False,
            "keep_alive": True,
        },
    ),
    "1.0 without Host": (
        b"GET / HTTP/1.0\r\n\r\n",
        {"version": "1.0", "headers": {}, "keep_alive": False},
    ),
    "1.0 with empty Host": (b"GET / HTTP/1.0\r\nHost:\r\n\r\n", {"headers": {"host": ""}}),
    "1.0 keep-alive": (b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", {"keep_alive": True}),
    "1.1 close": (head(b"Connection: foo, CLOSE\r\n"), {"keep_alive": False}),
    "1.1 close and keep-alive": (head(b"Connection: keep-alive\r\nConnection: close\r\n"), {"keep_alive": False}),
    "a later minor version": (head(line=b"GET / HTTP/1.2\r\n"), {"version": "1.1", "path": "/"}),
    "leading empty line": (END + head(), {"path": "/stream"}),
    "leading empty lines": (END * 3 + head(), {"path": "/stream"}),
    "lower-case method": (head(line=b"get / HTTP/1.1\r\n"), {"method": "get"}),
    "unknown method": (head(line=b"BREW / HTTP/1.1\r\n"), {"method": "BREW"}),
    "OPTIONS *": (head(line=b"OPTIONS * HTTP/1.1\r\n"), {"method": "OPTIONS", "path": "*"}),
    "percent-encoding": (target(b"/stream/h%C3%BCtte%20%2F"), {"path": "/stream/hütte /"}),
    "broken percent-encoding": (target(b"/%zz%e"), {"path": "/%zz%e"}),
    "percent-encoded bytes that are not UTF-8": (target(b"/%ff"), {"path": "/\ufffd"}),
    "dots are no names here": (target(b"/a/../%2e%2e/etc"), {"path": "/a/../../etc"}),
    "query": (
        target(b"/?a=1&b=&c&a=2&d=x%20y+z"),
        {"path": "/", "query": {"a": "2", "b": "", "c": "", "d": "x y z"}},
    ),
    "query with a question mark": (target(b"/?a=b?c"), {"query": {"a": "b?c"}}),
    "fragment": (target(b"/a?b=c#d"), {"path": "/a", "query": {"b": "c"}}),
    "fragment before a question mark": (target(b"/a#b?c=d"), {"path": "/a"}),
    "absolute-form": (target(b"http://other:8080/a%20b?c=d"), {"path": "/a b", "query": {"c": "d"}}),
    "absolute-form, no path": (target(b"HTTP://other"), {"path": "/"}),
    "names in any case": (head(b"aCCePT: a/b\r\n"), {"headers": {"host": "camera", "accept": "a/b"}}),
    "repeated field": (head(b"A: 1\r\n", b"a: 2\r\n"), {"headers": {"host": "camera", "a": "1, 2"}}),
    "blanks around a value": (head(b"A: \t x y \t \r\n"), {"headers": {"host": "camera", "a": "x y"}}),
    "empty value": (head(b"A:\r\n", b"B: \t\r\n"), {"headers": {"host": "camera", "a": "", "b": ""}}),
    "non-ASCII value": (head(b"A: h\xfctte\r\n"), {"headers": {"host": "camera", "a": "hütte"}}),
    "colon in a value": (head(b"A: :b:\r\n"), {"headers": {"host": "camera", "a": ":b:"}}),
    "Host with a port": (head(host=b"Host: camera.local:8080\r\n"), {"path": "/stream"}),
    "Host in IPv6": (head(host=b"Host: [fe80::1]:8080\r\n"), {"path": "/stream"}),
    "no body by Content-Length": (head(b"Content-Length: 00\r\n"), {"has_body": False}),
    "body by Content-Length": (head(b"Content-Length: 010\r\n"), {"has_body": True}),
    "body by Transfer-Encoding": (head(b"Transfer-Encoding: Chunked\r\n"), {"has_body": True}),
    "Expect is left alone": (head(b"Expect: 100-continue\r\n"), {"has_body": False}),
    "longest request line": (
        head(line=b"GET /" + b"a" * (MAX_LINE - len(b"GET / HTTP/1.1\r\n")) + b" HTTP/1.1\r\n"),
        {"method": "GET"},
    ),
    "longest head": (
        head(b"A: " + b"x" * (MAX_HEAD - len(LINE + HOST + b"A: \r\n" + END)) + END),
        {"path": "/stream"},
    ),
    "most fields": (head(*[b"A: 1\r\n"] * (MAX_FIELDS - 1)), {"path": "/stream"}),
}

REJECTED: dict[str, tuple[bytes, int]] = {
    "bare LF": (b"GET / HTTP/1.1\nHost: camera\n\n", 400),
    "bare LF after a field": (head(b"A: 1\n"), 400),
    "bare LF as the end": (LINE + HOST + b"\n", 400),
    "bare CR in the request line": (head(line=b"GET /\rx HTTP/1.1\r\n"), 400),
    "bare CR in a value": (head(b"A: 1\r2\r\n"), 400),
    "bare CR before CRLF": (head(b"A: 1\r\r\n"), 400),
    "obs-fold": (head(b"A: 1\r\n", b" 2\r\n"), 400),
    "obs-fold by tab": (head(b"A: 1\r\n", b"\t2\r\n"), 400),
    "blank before the first field": (LINE + b" " + HOST + END, 400),
    "space before the colon": (head(b"A : 1\r\n"), 400),
    "tab before the colon": (head(b"A\t: 1\r\n"), 400),
    "space in a name": (head(b"A B: 1\r\n"), 400),
    "empty name": (head(b": 1\r\n"), 400),
    "no colon": (head(b"A\r\n"), 400),
    "non-ASCII name": (head(b"\xfc: 1\r\n"), 400),
    "NUL in a name": (head(b"A\0: 1\r\n"), 400),
    "NUL in a value": (head(b"A: 1\0\r\n"), 400),
    "control character in a value": (head(b"A: 1\x1b[m\r\n"), 400),
    "NUL in the target": (target(b"/\0"), 400),
    "non-ASCII target": (target(b"/h\xfctte"), 400),
    "no Host": (LINE + END, 400),
    "no Host on a later minor version": (b"GET / HTTP/1.2\r\n\r\n", 400),
    "empty Host": (head(host=b"Host:\r\n"), 400),
    "two Hosts": (head(HOST), 400),
    "two Hosts on 1.0": (head(HOST, line=b"GET / HTTP/1.0\r\n"), 400),
    "Host with a path": (head(host=b"Host: camera/path\r\n"), 400),
    "Host with a user": (head(host=b"Host: me@camera\r\n"), 400),
    "Host with a space": (head(host=b"Host: a b\r\n"), 400),
    "Host list": (head(host=b"Host: a, b\r\n"), 400),
    "Content-Length and Transfer-Encoding": (head(b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), 400),
    "Transfer-Encoding and Content-Length": (head(b"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n"), 400),
    "Transfer-Encoding on 1.0": (head(b"Transfer-Encoding: chunked\r\n", line=b"GET / HTTP/1.0\r\n"), 400),
    "two equal Content-Lengths": (head(b"Content-Length: 5\r\nContent-Length: 5\r\n"), 400),
    "two different Content-Lengths": (head(b"Content-Length: 5\r\nContent-Length: 6\r\n"), 400),
    "Content-Length list": (head(b"Content-Length: 5, 5\r\n"), 400),
    "empty Content-Length": (head(b"Content-Length:\r\n"), 400),
    "negative Content-Length": (head(b"Content-Length: -1\r\n"), 400),
    "Content-Length with a plus": (head(b"Content-Length: +5\r\n"), 400),
    "hexadecimal Content-Length": (head(b"Content-Length: 0x5\r\n"), 400),
    "Content-Length with an underscore": (head(b"Content-Length: 1_0\r\n"), 400),
    "Content-Length in other digits": (head(b"Content-Length: \xb2\r\n"), 400),
    "unknown transfer coding": (head(b"Transfer-Encoding: xchunked\r\n"), 501),
    "several transfer codings": (head(b"Transfer-Encoding: gzip, chunked\r\n"), 501),
    "chunked twice": (head(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 501),
    "* with GET": (head(line=b"GET * HTTP/1.1\r\n"), 400),
    "authority-form": (target(b"camera:80"), 400),
    "other scheme": (target(b"ftp://camera/"), 400),
    "no URL": (target(b"http://[::1/"), 400),
    "HTTP/0.9": (b"GET /\r\n", 400),
    "no target": (head(line=b"GET HTTP/1.1\r\n"), 400),
    "no method": (head(line=b" / HTTP/1.1\r\n"), 400),
    "two spaces": (head(line=b"GET  / HTTP/1.1\r\n"), 400),
    "tab for a space": (head(line=b"GET\t/ HTTP/1.1\r\n"), 400),
    "space at the end of the line": (head(line=b"GET / HTTP/1.1 \r\n"), 400),
    "space in the target": (target(b"/a b"), 400),
    "method that is no token": (head(line=b"G(T / HTTP/1.1\r\n"), 400),
    "lower-case protocol": (head(line=b"GET / http/1.1\r\n"), 400),
    "other protocol": (head(line=b"GET / RTSP/1.0\r\n"), 400),
    "version with two digits": (head(line=b"GET / HTTP/1.10\r\n"), 400),
    "version without a minor": (head(line=b"GET / HTTP/1\r\n"), 400),
    "HTTP/2.0": (head(line=b"GET / HTTP/2.0\r\n"), 505),
    "HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n", 400),
    "target too long": (target(b"/" + b"a" * MAX_LINE), 414),
    "request line that never ends": (b"a" * (MAX_LINE + 1), 414),
    "too many fields": (head(*[b"A: 1\r\n"] * MAX_FIELDS), 431),
    "head longer by one byte": (head(b"A: " + b"x" * (MAX_HEAD + 1 - len(LINE + HOST + b"A: \r\n" + END)) + END), 431),
    "request line longer by one byte": (target(b"/" + b"a" * (MAX_LINE + 1 - len(b"GET / HTTP/1.1\r\n"))), 414),
    "field too long": (head(b"A: " + b"x" * MAX_HEAD + END), 431),
    "field that never ends": (LINE + HOST + b"A: " + b"x" * MAX_HEAD, 431),
    "head too long": (head(*[b"A: " + b"x" * 1000 + END] * 17), 431),
    "empty lines that never end": (END * (MAX_HEAD // 2 + 1), 431),
}

SHORT = 80
"""Bytes up to which a payload is also split at each of its positions."""


@pytest.mark.parametrize(("payload", "expected"), ACCEPTED.values(), ids=ACCEPTED)
def test_accepted(payload: bytes, expected: dict[str, Any]) -> None:
    """What RFC 9112 allows, or has no reason to refuse, is a request with these fields."""
    request = one(payload)

    assert expected == {name: getattr(request, name) for name in expected}


@pytest.mark.parametrize(("payload", "status"), REJECTED.values(), ids=REJECTED)
def test_rejected(payload: bytes, status: int) -> None:
    """What RFC 9112 forbids, or lets us refuse, is answered with this status."""
    assert [status] == outcome([payload])


PAYLOADS = {name: payload for name, (payload, _) in {**ACCEPTED, **REJECTED}.items()}
SHORT_PAYLOADS = {name: payload for name, payload in PAYLOADS.items() if len(payload) <= SHORT}


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
def test_byte_by_byte(payload: bytes) -> None:
    """Fed one byte at a time, the outcome is that of the whole."""
    assert outcome([payload]) == outcome(by_byte(payload))


@pytest.mark.parametrize("payload", SHORT_PAYLOADS.values(), ids=SHORT_PAYLOADS)
def test_split_anywhere(payload: bytes) -> None:
    """Split in two at whatever position, the outcome is that of the whole."""
    whole = outcome([payload])

    assert [at for at in range(len(payload)) if outcome([payload[:at], payload[at:]]) != whole] == []


def test_pipelined() -> None:
    """Requests in one piece come out one by one, each with its own fields."""
    requests = outcome([target(b"/a") + head(b"A: 1\r\n", line=b"HEAD /b HTTP/1.1\r\n") + END + target(b"/c")[:-1]])

    assert [(request.path, request.headers) for request in requests if isinstance(request, Request)] == [
        ("/a", {"host": "camera"}),
        ("/b", {"host": "camera", "a": "1"}),
    ]


def test_limits_are_each_requests_own() -> None:
    """A second request on a connection may be as long as the first."""
    long = head(b"A: " + b"x" * (MAX_HEAD * 3 // 4) + END)

    assert [one(long)] * 3 == outcome([long * 3])


def test_idle() -> None:
    """A parser is idle before a request and after it, not in the midst of one."""
    parser = RequestParser()
    states = [parser.idle]
    for piece in (b"G", LINE[1:], HOST + END):
        parser.feed(piece)
        parser.next_request()
        states.append(parser.idle)

    assert states == [True, False, False, True]


def test_body_is_not_read_here() -> None:
    """Bytes of a body are taken for the next request: the connection has to close behind one that has a body."""
    requests = outcome([head(b"Content-Length: 5\r\n") + b"hello\r\n"])

    assert [requests[0].has_body if isinstance(requests[0], Request) else None, requests[1]] == [True, 400]


BLANKS = b" " * (MAX_HEAD - 100)


@pytest.mark.parametrize("value", [BLANKS + b"\0", BLANKS[::2] + b"a" * (len(BLANKS) // 2) + b"\0"])
def test_no_head_is_slow_to_refuse(value: bytes) -> None:
    """A head made to send a regular expression astray takes milliseconds of processor time, not seconds."""
    began = process_time()
    assert outcome([head(b"A:" + value + END)]) == [400]

    assert process_time() - began < 0.5


FRAGMENTS = (
    *(b"GET", b"OPTIONS", b"PRI", b" ", b"  ", b"\t", b"/", b"*", b"http://[", b"http://a/b", b"%2", b"?a=b", b"#"),
    *(b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/", b"\r\n", b"\r\n", b"\r\n", b"\r", b"\n", b":", b"\0", b"\xff"),
    *(b"Host: a\r\n", b"Host", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"A: b\r\n", b"\r\n\r\n"),
    *(
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET / HTTP/1.1\r\n",
        b"a" * 9000,
        b"A:\r\n" * 50,
    ),
)
PAYLOAD = st.one_of(st.binary(max_size=300), st.lists(st.sampled_from(FRAGMENTS), max_size=12).map(b"".join))
CUTS = st.lists(st.integers(0, 400), max_size=12)


def cut(payload: bytes, at: Sequence[int]) -> list[bytes]:
    """The payload in pieces that begin at these positions."""
    marks = [0, *sorted(at), len(payload)]
    return [payload[start:end] for start, end in pairwise(marks)]


@given(PAYLOAD)
@example(b"\n")
@example(b"\r\n\0")
def test_garbage_is_a_request_or_an_error(payload: bytes) -> None:
    """Whatever bytes come, they are requests, too few bytes, or a `ProtocolError` with a 4xx or 5xx; nothing else."""
    *requests, last = [*outcome([payload]), None]

    assert all(isinstance(found, Request) or 400 <= found < 600 for found in requests if found is not None)
    assert last is None


@given(PAYLOAD, CUTS)
def test_the_cut_does_not_matter(payload: bytes, at: list[int]) -> None:
    """However the bytes are cut into pieces, the same comes out."""
    assert outcome([payload]) == outcome(cut(payload, at))


def h11_refuses(payload: bytes) -> bool:
    """Whether h11, as a server, raises for the first event in these bytes."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(payload)
    try:
        connection.next_event()
    except h11.RemoteProtocolError:
        return True
    return False


START_LINES = (
    LINE,
    b"GET / HTTP/1.0\r\n",
    b"POST /a HTTP/1.1\r\n",
    b"OPTIONS * HTTP/1.1\r\n",
    b"GET http://a/ HTTP/1.1\r\n",
)
FIELDS = (
    *(HOST, HOST, b"Host: other\r\n", b"Content-Length: 5\r\n", b"Content-Length: 6\r\n", b"Content-Length: 5, 5\r\n"),
    *(b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip\r\n", b"Connection: close\r\n", b"Accept: */*\r\n"),
    *(b"Expect: 100-continue\r\n", b"Upgrade: h2c\r\n", b"A:\r\n", b"A: \xfc\r\n", b" folded\r\n"),
)
MUTATIONS = st.lists(
    st.tuples(
        st.integers(0, 150),
        st.integers(0, 3),
        st.one_of(st.binary(max_size=2), st.sampled_from((b"\r", b"\n", b"\r\n", b" ", b"\t", b"\0", b":", b"\x0b"))),
    ),
    max_size=3,
)


@st.composite
def nearly_valid_heads(draw: st.DrawFn) -> bytes:
    """Complete heads of common parts, with a few bytes replaced, removed or inserted."""
    payload = head(*draw(st.lists(st.sampled_from(FIELDS), max_size=4)), line=draw(st.sampled_from(START_LINES)))
    for at, removed, inserted in draw(MUTATIONS):
        payload = payload[:at] + inserted + payload[at + removed :]
    return payload


@given(nearly_valid_heads())
def test_what_h11_refuses_is_refused(payload: bytes) -> None:
    """No bytes that h11 refuses become a request here.

    One exception: h11 refuses an empty line before a request, RFC 9112 2.2 wants at least one to be ignored. Another is
    below: a Content-Length of more than 20 digits.
    """
    assume(not payload.startswith(b"\r\n"))
    assume(h11_refuses(payload))

    assert not [found for found in outcome([payload])[:1] if isinstance(found, Request)]


def test_huge_content_length_is_only_not_zero() -> None:
    """h11 refuses more than 20 digits so as not to overflow; here no body is ever read, and its length not used."""
    payload = head(b"Content-Length: " + b"9" * 5000 + END)

    assert h11_refuses(payload)
    assert one(payload).has_body


REAL_CLIENTS = {
    "curl": b"GET /stream HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n",
    "ffmpeg": b"GET /stream HTTP/1.1\r\nUser-Agent: Lavf/59.27.100\r\nAccept: */*\r\nRange: bytes=0-\r\n"
    b"Connection: close\r\nHost: 127.0.0.1:8080\r\nIcy-MetaData: 1\r\n\r\n",
    "nginx": b"GET /stream HTTP/1.0\r\nHost: backend\r\nConnection: close\r\n\r\n",
    "Chromium": b"GET / HTTP/1.1\r\nHost: localhost:8080\r\nConnection: keep-alive\r\n"
    b'sec-ch-ua: "Chromium";v="156", "Not/A)Brand";v="8"\r\nAccept: image/avif,image/webp,*/*;q=0.8\r\n'
    b'Sec-Fetch-Dest: image\r\nCookie: a=b; c=d\r\nIf-None-Match: "x-1"\r\n\r\n',
    "OpenSSL s_client": b"GET /snapshot HTTP/1.0\r\n\r\n",
}


@pytest.mark.parametrize("payload", REAL_CLIENTS.values(), ids=REAL_CLIENTS)
def test_real_clients(payload: bytes) -> None:
    """What real clients send is a request, for h11 and for us, with the same method, target and fields."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(payload)
    event = connection.next_event()
    request = one(payload)

    assert isinstance(event, h11.Request)
    assert event.target.decode() == request.path
    assert {name.decode(): value.decode() for name, value in event.headers} == request.headers


def test_response_head() -> None:
    """A head is the status line, the fields in their order, and an empty line."""
    assert render_head(404, [("A", "b"), ("C", "hütte")]) == b"HTTP/1.1 404 Not Found\r\nA: b\r\nC: h\xfctte\r\n\r\n"


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: b", "a\nb", "a\rb", "a\0b", "\u4e00"])
def test_response_splitting(value: str) -> None:
    """A value that would break out of its line, or is not Latin-1, is a `ValueError` and never sent."""
    with pytest.raises(ValueError, match=r"line break|latin-1"):
        render_head(200, [("A", value)])


@given(st.lists(st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=20), max_size=5))
def test_response_head_is_one_line_a_field(values: list[str]) -> None:
    """No value that is let through adds a line to the head."""
    assert len(values) + 3 == len(render_head(200, [("A", value) for value in values]).split(b"\r\n"))
