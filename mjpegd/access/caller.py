"""Who is at the other end, when proxies stand between: the address, the scheme and the path the client itself used.

X-Forwarded-* is believed only from a trusted proxy, and of X-Forwarded-For only the part that trusted proxies wrote:
read from the right, the first address that is not one of them.
"""

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mjpegd.access.address import UNIX, plain

_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~-]+)+")
_PORT = re.compile(r"\[(?P<six>[^\]]+)\](?::\d+)?|(?P<four>[^:]+):\d+")


@dataclass(frozen=True, slots=True)
class Caller:
    """The client's address, and what it sees of us: TLS or not, the hosts it asked for, the path in front of ours.

    `hosts` has the Host field and what a proxy says it was, each as far as there is one.
    """

    address: str
    secure: bool
    hosts: tuple[str, ...]
    prefix: str


class Proxies:
    """The proxies that are believed."""

    def __init__(self, trusted: Iterable[str], base_path: str) -> None:
        self._networks = [ipaddress.ip_network(text, strict=False) for text in trusted if text != UNIX]
        self._unix = UNIX in trusted
        self._base_path = base_path

    def caller(self, peer: str, headers: Mapping[str, str], *, secure: bool) -> Caller:
        """Who `peer`, an address or `unix`, speaks for."""
        hosts = [headers.get("host", "")]
        if not self._trusts(peer):
            return Caller(peer, secure, _named(hosts), self._base_path)
        hosts += headers.get("x-forwarded-host", "").split(",")
        scheme = headers.get("x-forwarded-proto", "").partition(",")[0].strip().lower()
        prefix = headers.get("x-forwarded-prefix", "").rstrip("/")
        return Caller(
            self._client(headers.get("x-forwarded-for", ""), peer),
            secure or scheme == "https",
            _named(hosts),
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
        parsed = ipaddress.ip_address(address)
        return any(parsed.version == network.version and parsed in network for network in self._networks)


def _named(hosts: Iterable[str]) -> tuple[str, ...]:
    return tuple(host.strip().lower() for host in hosts if host.strip())


def _address(text: str) -> str | None:
    """An address as X-Forwarded-For has it: bare, with a port, in brackets; None for anything else."""
    match = _PORT.fullmatch(text)
    return plain((match["six"] or match["four"]) if match else text)
