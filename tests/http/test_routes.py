"""The table of routes, and who gets which profile."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from mjpegd.access import throttle
from mjpegd.access.shares import Shares
from mjpegd.config.schema import (
    SCOPES,
    AuthConfig,
    CameraConfig,
    Config,
    KeyConfig,
    Scope,
    Scopes,
    ServerConfig,
)
from mjpegd.errors import HttpError
from mjpegd.http import routes
from mjpegd.http.aliases import ALIASES
from mjpegd.http.response import Play, Response
from mjpegd.http.routes import EARLY_REPEAT, NOWHERE, ROUTES, Route, choose_profile
from mjpegd.http.visit import Visit
from mjpegd.look import Look
from mjpegd.wire.http import METHODS, Request
from tests.http.requests import CALLER, NAMES, SIGNER, ask, request, site
from tests.http.viewers import enter
from tests.http.viewers import play as watch

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
    ("target", "adapt", "budget", "verbose"),
    [
        ("/stream", False, None, False),
        ("/stream?adapt=1", True, None, False),
        ("/stream?adapt=0", False, None, False),
        ("/stream/attic", True, None, False),
        ("/stream/attic?adapt=0", False, None, False),
        ("/stream?max_latency=20", True, 0.02, False),
        ("/stream?max_latency=300&adapt=0", False, 0.3, False),
        ("/stream?max_latency=60000&adapt=1", True, 60.0, False),
        ("/stream?extra_headers=1", False, None, True),
        ("/stream?extra_headers=0", False, None, False),
    ],
)
async def test_how_a_stream_is_led(target: str, adapt: bool, budget: float | None, verbose: bool) -> None:  # noqa: FBT001
    """A query says whether a viewer is led down, how old its frames may be, and whether it is told more of them."""
    place = site(config=Config(camera={"porch": CameraConfig(), "attic": CameraConfig(adapt=True)}))
    play = await ask(place, request(target))

    assert isinstance(play, Play)
    assert (play.adapt, play.budget, play.verbose) == (adapt, budget, verbose)


@pytest.mark.parametrize("value", ["", "19", "60001", "-1", "1.5", "x"])
async def test_bad_latency(value: str) -> None:
    """A latency that is no number in its range is refused with the range."""
    error = await refused(request(f"/stream?max_latency={value}"))

    assert (error.status, str(error)) == (400, "max_latency must be a whole number from 20 to 60000")


@pytest.mark.parametrize(
    ("query", "fields", "profile"),
    [
        ("extra_headers=1", (CHROMIUM,), "default"),
        ("extra_headers=1&advance_headers=1", (), "default"),
        ("extra_headers=1&profile=default", (CHROMIUM,), "default"),
        ("extra_headers=0", (CHROMIUM,), "browser"),
        ("extra_headers=0&profile=browser", (), "browser"),
    ],
)
def test_profile_with_further_lines(query: str, fields: tuple[str, ...], profile: str) -> None:
    """Who wants further lines in each part gets the profile whose parts have lines of their own."""
    assert profile == choose_profile(request(f"/stream?{query}", *fields)).name


async def test_further_lines_in_the_browser_profile() -> None:
    """Further lines in the profile that has no place for them are refused."""
    error = await refused(request("/stream?extra_headers=1&profile=browser"))

    assert (error.status, str(error)) == (400, "extra_headers needs profile=default")


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


SECRET = "every scope but one"  # noqa: S105  (a test's)
WRONG = "X-API-Key: nobody's"
MADE_UP = "made.up"
OPEN_ROWS = {"/health", "/login", "/logout", "/favicon.ico"}
"""The only rows that are answered to anybody; whoever opens another one changes this line."""
SHARED_ROWS = {"/s/{token}.jpg", "/s/{token}[.mjpg]"}
"""The rows that a share link opens, and nothing else does."""


@pytest.fixture
def only_the_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every handler answers 200 at once: what is looked at is who comes as far as that. Nobody waits for wrong keys."""
    monkeypatch.setattr(throttle, "FIRST_DELAY", 0.0)
    rows = tuple((pattern, replace(route, handler=arrived)) for pattern, route in routes._PATTERNS)
    monkeypatch.setattr(routes, "_PATTERNS", rows)


async def arrived(visit: Visit) -> Response:
    """The handler of every row."""
    return Response(200, b"arrived")


def guarded(*scopes: Scope, anonymous: Scopes = ()) -> Config:
    """A configuration with one key of these scopes."""
    return Config(
        camera={name: CameraConfig(source="pattern") for name in NAMES},
        key={"one": KeyConfig(secret=SECRET, scopes=scopes)},
        auth=AuthConfig(anonymous=anonymous, failures=1000),
    )


def addresses(path: str) -> list[str]:
    """Every address that a row's path stands for: with and without what is optional."""
    if bracket := re.search(r"\[([^\[\]]*)\]", path):
        before, behind = path[: bracket.start()], path[bracket.end() :]
        return [each for inner in ("", bracket[1]) for each in addresses(before + inner + behind)]
    return [path.format(camera="attic", id="1", token=MADE_UP)]


async def status_of(config: Config, target: str, method: str, *fields: str, state: Path = Path("/nonexistent")) -> int:
    """The status that answers a request, whether it is an answer or an error."""
    try:
        answer = await ask(site(config=config, state=state), request(target, *fields, method=method))
    except HttpError as error:
        return error.status
    return answer.status if isinstance(answer, Response) else 200


ROUTE = {target: route for route in ROUTES for target in addresses(route.path)}
"""The row of each address."""
FOREIGN = {
    **{alias.path: alias.ours for alias in ALIASES},
    **{f"/webcam2{alias.path}": alias.ours for alias in ALIASES},
    **{f"{alias.path}?{alias.parameter}=attic": alias.ours for alias in ALIASES if alias.parameter},
    **{f"/?action=stream{number}": "/stream" for number in ("", "_0", "_1")},
    **{f"/?action=snapshot{number}": "/snapshot" for number in ("", "_0", "_1")},
    **dict.fromkeys(("/webcam/?action=stream", "/webcam/stream.mjpg"), "/stream"),
    **dict.fromkeys(("/webcam/?action=snapshot", "/webcam/snapshot.jpg"), "/snapshot"),
    **dict.fromkeys(("/webcam/", "/webcam3", "/?action=nothing"), "/"),
}
"""Other programs' addresses, and ours that each stands for."""
NOTHING = ("/nothing", "/admin", "/stream/a/b", "/s/", "/clients/", "/.git/config")
WALKED = {
    **{target: route for target, route in ROUTE.items() if route.path not in SHARED_ROWS},
    **{target: ROUTE[ours] for target, ours in FOREIGN.items()},
    **dict.fromkeys(NOTHING, NOWHERE),
}
WALK = pytest.mark.parametrize("target", WALKED)


def passed(route: Route, method: str) -> int:
    """What answers somebody whom the guard let through."""
    return 404 if route is NOWHERE else 200 if method in route.allowed else 405


async def each_method(config: Config, target: str, *fields: str, state: Path = Path("/nonexistent")) -> dict[str, int]:
    """The statuses that answer every method there is."""
    return {method: await status_of(config, target, method, *fields, state=state) for method in METHODS}


def expected(route: Route, status: int | None) -> dict[str, int]:
    """The same status for every method, None for what answers those whom the guard let through.

    OPTIONS is answered before the guard asks.
    """
    answers = {method: passed(route, method) if status is None else status for method in METHODS}
    return {**answers, "OPTIONS": 204}


def test_the_walk_goes_everywhere() -> None:
    """The walk comes by every row, every alias, and what is nowhere."""
    assert {route.path for route in WALKED.values()} | SHARED_ROWS == {route.path for route in (*ROUTES, NOWHERE)}
    assert {alias.path for alias in ALIASES} <= set(WALKED)


def test_open_rows() -> None:
    """What anybody may ask for is named here, row by row; every other one wants a scope that there is."""
    assert {route.path for route in ROUTES if route.scope is None} == OPEN_ROWS
    assert {route.scope for route in (*ROUTES, NOWHERE)} <= {None, *SCOPES}


@pytest.mark.usefixtures("only_the_guard")
@WALK
async def test_without_a_key(target: str) -> None:
    """Without a key only the rows that are open are answered, whatever the method; not even that a path is none."""
    route = WALKED[target]

    assert await each_method(guarded("admin"), target) == expected(route, None if route.path in OPEN_ROWS else 401)


@pytest.mark.usefixtures("only_the_guard")
@WALK
async def test_with_a_wrong_key(target: str) -> None:
    """With a wrong key nothing is answered but the rows that look at no key, also where none is needed."""
    route = WALKED[target]

    assert await each_method(guarded("admin"), target, WRONG) == expected(route, 401 if route.asks else None)


@pytest.mark.usefixtures("only_the_guard")
@WALK
async def test_without_the_scope(target: str) -> None:
    """A key with every scope but the one that is needed is 403, whatever the method."""
    route = WALKED[target]
    others: list[Scope] = [scope for scope in get_args(Scope) if scope not in (route.scope, "admin")]
    answers = await each_method(guarded(*others), target, f"X-API-Key: {SECRET}")

    assert answers == expected(route, None if route.path in OPEN_ROWS else 403)


@pytest.mark.usefixtures("only_the_guard")
@WALK
async def test_with_the_scope(target: str) -> None:
    """A key with the scope, that one alone or admin, comes through with each method that there is."""
    route = WALKED[target]
    for scope in get_args(Scope):
        if scope in (route.scope, "admin"):
            answers = await each_method(guarded(scope), target, f"X-API-Key: {SECRET}")
            assert answers == expected(route, None)


@pytest.mark.usefixtures("only_the_guard")
@WALK
async def test_with_anonymous_scopes(target: str) -> None:
    """What `auth.anonymous` names is anybody's, and only that."""
    route = WALKED[target]
    for scope in get_args(Scope):
        may = route.scope is None or scope in (route.scope, "admin")
        answers = await each_method(guarded("admin", anonymous=(scope,)), target)
        assert answers == expected(route, None if may else 401)


@pytest.mark.usefixtures("only_the_guard")
@WALK
async def test_without_any_keys(target: str) -> None:
    """Where there are no keys, anybody may view and take pictures, and nothing else."""
    route = WALKED[target]
    answers = await each_method(Config(camera=guarded().camera), target)

    assert answers == expected(route, None if route.scope in (None, "view", "snapshot") else 401)


@pytest.mark.usefixtures("only_the_guard")
@pytest.mark.parametrize("target", [target for target, route in ROUTE.items() if route.path in SHARED_ROWS])
async def test_share_links(target: str, tmp_path: Path) -> None:
    """A share link's address is opened by the link alone: no key opens a bad one, and none is needed for a good one."""
    _, token = Shares(tmp_path, SIGNER).make("porch", 60)
    good, config = target.replace(MADE_UP, token), guarded("admin")
    for fields in ((), (WRONG,), (f"X-API-Key: {SECRET}",)):
        assert await each_method(config, target, *fields, state=tmp_path) == expected(ROUTE[target], 403)
        assert await each_method(config, good, *fields, state=tmp_path) == expected(ROUTE[target], None)


@pytest.mark.parametrize(
    "target", ["/stream/%s", "/snapshot/%s.jpg", "/clients/%s", "/%s", "/?token=%s", "/stream?token=%s"]
)
async def test_a_token_elsewhere(target: str, tmp_path: Path) -> None:
    """A share link's token opens nothing but its own address."""
    _, token = Shares(tmp_path, SIGNER).make("porch", 60)

    assert await status_of(guarded("admin"), target % token, "GET", state=tmp_path) == 401


async def test_a_links_stream(tmp_path: Path) -> None:
    """Through a link one watches its camera as the link says, whichever camera is the first."""
    _, token = Shares(tmp_path, SIGNER).make("attic", 60, fps=5, width=640)
    play = await ask(site(config=guarded("admin"), state=tmp_path), request(f"/s/{token}.mjpg"))

    assert isinstance(play, Play)
    assert (play.camera.name, play.look) == ("attic", Look(640, fps=5))


async def test_a_key_for_one_camera() -> None:
    """A key for one camera sees that one in every list, and 403 at each address of another."""
    only = KeyConfig(secret=SECRET, scopes=("view", "snapshot"), cameras=("attic",))
    place = site(config=Config(camera=guarded().camera, key={"one": only}))
    key = f"X-API-Key: {SECRET}"
    for target in ("/cameras", "/stats", "/health", "/metrics"):
        answer = await ask(place, request(target, key))
        assert isinstance(answer, Response)
        assert b"attic" in answer.body
        assert b"porch" not in answer.body
    for target in ("/stream/porch", "/snapshot/porch.jpg", "/health/porch"):
        with pytest.raises(HttpError) as caught:
            await ask(place, request(target, key))
        assert (caught.value.status, caught.value.facts) == (403, {"cameras": ["attic"]})
    play = await ask(place, request("/stream", key))
    assert isinstance(play, Play)
    assert play.camera.name == "attic"


async def test_an_operator_for_one_camera() -> None:
    """An operator's key for one camera lists and ends the viewers of that one only."""
    only = KeyConfig(secret=SECRET, scopes=("admin",), cameras=("attic",))
    place = site(config=Config(camera=guarded().camera, key={"one": only}))
    porch, attic = (enter(place, watch(place.cameras[name])) for name in ("porch", "attic"))
    key = f"X-API-Key: {SECRET}"
    answer = await ask(place, request("/clients", key))
    assert isinstance(answer, Response)
    assert [each["id"] for each in json.loads(bytes(answer.body))["clients"]] == [attic.number]
    with pytest.raises(HttpError):
        await ask(place, request(f"/clients/{porch.number}", key, method="DELETE"))

    assert porch.dismissed == []


async def test_clients() -> None:
    """An operator sees who watches, and sends home whom it names by number; a number of nobody is 404."""
    place = site(config=guarded("admin"))
    viewer, key = enter(place, watch(place.cameras["porch"])), f"X-API-Key: {SECRET}"
    answer = await ask(place, request("/clients", key))
    assert isinstance(answer, Response)
    assert json.loads(bytes(answer.body)) == {"clients": [viewer.report()]}
    ended = await ask(place, request(f"/clients/{viewer.number}", key, method="DELETE"))
    assert isinstance(ended, Response)
    assert (ended.status, len(viewer.dismissed)) == (204, 1)

    assert await status_of(guarded("admin"), "/clients/99", "DELETE", key) == 404


@pytest.mark.parametrize("key", [(), (f"X-API-Key: {SECRET}",)])
async def test_health_says_little_to_strangers(key: tuple[str, ...]) -> None:
    """Whoever may not view learns from /health that all is well, and no camera's name."""
    answer = await ask(site(config=guarded("view")), request("/health", *key))

    assert isinstance(answer, Response)
    assert set(json.loads(bytes(answer.body))) == ({"status", "cameras"} if key else {"status"})


@pytest.mark.parametrize(
    ("base", "target", "status"),
    [
        ("/cams", "/cams/cameras", 200),
        ("/cams", "/cameras", 200),
        ("/cams", "/cams", 308),
        ("/cams", "/cams/", 200),
        ("/cams", "/camsx/cameras", 404),
        ("/cams", "/cams/cams/cameras", 404),
        ("/a/b", "/a/b/cameras", 200),
        ("/a/b", "/a/cameras", 404),
        ("", "/cams/cameras", 404),
    ],
)
async def test_base_path(base: str, target: str, status: int) -> None:
    """Below `server.base_path` everything is found, whether a proxy took that part away or not."""
    config = Config(camera=guarded().camera, server=ServerConfig(base_path=base))

    assert await status_of(config, target, "GET") == status


async def test_addresses_have_their_prefix() -> None:
    """The addresses that are told are those that the client can use: with the proxy's path in front."""
    answer = await ask(site(), request("/cameras"), caller=replace(CALLER, prefix="/cams"))

    assert isinstance(answer, Response)
    assert json.loads(bytes(answer.body))["cameras"][0]["stream"] == "/cams/stream/porch.mjpg"


async def test_post_to_nothing() -> None:
    """For a path there is not, every method that HTTP knows is 404."""
    assert (await refused(request("/nothing", method="POST"))).status == 404


async def test_camera_list() -> None:
    """The cameras are told in their order, with the addresses that answer for them."""
    cameras = json.loads(bytes((await responded("/cameras")).body))["cameras"]

    assert list(NAMES) == [camera["name"] for camera in cameras]
    for camera in cameras:
        assert camera["name"] == (await played(camera["stream"])).camera.name
