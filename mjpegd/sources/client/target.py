"""What a request is made to: RFC 3986 as far as `http` and `https` need it."""

import re
from dataclasses import dataclass, replace
from urllib.parse import quote, unquote, urljoin, urlsplit

from mjpegd.errors import SourceError

PORTS = {"http": 80, "https": 443}
"""The schemes that are spoken, and where."""

_HOST = re.compile(r"[0-9a-z._~-]+|[0-9a-f:.]+(%[0-9A-Za-z._~-]+)?")
"""A name, or an address with its zone (RFC 6874)."""
_LITERAL = re.compile(r"[0-9.]+|.*:.*")
_KEPT = "!#$%&'()*+,/:;=?@[]~"
"""Characters that stay as they are in a target; `%` among them, since what is encoded already is not to be again."""


@dataclass(frozen=True, slots=True)
class Target:
    """Scheme, host, port, and the path with its query. `host` is lower case, an IPv6 address without brackets."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def origin(self) -> tuple[str, str, int]:
        """Whom credentials are for: RFC 6454."""
        return self.scheme, self.host, self.port

    @property
    def authority(self) -> str:
        """The Host field: RFC 9110 7.2. The zone of an address (`%eth0`) means nothing to others."""
        host = f"[{self.host.partition('%')[0]}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """All of it again, without user and password."""
        return f"{self.scheme}://{self.authority}{self.path}"

    @property
    def is_literal(self) -> bool:
        """Whether the host is an address itself, not the name of some."""
        return _LITERAL.fullmatch(self.host) is not None

    def follow(self, location: str) -> "Target":
        """Where a redirect leads (RFC 9110 10.2.2); a user in it is ignored, `SourceError` for another scheme."""
        try:
            target = parse(urljoin(self.url, location))[0]
        except (SourceError, ValueError):  # urljoin's
            raise SourceError("redirects to what is no HTTP address") from None
        same = target.host == self.host.partition("%")[0] and ":" in self.host
        return replace(target, host=self.host) if same else target


@dataclass(frozen=True, slots=True)
class Login:
    """User and password, percent-decoded."""

    user: str
    password: str


def parse(url: str) -> tuple[Target, Login | None]:
    """An address and who is to log in there; `SourceError` for what is none."""
    try:
        parts = urlsplit(url)
        scheme, host, port = parts.scheme, unquote(parts.hostname or ""), parts.port
        host = host if host.isascii() else host.encode("idna").decode()
    except ValueError:
        raise SourceError("is no HTTP address") from None
    if scheme not in PORTS or not _HOST.fullmatch(host):
        raise SourceError("is no HTTP address")
    path = quote((parts.path or "/") + (f"?{parts.query}" if parts.query else ""), safe=_KEPT)
    userinfo, at, _ = parts.netloc.rpartition("@")
    user, _, password = userinfo.partition(":")
    login = Login(unquote(user), unquote(password)) if at else None
    return Target(scheme, host, PORTS[scheme] if port is None else port, path), login
