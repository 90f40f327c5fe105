"""Addresses as they are compared and counted: one way of writing each, and one group for whom one customer is."""

import ipaddress

UNIX = "unix"
"""Stands for everybody who comes through a unix socket."""


def plain(text: str) -> str | None:
    """An address in its one way of writing: no zone, and ::ffff:192.0.2.7 is 192.0.2.7; None for anything else."""
    try:
        parsed = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return str(getattr(parsed, "ipv4_mapped", None) or parsed)


def group(address: str) -> str:
    """An IPv6 address's /64, which is what one customer has; any other address as it is."""
    return str(ipaddress.IPv6Network((address, 64), strict=False)) if ":" in address else address
