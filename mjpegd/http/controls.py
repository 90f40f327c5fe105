"""A camera's controls: listed, set and reset by whoever may steer it.

A camera that is not open, or has no controls because it is none of V4L2's, is answered 409 and not 404: the address is
right, and the same camera may have them a moment later (a source `auto` finds one that is plugged in).
"""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from mjpegd import log
from mjpegd.camera import Camera
from mjpegd.condition import State
from mjpegd.config.scalar import scalar
from mjpegd.config.schema import ControlValue
from mjpegd.errors import HttpError
from mjpegd.http.response import Response, json_response
from mjpegd.http.visit import Visit
from mjpegd.sources.controls import Known, Refusals, apply, check, listing, put, session
from mjpegd.sources.controls import reset as put_back

PATIENCE = 10.0
"""Seconds that a driver has: a USB control transfer may take 5."""

OPEN = frozenset({State.LIVE, State.FROZEN})
"""States of a camera that can be asked; the right control may be what a frozen one needs."""

T = TypeVar("T")
_at_work: WeakKeyDictionary[Camera, asyncio.Task[Any]] = WeakKeyDictionary()
"""What is being asked of each camera's driver: one that does not answer takes one thread, however many ask."""


async def controls(visit: Visit) -> Response:
    """GET lists them; POST sets those named in its body, once all of them were checked, and lists them."""
    camera = visit.camera
    if visit.request.method != "POST":
        return _listed(await _ask(camera, listing))
    wanted = await _wanted(visit)
    if not wanted:
        raise HttpError(400, "name at least one control, as brightness=10")
    known, refused = await _ask(camera, partial(_set, wanted=wanted))
    for name, value in wanted.items():
        if name not in refused:
            log.get(camera=camera.name).info("control set", control=name, value=value, by=visit.caller.address)
            if name in known and known[name].lasts:
                camera.capture.controls[name] = value  # for the next opening
    if refused:
        raise HttpError(409, _sentence(refused), facts={"refused": refused, **_content(known)})
    return _listed(known)


async def reset(visit: Visit) -> Response:
    """POST puts all, or the one of `name`, back to the driver's default, and then to what the file says."""
    camera, name = visit.camera, (await _wanted(visit)).get("name")
    names = [str(name)] if name else []
    known, refused = await _ask(camera, partial(_reset, names=names, filed=camera.config.controls))
    for each in names or list(camera.capture.controls):
        camera.capture.controls.pop(each, None)
    log.get(camera=camera.name).info("controls reset", control=name or "all", by=visit.caller.address)
    if names and refused:
        raise HttpError(409, _sentence(refused), facts={"refused": refused, **_content(known)})
    return _listed(known, refused=refused)


async def _wanted(visit: Visit) -> dict[str, ControlValue]:
    """The body, as JSON where it says that it is, else as a form."""
    kind = visit.request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        return await visit.json(dict[str, ControlValue])
    return {name: scalar(text) for name, text in (await visit.form()).items()}


def _listed(known: Known, **more: object) -> Response:
    return json_response({**_content(known), **more})


def _content(known: Known) -> dict[str, Any]:
    return {"controls": [control.report() for control in known.values()]}


def _sentence(refused: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {reason}" for name, reason in refused.items())


def _set(fd: int, wanted: Mapping[str, ControlValue]) -> tuple[Known, Refusals]:
    known = listing(fd)
    settings, wrong = check(known, wanted)
    if wrong:
        raise HttpError(400, _sentence(wrong), facts={"refused": wrong})
    refused = put(fd, known, settings)
    return listing(fd), refused


def _reset(fd: int, names: list[str], filed: Mapping[str, ControlValue]) -> tuple[Known, Refusals]:
    try:
        refused = put_back(fd, names)
    except ValueError as problem:
        raise HttpError(400, f"{names[0]}: {problem}") from None
    refused |= apply(fd, {name: value for name, value in filed.items() if not names or name in names})
    return listing(fd), refused


async def _ask(camera: Camera, job: Callable[[int], T]) -> T:
    """What `job` gives for a descriptor of that camera, in a thread; 409 where there is none, 503 if it takes long."""
    path = _node(camera)
    try:
        async with asyncio.timeout(PATIENCE):
            while (before := _at_work.get(camera)) is not None and not before.done():
                await asyncio.wait((before,))
            work = _at_work[camera] = asyncio.ensure_future(asyncio.to_thread(_in_session, path, job))
            return await asyncio.shield(work)
    except TimeoutError:
        raise HttpError(503, "the camera's driver does not answer", facts=_state(camera)) from None
    except OSError as error:
        raise HttpError(409, f"the camera cannot be asked: {error.strerror}", facts=_state(camera)) from None


def _in_session(path: str, job: Callable[[int], T]) -> T:
    with session(path) as fd:
        return job(fd)


def _node(camera: Camera) -> str:
    """The device node that a camera is open on."""
    granted = camera.capture.granted
    if granted is None or camera.capture.status.state not in OPEN:
        raise HttpError(409, "the camera is not open", facts=_state(camera))
    if not granted.device.startswith("/dev/"):
        raise HttpError(409, "the camera has no controls: it is none of V4L2's", facts=_state(camera))
    return granted.device


def _state(camera: Camera) -> dict[str, Any]:
    status = camera.capture.status
    return {"camera": camera.name, "state": status.state, "reason": status.reason}
