"""Hosts as a configuration names them and as others reach them: every address, IPv6, a unix socket's path."""

UNIX = "unix:"
"""Begins what is no host: the path of a unix socket follows."""
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""Every address there is, and the one of loopback at which this box finds what listens on it."""


def reachable(host: str) -> str:
    """The host at which this box finds what listens on that one."""
    return EVERYWHERE.get(host, host)


def bracketed(host: str) -> str:
    """A host as a port can follow it: IPv6 gets its brackets (RFC 3986 3.2.2)."""
    return f"[{host}]" if ":" in host else host
