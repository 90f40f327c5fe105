"""Viewers without a connection, for the tests of what counts and judges them."""

from dataclasses import dataclass, field, replace
from typing import Any

from mjpegd.access.principal import Principal, anybody
from mjpegd.camera import Camera
from mjpegd.http.response import Play
from mjpegd.http.site import Site
from mjpegd.look import Look
from mjpegd.wire.multipart import DEFAULT
from tests.http.requests import CALLER

ANYBODY = anybody(("view", "snapshot"))


def play(
    camera: Camera, principal: Principal = ANYBODY, *, address: str = CALLER.address, agent: str = "vlc", tab: str = ""
) -> Play:
    """A stream of that camera for somebody at that address."""
    caller = replace(CALLER, address=address)
    return Play(camera, DEFAULT, Look(), None, agent, caller, principal, tab)


@dataclass(eq=False)
class Watching:
    """A viewer that notes what is asked of it. `waits` says for how long it has taken nothing."""

    asked: Play
    number: int = 0
    waits: float = 0.0
    marks: int = 0
    dismissed: list[str] = field(default_factory=list)

    def dismiss(self, reason: str) -> None:
        """End."""
        self.dismissed.append(reason)

    def is_misled(self) -> bool:
        """Whether it knows less than it should."""
        return False

    def waiting(self) -> float:
        """Seconds without taking anything."""
        return self.waits

    def mark(self) -> None:
        """Count it."""
        self.marks += 1

    def report(self) -> dict[str, Any]:
        """Its number."""
        return {"id": self.number}


def enter(place: Site, asked: Play, *, waits: float = 0.0) -> Watching:
    """Somebody who begins to watch; `HttpError` where there is no room."""
    viewer = Watching(asked, waits=waits)
    viewer.number = place.clients.enter(viewer, place.config.limits)
    return viewer
