"""What must never be shown: passwords and keys inside URLs, and how they are hidden.

Used wherever a source or a request is logged, shown in `/stats`, drawn on a card or printed.
"""

import re

MASK = "***"

_USERINFO = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*://)(?P<user>[^/?#@\s:]*)"
    r"(?::(?!\d*(?:[/?#]|$))(?:(?![a-z][a-z0-9+.-]*://)\S)*|:[^/?#\s]*)?@",
    re.IGNORECASE,
)
"""User and password of a URL. A raw `/`, `?` or `#` in the password is against RFC 3986 and yet typed by people, so it
ends at the last `@`, unless a port's number stands where the password would."""
_IN_PATH = re.compile(r"(?P<name>[/_](?:password|passwd|pwd))=[^_/&?#\s]*", re.IGNORECASE)
"""XMEye cameras' `/user=admin_password=secret_channel=1`."""
_PARAMETER = re.compile(
    r"(?P<name>[?&;](?:[a-z_-]*(?:key|token|pass|passwd|password|pwd|secret|sig|signature|auth)|pw|p|k))=[^&;#\s]*",
    re.IGNORECASE,
)


_SHARED = re.compile(r"(?P<name>/s)/[\w-]{20,}\.[\w-]{16,}")
"""The token of a share link."""


def mask(text: str) -> str:
    """`text` with the password of every URL and the value of every secret-looking parameter masked."""
    text = _USERINFO.sub(rf"\g<scheme>\g<user>:{MASK}@", text)
    text = _IN_PATH.sub(rf"\g<name>={MASK}", text)
    text = _SHARED.sub(rf"\g<name>/{MASK}", text)
    return _PARAMETER.sub(rf"\g<name>={MASK}", text)
