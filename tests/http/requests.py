"""Requests and a site for the tests of the HTTP side that need no socket."""

import asyncio
from collections.abc import Iterable

from mjpegd.camera import Cameras
from mjpegd.config.schema import CameraConfig, ServerConfig
from mjpegd.http.site import Site
from mjpegd.wire.http import Request, RequestParser

NAMES = ("porch", "attic")


def request(target: str, *fields: str, method: str = "GET") -> Request:
    """A request as the parser makes it."""
    parser = RequestParser()
    parser.feed("\r\n".join((f"{method} {target} HTTP/1.1", "Host: camera", *fields, "", "")).encode())
    parsed = parser.next_request()
    assert parsed is not None
    return parsed


def site(names: Iterable[str] = NAMES) -> Site:
    """A site of cameras that were not started."""
    loop = asyncio.get_running_loop()
    return Site(Cameras({name: CameraConfig(source="pattern") for name in names}, loop), ServerConfig())
