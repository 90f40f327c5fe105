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
"""Seconds for a source to let go of its device, and between two looks."""


async def pause(visit: Visit) -> Response:
    """Close the source until `resume`, also after a restart: 200 when it is closed, 202 while it does not let go."""
    camera = await _switch(visit, paused=True)
    camera.pause()
    closed = await _is_closed(camera)
    return json_response(status.camera(visit, camera), 200 if closed else 202)


async def resume(visit: Visit) -> Response:
    """Open the source again."""
    camera = await _switch(visit, paused=False)
    camera.resume()
    return json_response(status.camera(visit, camera))


async def _switch(visit: Visit, *, paused: bool) -> Camera:
    camera = visit.camera
    await asyncio.to_thread(visit.site.pauses.note, camera.name, paused=paused)
    log.get(camera=camera.name).info("camera " + ("paused" if paused else "resumed"), by=visit.caller.address)
    return camera


async def _is_closed(camera: Camera) -> bool:
    deadline = monotonic() + PATIENCE
    while camera.capture.status.state is not State.PAUSED:
        if monotonic() > deadline:
            return False
        await asyncio.sleep(LOOK_EVERY)
    return True
