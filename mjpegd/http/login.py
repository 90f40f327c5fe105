"""The login page: a key goes in, an HttpOnly cookie comes out, so that `<img>` needs no key in its address."""

import html
from importlib import resources

from mjpegd.access.caller import Caller
from mjpegd.access.guard import presented
from mjpegd.errors import HttpError
from mjpegd.http.response import Response
from mjpegd.http.visit import Visit

LONGEST_TARGET = 1024
"""Characters of the address to go back to."""
HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'self'",
}
"""Kept nowhere, and held by no frame of another site. With `no-referrer` browsers would post the form as from nowhere
(`Origin: null`, Fetch standard), which the guard refuses."""
_PAGE = (resources.files("mjpegd.http") / "login.html").read_text()


async def login(visit: Visit) -> Response:
    """GET shows the form; POST takes a key from it, or from any other place that the guard looks at."""
    if visit.request.method != "POST":
        return form(visit.caller, target=visit.request.query.get("next", ""))
    fields = await visit.form()
    target = fields.get("next", "")
    try:
        secret = fields.get("key") or presented(visit.request) or ""
        cookie = await visit.site.guard.login(secret, visit.request, visit.caller)
    except HttpError as error:
        return form(visit.caller, target=target, error=error)
    return Response(303, headers={"Location": visit.caller.prefix + local(target), "Set-Cookie": cookie, **HEADERS})


async def logout(visit: Visit) -> Response:
    """Take the cookie away and go to the form."""
    cookie = visit.site.guard.logout(visit.caller)
    return Response(303, headers={"Location": f"{visit.caller.prefix}/login", "Set-Cookie": cookie, **HEADERS})


def form(caller: Caller, *, target: str = "", error: HttpError | None = None, quiet: bool = False) -> Response:
    """The page with the form, and the status, challenge and words of an error; without the words if `quiet`."""
    said = "" if error is None or quiet else str(error)
    page = _PAGE.format(action=caller.prefix + "/login", target=html.escape(local(target)), error=html.escape(said))
    headers = {**HEADERS, **(error.headers if error is not None else {})}
    return Response(error.status if error is not None else 200, page.encode(), "text/html; charset=utf-8", headers)


def local(target: str) -> str:
    """A path of ours to go on to; anything that could lead elsewhere is the front page."""
    safe = target.startswith("/") and not target.startswith(("//", "/\\")) and len(target) <= LONGEST_TARGET
    return target if safe and target.isascii() and target.isprintable() else "/"
