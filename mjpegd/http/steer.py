"""Pause and resume: the privacy switch of a camera."""

import asyncio
from time import monotonic

from mjpegd import log
from mjpegd.camera import Camera
from mjpegd.condition import State
from mjpegd.http import status
from mjpegd.http.response import Response, json_response
from mjpegd.http.visit import Visit

PATIENCE, LOOK_EVERY = 5.0, 0.02
"""Seconds for a source to let go of its device, or to be called for again, and between two looks."""


async def pause(visit: Visit) -> Response:
    """Close the source until `resume`, also after a restart: 200 when it is closed, 202 while it does not let go."""
    return await _switch(visit, paused=True)


async def resume(visit: Visit) -> Response:
    """Open the source again: 200 when it is no longer paused, 202 while its thread does not take notice."""
    return await _switch(visit, paused=False)


async def _switch(visit: Visit, *, paused: bool) -> Response:
    pauses = visit.site.pauses
    async with pauses.turn:
        camera = visit.camera  # now: the turn may have been long in coming
        (camera.pause if paused else camera.resume)()  # first: no disk is to keep an eye open
        log.get(camera=camera.name).info("camera " + ("paused" if paused else "resumed"), by=visit.caller.address)
        lasting = await asyncio.to_thread(pauses.note, camera.name, paused=paused, among=list(visit.site.cameras))
    done = await _is_done(visit, camera, paused=paused)
    return json_response({**status.camera(visit, camera), "lasting": lasting}, 200 if done else 202)


async def _is_done(visit: Visit, camera: Camera, *, paused: bool) -> bool:
    """Wait for it; in vain if somebody else switches it back, or the daemon ends."""
    deadline = monotonic() + PATIENCE
    while not _is_so(visit, camera, paused=paused):
        if monotonic() > deadline or camera.demand.paused is not paused or camera.ring.closed:
            return False
        await asyncio.sleep(LOOK_EVERY)
    return True


def _is_so(visit: Visit, camera: Camera, *, paused: bool) -> bool:
    """Whether its source is closed, a thread's that was left behind included; or whether it may open again."""
    shut = camera.capture.status.state is State.PAUSED
    return shut and not visit.site.cameras.is_held(camera.name) if paused else not shut
