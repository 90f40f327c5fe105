"""The table of routes and the way from a request to its answer.

A row's path is written as people read it, `/stream[/{camera}][.mjpg]`, and is the pattern too: brackets are optional,
`{camera}` a name. The README's table is made from these rows.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib import resources

from mjpegd.errors import HttpError
from mjpegd.http import query, status
from mjpegd.http.aliases import translate
from mjpegd.http.response import Play, Response, json_response
from mjpegd.http.site import Site
from mjpegd.http.snapshot import snapshot
from mjpegd.wire.http import METHODS, Request
from mjpegd.wire.multipart import BROWSER, DEFAULT, PROFILES, Profile

Answer = Response | Play
Names = Mapping[str, str | None]
Handler = Callable[[Site, Request, Names], Awaitable[Answer]]

ALLOWED = ("GET", "HEAD", "OPTIONS")

EARLY_REPEAT = 0.1
"""Seconds after which a browser is sent a frame once more: WebKit draws the last one of a series late."""


@dataclass(frozen=True, slots=True)
class Route:
    """A row: what it matches, who answers, and a sentence for the README."""

    path: str
    handler: Handler
    about: str


def _pattern(path: str) -> re.Pattern[str]:
    text = re.escape(path).replace(r"\[", "(?:").replace(r"\]", ")?").replace(r"\{camera\}", "(?P<camera>[^/]+?)")
    return re.compile(text)


async def _page(site: Site, request: Request, names: Names) -> Answer:
    return Response(200, PAGE, "text/html; charset=utf-8", {"Cache-Control": "no-cache, private"})


async def _favicon(site: Site, request: Request, names: Names) -> Answer:
    return Response(200, FAVICON, "image/svg+xml", {"Cache-Control": "public, max-age=86400"})


async def _stream(site: Site, request: Request, names: Names) -> Answer:
    camera = site.camera(names["camera"])
    profile = choose_profile(request)
    return Play(camera, profile, _repeat_after(request, profile), request.headers.get("user-agent", ""))


async def _snapshot(site: Site, request: Request, names: Names) -> Answer:
    return await snapshot(site, request, site.camera(names["camera"]))


async def _cameras(site: Site, request: Request, names: Names) -> Answer:
    return json_response(status.cameras(site))


async def _health(site: Site, request: Request, names: Names) -> Answer:
    return json_response(status.health(site))


async def _camera_health(site: Site, request: Request, names: Names) -> Answer:
    code, report = status.camera_health(site.camera(names["camera"]))
    return json_response(report, code)


async def _stats(site: Site, request: Request, names: Names) -> Answer:
    return json_response(status.stats(site))


async def _state(site: Site, request: Request, names: Names) -> Answer:
    return json_response(status.ustreamer_state(site.camera(None)))


ROUTES = (
    Route("/", _page, "a page with the live picture of every camera"),
    Route(
        "/stream[/{camera}][.mjpg]", _stream, "the live stream, multipart/x-mixed-replace; `?profile=browser|default`"
    ),
    Route("/snapshot[/{camera}][.jpg]", _snapshot, "the newest picture; `?fresh=1`, `?after=ID`, `?max_age=MS`"),
    Route("/cameras", _cameras, "the cameras, their states and addresses, as JSON"),
    Route("/stats", _stats, "what is counted and measured, as JSON"),
    Route("/health", _health, "200 while the daemon is well, with each camera's state"),
    Route("/health/{camera}", _camera_health, "200 while that camera is live, else 503"),
    Route("/state", _state, "uStreamer's state document for the first camera"),
    Route("/favicon.ico", _favicon, "the icon that browsers ask for"),
)
_PATTERNS = tuple((_pattern(route.path), route) for route in ROUTES)

PAGE = (resources.files("mjpegd.http") / "page.html").read_bytes()
FAVICON = (resources.files("mjpegd.http") / "favicon.svg").read_bytes()


async def answer(site: Site, request: Request) -> Answer:
    """The answer to a request; `HttpError` where there is none."""
    if request.method not in METHODS:
        raise HttpError(501, "that method is not known here", headers={"Allow": ", ".join(ALLOWED)})
    route, names = _find(site, request)
    if request.method == "OPTIONS":
        return Response(204, headers={"Allow": ", ".join(ALLOWED)})
    if request.method not in ALLOWED:
        raise HttpError(405, "only GET, HEAD and OPTIONS are answered here", headers={"Allow": ", ".join(ALLOWED)})
    return await route.handler(site, request, names)


def _find(site: Site, request: Request) -> tuple[Route, Names]:
    if request.path == "*":
        return ROUTES[0], {}
    path = translate(request.path, request.query, list(site.cameras))
    for pattern, route in _PATTERNS:
        if match := pattern.fullmatch(path):
            return route, match.groupdict()
    facts = {"routes": [route.path for route in ROUTES], "cameras": list(site.cameras)}
    raise HttpError(404, "there is nothing at this path", facts=facts)


def choose_profile(request: Request) -> Profile:
    """The profile asked for, else the one for this kind of client.

    Browsers' image loaders accept image/webp or image/svg+xml, and say Sec-Fetch-Dest: image to https and localhost;
    a page they open accepts text/html. A script's `Accept: image/jpeg` must not be taken for one.
    """
    asked = query.choice(request.query, "profile", PROFILES)
    if asked is not None:
        return PROFILES[asked]
    accept = request.headers.get("accept", "")
    drawn = any(kind in accept for kind in ("image/webp", "image/svg+xml", "text/html"))
    advance = request.query.get("advance_headers") == "1"  # uStreamer's name for it
    return BROWSER if drawn or advance or request.headers.get("sec-fetch-dest") == "image" else DEFAULT


def _repeat_after(request: Request, profile: Profile) -> float | None:
    """Seconds to the early repeat; `repeat_ms` asks for one where a byte proxy hides a browser from us."""
    asked = query.number(request.query, "repeat_ms", 10, 60_000)
    if asked is not None:
        return asked / 1000
    return None if profile.own_head else EARLY_REPEAT
