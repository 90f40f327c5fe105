"""The head of an HTTP/1.x response, read as a client must who cannot choose the server: RFC 9112 sections 4 to 6.

Cameras end lines with LF alone, leave out the reason, answer HTTP/1.0 to HTTP/1.1 and repeat fields. What matters is
kept strict: that it is HTTP at all, how long anything may be, and where the body ends.
"""

import re
from dataclasses import dataclass

from mjpegd.errors import SourceError
from mjpegd.wire.buffer import Buffer
from mjpegd.wire.fields import Fields
from mjpegd.wire.framing import Chunked, Framing, Sized, UntilClose
from mjpegd.wire.http import MAX_FIELDS, MAX_HEAD, MAX_LINE

_STATUS_LINE = re.compile(rb"HTTP/1\.([0-9])[ \t]+([1-9][0-9][0-9])(?:[ \t].*)?", re.DOTALL)
_PROTOCOL = b"HTTP/1."
_BODILESS = frozenset({204, 304})
_LONGEST_LENGTH = 18
"""Digits of a Content-Length: below the largest integer of anybody's file system."""


@dataclass(frozen=True, slots=True)
class Head:
    """Status, minor version and fields of a response. What the server calls its status is not kept: it may be anything.

    RFC 9112 4 tells clients to ignore the reason phrase.
    """

    status: int
    minor: int
    fields: Fields

    @property
    def keep_alive(self) -> bool:
        """Whether the server leaves the connection open behind the body, RFC 9112 9.3."""
        options = {option.strip().lower() for option in self.fields.get("connection", "").split(",")}
        return "close" not in options and (self.minor > 0 or "keep-alive" in options)

    def framing(self) -> Framing:
        """Where the body of this response to a GET ends, RFC 9112 6.3; `SourceError` where that cannot be known."""
        if self.status in _BODILESS:
            return Sized(0)
        codings = [coding for value in self.fields.all("transfer-encoding") for coding in _members(value)]
        if codings:
            if codings != ["chunked"]:
                raise SourceError("sends a transfer coding that is not known here")
            return Chunked()
        lengths = {length for value in self.fields.all("content-length") for length in _members(value)}
        if len(lengths) > 1:
            raise SourceError("sends two lengths for one body")
        length = next(iter(lengths), "")
        usable = length.isascii() and length.isdigit() and len(length) <= _LONGEST_LENGTH
        return Sized(int(length)) if usable else UntilClose()


class ResponseParser:
    """Reads one response head from a buffer, over as many pieces as it comes in."""

    def __init__(self, buffer: Buffer) -> None:
        self._buffer = buffer
        self._begin()

    def next_head(self) -> Head | None:
        """The head of the final response, None when it takes more bytes; `SourceError` when it never will be one.

        The body behind it has not been unwrapped yet. Interim responses (1xx, RFC 9110 15.2) are passed over.
        """
        while (line := self._line()) is not None:
            if self._status is None:
                self._start(line)
            elif line:
                self._fields.add(line)
            elif self._status < 200:
                self._begin()
            else:
                return Head(self._status, self._minor, self._fields)
        return None

    def _begin(self) -> None:
        self._status: int | None = None
        self._minor = self._size = self._lines = 0
        self._fields = Fields()

    def _line(self) -> bytes | None:
        if self._status is None:
            self._check_protocol()
        before = self._buffer.start
        line = self._buffer.line(MAX_LINE)
        self._size += self._buffer.start - before
        self._lines += line is not None
        if self._size > MAX_HEAD or self._lines > MAX_FIELDS + 2:
            raise SourceError("sends a header that is too long")
        return line

    def _check_protocol(self) -> None:
        """Tell a server that speaks something else by its first bytes: a line end may never come."""
        begin = bytes(self._buffer.view[self._buffer.start : self._buffer.end][: len(_PROTOCOL)]).lstrip(b"\r\n")
        if not _PROTOCOL.startswith(begin):
            raise SourceError("does not speak HTTP")

    def _start(self, line: bytes) -> None:
        if not line:  # a line end too many behind the last body
            return
        status = _STATUS_LINE.fullmatch(line)
        if status is None:
            raise SourceError("does not speak HTTP")
        self._minor, self._status = int(status[1]), int(status[2])


def _members(value: str) -> list[str]:
    return [member.strip().lower() for member in value.split(",") if member.strip()]
