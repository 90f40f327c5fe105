"""Hosts, as they are listened on and as they are reached."""

import ipaddress
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mjpegd.hosts import EVERYWHERE, UNIX, bracketed, reachable


@pytest.mark.parametrize("host", EVERYWHERE)
def test_every_address_is_reached_at_loopback(host: str) -> None:
    """What listens on every address is found at the loopback of the same family."""
    there, found = ipaddress.ip_address(host), ipaddress.ip_address(reachable(host))

    assert there.is_unspecified
    assert found.is_loopback
    assert there.version == found.version


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "192.0.2.7", "2001:db8::1", "camera.local", f"{UNIX}/run/http"])
def test_any_other_is_reached_where_it_is(host: str) -> None:
    """What listens on one address, by whatever name, is found there."""
    assert reachable(host) == host


@pytest.mark.parametrize(
    ("host", "written"), [("camera.local", "camera.local"), ("192.0.2.7", "192.0.2.7"), ("::1", "[::1]"), ("", "")]
)
def test_brackets(host: str, written: str) -> None:
    """IPv6 stands in brackets, and nothing else does."""
    assert bracketed(host) == written


@given(st.ip_addresses().map(str), st.integers(1, 65535))
def test_a_url_gives_the_host_back(host: str, port: int) -> None:
    """A URL with any address and a port is read as that address and that port."""
    url = urlsplit(f"http://{bracketed(host)}:{port}/")

    assert (url.hostname, url.port) == (host, port)
