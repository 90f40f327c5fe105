"""What a client answers to 401: Basic (RFC 7617), Digest (RFC 7616), and Bearer (RFC 6750) without being asked.

    WWW-Authenticate: Digest realm="cam", nonce="..", qop="auth", algorithm=SHA-256, Digest .., Basic realm="cam"

Challenges come several in one field or in many; they are told apart by a word that no `=` follows.
"""

import hashlib
import re
import secrets
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Protocol

from mjpegd.wire.fields import QUOTED, WORD, unquote

ALGORITHMS: Mapping[str, str] = {"SHA-256": "sha256", "SHA-256-SESS": "sha256", "MD5": "md5", "MD5-SESS": "md5"}
"""Hash functions of Digest by the upper-case name of their algorithm, best first. RFC 7616 6.1."""

_SESSION = "-SESS"
_ITEM = re.compile(
    rf"[\s,]*(?:(?P<name>{WORD})[ \t]*=[ \t]*(?P<value>{QUOTED}|[^\s,\"]+)"
    rf"|(?P<scheme>{WORD})(?:[ \t]+[\w.~+/-]+=*(?=[ \t]*(?:,|$)))?)"
)
"""A parameter, or a scheme with its token68."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way to log in that the server offers: lower-case `scheme`, parameters by lower-case name."""

    scheme: str
    parameters: Mapping[str, str]

    @property
    def stale(self) -> bool:
        """Whether only the nonce was too old, and the password may be right. RFC 7616 3.3."""
        return self.parameters.get("stale", "").lower() == "true"


def challenges(values: Iterable[str]) -> list[Challenge]:
    """Every challenge in all WWW-Authenticate fields of a response, in order; what is none is passed over."""
    return [challenge for value in values for challenge in _split(value)]


def _split(value: str) -> Iterator[Challenge]:
    scheme, parameters = "", dict[str, str]()
    for item in _items(value):
        if item["scheme"] is None:
            parameters[item["name"].lower()] = unquote(item["value"])
            continue
        if scheme:
            yield Challenge(scheme, parameters)
        scheme, parameters = item["scheme"].lower(), {}
    if scheme:
        yield Challenge(scheme, parameters)


def _items(value: str) -> Iterator[re.Match[str]]:
    at = 0
    while (item := _ITEM.match(value, at)) is not None:
        yield item
        at = item.end()


class Authorization(Protocol):
    """A way to log in, chosen; one field for each request."""

    def field(self, method: str, target: str) -> str:
        """The value of Authorization for a request of this method and target (RFC 9112 3.2), to be sent as Latin-1."""


class Bearer:
    """A token, as it is."""

    def __init__(self, token: str) -> None:
        self._token = token

    def field(self, method: str, target: str) -> str:
        """The same for every request."""
        return f"Bearer {_wire(self._token)}"


class Basic:
    """User and password, as good as in the clear."""

    def __init__(self, challenge: Challenge, user: str, password: str) -> None:
        self._field = f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"

    def field(self, method: str, target: str) -> str:
        """The same for every request."""
        return self._field


class Digest:
    """A proof that we know the password, for one nonce; counted, so that none is used twice.

    What the server gave goes back byte for byte, whatever it is: as Latin-1 here, as it was read.
    """

    def __init__(self, challenge: Challenge, user: str, password: str, cnonce: str = "") -> None:
        given = challenge.parameters
        self._algorithm = given.get("algorithm", "MD5").upper()
        self._given, self._user, self._password = given, _wire(user), _wire(password)
        self._cnonce = cnonce or secrets.token_hex(16)
        self._count = 0

    def field(self, method: str, target: str) -> str:
        """The proof for one more request, RFC 7616 3.4; without `qop` that of RFC 2069."""
        given, nonce = self._given, self._given["nonce"]
        self._count += 1
        count, secret, request = f"{self._count:08x}", self._secret(), self._hash(f"{method}:{target}")
        quoted = {"username": self._user, "realm": given.get("realm", ""), "nonce": nonce, "uri": target}
        plain = {"algorithm": given["algorithm"]} if "algorithm" in given else {}
        if "opaque" in given:
            quoted["opaque"] = given["opaque"]
        if "qop" in given:
            plain |= {"qop": "auth", "nc": count}
            quoted["cnonce"] = self._cnonce
            quoted["response"] = self._hash(f"{secret}:{nonce}:{count}:{self._cnonce}:auth:{request}")
        else:
            quoted["response"] = self._hash(f"{secret}:{nonce}:{request}")
            if self._algorithm.endswith(_SESSION):  # the server needs it for the secret
                quoted["cnonce"] = self._cnonce
        items = [f"{name}={_quote(value)}" for name, value in quoted.items()]
        return "Digest " + ", ".join([*items, *(f"{name}={value}" for name, value in plain.items())])

    def _secret(self) -> str:
        """A1 of RFC 7616 3.4.2, hashed."""
        secret = self._hash(f"{self._user}:{self._given.get('realm', '')}:{self._password}")
        if self._algorithm.endswith(_SESSION):
            return self._hash(f"{secret}:{self._given['nonce']}:{self._cnonce}")
        return secret

    def _hash(self, text: str) -> str:
        return hashlib.new(ALGORITHMS[self._algorithm], text.encode("latin-1"), usedforsecurity=False).hexdigest()


def _wire(text: str) -> str:
    """Its UTF-8 (RFC 7616 4), each byte as the character that a field has for it."""
    return text.encode().decode("latin-1")


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


SCHEMES: Mapping[str, type[Digest] | type[Basic]] = {"digest": Digest, "basic": Basic}
"""What can be answered with a password."""


def choose(offered: Iterable[Challenge], user: str, password: str) -> Digest | Basic | None:
    """An answer to the best of these challenges; None if none can be answered."""
    ranked = [(rank, challenge) for challenge in offered if (rank := _rank(challenge)) is not None]
    if not ranked:
        return None
    best = min(ranked, key=itemgetter(0))[1]
    return SCHEMES[best.scheme](best, user, password)


def _rank(challenge: Challenge) -> int | None:
    """Its place among what can be answered: Digest by its algorithm, then Basic, which tells everybody on the way."""
    if challenge.scheme != "digest":
        return len(ALGORITHMS) if challenge.scheme == "basic" else None
    given = challenge.parameters
    algorithm = given.get("algorithm", "MD5").upper()
    qualities = [quality.strip().lower() for quality in given.get("qop", "auth").split(",")]
    if algorithm not in ALGORITHMS or "auth" not in qualities or "nonce" not in given:
        return None
    return list(ALGORITHMS).index(algorithm)
