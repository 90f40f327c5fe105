"""How the pictures are to be that a request asks for: by numbers, by a name, in the words of other programs."""

from dataclasses import replace

from mjpegd.config.presets import renditions
from mjpegd.config.schema import MAX_FPS, MAX_SIDE, MIN_FPS, MIN_SIDE, RenditionConfig
from mjpegd.errors import HttpError
from mjpegd.http import query
from mjpegd.http.query import Query
from mjpegd.http.visit import Visit
from mjpegd.look import Look, Size

PASSTHROUGH = "passthrough"
"""The rendition that is none."""
RESOLUTIONS = {"QCIF": "176x144", "CIF": "352x288", "4CIF": "704x576", "D1": "720x576"}
"""Axis's names."""


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
    look = _completed(visit.request.query, _named(visit, default))
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
    return Look(width, height, quality or base.quality, fps or base.fps)


def _box(parameters: Query) -> Size:
    """`width` and `height`, or Axis's `resolution=640x480` or `=CIF`; 0 where one is not asked for."""
    sides = (_spelt(parameters, "width", "w"), _spelt(parameters, "height", "h"))
    resolution = parameters.get("resolution")
    if resolution is not None:
        wide, cross, tall = RESOLUTIONS.get(resolution.upper(), resolution).partition("x")
        if not cross:
            raise HttpError(400, f"resolution must be WIDTHxHEIGHT, as 640x480, or one of {', '.join(RESOLUTIONS)}")
        parameters = {sides[0]: wide, sides[1]: tall, **parameters}
    width, height = (query.number(parameters, side, MIN_SIDE, MAX_SIDE) or 0 for side in sides)
    return width, height


def _spelt(parameters: Query, long: str, short: str) -> str:
    """The name that a parameter came by."""
    return short if short in parameters and long not in parameters else long
