"""The bytes that a connection has brought and nobody has used yet, in one run of memory.

A socket receives straight into it, a parser hands out views of it, nothing in between copies. What was handed out is
never written over until `release`: where room runs out before that, new memory is taken and the old one lives on with
its views.
"""

from mjpegd.errors import SourceError
from mjpegd.wire.framing import Framing, UntilClose

SIZE = 256 * 1024
"""Bytes at first: some pictures of the usual 60 KB. Doubled while a picture fills more than half of it."""
ROOM = 64 * 1024
"""Least room offered to one `recv`, and the most that `release` moves."""


class Buffer:
    """`data[start:end]` is there to be parsed; a parser moves `start` on. `view` is the same memory, for slices."""

    def __init__(self) -> None:
        self.data = bytearray(SIZE)
        self.view = memoryview(self.data)
        self.start = self.end = 0
        self.framing: Framing = UntilClose()
        self._searched = 0

    def __len__(self) -> int:
        return self.end - self.start

    def tail(self) -> memoryview:
        """Room for what comes next, at least `ROOM` bytes."""
        if len(self.data) - self.end < ROOM:
            self._move()
        return self.view[self.end :]

    def commit(self, length: int) -> None:
        """So many bytes were written into `tail`; `SourceError` if they cannot belong to the body that is due."""
        self.end += self.framing.decode(self.view[self.end : self.end + length])

    def unwrap(self, framing: Framing) -> None:
        """From here on comes a body in this framing, what is already there included."""
        self.framing = framing
        self.end = self.start + framing.decode(self.view[self.start : self.end])

    def release(self) -> None:
        """Nobody looks any more at what was handed out: its memory may be used again."""
        held = len(self)
        if held <= ROOM:
            self.view[:held] = self.view[self.start : self.end]
            self.start, self.end = 0, held

    def clear(self) -> None:
        """Forget everything, for the next response on the same connection."""
        self.start = self.end = self._searched = 0
        self.framing = UntilClose()

    def line(self, limit: int) -> bytes | None:
        """Take the next line, without its CRLF or LF; None when it takes more bytes.

        `SourceError` for one of more than `limit` bytes, which no part of the line is searched twice to find out.
        """
        newline = self.data.find(b"\n", self.start + self._searched, self.end)
        self._searched = len(self) if newline < 0 else 0
        if (self.end if newline < 0 else newline) - self.start > limit:
            raise SourceError(f"sends a header line of more than {limit} bytes")
        if newline < 0:
            return None
        line = bytes(self.view[self.start : newline])
        self.start = newline + 1
        return line.removesuffix(b"\r")

    def _move(self) -> None:
        held = len(self)
        data = bytearray(len(self.data) * (2 if held > len(self.data) // 2 else 1))
        view = memoryview(data)
        view[:held] = self.view[self.start : self.end]
        self.data, self.view, self.start, self.end = data, view, 0, held
