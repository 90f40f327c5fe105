"""The keys of the configuration, found by their secret in a time that says nothing about it."""

import hmac
import math
import secrets
from collections.abc import Mapping
from time import time

from mjpegd.access.principal import Principal
from mjpegd.config.check import moment
from mjpegd.config.hashing import digest, proof
from mjpegd.config.schema import KeyConfig


def new_secret() -> str:
    """A key nobody guesses: 256 bits."""
    return secrets.token_urlsafe(32)


class Keyring:
    """Every key, by the digest of its secret."""

    def __init__(self, keys: Mapping[str, KeyConfig]) -> None:
        self._principals = {name: _principal(name, key) for name, key in keys.items()}

    def __len__(self) -> int:
        return len(self._principals)

    def find(self, secret: str) -> Principal | None:
        """Whose key that is; None for nobody's and for one that has expired. Looks at every key, whichever it is."""
        presented, found = digest(secret), None
        for principal in self._principals.values():
            if hmac.compare_digest(principal.proof, presented):
                found = principal
        return found if found is not None and found.expires > time() else None

    def named(self, name: str) -> Principal | None:
        """The key of that name, while it lasts."""
        principal = self._principals.get(name)
        return principal if principal is not None and principal.expires > time() else None


def _principal(name: str, key: KeyConfig) -> Principal:
    expires = moment(key.expires).timestamp() if key.expires else math.inf
    return Principal(name, frozenset(key.scopes), frozenset(key.cameras), expires, proof(key.secret))
