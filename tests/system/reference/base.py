"""What the reference parsers share: bytes in any pieces in, pictures out.

Each one follows one client's rules, as docs/wire-format.md tells them from its source; none shares code with mjpegd.
Where a client is forgiving in ways that our stream never needs, its parser is not.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

SOI, EOI = b"\xff\xd8", b"\xff\xd9"


class GaveUp(Exception):
    """The client would end the stream here."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture the client would show now, and the part's headers where it reads them (lower-case names)."""

    jpeg: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Parser(ABC):
    """Takes what one read of the client's socket gave it, returns what that lets it show."""

    from_head: ClassVar[bool] = False
    """Whether it looks at the response head with the same eyes as at the rest, instead of leaving it to a library."""

    def __init__(self, boundary: str) -> None:
        self.boundary = b"--" + boundary.encode()

    @abstractmethod
    def feed(self, data: bytes) -> list[Picture]:
        """The pictures that become visible with these bytes; `GaveUp` if the client ends here."""


Steps = Generator[Picture | None, None, None]
Bytes = Generator[None, None, bytes]
Headers = Generator[None, None, dict[str, str]]


class Reader(Parser):
    """A client that reads what it wants and waits until it has come: `run` yields pictures, and None to wait."""

    def __init__(self, boundary: str) -> None:
        super().__init__(boundary)
        self.pending = bytearray()
        self._steps = self.run()

    def feed(self, data: bytes) -> list[Picture]:
        self.pending += data
        pictures = []
        while (picture := next(self._steps, None)) is not None:
            pictures.append(picture)
        return pictures

    @abstractmethod
    def run(self) -> Steps:
        """The client's loop."""

    def take(self, length: int) -> bytes:
        """The next bytes, which must have come."""
        taken = bytes(self.pending[:length])
        del self.pending[:length]
        return taken

    def exactly(self, length: int) -> Bytes:
        """The next `length` bytes."""
        while len(self.pending) < length:
            yield None
        return self.take(length)

    def find(self, mark: bytes, start: int = 0) -> Generator[None, None, int]:
        """Where `mark` is, from `start` on."""
        while (position := self.pending.find(mark, start)) < 0:
            start = max(start, len(self.pending) - len(mark) + 1)
            yield None
        return position

    def until(self, mark: bytes) -> Bytes:
        """All up to and with `mark`."""
        return self.take((yield from self.find(mark)) + len(mark))


def fields(block: bytes) -> dict[str, str]:
    """`Name: value` lines as a mapping; `GaveUp` for a line without a colon."""
    found = {}
    for line in re.split(rb"\r?\n", block.strip(b"\r\n")):
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon:
            raise GaveUp(f"a header line without a colon: {line!r}")
        found[name.strip().lower()] = value.strip()
    return found
