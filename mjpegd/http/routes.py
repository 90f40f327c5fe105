"""The table of routes and the way from a request to its answer.

A row's path is written as people read it, `/stream[/{camera}][.mjpg]`, and is the pattern too: brackets are optional,
`{camera}` a name. The README's table is made from these rows.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from importlib import resources
from typing import Any

from mjpegd.access.caller import Caller
from mjpegd.errors import HttpError
from mjpegd.http import controls, login, looks, query, status, steer
from mjpegd.http.aliases import translate
from mjpegd.http.cors import PREFLIGHT
from mjpegd.http.response import Play, Response, json_response
from mjpegd.http.site import Site
from mjpegd.http.snapshot import snapshot
from mjpegd.http.visit import Body, Names, Visit
from mjpegd.wire.http import METHODS, Request
from mjpegd.wire.multipart import BROWSER, DEFAULT, PROFILES, Profile

Answer = Response | Play
Handler = Callable[[Visit], Awaitable[Answer]]

EARLY_REPEAT = 0.1
"""Seconds after which a browser is sent a frame once more: WebKit draws the last one of a series late."""

LATENCIES = (20, 60_000)
"""Milliseconds that `max_latency` may be."""

VIEW, SNAPSHOT, CONTROL, ADMIN = "view", "snapshot", "control", "admin"


@dataclass(frozen=True, slots=True)
class Route:
    """A row: what it matches, who answers, what a key must allow (None: anybody may), and a sentence for the README.

    Where a row does not ask, keys are not looked at: so a proxy's own password in their place costs nobody a login.
    """

    path: str
    handler: Handler
    scope: str | None
    about: str
    methods: tuple[str, ...] = ("GET",)
    asks: bool = True

    @property
    def allowed(self) -> tuple[str, ...]:
        """Every method that is answered here, in the order of an Allow field."""
        return (*self.methods, *(("HEAD",) if "GET" in self.methods else ()), "OPTIONS")


def _pattern(path: str) -> re.Pattern[str]:
    text = re.escape(path).replace(r"\[", "(?:").replace(r"\]", ")?")
    return re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+?)", text))


async def _page(visit: Visit) -> Answer:
    if visit.request.query.get("key") and visit.principal.proof:  # out of the address bar, into a cookie
        cookie = visit.site.guard.session(visit.principal, visit.caller)
        return Response(303, headers={"Location": f"{visit.caller.prefix}/", "Set-Cookie": cookie, **_NO_REFERRER})
    return Response(200, PAGE, "text/html; charset=utf-8", {"Cache-Control": "no-cache, private", **_NO_REFERRER})


async def _favicon(visit: Visit) -> Answer:
    return Response(200, FAVICON, "image/svg+xml", {"Cache-Control": "public, max-age=86400"})


async def _stream(visit: Visit) -> Answer:
    request, camera = visit.request, visit.camera
    profile, budget = choose_profile(request), query.number(request.query, "max_latency", *LATENCIES)
    return Play(
        camera=camera,
        profile=profile,
        look=looks.for_stream(visit),
        repeat_after=_repeat_after(request, profile),
        agent=request.headers.get("user-agent", ""),
        caller=visit.caller,
        principal=visit.principal,
        tab=visit.tab,
        adapt=query.flag(request.query, "adapt", default=camera.config.adapt or budget is not None),
        budget=budget and budget / 1000,
        verbose=query.flag(request.query, "extra_headers"),
    )


async def _report(report: Callable[[Visit], dict[str, Any]], visit: Visit) -> Answer:
    return json_response(report(visit))


async def _health(visit: Visit) -> Answer:
    code, report = status.health(visit)
    return json_response(report, code)


async def _camera_health(visit: Visit) -> Answer:
    code, report = status.camera_health(visit.camera)
    return json_response(report, code)


async def _camera(visit: Visit) -> Answer:
    return json_response(status.camera(visit, visit.camera))


async def _state(visit: Visit) -> Answer:
    return json_response(status.ustreamer_state(visit.camera))


async def _metrics(visit: Visit) -> Answer:
    from mjpegd.http import metrics  # 4 MB that a daemon without Prometheus does not need

    return Response(200, metrics.render(visit), metrics.CONTENT_TYPE, {"Cache-Control": "no-store"})


async def _clients(visit: Visit) -> Answer:
    sees = visit.principal.sees
    return json_response({"clients": [each.report() for each in visit.site.clients if sees(each.asked.camera.name)]})


async def _end_client(visit: Visit) -> Answer:
    viewer = visit.site.clients.find(visit.names["id"] or "")
    if viewer is None or not visit.principal.sees(viewer.asked.camera.name):
        raise HttpError(404, "there is no viewer of that number", facts={"clients": "/clients"})
    viewer.dismiss("ended by an operator")
    return Response(204)


_NO_REFERRER = {"Referrer-Policy": "same-origin"}
"""An address with `?key=` in it must not be told to the next site."""

ROUTES = (
    Route("/", _page, VIEW, "a page with the live picture of every camera"),
    Route(
        "/stream[/{camera}][.mjpg]",
        _stream,
        VIEW,
        "the live stream, multipart/x-mixed-replace; `?width=`, `height`, `quality`, `fps`, `rendition=NAME`, "
        "`adapt=1`, `max_latency=MS`, `extra_headers=1`, `profile=browser|default`; `viewer=NAME` ends that tab's last",
    ),
    Route(
        "/snapshot[/{camera}][.jpg]",
        snapshot,
        SNAPSHOT,
        "the newest picture; `?width=`, `height`, `quality`, `rendition=NAME`, `fresh=1`, `after=ID`, `max_age=MS`",
    ),
    Route("/s/{token}.jpg", snapshot, SNAPSHOT, "a share link's picture"),
    Route("/s/{token}[.mjpg]", _stream, VIEW, "a share link's stream"),
    Route("/cameras", partial(_report, status.cameras), VIEW, "the cameras, their states and addresses, as JSON"),
    Route(
        "/cameras/{camera}/controls",
        controls.controls,
        CONTROL,
        "that camera's controls as JSON; POST sets those named in a form or in JSON: `brightness=10`",
        ("GET", "POST"),
    ),
    Route(
        "/cameras/{camera}/controls/reset",
        controls.reset,
        CONTROL,
        "puts them back to the driver's defaults and the file's values; one of them with `name=`",
        ("POST",),
    ),
    Route("/cameras/{camera}", _camera, VIEW, "what that camera is, how it is and since when, as JSON"),
    Route("/cameras/{camera}/pause", steer.pause, CONTROL, "closes the camera for everybody, for good", ("POST",)),
    Route("/cameras/{camera}/resume", steer.resume, CONTROL, "opens it again", ("POST",)),
    Route("/stats", partial(_report, status.stats), VIEW, "what is counted and measured, as JSON"),
    Route("/metrics", _metrics, VIEW, "the same for Prometheus"),
    Route("/health", _health, None, "200 while the daemon is well, with each camera's state for those who may view"),
    Route("/health/{camera}", _camera_health, VIEW, "200 while that camera is live or idle, else 503"),
    Route("/state", _state, VIEW, "uStreamer's state document for the first camera"),
    Route("/clients", _clients, ADMIN, "who watches: address, program, camera, rendition, rate, backlog, ages, rung"),
    Route("/clients/{id}", _end_client, ADMIN, "ends that viewer's stream", ("DELETE",)),
    Route("/login", login.login, None, "a form that takes a key and sets a cookie", ("GET", "POST"), asks=False),
    Route("/logout", login.logout, None, "takes the cookie away", ("POST",), asks=False),
    Route("/favicon.ico", _favicon, None, "the icon that browsers ask for", asks=False),
)
_PATTERNS = tuple((_pattern(route.path), route) for route in ROUTES)

PAGE = (resources.files("mjpegd.http") / "page.html").read_bytes()
FAVICON = (resources.files("mjpegd.http") / "favicon.svg").read_bytes()


async def answer(site: Site, request: Request, caller: Caller, body: Body) -> Answer:
    """The answer to a request of a caller that was received; `HttpError` where there is none.

    A preflight has no key yet, so OPTIONS is answered before the guard asks for one (Fetch standard 3.2.2).
    """
    if request.method not in METHODS:
        raise HttpError(501, "that method is not known here", headers={"Allow": ", ".join(ROUTES[0].allowed)})
    route, names = _find(site, request)
    allow = {"Allow": ", ".join(route.allowed)}
    if request.method == "OPTIONS":
        preflight = {**PREFLIGHT, "Access-Control-Allow-Methods": allow["Allow"]} if "origin" in request.headers else {}
        return Response(204, headers={**allow, **preflight})
    principal = await site.guard.admit(request, caller, route.scope, names.get("token"), asks=route.asks)
    if request.method not in route.allowed:
        raise HttpError(405, f"only {allow['Allow']} are answered here", headers=allow)
    return await route.handler(Visit(site, request, names, caller, principal, body))


async def _nothing(visit: Visit) -> Answer:
    base = visit.site.config.server.base_path
    if base and visit.request.path == base:  # the page's addresses are relative: it needs the slash
        return Response(308, headers={"Location": f"{visit.caller.prefix}/"})
    facts = {"routes": [each.path for each in ROUTES], "cameras": list(visit.cameras)}
    raise HttpError(404, "there is nothing at this path", facts=facts)


NOWHERE = Route("*", _nothing, VIEW, "what no other row matches", tuple(sorted(METHODS - {"OPTIONS"})))
"""Behind the guard too: without a key nobody learns which paths there are."""


def _find(site: Site, request: Request) -> tuple[Route, Names]:
    if request.path == "*":
        return ROUTES[0], {}
    base = site.config.server.base_path
    if base and request.path == base:
        return NOWHERE, {}
    path = without_base(request.path, base)
    path = translate(path, request.query, list(site.cameras))
    for pattern, route in _PATTERNS:
        if match := pattern.fullmatch(path):
            return route, match.groupdict()
    return NOWHERE, {}


def without_base(path: str, base: str) -> str:
    """The path as ours, whether the proxy took its own part away or not."""
    return path.removeprefix(base) or "/" if base and (path + "/").startswith(base + "/") else path


def choose_profile(request: Request) -> Profile:
    """The profile asked for, else the one for this kind of client.

    Browsers' image loaders accept image/webp or image/svg+xml, and say Sec-Fetch-Dest: image to https and localhost;
    a page they open accepts text/html. A script's `Accept: image/jpeg` must not be taken for one.
    """
    asked = query.choice(request.query, "profile", PROFILES)
    if query.flag(request.query, "extra_headers"):  # the other profile's parts have no lines of their own
        if asked == BROWSER.name:
            raise HttpError(400, "extra_headers needs profile=default")
        return DEFAULT
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
