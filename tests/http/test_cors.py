"""Whose scripts may read what, by default nobody's."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mjpegd.config.schema import CameraConfig, Config, ServerConfig
from mjpegd.http.cors import EXPOSED, headers
from mjpegd.http.response import Response
from tests.http.requests import ask, request, site

DASH = "https://dash.example.org"


def told(origins: tuple[str, ...], origin: str | None = DASH) -> Mapping[str, str]:
    """What a page of that origin is told where these are configured."""
    return headers(ServerConfig(cors_origins=origins), {} if origin is None else {"origin": origin})


@given(st.one_of(st.none(), st.text()))
def test_off_by_default(origin: str | None) -> None:
    """Without configured origins nothing is said to anybody."""
    assert told((), origin) == {}


def test_a_named_origin() -> None:
    """A page of a named origin may read all, with its cookie, and the fields that we add."""
    assert told(("https://other.example", DASH)) == {
        "Access-Control-Allow-Origin": DASH,
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Expose-Headers": EXPOSED,
        "Timing-Allow-Origin": DASH,
        "Vary": "Origin",
    }


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "",
        "null",
        "https://evil.example",
        f"{DASH}.evil.example",
        "http://dash.example.org",
        f"{DASH}:8443",
        DASH.upper(),
    ],
)
def test_any_other_origin(origin: str | None) -> None:
    """Anybody else is told nothing, but caches that the answer depends on who asks."""
    assert told((DASH,), origin) == {"Vary": "Origin"}


@pytest.mark.parametrize("origin", [None, "", "null", DASH, "*"])
def test_a_star(origin: str | None) -> None:
    """A star lets every page read, without the reader's cookie."""
    found = told(("*",), origin)

    assert found["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in found


def test_a_star_beside_a_name() -> None:
    """A named origin has its cookie, though a star lets all others read without one."""
    assert told(("*", DASH))["Access-Control-Allow-Origin"] == DASH
    assert told(("*", DASH), "https://other.example")["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in told(("*", DASH), "https://other.example")


@given(st.text(), st.lists(st.sampled_from((DASH, "*", "null")), max_size=3))
def test_nobody_else_ever_has_the_cookie(origin: str, origins: list[str]) -> None:
    """Only an origin that is named has credentials, and only its own name is repeated."""
    found = told(tuple(origins), origin)
    allowed = found.get("Access-Control-Allow-Origin")

    assert allowed in (None, "*", *origins)
    assert ("Access-Control-Allow-Credentials" in found) == (allowed == origin and origin != "*")


@pytest.mark.parametrize(
    ("target", "method", "methods"),
    [
        ("/stream", "GET", "GET, HEAD, OPTIONS"),
        ("/clients/1", "DELETE", "DELETE, OPTIONS"),
        ("/login", "POST", "GET, POST, HEAD, OPTIONS"),
    ],
)
async def test_preflight(target: str, method: str, methods: str) -> None:
    """A preflight is told the methods of the path and the fields for a key, before any key is asked for."""
    config = Config(camera={"porch": CameraConfig()}, server=ServerConfig(cors_origins=(DASH,)))
    asked = request(target, f"Origin: {DASH}", f"Access-Control-Request-Method: {method}", method="OPTIONS")
    answer = await ask(site(config=config), asked)

    assert isinstance(answer, Response)
    assert (answer.status, answer.headers["Access-Control-Allow-Methods"], answer.headers["Allow"]) == (
        204,
        methods,
        methods,
    )
    assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]


async def test_options_without_an_origin() -> None:
    """OPTIONS by a program is no preflight, and is answered as one asks."""
    answer = await ask(site(), request("/stream", method="OPTIONS"))

    assert isinstance(answer, Response)
    assert set(answer.headers) == {"Allow"}
