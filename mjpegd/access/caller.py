"""Who is at the other end, when proxies stand between: the address, the scheme and the path the client itself used.

X-Forwarded-* is believed only from a trusted proxy, and of X-Forwarded-For only the part that trusted proxies wrote:
read from the right, the first address that is not one of them.
"""

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

UNIX = "unix"
"""The address of everybody who comes through a unix socket."""
_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~-]+)+")
_PORT = re.compile(r"\[(?P<six>[^\]]+)\](?::\d+)?|(?P<four>[^:]+):\d+")


@dataclass(frozen=True, slots=True)
class Caller:
    """The client's address, and what it sees of us: TLS or not, the host it asked for, the path in front of ours."""

    address: str
    secure: bool
    host: str
    prefix: str


class Proxies:
    """The proxies that are believed."""

    def __init__(self, trusted: Iterable[str], base_path: str) -> None:
        self._networks = [ipaddress.ip_network(text, strict=False) for text in trusted if text != UNIX]
        self._unix = UNIX in trusted
        self._base_path = base_path

    def caller(self, peer: str, headers: Mapping[str, str], *, secure: bool) -> Caller:
        """Who `peer`, an address or `unix`, speaks for."""
        host = headers.get("host", "").lower()
        if not self._trusts(peer):
            return Caller(peer, secure, host, self._base_path)
        scheme = headers.get("x-forwarded-proto", "").partition(",")[0].strip().lower()
        prefix = headers.get("x-forwarded-prefix", "").rstrip("/")
        return Caller(
            self._client(headers.get("x-forwarded-for", ""), peer),
            secure or scheme == "https",
            headers.get("x-forwarded-host", host).partition(",")[0].strip().lower(),
            (prefix if _PREFIX.fullmatch(prefix) else "") + self._base_path,
        )

    def _client(self, forwarded: str, peer: str) -> str:
        client = peer
        for text in reversed(forwarded.split(",")):
            address = _address(text.strip())
            if address is None:
                break
            client = address
            if not self._trusts(client):
                break
        return client

    def _trusts(self, address: str) -> bool:
        if address == UNIX:
            return self._unix
        try:
            parsed = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        plain = getattr(parsed, "ipv4_mapped", None) or parsed
        return any(plain.version == network.version and plain in network for network in self._networks)


def _address(text: str) -> str | None:
    """An address as X-Forwarded-For has it: bare, with a port, in brackets; None for anything else."""
    match = _PORT.fullmatch(text)
    bare = (match["six"] or match["four"]) if match else text
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        return None
