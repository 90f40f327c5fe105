"""What a handler is given: the cameras of the caller, and what it sent."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mjpegd.access.principal import Principal, anybody
from mjpegd.errors import HttpError
from mjpegd.http.visit import Visit
from tests.http.requests import CALLER, request, site

ANYBODY = anybody(("view",))


def body(content: bytes) -> Callable[[], Awaitable[bytes]]:
    """How that content is read."""

    async def read() -> bytes:
        return content

    return read


def visit(principal: Principal = ANYBODY, camera: str | None = None, content: bytes = b"") -> Visit:
    """A visit of somebody to a camera."""
    return Visit(site(), request("/"), {"camera": camera}, CALLER, principal, body(content))


def limited(*cameras: str) -> Principal:
    """The holder of a key for these cameras."""
    return Principal("wall", ("view",), cameras)


@pytest.mark.parametrize(
    ("cameras", "asked", "expected"),
    [
        ((), None, "porch"),
        ((), "attic", "attic"),
        (("porch", "attic"), None, "porch"),
        (("attic",), None, "attic"),
        (("attic",), "attic", "attic"),
    ],
)
async def test_camera(cameras: tuple[str, ...], asked: str | None, expected: str) -> None:
    """The camera is the one named, else the first of those that the caller may see."""
    assert visit(limited(*cameras), asked).camera.name == expected


@pytest.mark.parametrize(
    ("cameras", "asked", "status", "known"),
    [
        ((), "cellar", 404, ["porch", "attic"]),
        (("attic",), "cellar", 404, ["attic"]),
        (("attic",), "porch", 403, ["attic"]),
        (("gone",), None, 403, []),
        (("gone",), "porch", 403, []),
    ],
)
async def test_no_camera(cameras: tuple[str, ...], asked: str | None, status: int, known: list[str]) -> None:
    """A camera there is not is 404, one that the key is not for 403, and only those it is for are named."""
    with pytest.raises(HttpError) as caught:
        _ = visit(limited(*cameras), asked).camera

    assert (caught.value.status, caught.value.facts) == (status, {"cameras": known})


async def test_cameras() -> None:
    """The cameras of a caller are those it may see, in their order."""
    assert list(visit().cameras) == ["porch", "attic"]
    assert list(visit(limited("attic", "gone")).cameras) == ["attic"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", {}),
        (b"key=a+b%21&next=%2Fstream", {"key": "a b!", "next": "/stream"}),
        (b"key=&next", {"key": "", "next": ""}),
        (b"key=one&key=two", {"key": "two"}),
        ("key=hütte".encode(), {"key": "hütte"}),
        (b"key=%ff\xff", {"key": "\ufffd\ufffd"}),
        (b'{"key": "json"}', {'{"key": "json"}': ""}),
    ],
)
async def test_form(content: bytes, expected: dict[str, str]) -> None:
    """A body is read as a posted form, whatever it holds."""
    assert await visit(content=content).form() == expected


async def test_json() -> None:
    """A body is read as JSON of the type that is wanted."""
    assert await visit(content=b'{"a": 1, "b": 2}').json(dict[str, int]) == {"a": 1, "b": 2}


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"a": "b"}', b'{"a": 1.5}', b'{"\xff": 1}', b"[" * 16384])
async def test_wrong_json(content: bytes) -> None:
    """A body that is something else is 400."""
    with pytest.raises(HttpError, match="the body is not the JSON that belongs here") as caught:
        await visit(content=content).json(dict[str, int])

    assert caught.value.status == 400


@given(st.binary())
def test_any_form(content: bytes) -> None:
    """No body is an error."""

    async def read() -> dict[str, str]:
        return await visit(content=content).form()

    fields = asyncio.run(read())
    assert all(isinstance(value, str) for value in fields.values())
