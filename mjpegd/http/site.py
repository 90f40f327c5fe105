"""What every handler may ask for: the cameras, the settings, and who we are."""

import uuid
from dataclasses import dataclass, field
from time import monotonic, time

from mjpegd.camera import Camera, Cameras
from mjpegd.config.schema import ServerConfig
from mjpegd.errors import HttpError


@dataclass(frozen=True, slots=True)
class Site:
    """One daemon's state as the HTTP side sees it. `boot` differs at each start, so no ETag outlives its frames."""

    cameras: Cameras
    server: ServerConfig
    boot: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    started: float = field(default_factory=time)
    started_monotonic: float = field(default_factory=monotonic)

    def camera(self, name: str | None) -> Camera:
        """The camera of that name, the first one for None; 404 naming those there are."""
        if name is None:
            return next(iter(self.cameras.values()))
        if name not in self.cameras:
            raise HttpError(404, "there is no camera of that name", facts={"cameras": list(self.cameras)})
        return self.cameras[name]
