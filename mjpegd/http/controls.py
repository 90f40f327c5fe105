"""A camera's controls: listed, set and reset by whoever may steer it.

A camera that is not open, or has no controls because it is none of V4L2's, is answered 409 and not 404: the address is
right, and the same camera may have them a moment later (a source `auto` finds one that is plugged in).

What needs linuxpy is imported where it is used, in a thread: who asks of a camera of another kind loads nothing.
"""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

from mjpegd import log
from mjpegd.aside import aside
from mjpegd.camera import Camera
from mjpegd.condition import SHOWING
from mjpegd.config.scalar import scalar
from mjpegd.config.schema import ControlValue
from mjpegd.errors import HttpError
from mjpegd.http.response import Response, json_response
from mjpegd.http.visit import Visit

if TYPE_CHECKING:
    from mjpegd.sources.controls import Known, Refusals

PATIENCE, LOOK_EVERY = 10.0, 0.05
"""Seconds that a driver has, as a USB control transfer may take 5; and between two looks whether the daemon ends."""

T = TypeVar("T")
_at_work: WeakKeyDictionary[Camera, asyncio.Future[Any]] = WeakKeyDictionary()
"""What is being asked of each camera's driver: one that does not answer takes one thread, however many ask."""


async def controls(visit: Visit) -> Response:
    """GET lists them; POST sets those named in its body, once all of them were checked, and lists them."""
    camera = visit.camera
    if visit.request.method != "POST":
        return _listed(await _ask(camera, _list))
    wanted = await _wanted(visit)
    if not wanted:
        raise HttpError(400, "name at least one control, as brightness=10")
    known, refused = await _ask(camera, partial(_set, camera, visit.caller.address, wanted))
    if refused:
        raise HttpError(409, _sentence(refused), facts={"refused": refused, **_content(known)})
    return _listed(known)


async def reset(visit: Visit) -> Response:
    """POST puts all, or the one of `name`, back to the driver's default, and then to what the file says."""
    camera, name = visit.camera, (await _wanted(visit)).get("name")
    names = [str(name)] if name else []
    known, refused = await _ask(camera, partial(_reset, camera, visit.caller.address, names))
    if names and refused:
        raise HttpError(409, _sentence(refused), facts={"refused": refused, **_content(known)})
    return _listed(known, refused=refused)


async def _wanted(visit: Visit) -> dict[str, ControlValue]:
    """The body, as JSON where it says that it is, else as a form."""
    kind = visit.request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        return await visit.json(dict[str, ControlValue])
    return {name: scalar(text) for name, text in (await visit.form()).items()}


def _listed(known: "Known", **more: object) -> Response:
    return json_response({**_content(known), **more})


def _content(known: "Known") -> dict[str, Any]:
    return {"controls": [control.report() for control in known.values()]}


def _sentence(refused: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {reason}" for name, reason in refused.items())


def _list(fd: int) -> "Known":
    from mjpegd.sources.controls import listing

    return listing(fd)


def _set(camera: Camera, by: str, wanted: Mapping[str, ControlValue], fd: int) -> "tuple[Known, Refusals]":
    """Set, and remember what was: here, so that this is done for a driver too that needs longer than anybody waits."""
    from mjpegd.sources.controls import check, listing, put

    known = listing(fd)
    settings, wrong = check(known, wanted)
    if wrong:
        raise HttpError(400, _sentence(wrong), facts={"refused": wrong})
    refused = put(fd, known, settings)
    for name in (name for name in wanted if name not in refused):
        log.get(camera=camera.name).info("control set", control=name, value=wanted[name], by=by)
        if known[name].lasts:
            camera.capture.controls[name] = wanted[name]  # for the next opening
    return listing(fd), refused


def _reset(camera: Camera, by: str, names: list[str], fd: int) -> "tuple[Known, Refusals]":
    """Put back, and forget what was set, here for the same reason."""
    from mjpegd.sources.controls import apply, listing, reset

    try:
        refused = reset(fd, names)
    except ValueError as problem:
        raise HttpError(400, f"{names[0]}: {problem}") from None
    filed = camera.config.controls
    refused |= apply(fd, {name: value for name, value in filed.items() if not names or name in names})
    for name in names or list(camera.capture.controls):
        camera.capture.controls.pop(name, None)
    log.get(camera=camera.name).info("controls reset", control=", ".join(names) or "all", by=by)
    return listing(fd), refused


async def _ask(camera: Camera, job: Callable[[int], T]) -> T:
    """What `job` gives for a descriptor of that camera, in a thread; 409 where there is none, 503 if it takes long."""
    path, deadline = _node(camera), monotonic() + PATIENCE
    while (before := _at_work.get(camera)) is not None and not before.done():
        await _end(before, camera, deadline)
    work = asyncio.wrap_future(aside(partial(_in_session, path, job), "controls"))
    work.add_done_callback(asyncio.Future.exception)  # looked at, also when nobody waits for it any more
    _at_work[camera] = work
    await _end(work, camera, deadline)
    try:
        return work.result()
    except OSError as error:
        raise HttpError(409, f"the camera cannot be asked: {error.strerror}", facts=_state(camera)) from None


async def _end(work: asyncio.Future[Any], camera: Camera, deadline: float) -> None:
    """Wait until it is done; 503 if that takes too long, or the daemon does not wait any more."""
    while not (await asyncio.wait((work,), timeout=LOOK_EVERY))[0]:
        if monotonic() > deadline or camera.ring.closed:
            raise HttpError(503, "the camera's driver does not answer", facts=_state(camera))


def _in_session(path: str, job: Callable[[int], T]) -> T:
    from mjpegd.sources.controls import session

    with session(path) as fd:
        return job(fd)


def _node(camera: Camera) -> str:
    """The device node that a camera is open on, frozen or not: the right control may be what wakes it."""
    granted = camera.capture.granted
    if granted is None or camera.capture.status.state not in SHOWING:
        raise HttpError(409, "the camera is not open", facts=_state(camera))
    if not granted.device.startswith("/dev/"):
        raise HttpError(409, "the camera has no controls: it is none of V4L2's", facts=_state(camera))
    return granted.device


def _state(camera: Camera) -> dict[str, Any]:
    status = camera.capture.status
    return {"camera": camera.name, "state": status.state, "reason": status.reason}
