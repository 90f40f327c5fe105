"""One way of writing each address, and what counts as one customer."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mjpegd.access.address import group, plain


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("::FFFF:c000:207", "192.0.2.7"),
        ("2001:DB8:0::7", "2001:db8::7"),
        ("fe80::1%eth0", "fe80::1"),
        ("::1", "::1"),
        ("", None),
        ("unix", None),
        ("1.2.3", None),
        ("192.0.2.7:80", None),
        ("[::1]", None),
        ("192.0.2.07", None),
        (" ::1", None),
    ],
)
def test_plain(text: str, expected: str | None) -> None:
    """An address has one way of writing, an IPv4 address within an IPv6 one is itself, and anything else is none."""
    assert plain(text) == expected


@given(st.ip_addresses())
def test_plain_of_every_address(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    """Every address has a plain form, whose plain form it is itself."""
    found = plain(str(address))

    assert found is not None
    assert plain(found) == found
    assert group(found) == group(plain(address.exploded) or "")


@given(st.text())
def test_plain_of_anything(text: str) -> None:
    """Whatever stands where an address should is one, or None, and no error."""
    found = plain(text)

    assert found is None or str(ipaddress.ip_address(found)) == found


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("unix", "unix"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::6", "2001:db8:1:3::/64"),
        ("::1", "::/64"),
    ],
)
def test_group(address: str, expected: str) -> None:
    """An IPv6 address counts as its /64, any other as itself."""
    assert group(address) == expected
