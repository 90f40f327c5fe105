"""How a secret may stand in a file that others read: as its hash."""

import hashlib
import re

PREFIX = "sha256:"
_HASH = re.compile(PREFIX + r"[0-9a-f]{64}")


def digest(secret: str) -> bytes:
    """What is kept of a secret. Keys are random and long, so that one round of SHA-256 is enough.

    One from the environment may be no text, which is for the check to say, and no error here.
    """
    return hashlib.sha256(secret.encode(errors="surrogatepass")).digest()


def hashed(secret: str) -> str:
    """A secret as it may stand in a file that others read."""
    return PREFIX + digest(secret).hex()


def is_hashed(text: str) -> bool:
    """Whether that is a secret's hash and not the secret."""
    return _HASH.fullmatch(text) is not None


def proof(text: str) -> bytes:
    """The digest of a secret that stands there in clear or hashed."""
    return bytes.fromhex(text.removeprefix(PREFIX)) if is_hashed(text) else digest(text)
