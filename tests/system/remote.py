"""Cameras at the end of a network: how a test configures them, and what it reads of them."""

from collections.abc import Callable
from time import monotonic

from tests.daemon import SECONDS, Daemon
from tests.rtsp import RtspServer
from tests.servers import stripe
from tests.system.client import Client, Part

QUICK: dict[str, float] = {"stale_after": 1, "retry_min": 0.2, "retry_max": 0.5, "open_timeout": 3}
"""Keys of a camera whose trouble is to show, and to be over, soon."""
FAR_TOO_OLD = 99.0


def remote(source: str, **more: object) -> dict[str, object]:
    """`sets` for one camera `cam` with that source and little patience."""
    return {f"camera.cam.{key}": value for key, value in {"source": source, **QUICK, **more}.items()}


def is_card(part: Part) -> bool:
    """Whether it is a card in place of a picture."""
    return "X-Source-State" in part.fields


def parts_of(daemon: Daemon, count: int) -> list[Part]:
    """So many parts of the stream."""
    with Client(daemon) as client:
        client.open_stream()
        return [client.part() for _ in range(count)]


def look_for(client: Client, wanted: Callable[[Part], bool], what: str, within: float = 10.0) -> Part:
    """The first part that is as wanted; fails when none comes in time."""
    deadline = monotonic() + within * SECONDS
    while not wanted(part := client.part()):
        assert monotonic() < deadline, f"waited {within * SECONDS:g} s for {what}"
    return part


def look_on(client: Client, seconds: float) -> None:
    """Watch, whatever comes, at least so long."""
    until = monotonic() + seconds
    look_for(client, lambda part: part.arrived > until, "whatever comes")


def rate(parts: list[Part]) -> float:
    """Pictures a second, as the camera gave them."""
    return (parts[-1].id - parts[0].id) / (parts[-1].arrived - parts[0].arrived)


def age(server: RtspServer, part: Part) -> float:
    """Seconds since the first camera of a server took that picture; very much for a card."""
    number = stripe.read_jpeg(part.jpeg)
    return FAR_TOO_OLD if number is None or is_card(part) else server.age(0, number, part.arrived)


def is_fresh(server: RtspServer) -> Callable[[Part], bool]:
    """Whether a part is a picture of no more than half a second ago."""
    return lambda part: age(server, part) < 0.5 * SECONDS
