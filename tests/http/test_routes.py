"""The table of routes, and who gets which profile."""

import json

import pytest

from mjpegd.errors import HttpError
from mjpegd.http.response import Play, Response
from mjpegd.http.routes import EARLY_REPEAT, ROUTES, choose_profile
from mjpegd.wire.http import Request
from tests.http.requests import NAMES, ask, request, site

ALLOW = {"Allow": "GET, HEAD, OPTIONS"}

CHROMIUM = "Accept: image/jxl,image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
FIREFOX = "Accept: image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5"
NAVIGATION = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
SAFARI = "Accept: image/webp,image/avif,video/*;q=0.8,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5"


async def refused(asked: Request) -> HttpError:
    """The error that answers a request."""
    with pytest.raises(HttpError) as caught:
        await ask(site(), asked)
    return caught.value


async def played(target: str, *fields: str) -> Play:
    """The stream that answers a request."""
    result = await ask(site(), request(target, *fields))
    assert isinstance(result, Play)
    return result


async def responded(target: str, method: str = "GET") -> Response:
    """The finite answer to a request."""
    result = await ask(site(), request(target, method=method))
    assert isinstance(result, Response)
    return result


@pytest.mark.parametrize(
    ("fields", "profile"),
    [
        ((CHROMIUM,), "browser"),
        ((FIREFOX,), "browser"),
        ((SAFARI,), "browser"),
        ((NAVIGATION,), "browser"),
        (("Accept: image/webp",), "browser"),
        (("Sec-Fetch-Dest: image",), "browser"),
        (("Accept: */*", "Sec-Fetch-Dest: image"), "browser"),
        (("Accept: image/png", "Accept: image/webp"), "browser"),
        ((), "default"),
        (("Accept: */*",), "default"),
        (("Accept:",), "default"),
        (("Accept: image/jpeg",), "default"),
        (("Accept: image/*",), "default"),
        (("Accept: multipart/x-mixed-replace",), "default"),
        (("Accept: */*", "Sec-Fetch-Dest: empty"), "default"),
        (("User-Agent: Mozilla/5.0 Chrome/156",), "default"),
    ],
)
def test_sniffing(fields: tuple[str, ...], profile: str) -> None:
    """Browsers' image loaders and pages get the browser profile, everyone else the default one."""
    assert profile == choose_profile(request("/stream", *fields)).name


@pytest.mark.parametrize(
    ("query", "fields", "profile"),
    [
        ("profile=default", (CHROMIUM, "Sec-Fetch-Dest: image"), "default"),
        ("profile=browser", ("Accept: */*",), "browser"),
        ("profile=default&advance_headers=1", (), "default"),
        ("advance_headers=1", (), "browser"),
        ("advance_headers=0", (), "default"),
    ],
)
def test_override(query: str, fields: tuple[str, ...], profile: str) -> None:
    """The profile asked for in the query always wins; uStreamer's `advance_headers=1` asks for the browser's."""
    assert profile == choose_profile(request(f"/stream?{query}", *fields)).name


@pytest.mark.parametrize("name", ["", "Browser", "chrome"])
async def test_unknown_profile(name: str) -> None:
    """A profile there is not is refused with those there are."""
    error = await refused(request(f"/stream?profile={name}"))

    assert (error.status, str(error)) == (400, "profile must be one of default, browser")


@pytest.mark.parametrize(
    ("target", "fields", "expected"),
    [
        ("/stream", (), None),
        ("/stream", (CHROMIUM,), EARLY_REPEAT),
        ("/stream?repeat_ms=250", (), 0.25),
        ("/stream?repeat_ms=10", (CHROMIUM,), 0.01),
        ("/stream?repeat_ms=60000", (), 60),
    ],
)
async def test_early_repeat(target: str, fields: tuple[str, ...], expected: float | None) -> None:
    """A browser is sent each frame once more after 100 ms, others on demand."""
    assert expected == (await played(target, *fields)).repeat_after


@pytest.mark.parametrize("value", ["", "0", "9", "60001", "-1", "1.5", "x", "%B2", "1" * 5000])
async def test_bad_early_repeat(value: str) -> None:
    """A pause that is no number in its range is refused with the range."""
    error = await refused(request(f"/stream?repeat_ms={value}"))

    assert (error.status, str(error)) == (400, "repeat_ms must be a whole number from 10 to 60000")


@pytest.mark.parametrize(
    ("target", "camera"),
    [
        ("/stream", "porch"),
        ("/stream.mjpg", "porch"),
        ("/stream/attic", "attic"),
        ("/stream/attic.mjpg", "attic"),
        ("/%73tream/attic", "attic"),
        ("http://other/stream/attic", "attic"),
        ("/?action=stream", "porch"),
        ("/?action=stream_1", "attic"),
        ("/webcam2/?action=stream", "attic"),
        ("/api/stream.mjpeg?src=attic", "attic"),
        ("/axis-cgi/mjpg/video.cgi?camera=2", "attic"),
        ("/video", "porch"),
    ],
)
async def test_streams(target: str, camera: str) -> None:
    """A stream's path, ours or another program's, plays that camera; without a name the first one."""
    assert camera == (await played(target)).camera.name


async def test_agent() -> None:
    """A stream knows who asked for it."""
    assert (await played("/stream", "User-Agent: curl/8")).agent == "curl/8"
    assert (await played("/stream")).agent == ""


@pytest.mark.parametrize(
    ("target", "content_type"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/?a=b", "text/html; charset=utf-8"),
        ("/webcam/", "text/html; charset=utf-8"),
        ("/favicon.ico", "image/svg+xml"),
        ("/cameras", "application/json"),
        ("/health", "application/json"),
        ("/stats", "application/json"),
        ("/state", "application/json"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_finite_answers(target: str, content_type: str, method: str) -> None:
    """Each of these paths answers GET and HEAD alike, with content of its type."""
    response = await responded(target, method)

    assert (200, content_type) == (response.status, response.content_type)
    assert response.body


@pytest.mark.parametrize(
    "target", ["/nothing", "/stream/", "/stream/a/b", "/streams", "/Stream", "//", "/stats/", "/../etc"]
)
async def test_no_such_path(target: str) -> None:
    """A path there is not is answered with the paths and cameras there are."""
    error = await refused(request(target))

    assert error.status == 404
    assert {"routes": [route.path for route in ROUTES], "cameras": list(NAMES)} == error.facts


@pytest.mark.parametrize(
    "target",
    [
        "/stream/cellar",
        "/stream/porch.jpg",
        "/snapshot/cellar.jpg",
        "/health/cellar",
        "/?action=stream_2",
        "/stream/%00",
    ],
)
async def test_no_such_camera(target: str) -> None:
    """A camera there is not is answered with the cameras there are."""
    error = await refused(request(target))

    assert (404, {"cameras": list(NAMES)}) == (error.status, error.facts)


async def test_health_of_a_camera() -> None:
    """A camera that is not live is not well."""
    response = await responded("/health/attic")

    assert response.status == 503
    assert tuple(json.loads(bytes(response.body))[key] for key in ("camera", "state")) == ("attic", "starting")


@pytest.mark.parametrize("target", ["/stream", "/snapshot", "/stats", "*", "/health/attic"])
async def test_options(target: str) -> None:
    """OPTIONS tells what is allowed, on each path and on `*`."""
    response = await responded(target, "OPTIONS")

    assert (response.status, response.body, response.headers) == (204, b"", ALLOW)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT"])
async def test_methods_not_allowed(method: str) -> None:
    """A method that HTTP knows and we do not answer is 405 with those we do."""
    error = await refused(request("/stream", method=method))

    assert (error.status, error.headers) == (405, ALLOW)


@pytest.mark.parametrize("method", ["get", "BREW", "PROPFIND"])
@pytest.mark.parametrize("target", ["/stream", "/nothing"])
async def test_methods_not_known(method: str, target: str) -> None:
    """A method that we do not know is 501, whatever the path."""
    error = await refused(request(target, method=method))

    assert (error.status, error.headers) == (501, ALLOW)


async def test_post_to_nothing() -> None:
    """For a path there is not, every method that HTTP knows is 404."""
    assert (await refused(request("/nothing", method="POST"))).status == 404


async def test_camera_list() -> None:
    """The cameras are told in their order, with the addresses that answer for them."""
    cameras = json.loads(bytes((await responded("/cameras")).body))["cameras"]

    assert list(NAMES) == [camera["name"] for camera in cameras]
    for camera in cameras:
        assert camera["name"] == (await played(camera["stream"])).camera.name
