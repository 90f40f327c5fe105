"""One request and who makes it: what every handler is given."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import parse_qsl

import msgspec

from mjpegd.access.caller import Caller
from mjpegd.access.principal import Principal
from mjpegd.camera import Camera
from mjpegd.errors import HttpError
from mjpegd.http.site import Site
from mjpegd.wire.http import Request

LONGEST_TAB = 64
"""Characters that a page may call itself by."""

Names = Mapping[str, str | None]
Body = Callable[[], Awaitable[bytes]]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Visit:
    """A request that passed the guard. `names` are the parts of its path, `body` reads what follows its head."""

    site: Site
    request: Request
    names: Names
    caller: Caller
    principal: Principal
    body: Body

    @property
    def cameras(self) -> dict[str, Camera]:
        """The cameras that the caller may know of."""
        return {name: camera for name, camera in self.site.cameras.items() if self.principal.sees(name)}

    @property
    def camera(self) -> Camera:
        """The camera of the path, the caller's first one where it names none; 403 or 404 where that cannot be."""
        name, known = self.names.get("camera"), self.cameras
        if name is None and known:
            return next(iter(known.values()))
        if name in known:
            return known[name]
        if name is None or name in self.site.cameras:
            raise HttpError(403, "this key is not for that camera", facts={"cameras": list(known)})
        raise HttpError(404, "there is no camera of that name", facts={"cameras": list(known)})

    @property
    def tab(self) -> str:
        """What a page calls itself by, so that its next stream ends the one before."""
        return self.request.query.get("viewer", "")[:LONGEST_TAB]

    async def form(self) -> dict[str, str]:
        """The body as a form that was posted (application/x-www-form-urlencoded)."""
        return dict(parse_qsl((await self.body()).decode(errors="replace"), keep_blank_values=True))

    async def json(self, kind: type[T]) -> T:
        """The body as JSON of that type; 400 says where it is something else."""
        try:
            return msgspec.json.decode(await self.body(), type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise HttpError(400, f"the body is not the JSON that belongs here: {error}") from None
