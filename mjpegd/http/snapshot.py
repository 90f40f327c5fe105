"""One picture: from memory, with the conditions, waits and ages that pollers and timelapse tools ask for."""

import asyncio
from time import monotonic

from mjpegd.camera import Camera
from mjpegd.errors import HttpError
from mjpegd.frame import Frame
from mjpegd.http import looks, query
from mjpegd.http.response import Response
from mjpegd.http.visit import Visit
from mjpegd.look import Look
from mjpegd.wire import via
from mjpegd.wire.conditional import http_date, not_modified

PATIENCE = 4.0
"""Seconds a snapshot may take: OctoPrint gives up after 5, Home Assistant after 10."""
RETRY_AFTER = 5
"""Seconds after which a client without a picture may come again."""

LONGEST_AGE = 86_400_000
"""Milliseconds: a day."""

_CACHING = "no-cache, private, max-age=0"
"""Kept but always asked about again: `no-store` would forbid the 304 (RFC 9111 5.2.2.5)."""


async def snapshot(visit: Visit) -> Response:
    """The newest picture; `fresh=1`, `after=ID` and `max_age=MS` say what is new enough."""
    request, camera, arrived = visit.request, visit.camera, monotonic()
    max_age = query.number(request.query, "max_age", 0, LONGEST_AGE)
    oldest = arrived if query.flag(request.query, "fresh") else 0.0 if max_age is None else arrived - max_age / 1000
    deadline = asyncio.get_running_loop().time() + PATIENCE
    look = looks.for_snapshot(visit)
    await _wait_for_turn(visit)
    frame = await camera.picture(Look(), _after(request.query, camera), oldest, deadline)
    if frame is not None and look.encodes and not _is_known(visit, frame, look):
        frame = await camera.picture(look, frame.seq - 1, oldest, deadline)
    if frame is None:
        raise _no_picture(camera)
    return _answer(visit, frame, look)


async def _wait_for_turn(visit: Visit) -> None:
    """A share link's fps counts for single pictures too, taken by however many."""
    share = visit.principal.share
    if share is None or not share.fps:
        return
    wait = visit.site.guard.throttle.turns.wait(share.id, 1 / share.fps, PATIENCE / 2)
    if wait is None:
        raise HttpError(429, "too many pictures by this link", headers={"Retry-After": str(RETRY_AFTER)})
    await asyncio.sleep(wait)


def _after(parameters: query.Query, camera: Camera) -> int:
    """The frame the client has. One that is yet to come is from before a restart: then any frame is new to it."""
    after = query.number(parameters, "after", 0, 2**63) or 0
    newest = camera.ring.newest
    return after if newest is not None and after <= newest.seq else 0


def _no_picture(camera: Camera) -> HttpError:
    status = camera.capture.status
    return HttpError(
        503,
        f"no picture within {PATIENCE:g} s",
        headers={"Retry-After": str(RETRY_AFTER)},
        facts={"camera": camera.name, "state": status.state, "reason": status.reason or "no new frame came"},
    )


def _etag(visit: Visit, frame: Frame, look: Look) -> str:
    width, height = look.fitted(frame.width, frame.height)
    return f'"{visit.camera.tag}-{width}x{height}-{look.quality}-{frame.seq}"'


def _is_known(visit: Visit, frame: Frame, look: Look) -> bool:
    """Whether the client has that frame in that look: then nothing needs to be made of it."""
    return not_modified(visit.request.headers, _etag(visit, frame, look), frame.captured)


def _answer(visit: Visit, frame: Frame, look: Look) -> Response:
    headers = {
        "ETag": _etag(visit, frame, look),
        "Last-Modified": http_date(frame.captured),
        "Cache-Control": _CACHING,
        "X-Timestamp": f"{frame.captured:.6f}",
        "X-Frame-Id": str(frame.seq),
        "Age": str(max(0, int(monotonic() - frame.taken))),
        "Cross-Origin-Resource-Policy": "cross-origin",
        "Via": via.render(visit.camera.via),
    }
    if _is_known(visit, frame, look):
        return Response(304, headers=headers)
    return Response(200, frame.jpeg, "image/jpeg", headers)
