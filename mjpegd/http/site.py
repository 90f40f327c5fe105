"""What every handler may ask for: the cameras, the settings, the guard, the viewers, and who we are."""

from dataclasses import dataclass, field
from time import monotonic, time

from mjpegd.access.guard import Guard
from mjpegd.camera import Cameras
from mjpegd.config.schema import Config
from mjpegd.http.clients import Clients
from mjpegd.pauses import Pauses


@dataclass(frozen=True, slots=True)
class Reload:
    """How the last reload went: when (Unix seconds), and what was wrong with the file, if anything."""

    at: float
    problems: tuple[str, ...] = ()
    restart_needed: tuple[str, ...] = ()


@dataclass(slots=True)
class Site:
    """One daemon's state as the HTTP side sees it. A reload replaces `config` and `guard`, so nobody keeps them."""

    cameras: Cameras
    config: Config
    guard: Guard
    pauses: Pauses
    clients: Clients = field(default_factory=Clients)
    reload: Reload | None = None
    started: float = field(default_factory=time)
    started_monotonic: float = field(default_factory=monotonic)
