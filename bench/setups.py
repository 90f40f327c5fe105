"""What a run is made of: the camera's video, who watches, and the server with its cores."""

from dataclasses import dataclass
from urllib.parse import parse_qs

from usage import CORES, LOAD_CORE, SERVER_CORE

SLOW_RATE = 1_000_000


@dataclass(frozen=True)
class Video:
    """What the camera gives. `frames` names a frame set; None is mjpegd's own test pattern."""

    frames: str | None
    width: int
    height: int
    fps: int


@dataclass(frozen=True)
class Audience:
    """Viewers of one look: fast ones, that read all they can, and slow ones, that read `rate` bytes a second each.

    `look` is what they ask of /stream, as a query; "" for the camera's own pictures. With a `rate` of 0 the slow ones
    are connected and never read.
    """

    fast: int = 0
    slow: int = 0
    rate: int = SLOW_RATE
    look: str = ""

    @property
    def size(self) -> int:
        """All of them."""
        return self.fast + self.slow

    def pace(self, video: Video) -> float:
        """Frames a second that are due to each."""
        asked = parse_qs(self.look).get("fps")
        return float(asked[0]) if asked else video.fps


@dataclass(frozen=True)
class Setup:
    """One row of a table: a server on its cores, and its audiences. What viewers see is measured of the first."""

    name: str
    server: str
    audiences: tuple[Audience, ...] = ()
    cores: tuple[int, ...] = (SERVER_CORE,)

    @property
    def size(self) -> int:
        """All viewers."""
        return sum(audience.size for audience in self.audiences)

    @property
    def renditions(self) -> tuple[Audience, ...]:
        """The audiences for which pictures are encoded, one for each look."""
        return tuple(audience for audience in self.audiences if audience.look)

    @property
    def shares_core(self) -> bool:
        """Whether the server may run on the viewers' core too."""
        return LOAD_CORE in self.cores


def side_by_side(names: tuple[str, ...], *audiences: Audience) -> tuple[Setup, ...]:
    """The same audiences at each of these servers."""
    return tuple(Setup(name, name, audiences) for name in names)


def situation(name: str, *audiences: Audience, both_cores: bool = False) -> Setup:
    """These audiences at mjpegd."""
    return Setup(name, "mjpegd", audiences, CORES if both_cores else (SERVER_CORE,))
