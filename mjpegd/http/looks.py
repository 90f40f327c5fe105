"""How the pictures are to be that a request asks for: by numbers, by a name, in the words of other programs."""

import re
from dataclasses import replace

from mjpegd.config.presets import renditions
from mjpegd.config.schema import RenditionConfig
from mjpegd.errors import HttpError
from mjpegd.http import query
from mjpegd.http.query import Query
from mjpegd.http.visit import Visit
from mjpegd.look import MAX_FPS, MAX_SIDE, MIN_FPS, MIN_SIDE, PASSTHROUGH, Look, Size

NUMBERS = frozenset({"width", "w", "height", "h", "resolution", "quality", "q", "compression", "fps"})
"""Parameters by which a viewer says itself how its pictures are to be."""
PACES = ((10.0, 1.0), (1.0, 0.5), (0.0, 0.1))
"""From so many frames a second on, the steps to which a pace that is asked for is rounded: few can be made at once."""
RESOLUTIONS = {"QCIF": "176x144", "CIF": "352x288", "4CIF": "704x576", "D1": "720x576"}
"""Axis's names."""
_RESOLUTION = re.compile(r"([0-9]{1,5})x([0-9]{1,5})")


def for_stream(visit: Visit) -> Look:
    """The look of a stream: what is asked for, else what the camera's table says; never above its pace or a link's."""
    config = visit.camera.config
    default = Look(config.stream_width, config.stream_height, config.stream_quality)
    return _asked(visit, default).within(Look(fps=config.stream_fps))


def for_snapshot(visit: Visit) -> Look:
    """The look of a single picture: as the camera gives it, if nothing else is asked for."""
    return replace(_asked(visit, Look()), fps=0.0)


def _asked(visit: Visit, default: Look) -> Look:
    """`HttpError` 400 names the range of a value that is out of it."""
    parameters = visit.request.query
    look = replace(_completed(parameters, _named(visit, default)), configured=NUMBERS.isdisjoint(parameters))
    share = visit.principal.share
    return look if share is None else look.within(Look(share.width, fps=share.fps))


def _named(visit: Visit, default: Look) -> Look:
    """What the numbers of a query are added to: the rendition it names, if any."""
    known = {name: _look(config) for name, config in renditions(visit.site.config).items()}
    name = query.choice(visit.request.query, "rendition", {**known, PASSTHROUGH: None})
    return default if name is None else known.get(name, Look())


def _look(config: RenditionConfig) -> Look:
    return Look(config.width, config.height, config.quality, config.fps)


def _completed(parameters: Query, base: Look) -> Look:
    """The numbers that are asked for, else those of `base`; width and height are one thing, a box."""
    width, height = _box(parameters)
    if not (width or height):
        width, height = base.width, base.height
    quality = query.number(parameters, _spelt(parameters, "quality", "q"), 1, 100)
    compression = query.number(parameters, "compression", 0, 100)  # Axis: the less of it, the better
    if quality is None and compression is not None:
        quality = max(1, 100 - compression)
    unpaced = parameters.get("fps") == "0"  # Axis: all that come
    fps = 0.0 if unpaced else query.decimal(parameters, "fps", MIN_FPS, MAX_FPS)
    return Look(width, height, quality or base.quality, _rounded(fps or 0.0) or base.fps)


def _rounded(fps: float) -> float:
    step = next(step for least, step in PACES if fps >= least)
    return round(round(fps / step) * step, 1)


def _box(parameters: Query) -> Size:
    """`width` and `height`, or Axis's `resolution=640x480` or `=CIF`; 0 where one is not asked for."""
    width = query.number(parameters, _spelt(parameters, "width", "w"), MIN_SIDE, MAX_SIDE)
    height = query.number(parameters, _spelt(parameters, "height", "h"), MIN_SIDE, MAX_SIDE)
    wide, tall = _resolution(parameters)
    return width or wide, height or tall


def _resolution(parameters: Query) -> Size:
    text = parameters.get("resolution")
    if text is None:
        return 0, 0
    match = _RESOLUTION.fullmatch(RESOLUTIONS.get(text.upper(), text))
    width, height = map(int, match.groups()) if match else (0, 0)
    if not all(MIN_SIDE <= side <= MAX_SIDE for side in (width, height)):
        names = ", ".join(RESOLUTIONS)
        raise HttpError(
            400, f"resolution must be WIDTHxHEIGHT, as 640x480, each from {MIN_SIDE} to {MAX_SIDE}, or one of {names}"
        )
    return width, height


def _spelt(parameters: Query, long: str, short: str) -> str:
    """The name that a parameter came by."""
    return short if short in parameters and long not in parameters else long
