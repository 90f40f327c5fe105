"""multipart/x-mixed-replace as the field sends it, cut into its parts.

Two ways to find the end of a part. Its Content-Length, believed if the picture ends there by its own EOI or if a line
end or a delimiter follows: the picture is then whole the moment its last byte is there. Else the next delimiter, which
many a camera sends only with its next picture. One wrong length, and no other of that stream is believed.

The delimiter is what the first line of the stream says, since parameters lie: `boundary=--x` comes as `--x` or
`----x`, `boundary=x` without any dashes, or the two have nothing in common (FFmpeg and GStreamer go by the line too).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from mjpegd.errors import SourceError
from mjpegd.wire.buffer import Buffer
from mjpegd.wire.fields import Fields
from mjpegd.wire.http import MAX_HEAD, MAX_LINE

MAX_PART = 64 * 1024 * 1024
"""Largest body of a part in bytes."""
MAX_BOUNDARY = 256
"""Longest boundary in bytes (RFC 2046 5.1.1: 70), and the most dashes in front of one."""
_MAX_OPENING = 1024
"""Bytes in which the first line of a stream is looked for."""
_DASHES = b"--"
_EOI = b"\xff\xd9"
"""The last marker of a JPEG, T.81 B.1.1.3."""
_LF, _CR = b"\n\r"
_RUN = re.compile(rb"-+")
_HEADER = b"content-"


@dataclass(frozen=True, slots=True)
class Part:
    """One part as it was sent. `body` lies in the buffer, and stays as it is until the buffer is released."""

    fields: Fields
    body: memoryview


class PartParser:
    """Reads parts from a buffer. `ended` once the closing delimiter has come.

    Between two calls it stands at one of its stages, each a method that says whether it got on.
    """

    def __init__(self, buffer: Buffer, boundary: str) -> None:
        self.ended = False
        self._buffer = buffer
        self._name = boundary.encode("latin-1", "replace").lstrip(b"-")[:MAX_BOUNDARY]
        self._delimiter = _DASHES + self._name
        self._stage: Callable[[], bool] = self._open
        self._part: Part | None = None
        self._fields = Fields()
        self._head_size = self._searched = 0
        self._length: int | None = None
        self._believed = self._at_line = True

    def next_part(self) -> Part | None:
        """The next whole part, None when it takes more bytes; `SourceError` when a part is larger than any should be.

        Text, empty and header-only parts are parts too.
        """
        while self._part is None and self._stage():
            pass
        part, self._part = self._part, None
        return part

    def _open(self) -> bool:
        """The first line: it shows how delimiters look, or is a header whose delimiter was left out."""
        buffer = self._buffer
        newline = buffer.data.find(_LF, buffer.start, min(buffer.end, buffer.start + _MAX_OPENING))
        if newline < 0 and len(buffer) < _MAX_OPENING:
            return False
        line = bytes(buffer.view[buffer.start : max(newline, buffer.start)]).strip()
        if not line and newline >= 0:
            buffer.start = newline + 1
            return True
        if line[: len(_HEADER)].lower() == _HEADER:
            self._begin_head()
        else:
            self._learn(line)
            self._stage = self._seek
        return True

    def _learn(self, line: bytes) -> None:
        dashed, name = line.startswith(_DASHES), line.lstrip(b"-")
        if self._name and name.startswith(self._name):
            self._delimiter = _DASHES + self._name if dashed else self._name
        elif dashed and name:
            self._delimiter = _DASHES + name[:MAX_BOUNDARY]

    def _seek(self) -> bool:
        """Go on behind the next delimiter line; what is before it is no part."""
        buffer, at = self._buffer, self._find()
        if at < 0:
            self._drop()
            return False
        after = at + len(self._delimiter)
        if buffer.data.startswith(_DASHES, after, buffer.end):
            self.ended = True
            self._stage = self._rest
            return True
        newline = buffer.data.find(_LF, after, min(buffer.end, after + MAX_LINE))
        if newline < 0:
            self._searched = at - buffer.start
            if buffer.end - after >= MAX_LINE:
                self._searched += 1
                return True
            return False
        buffer.start = newline + 1
        self._begin_head()
        return True

    def _drop(self) -> None:
        """Keep no more of what is no part than the beginning of a delimiter and what must stand before it."""
        buffer = self._buffer
        surplus = len(buffer) - (len(self._delimiter) + MAX_BOUNDARY + len(_EOI))
        if surplus > 0:
            buffer.start += surplus
            self._searched -= surplus
            self._at_line = False

    def _begin_head(self) -> None:
        self._fields, self._head_size = Fields(), 0
        self._stage = self._read_head

    def _read_head(self) -> bool:
        buffer = self._buffer
        before = buffer.start
        line = buffer.line(MAX_LINE)
        if line is None:
            return False
        self._head_size += buffer.start - before
        if self._head_size > MAX_HEAD:
            raise SourceError(f"sends a part with a header of more than {MAX_HEAD} bytes")
        if not line:
            self._begin_body()
        elif line.lstrip(b"-").startswith(self._delimiter.lstrip(b"-")) and line.startswith(self._delimiter[:1]):
            buffer.start = before  # a part that is all header; without one, a delimiter sent twice (Foscam)
            self._finish(before, before if len(self._fields) else None)
        else:
            self._fields.add(line)
        return True

    def _begin_body(self) -> None:
        digits = self._fields.get("content-length", "")
        usable = self._believed and digits.isascii() and digits.isdigit() and len(digits) < len(str(MAX_PART)) + 2
        self._length = int(digits) if usable and int(digits) <= MAX_PART else None
        self._searched, self._at_line = 0, True
        self._stage = self._read_body

    def _read_body(self) -> bool:
        return self._read_scanned() if self._length is None else self._read_sized(self._length)

    def _read_sized(self, length: int) -> bool:
        buffer = self._buffer
        end = buffer.start + length
        if end > buffer.end:
            return False
        content = self._before_line_end(end)  # some count the line end behind the picture too
        if buffer.data[max(buffer.start, content - len(_EOI)) : content] == _EOI:
            self._finish(end, content)
            return True
        follows = bytes(buffer.view[end : min(end + len(_DASHES), buffer.end)])
        if follows in (b"", b"\r", b"-"):
            return False
        if follows == _DASHES:
            self._finish(end, content)
        elif follows == b"\r\n" or follows[0] == _LF:
            self._finish(end, end)
        else:
            self._believed, self._length = False, None
        return True

    def _read_scanned(self) -> bool:
        buffer, at = self._buffer, self._find()
        if (at if at >= 0 else buffer.end) - buffer.start > MAX_PART + MAX_BOUNDARY:
            raise SourceError(f"sends a part of more than {MAX_PART} bytes")
        if at < 0:
            return False
        at = self._before_dashes(at)
        self._finish(at, self._before_line_end(at))
        return True

    def _finish(self, after: int, end: int | None) -> None:
        """The part's body ends at `end`, if it is one; look for a delimiter from `after` on."""
        buffer = self._buffer
        if end is not None:
            self._part = Part(self._fields, buffer.view[buffer.start : end])
        buffer.start = after
        self._searched, self._at_line = 0, True
        self._stage = self._seek

    def _rest(self) -> bool:
        """Behind the closing delimiter nothing means anything."""
        self._buffer.start = self._buffer.end
        return False

    def _find(self) -> int:
        """Where the next delimiter begins, its first dashes perhaps left out; -1 if it is not there yet.

        No byte is searched twice, however small the pieces.
        """
        buffer, delimiter = self._buffer, self._delimiter
        at = buffer.start + max(0, self._searched)
        while (at := buffer.data.find(delimiter, at, buffer.end)) >= 0:
            if self._is_delimiter(at):
                return at
            at = self._behind_dashes(at + 1)
        self._searched = len(buffer) - len(delimiter) + 1
        return -1

    def _is_delimiter(self, at: int) -> bool:
        """Whether it begins a line; or follows a picture whose sender forgot the line end."""
        buffer, begin = self._buffer, self._before_dashes(at)
        if begin == buffer.start:
            return self._at_line
        return buffer.data[begin - 1] == _LF or buffer.data[max(buffer.start, begin - 2) : begin] == _EOI

    def _before_dashes(self, at: int) -> int:
        buffer = self._buffer
        least = max(buffer.start, at - MAX_BOUNDARY)
        return least + len(bytes(buffer.view[least:at]).rstrip(b"-"))

    def _behind_dashes(self, at: int) -> int:
        """Past the rest of a run that is no delimiter: for a delimiter of dashes alone each of them begins another."""
        run = _RUN.match(self._buffer.data, at, self._buffer.end) if self._delimiter == _DASHES else None
        return run.end() if run is not None else at

    def _before_line_end(self, at: int) -> int:
        buffer = self._buffer
        if at > buffer.start and buffer.data[at - 1] == _LF:
            at -= 1
            if at > buffer.start and buffer.data[at - 1] == _CR:
                at -= 1
        return at
