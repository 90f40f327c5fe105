"""Who is at the other end, with proxies between and with clients that pretend to be some."""

import ipaddress
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mjpegd.access.address import UNIX
from mjpegd.access.caller import Caller, Proxies
from mjpegd.config.schema import ServerConfig

DEFAULT = ServerConfig().trusted_proxies
PROXIES = Proxies(("10.0.0.0/8", "2001:db8:9::/48", "192.0.2.1", UNIX), "")
PROXY, CLIENT, STRANGER = "10.0.0.1", "198.51.100.7", "203.0.113.9"

FORWARDED = {
    "host": "inside:8080",
    "x-forwarded-for": CLIENT,
    "x-forwarded-proto": "https",
    "x-forwarded-host": "cam.example.org",
    "x-forwarded-prefix": "/cams",
}


def address(forwarded: str, peer: str = PROXY) -> str:
    """Whose request it is, by X-Forwarded-For."""
    return PROXIES.caller(peer, {"x-forwarded-for": forwarded}, secure=False).address


def test_a_trusted_proxy_is_believed() -> None:
    """From a trusted proxy come the client's address, scheme, host and prefix."""
    expected = Caller(CLIENT, secure=True, hosts=("inside:8080", "cam.example.org"), prefix="/cams")

    assert PROXIES.caller(PROXY, FORWARDED, secure=False) == expected


@pytest.mark.parametrize("peer", [STRANGER, "11.0.0.1", "192.0.2.2", "2001:db8:8::1", "::1", "127.0.0.1"])
def test_nobody_else_is(peer: str) -> None:
    """Whatever anybody else says of itself counts for nothing."""
    assert PROXIES.caller(peer, FORWARDED, secure=False) == Caller(
        peer, secure=False, hosts=("inside:8080",), prefix=""
    )


@pytest.mark.parametrize("peer", ["10.255.0.1", "192.0.2.1", "2001:db8:9:1::5", UNIX])
def test_trusted(peer: str) -> None:
    """A proxy is trusted by its address, its network, or as a unix socket."""
    assert PROXIES.caller(peer, FORWARDED, secure=False).address == CLIENT


@pytest.mark.parametrize(
    ("peer", "trusted"), [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), (UNIX, True), (CLIENT, False)]
)
def test_trusted_by_default(peer: str, trusted: bool) -> None:  # noqa: FBT001  (a row of the table)
    """A proxy on the same box is trusted unless the configuration says otherwise."""
    assert (Proxies(DEFAULT, "").caller(peer, FORWARDED, secure=False).address == CLIENT) is (trusted or peer == CLIENT)
    assert Proxies(DEFAULT, "").caller(peer, FORWARDED, secure=False).secure is trusted
    assert Proxies((), "").caller(peer, FORWARDED, secure=False).address == peer


@pytest.mark.parametrize(
    ("forwarded", "expected"),
    [
        (CLIENT, CLIENT),
        (f"{STRANGER}, {CLIENT}", CLIENT),
        (f"{STRANGER},{CLIENT}, 10.0.0.2,192.0.2.1", CLIENT),
        (f"127.0.0.1, 10.0.0.9, {CLIENT}, 10.0.0.2", CLIENT),
        ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
        (f"{CLIENT}:51234", CLIENT),
        ("2001:db8::7", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("[2001:db8::7]:51234", "2001:db8::7"),
        ("2001:DB8:0::7", "2001:db8::7"),
        (f"{CLIENT}, 2001:db8:9::1", CLIENT),
        ("", PROXY),
        ("unknown", PROXY),
        (f"{CLIENT}, unknown", PROXY),
        (f"{CLIENT}, _hidden, 10.0.0.2", "10.0.0.2"),
        (f"{CLIENT},", PROXY),
        ("unix", PROXY),
        ("1.2.3", PROXY),
        ("<script>", PROXY),
    ],
)
def test_the_first_address_from_the_right_that_is_no_proxy(forwarded: str, expected: str) -> None:
    """The client is the right-most address that is no trusted proxy; what stands left of it, it may have made up."""
    assert address(forwarded) == expected


def test_an_ipv4_address_in_an_ipv6_one() -> None:
    """A proxy that listens on IPv6 for both writes IPv4 clients as ::ffff:…; each is still one of its own."""
    assert address(f"::ffff:{CLIENT}") == CLIENT
    assert address(f"[::ffff:{CLIENT}]:51234") == CLIENT
    assert address(f"{CLIENT}, ::ffff:10.0.0.2") == CLIENT


@given(st.text(), st.sampled_from((PROXY, UNIX)))
def test_whatever_is_forwarded(forwarded: str, peer: str) -> None:
    """Whatever X-Forwarded-For holds, the answer is the peer or an address."""
    found = address(forwarded, peer)

    assert found == peer or ipaddress.ip_address(found)


@given(st.dictionaries(st.sampled_from(sorted(FORWARDED)), st.text()))
def test_strangers_cannot_say_anything(headers: Mapping[str, str]) -> None:
    """No header of a stranger changes its address, its prefix, or whether it is encrypted."""
    caller = PROXIES.caller(STRANGER, headers, secure=False)

    assert (caller.address, caller.secure, caller.prefix) == (STRANGER, False, "")
    assert caller.hosts in ((), (headers.get("host", "").strip().lower(),))


@pytest.mark.parametrize(
    ("forwarded", "secure", "expected"),
    [
        ("https", False, True),
        ("HTTPS", False, True),
        ("https, http", False, True),
        ("http, https", False, False),
        ("http", False, False),
        ("", False, False),
        ("http", True, True),
    ],
)
def test_scheme(forwarded: str, secure: bool, expected: bool) -> None:  # noqa: FBT001  (a row of the table)
    """The client's scheme is what the first proxy saw; TLS with ourselves is TLS."""
    assert PROXIES.caller(PROXY, {"x-forwarded-proto": forwarded}, secure=secure).secure is expected


@pytest.mark.parametrize(
    ("headers", "hosts"),
    [
        ({"host": "Inside:8080"}, ("inside:8080",)),
        ({"host": "inside", "x-forwarded-host": "Cam.Example.org:8443"}, ("inside", "cam.example.org:8443")),
        ({"host": "inside", "x-forwarded-host": "cam.example.org, inner"}, ("inside", "cam.example.org", "inner")),
        ({"host": "inside", "x-forwarded-host": ""}, ("inside",)),
        ({"x-forwarded-host": "cam.example.org"}, ("cam.example.org",)),
        ({}, ()),
    ],
)
def test_hosts(headers: Mapping[str, str], hosts: tuple[str, ...]) -> None:
    """The hosts are that in the request and each that a proxy was asked for, in lower case; an empty one is none."""
    assert PROXIES.caller(PROXY, headers, secure=False).hosts == hosts


@pytest.mark.parametrize(
    ("forwarded", "base", "expected"),
    [
        ("/cams", "", "/cams"),
        ("/cams/", "", "/cams"),
        ("/a/b.c/~d-e_f", "", "/a/b.c/~d-e_f"),
        ("/outer", "/inner", "/outer/inner"),
        ("", "/inner", "/inner"),
        ("/", "/inner", "/inner"),
        ("cams", "", ""),
        ("//evil.example", "", ""),
        ("https://evil.example", "", ""),
        ('/a"onload="x', "", ""),
        ("/a b", "", ""),
        ("/a;b", "", ""),
        ("/a\\b", "", ""),
        ("/a%2fb", "", ""),
        ("/hütte", "", ""),
        ("/a\n", "", ""),
    ],
)
def test_prefix(forwarded: str, base: str, expected: str) -> None:
    """The prefix is a plain path, safe in an address, a page and a cookie, or none; our own base comes behind it."""
    proxies = Proxies((PROXY,), base)

    assert proxies.caller(PROXY, {"x-forwarded-prefix": forwarded}, secure=False).prefix == expected


def test_base_path_is_everybodys() -> None:
    """The path that is configured is in front for whoever comes, believed or not."""
    assert Proxies((), "/cams").caller(STRANGER, FORWARDED, secure=False).prefix == "/cams"
