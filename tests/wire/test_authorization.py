"""Answers to 401, against the examples of the RFCs."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mjpegd.wire.authorization import Basic, Bearer, Challenge, Digest, challenges, choose
from mjpegd.wire.fields import Fields

RFC_7616 = (
    'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={algorithm}, '
    'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
)
"""Section 3.9.1."""
CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"


def parameters(field: str) -> dict[str, str]:
    """The parameters of an Authorization field, read as a challenge is: they are written alike."""
    (challenge,) = challenges([field])
    return dict(challenge.parameters)


def answer(value: str, user: str, password: str, cnonce: str, target: str = "/dir/index.html") -> dict[str, str]:
    """What Digest answers to a challenge."""
    (challenge,) = challenges([value])
    return parameters(Digest(challenge, user, password, cnonce).field("GET", target))


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_example_of_rfc_7616(algorithm: str, response: str) -> None:
    """Section 3.9.1: the same request proven with MD5 and with SHA-256."""
    given = answer(RFC_7616.format(algorithm=algorithm), "Mufasa", "Circle of Life", CNONCE)

    assert given == {
        "username": "Mufasa",
        "realm": "http-auth@example.org",
        "nonce": "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        "uri": "/dir/index.html",
        "opaque": "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS",
        "cnonce": CNONCE,
        "response": response,
        "algorithm": algorithm,
        "qop": "auth",
        "nc": "00000001",
    }


def test_the_example_of_rfc_2617() -> None:
    """Section 3.5: no algorithm named, which is MD5, and so none is sent back."""
    value = (
        'Digest realm="testrealm@host.com", qop="auth,auth-int", '
        'nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41"'
    )
    given = answer(value, "Mufasa", "Circle Of Life", "0a4f113b")

    assert given["response"] == "6629fae49393a05397450978507c4ef1"
    assert "algorithm" not in given


def test_digest_without_quality() -> None:
    """A server of RFC 2069 gives no qop and gets neither count nor cnonce."""
    given = answer('Digest realm="cam", nonce="n"', "u", "p", "c", "/a?b=c")

    assert given["response"] == "0e46d82d294f474dc0c527c8a349a4f4"
    assert {"nc", "qop", "cnonce"}.isdisjoint(given)


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5-sess", "23fffc20aa563db8ca8697a60f0a70d6"),
        ("SHA-256-sess", "aeca6119c5e457c68fa4b75e7d85ed7b40988cf14ca2df20e58888d16172501f"),
    ],
)
def test_session_algorithms(algorithm: str, response: str) -> None:
    """A session's secret holds nonce and cnonce too; the algorithm goes back as it was written."""
    given = answer(f'Digest realm="cam", nonce="n", qop="auth", algorithm={algorithm}', "u", "p", "c", "/")

    assert given["algorithm"] == algorithm
    assert given["response"] == response


def test_each_request_is_counted() -> None:
    """No proof is used twice: the count goes up, and with it the response changes."""
    (challenge,) = challenges([RFC_7616.format(algorithm="MD5")])
    digest = Digest(challenge, "u", "p")
    first, second = parameters(digest.field("GET", "/")), parameters(digest.field("GET", "/"))

    assert (first["nc"], second["nc"]) == ("00000001", "00000002")
    assert first["cnonce"] == second["cnonce"]
    assert first["response"] != second["response"]


def test_odd_characters_are_quoted() -> None:
    """A quote in a user's name does not end it."""
    assert answer('Digest realm="a\\"b", nonce="n"', 'u"\\x', "p", "c")["username"] == 'u"\\x'


@pytest.mark.parametrize("realm", ["K\u00fcche".encode(), b"K\xfcche"])
def test_a_realm_is_what_it_is_byte_for_byte(realm: bytes) -> None:
    """The proof is made of the realm's own bytes, whatever they mean, and of user and password in UTF-8."""
    fields = Fields()
    fields.add(b'WWW-Authenticate: Digest realm="' + realm + b'", nonce="n"')
    given = answer(fields["www-authenticate"], "m\u00fc", "\u20ac", "c", "/")
    secret = hashlib.md5("m\u00fc:".encode() + realm + ":\u20ac".encode(), usedforsecurity=False).hexdigest()
    request = hashlib.md5(b"GET:/", usedforsecurity=False).hexdigest()

    assert given["realm"].encode("latin-1") == realm
    assert given["username"].encode("latin-1") == "m\u00fc".encode()
    assert given["response"] == hashlib.md5(f"{secret}:n:{request}".encode(), usedforsecurity=False).hexdigest()


def test_basic() -> None:
    """Section 2 of RFC 7617, and its second example: UTF-8."""
    assert Basic(Challenge("basic", {}), "Aladdin", "open sesame").field("GET", "/") == (
        "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    )
    assert Basic(Challenge("basic", {}), "test", "123\N{POUND SIGN}").field("GET", "/") == "Basic dGVzdDoxMjPCow=="


def test_bearer() -> None:
    """A token goes as it is."""
    assert Bearer("abc.def").field("GET", "/") == "Bearer abc.def"
    assert Bearer("\u20ac").field("GET", "/").encode("latin-1") == "Bearer \u20ac".encode()


@pytest.mark.parametrize(
    ("values", "schemes"),
    [
        (["Basic"], ["basic"]),
        (['Basic realm="a, b=c", Digest nonce=x,realm=y'], ["basic", "digest"]),
        (["Negotiate", "NTLM TlRMTVNTUAAC==, Basic realm=x"], ["negotiate", "ntlm", "basic"]),
        (['Newauth realm="apps", type=1, title="Login to \\"apps\\"", Basic realm="simple"'], ["newauth", "basic"]),
        ([", ,Basic realm = x"], ["basic"]),
        (['realm="x"', "", "\x00"], []),
    ],
)
def test_challenges_are_told_apart(values: list[str], schemes: list[str]) -> None:
    """Several challenges may come in one field or in many; the third is RFC 9110's example in 11.6.1."""
    assert [challenge.scheme for challenge in challenges(values)] == schemes


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["Basic realm=x", "Digest nonce=n"], "MD5"),
        (["Digest nonce=n, algorithm=MD5, Digest nonce=n, algorithm=SHA-256"], "SHA-256"),
        (["Digest nonce=n, algorithm=SHA-512-256", "Basic realm=x"], "basic"),
        (['Digest nonce=n, qop="auth-int"', "Basic realm=x"], "basic"),
        (["Digest realm=x", "Negotiate"], "none"),
        ([], "none"),
    ],
)
def test_the_best_is_chosen(values: list[str], expected: str) -> None:
    """Digest before Basic, SHA-256 before MD5, and nothing that cannot be answered."""
    chosen = choose(challenges(values), "u", "p")
    found = chosen._algorithm if isinstance(chosen, Digest) else "basic" if isinstance(chosen, Basic) else "none"

    assert found == expected


def test_stale() -> None:
    """A server that only wants a newer nonce says so."""
    fresh, stale = challenges(["Digest nonce=n, stale=FALSE", 'Digest nonce=n, stale="TRUE"'])

    assert (fresh.stale, stale.stale) == (False, True)


@given(st.text(st.characters(max_codepoint=255)))
def test_any_challenge_is_read(value: str) -> None:
    """Nothing that a server may put into the field raises."""
    choose(challenges([value, f"Digest nonce={value}"]), "u", "p")
