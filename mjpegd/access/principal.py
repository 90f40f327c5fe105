"""Whoever makes a request, and what it may."""

import math
from collections.abc import Collection
from dataclasses import dataclass

from mjpegd.access.shares import Share

EVERYTHING = "admin"


@dataclass(frozen=True, slots=True)
class Principal:
    """A key's holder, a share link's, or anybody. Empty `cameras` means every one, `expires` is Unix seconds.

    `proof` is the digest of the key it came with: a key that was changed since is another one.
    """

    name: str
    scopes: Collection[str]
    cameras: Collection[str] = ()
    expires: float = math.inf
    proof: bytes = b""
    share: Share | None = None

    def may(self, scope: str) -> bool:
        """Whether it has a scope; admin has all."""
        return scope in self.scopes or EVERYTHING in self.scopes

    def sees(self, camera: str) -> bool:
        """Whether it is let near a camera."""
        return not self.cameras or camera in self.cameras


def anybody(scopes: Collection[str]) -> Principal:
    """Who comes without a key."""
    return Principal("anonymous", scopes)
