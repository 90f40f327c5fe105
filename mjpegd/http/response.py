"""The two kinds of answer: at once (`Response`) and made of frames (`Play`)."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from time import time
from typing import Any

from mjpegd.access.caller import Caller
from mjpegd.access.principal import Principal
from mjpegd.camera import Camera
from mjpegd.errors import HttpError
from mjpegd.look import Look
from mjpegd.wire import via
from mjpegd.wire.conditional import http_date
from mjpegd.wire.http import render_head
from mjpegd.wire.multipart import CONTENT_TYPE, Profile

_BODILESS = frozenset({204, 304})
"""RFC 9110 15.3.5 and 15.4.5: neither content nor a Content-Length of our own."""


@dataclass(frozen=True, slots=True)
class Response:
    """A finite answer; the connection may go on behind it."""

    status: int
    body: bytes | memoryview = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)

    def head(self, more: Mapping[str, str], *, keep_alive: bool) -> bytes:
        """The response head, with the fields that every finite answer has, and `more`."""
        fields = [("Date", http_date(time())), ("Server", "mjpegd")]
        if self.status not in _BODILESS:
            fields += [("Content-Type", self.content_type), ("Content-Length", str(len(self.body)))]
            fields.append(("X-Content-Type-Options", "nosniff"))
        fields += {**more, **self.headers}.items()
        fields.append(("Connection", "keep-alive" if keep_alive else "close"))
        return render_head(self.status, fields)


@dataclass(frozen=True, slots=True)
class Play:
    """An endless answer: this camera's frames in this profile and look, for this caller.

    `repeat_after` is the number of seconds after which a frame is sent once more if no newer one came; None leaves that
    to the heartbeat. `tab` is the name that a page gave itself, which its next stream comes with again. With `adapt`
    the look is the best it gets; `budget` is the age in seconds that no frame may have when it arrives. `verbose` adds
    header lines to each part.
    """

    camera: Camera
    profile: Profile
    look: Look
    repeat_after: float | None
    agent: str
    caller: Caller
    principal: Principal
    tab: str = ""
    adapt: bool = False
    budget: float | None = None
    verbose: bool = False


def json_response(content: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer that no cache keeps."""
    body = json.dumps(content, indent=2).encode() + b"\n"
    return Response(status, body, headers={"Cache-Control": "no-store", **(headers or {})})


def error_response(error: HttpError) -> Response:
    """What is said to a client whose request failed: the status, why in words, and any facts that help."""
    return json_response({"error": str(error), **error.facts}, error.status, error.headers)


def stream_head(relays: Iterable[str], more: Mapping[str, str]) -> bytes:
    """The head of every stream: never cached, never buffered by nginx, delimited by the connection's end."""
    return render_head(
        200,
        (
            ("Date", http_date(time())),
            ("Server", "mjpegd"),
            ("Content-Type", CONTENT_TYPE),
            ("Cache-Control", "no-store, no-cache, must-revalidate, max-age=0"),
            ("Pragma", "no-cache"),
            ("Connection", "close"),
            ("X-Accel-Buffering", "no"),
            ("Vary", "Accept, Origin" if "Vary" in more else "Accept"),
            ("X-Content-Type-Options", "nosniff"),
            ("Cross-Origin-Resource-Policy", "cross-origin"),
            ("Via", via.render(relays)),
            *((name, value) for name, value in more.items() if name != "Vary"),
        ),
    )
