"""Requests and a site for the tests of the HTTP side that need no socket."""

import asyncio
from collections.abc import Iterable
from pathlib import Path

from mjpegd.access.caller import Caller
from mjpegd.access.guard import Guard
from mjpegd.access.shares import Shares
from mjpegd.access.throttle import Throttle
from mjpegd.access.tokens import Signer
from mjpegd.camera import Cameras
from mjpegd.config.schema import CameraConfig, Config
from mjpegd.http.response import Play, Response
from mjpegd.http.routes import answer
from mjpegd.http.site import Site
from mjpegd.pauses import Pauses
from mjpegd.wire.http import Request, RequestParser

NAMES = ("porch", "attic")


def request(target: str, *fields: str, method: str = "GET") -> Request:
    """A request as the parser makes it."""
    parser = RequestParser()
    parser.feed("\r\n".join((f"{method} {target} HTTP/1.1", "Host: camera", *fields, "", "")).encode())
    parsed = parser.next_request()
    assert parsed is not None
    return parsed


CALLER = Caller("192.0.2.7", secure=False, hosts=("camera",), prefix="")
SIGNER = Signer(b"a secret of thirty-two bytes ...")


def site(names: Iterable[str] = NAMES, config: Config | None = None, state: Path = Path("/nonexistent")) -> Site:
    """A site of cameras that were not started; `state` is where its share links are noted."""
    config = config or Config(camera={name: CameraConfig(source="pattern") for name in names})
    cameras = Cameras(config.camera, asyncio.get_running_loop(), config.limits)
    guard = Guard(config, Shares(state, SIGNER), SIGNER, Throttle(config))
    return Site(cameras, config, guard, Pauses(state))


async def ask(place: Site, asked: Request, *, body: bytes = b"", caller: Caller = CALLER) -> Response | Play:
    """What a site answers, without a connection; `HttpError` as the connection sees it."""

    async def read() -> bytes:
        return body

    return await answer(place, asked, caller, read)
