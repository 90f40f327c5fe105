"""Header fields as other people's servers send them, and the two values with parameters that a client reads.

A request to us is read strictly (`wire.http`); here we are the client of a camera that cannot be told to do better.
"""

import re
from collections.abc import Iterator, Mapping

WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
"""RFC 9110 5.6.2 calls it a token."""
QUOTED = r'"(?:[^"\\]|\\.)*"'

_PARAMETER = re.compile(rf";\s*({WORD})\s*=\s*({QUOTED}|[^;]*)")
_ESCAPED = re.compile(r"\\(.)")


class Fields(Mapping[str, str]):
    """Fields by lower-case name. A repeated one is joined with commas (RFC 9110 5.3); `all` has them one by one."""

    __slots__ = ("_last", "_values")

    def __init__(self) -> None:
        self._values: dict[str, list[str]] = {}
        self._last: list[str] = []

    def add(self, line: bytes) -> None:
        """Take one line without its end. A folded one goes on with the last (RFC 9112 5.2), one without colon is lost.

        What is no ASCII is taken for Latin-1.
        """
        if line[:1] in (b" ", b"\t"):
            if self._last:
                self._last[-1] = f"{self._last[-1]} {line.decode('latin-1').strip()}"
            return
        name, colon, value = line.decode("latin-1").partition(":")
        if colon:
            self._last = self._values.setdefault(name.strip().lower(), [])
            self._last.append(value.strip())

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of a field, in order; none without it."""
        return tuple(self._values.get(name, ()))

    def __getitem__(self, name: str) -> str:
        return ", ".join(self._values[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def unquote(text: str) -> str:
    """The text of a token or quoted string, RFC 9110 5.6.4; a quote without its other end is left off."""
    text = text.strip()
    if not text.startswith('"'):
        return text
    return _ESCAPED.sub(r"\1", text[1:].removesuffix('"'))


def media_type(value: str) -> tuple[str, Mapping[str, str]]:
    """`multipart/x-mixed-replace; boundary=x` as lower-case type and parameters by lower-case name (RFC 9110 8.3.1).

    An unquoted value ends at the semicolon, whatever is in it: cameras put `=`, `:` and `/` into their boundaries.
    """
    kind = value.partition(";")[0].strip().lower()
    return kind, {match[1].lower(): unquote(match[2]) for match in _PARAMETER.finditer(value)}
