"""The relays a picture came through, as a `Via` field names them (RFC 9110 7.6.3): `1.1 3fa94c01d2ee (mjpegd)`.

Each camera of each daemon is one relay, by a pseudonym that is new at each start: so a camera that is asked for its own
pictures finds itself in the chain, and two cameras of one daemon may well stand behind each other.
"""

import re
from collections.abc import Iterable

PRODUCT = "mjpegd"
"""What a daemon of our kind calls itself: here in the comment, and in its User-Agent (RFC 9110 10.1.5)."""
MOST = 64
"""Relays of which a field may speak; what follows is not looked at."""

_MEMBER = re.compile(rf"1\.[01] ([0-9a-f]{{12}}) \({PRODUCT}\)")


def render(relays: Iterable[str]) -> str:
    """The value of the field, the nearest relay last."""
    return ", ".join(f"1.1 {relay} ({PRODUCT})" for relay in relays)


def parse(value: str) -> tuple[str, ...]:
    """Our relays in the value of a field, in order; proxies of other kinds are left out."""
    members = (_MEMBER.fullmatch(member.strip()) for member in value.split(",")[:MOST])
    return tuple(match[1] for match in members if match)
