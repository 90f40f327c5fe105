"""What must never be shown: passwords and keys inside URLs, and how they are hidden.

Used wherever a source or a request is logged, shown in `/stats`, drawn on a card or printed.
"""

import re

MASK = "***"

_USERINFO = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://)(?P<user>[^/?#@\s:]*)(?::[^/?#\s]*)?@", re.IGNORECASE)
_PARAMETER = re.compile(
    r"(?P<name>[?&;](?:[a-z_-]*(?:key|token|pass|passwd|password|pwd|secret|sig|signature|auth)|pw|p|k))=[^&;#\s]*",
    re.IGNORECASE,
)


def mask(text: str) -> str:
    """`text` with the password of every URL and the value of every secret-looking parameter masked."""
    text = _USERINFO.sub(rf"\g<scheme>\g<user>:{MASK}@", text)
    return _PARAMETER.sub(rf"\g<name>={MASK}", text)
