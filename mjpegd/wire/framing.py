"""Where the body of a response ends: RFC 9112 section 6.

A framing is shown each piece of the body as it comes and moves what is payload to the piece's beginning, so that a
body lies in the buffer it was received into, in one run, whatever it was wrapped in.
"""

from typing import Protocol

from mjpegd.errors import SourceError

MAX_LINE = 4 * 1024
"""Longest line between chunks in bytes, chunk extensions and trailers included."""
_HEX = frozenset(b"0123456789abcdefABCDEF")
_LONGEST_SIZE = 15
"""Hexadecimal digits of a chunk's size: more than any disk holds."""


class Framing(Protocol):
    """`done` once the body is whole; `surplus` when something came behind it, which nobody asked for."""

    done: bool
    surplus: bool

    def decode(self, piece: memoryview) -> int:
        """Move the payload of the next `piece` to its beginning; how many bytes that is. `SourceError` for nonsense."""

    def close(self) -> None:
        """Nothing more will come."""


class UntilClose:
    """A body that ends with its connection."""

    def __init__(self) -> None:
        self.done = self.surplus = False

    def decode(self, piece: memoryview) -> int:
        """All of it."""
        return len(piece)

    def close(self) -> None:
        """That is the end."""
        self.done = True


class Sized:
    """A body of so many bytes (Content-Length)."""

    def __init__(self, length: int) -> None:
        self._left = length
        self.done, self.surplus = not length, False

    def decode(self, piece: memoryview) -> int:
        """What is left of it."""
        length = min(self._left, len(piece))
        self.surplus |= length < len(piece)
        self._left -= length
        self.done = not self._left
        return length

    def close(self) -> None:
        """Too early, unless it is done."""


class Chunked:
    """A body in chunks (RFC 9112 7.1), read leniently: a line may end in LF alone, trailers are thrown away."""

    def __init__(self) -> None:
        self.done = self.surplus = False
        self._left = 0
        self._line = b""
        self._trailing = False

    def decode(self, piece: memoryview) -> int:
        """Move the chunks' payload together, over the lines between them."""
        at = kept = 0
        while at < len(piece) and not self.done:
            if self._left:
                length = min(self._left, len(piece) - at)
                piece[kept : kept + length] = piece[at : at + length]
                self._left -= length
                kept += length
            else:
                length = self._take_line(bytes(piece[at : at + MAX_LINE]))
            at += length
        self.surplus |= at < len(piece)
        return kept

    def close(self) -> None:
        """Too early, unless it is done."""

    def _take_line(self, piece: bytes) -> int:
        """Go on with a line; how many bytes of `piece` belong to it."""
        length = piece.find(b"\n") + 1
        self._line += piece[: length or len(piece)]
        if len(self._line) > MAX_LINE:
            raise SourceError("sends chunks that cannot be read")
        if length:
            line, self._line = self._line.strip(), b""
            self._end_line(line)
        return length or len(piece)

    def _end_line(self, line: bytes) -> None:
        if self._trailing:
            self.done = not line
        elif line:  # an empty one ends the chunk before
            size = line.partition(b";")[0].strip()
            if not size or len(size) > _LONGEST_SIZE or not _HEX.issuperset(size):
                raise SourceError("sends chunks that cannot be read")
            self._left = int(size, 16)
            self._trailing = not self._left
