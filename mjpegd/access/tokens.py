"""Signed words: what we gave out comes back unchanged, or it is not ours."""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Sequence
from typing import Any

SIGNATURE = 16
"""Bytes of HMAC-SHA-256 that are kept: 128 bits, as JWT's shortest and twice what guessing online could reach."""
LONGEST = 512
"""Characters of a token; ours have about 100."""


class Signer:
    """Seals and opens tokens with one secret. `kind` keeps those for one purpose from being used for another."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def seal(self, kind: str, content: Sequence[object]) -> str:
        """A token that says `content`, safe in URLs and cookies. It can be read by anybody, but not changed."""
        body = json.dumps(content, separators=(",", ":")).encode()
        return f"{_text(body)}.{_text(self._signature(kind, body))}"

    def open(self, kind: str, token: str) -> list[Any] | None:
        """What a token says; None unless it was sealed here for that purpose."""
        body, _, signature = token.partition(".")
        if len(token) > LONGEST or not token.isascii():
            return None
        try:
            content, proof = _bytes(body), _bytes(signature)
        except (ValueError, binascii.Error):
            return None
        if not hmac.compare_digest(proof, self._signature(kind, content)):
            return None
        said = json.loads(content)
        return said if isinstance(said, list) else None

    def mark(self, data: bytes) -> str:
        """A short word for `data` that says nothing about it, and can be made only here."""
        return self._signature("mark", data).hex()[:16]

    def _signature(self, kind: str, body: bytes) -> bytes:
        return hmac.digest(self._secret, kind.encode() + b"\0" + body, hashlib.sha256)[:SIGNATURE]


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
