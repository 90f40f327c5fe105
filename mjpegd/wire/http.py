"""HTTP/1.1 requests and response heads.

Rule 1: bytes in, events out; this file never sees a socket or a clock.
Rule 2: garbage parses or raises `ProtocolError` with the status to answer, never anything else.
Rule 3: the answer does not depend on how the bytes were cut into pieces.

RFC 9112 for the syntax, RFC 9110 for the meaning. Where the RFC lets a server choose, the strict side is taken (400 for
a bare LF, obs-fold, a space before a colon), because a proxy in front of us may have chosen the other.
"""

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import parse_qsl, unquote, urlsplit

from mjpegd.errors import ProtocolError

MAX_LINE = 8 * 1024
"""Longest request line in bytes. RFC 9112 3 wants at least 8000; nginx and Apache take 8 KiB."""
MAX_HEAD = 16 * 1024
"""Longest request head in bytes: node and IIS take 16 KiB, Apache 8 KiB a field, nginx 4 x 8 KiB."""
MAX_FIELDS = 100
"""Most header fields: Apache's limit."""

METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT"})
"""Methods RFC 9110 (and 5789) know: answered 405 where a resource lacks them, any other 501."""

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_REQUEST_LINE = re.compile(rb"(" + _TOKEN + rb") ([\x21-\x7e]+) HTTP/([0-9])\.([0-9])")
_FIELD_NAME = re.compile(_TOKEN)
_FIELD_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_HOST = re.compile(r"(?:[A-Za-z0-9._~%!$&'()*+,;=-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?")
_CRLF_IN_VALUE = re.compile(r"[\r\n\0]")


@dataclass(frozen=True, slots=True)
class Request:
    """One request head. `path` is percent-decoded, `query` has the last value of a name, `headers` lower-case names.

    `has_body` means that bytes follow: whoever does not read them answers, then closes (RFC 9112 9.3).
    `body_length` is how many; None where that is not said before they come (chunked).
    """

    method: str
    path: str
    query: Mapping[str, str]
    version: str
    headers: Mapping[str, str]
    has_body: bool
    keep_alive: bool

    @property
    def body_length(self) -> int | None:
        """Bytes of the body as announced; 0 without one."""
        if not self.has_body:
            return 0
        digits = self.headers.get("content-length", "").lstrip("0")
        return None if "content-length" not in self.headers else int(digits) if len(digits) < 19 else sys.maxsize


class RequestParser:
    """Feed it bytes, ask it for requests; pipelined ones come out one by one."""

    def __init__(self, max_head: int = MAX_HEAD, max_fields: int = MAX_FIELDS) -> None:
        self._max_head, self._max_line, self._max_fields = max_head, min(MAX_LINE, max_head), max_fields
        self._buffer = bytearray()
        self._start: re.Match[bytes] | None = None
        self._fields: list[tuple[str, str]] = []
        self._size = 0

    @property
    def idle(self) -> bool:
        """Whether no part of a request has come yet."""
        return not self._buffer and self._start is None

    def feed(self, data: bytes) -> None:
        """Take bytes from the wire."""
        self._buffer += data

    def body(self, length: int) -> bytes | None:
        """The next `length` bytes, which follow a request's head; None when it takes more."""
        if len(self._buffer) < length:
            return None
        body = bytes(self._buffer[:length])
        del self._buffer[:length]
        return body

    def next_request(self) -> Request | None:
        """The next complete request, or None when it takes more bytes; `ProtocolError` when it never will be one."""
        while (line := self._line()) is not None:
            if self._start is None:
                self._begin(line)
            elif line:
                self._fields.append(_parse_field(line))
            else:
                return self._finish()
        return None

    def _line(self) -> bytes | None:
        newline = self._buffer.find(b"\n")
        length = len(self._buffer) if newline < 0 else newline + 1
        self._check_size(length)
        if newline < 0:
            return None
        line = bytes(self._buffer[:length])
        del self._buffer[:length]
        self._size += length
        if not line.endswith(b"\r\n"):
            raise ProtocolError(400, "a line must end with CRLF")
        return line[:-2]

    def _check_size(self, pending: int) -> None:
        if self._start is None and pending > self._max_line:
            raise ProtocolError(414, f"the request line is longer than {self._max_line} bytes")
        if self._size + pending > self._max_head:
            raise ProtocolError(431, f"the request head is longer than {self._max_head} bytes")
        if len(self._fields) >= self._max_fields and pending > len(b"\r\n"):
            raise ProtocolError(431, f"more than {self._max_fields} header fields")

    def _begin(self, line: bytes) -> None:
        if not line:  # RFC 9112 2.2: at least one empty line before a request is to be ignored
            return
        start = _REQUEST_LINE.fullmatch(line)
        if start is None:
            raise ProtocolError(400, "the request line is not `METHOD target HTTP/1.1`")
        if start[3] != b"1":
            raise ProtocolError(505, "only HTTP/1.0 and HTTP/1.1 are spoken here")
        self._start = start

    def _finish(self) -> Request:
        assert self._start is not None
        start, fields = self._start, self._fields
        self._start, self._fields, self._size = None, [], 0
        return _build(start[1].decode(), start[2].decode(), "1.0" if start[4] == b"0" else "1.1", fields)


def _parse_field(line: bytes) -> tuple[str, str]:
    name, colon, value = line.partition(b":")
    if not (colon and _FIELD_NAME.fullmatch(name) and _FIELD_VALUE.fullmatch(value)):
        raise ProtocolError(400, "a header field is not `Name: value`")
    return name.decode().lower(), value.strip(b" \t").decode("latin-1")


def _build(method: str, target: str, version: str, fields: list[tuple[str, str]]) -> Request:
    _check_host(version, [value for name, value in fields if name == "host"])
    headers: dict[str, str] = {}
    for name, value in fields:
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    path, query = _split_target(method, target)
    return Request(
        method=method,
        path=path,
        query=dict(parse_qsl(query, keep_blank_values=True)),
        version=version,
        headers=headers,
        has_body=_has_body(version, headers),
        keep_alive=_keep_alive(version, headers),
    )


def _check_host(version: str, hosts: list[str]) -> None:
    """RFC 9112 3.2: exactly one on HTTP/1.1, at most one ever, valid, and not empty (RFC 9110 4.2.1)."""
    if len(hosts) > 1 or (version == "1.1" and not any(hosts)):
        raise ProtocolError(400, "a Host field is needed, exactly one and not empty")
    if hosts and not _HOST.fullmatch(hosts[0]):
        raise ProtocolError(400, "the Host field is not a host")


def _split_target(method: str, target: str) -> tuple[str, str]:
    """Path and query of origin-form, absolute-form or (for OPTIONS) asterisk-form, RFC 9112 3.2."""
    if target == "*" and method == "OPTIONS":
        return "*", ""
    if target.lower().startswith(("http://", "https://")):
        try:
            absolute = urlsplit(target)
        except ValueError:
            raise ProtocolError(400, "the request target is no URL") from None
        if not absolute.netloc:  # RFC 9110 4.2.1
            raise ProtocolError(400, "the request target has no host")
        return unquote(absolute.path) or "/", absolute.query
    if not target.startswith("/"):
        raise ProtocolError(400, "the request target must begin with /")
    path, _, query = target.partition("?")
    return unquote(path.partition("#")[0]), query.partition("#")[0]


def _has_body(version: str, headers: Mapping[str, str]) -> bool:
    """Whether a body follows; RFC 9112 6.1 and 6.3 on what makes that ambiguous, and so an attack."""
    length, coding = headers.get("content-length"), headers.get("transfer-encoding")
    if coding is not None:
        if length is not None or version == "1.0":
            raise ProtocolError(400, "Transfer-Encoding with Content-Length or on HTTP/1.0")
        if coding.strip().lower() != "chunked":
            raise ProtocolError(501, "the only transfer coding known here is chunked")
        return True
    if length is None:
        return False
    if not (length.isascii() and length.isdigit()):
        raise ProtocolError(400, "Content-Length is not one number")
    return length.strip("0") != ""


def _keep_alive(version: str, headers: Mapping[str, str]) -> bool:
    """RFC 9112 9.3: the default of 1.1, to be asked for on 1.0."""
    options = {option.strip().lower() for option in headers.get("connection", "").split(",")}
    return "close" not in options and (version == "1.1" or "keep-alive" in options)


def render_head(status: int, headers: Iterable[tuple[str, str]]) -> bytes:
    """A response head with its empty line; `ValueError` for a value that would break out of its line."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *_checked(headers), "", ""]
    return "\r\n".join(lines).encode("latin-1")


def _checked(headers: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, value in headers:
        if _CRLF_IN_VALUE.search(value):
            raise ValueError(f"header {name} holds a line break")
        yield f"{name}: {value}"
