"""Who watches now: the table behind `/clients`, and the limits on it."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any, Protocol

from mjpegd.access.address import group
from mjpegd.access.principal import Principal
from mjpegd.config.schema import LimitsConfig
from mjpegd.errors import NoRoom
from mjpegd.http.fanout import Fanouts
from mjpegd.http.response import Play

STUCK = 2.0
"""Seconds without taking anything after which a viewer at the same place is taken for one that was left open."""


class Watcher(Protocol):
    """A viewer as this table knows it."""

    number: int
    asked: Play

    def dismiss(self, reason: str) -> None:
        """End it from outside."""

    def is_misled(self) -> bool:
        """Whether it is a relay that knows less of where its pictures come from than it should."""

    def waiting(self) -> float:
        """Seconds for which it has taken nothing of a frame that is under way."""

    def mark(self) -> None:
        """Note how far it has come, for the rate."""

    def report(self) -> dict[str, Any]:
        """What `/clients` shows of it."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A key of `limits`, what it counts viewers by (None: not this one), and what is said where it is reached."""

    key: str
    of: Callable[[Play], str | None]
    status: int
    message: str


PER_KEY = Limit("viewers_per_key", lambda play: _key(play.principal), 429, "too many streams with this key")
LIMITS = (
    Limit("viewers", lambda _: "", 503, "there are as many viewers as this daemon takes"),
    Limit("viewers_per_camera", lambda play: play.camera.name, 503, "there are as many viewers as this camera takes"),
    Limit("viewers_per_address", lambda play: group(play.caller.address), 429, "too many streams to this address"),
    PER_KEY,
)


class Clients:
    """The viewers by number."""

    def __init__(self) -> None:
        self.fanouts = Fanouts()
        """How those of them are served that keep up."""
        self._numbers = count(1)
        self._viewers: dict[int, Watcher] = {}
        self._tabs: dict[tuple[str, str], Watcher] = {}
        self._counts: Counter[tuple[str, str]] = Counter()

    def __iter__(self) -> Iterator[Watcher]:
        return iter(list(self._viewers.values()))

    def __len__(self) -> int:
        return len(self._viewers)

    def has(self, tab: str) -> bool:
        """Whether the stream of that tab is still on, by whatever address it came."""
        return any(name == tab for _, name in self._tabs)

    def find(self, number: str) -> Watcher | None:
        """The viewer of that number, if it still watches."""
        return self._viewers.get(int(number)) if number.isascii() and number.isdigit() and len(number) < 20 else None

    def enter(self, viewer: Watcher, limits: LimitsConfig) -> int:
        """Take a viewer in and give it its number; 429 or 503 where there is no room.

        The stream that the same tab had before, known by the name it gave itself (`?viewer=`), makes room first.
        """
        play = viewer.asked
        if play.tab and (before := self._tabs.get(_tab(play))):
            before.dismiss("replaced")
            self.leave(before)
        for limit, most in _limits(play, limits):
            counted = limit.of(play)
            if counted is not None and self._counts[limit.key, counted] >= most and not self._make_room(play):
                raise NoRoom(limit.status, limit.message, limit=limit.key, most=most)
        number = next(self._numbers)
        self._viewers[number] = viewer
        self._counts.update(_counted(play))
        if play.tab:
            self._tabs[_tab(play)] = viewer
        return number

    def leave(self, viewer: Watcher) -> None:
        """Give its place free; nothing happens for one that has none."""
        if self._viewers.pop(viewer.number, None) is None:
            return
        play = viewer.asked
        for counted in _counted(play):
            self._counts[counted] -= 1
            if not self._counts[counted]:
                del self._counts[counted]
        if self._tabs.get(_tab(play)) is viewer:
            del self._tabs[_tab(play)]

    def _make_room(self, play: Play) -> bool:
        """End what looks like the same viewer's stream of before: same place, same program, and nobody reads it."""
        mine = (play.caller.address, play.agent, play.camera, play.principal.name)
        for viewer in self:
            other = viewer.asked
            same = mine == (other.caller.address, other.agent, other.camera, other.principal.name)
            if same and viewer.waiting() > STUCK:
                viewer.dismiss("replaced")
                self.leave(viewer)
                return True
        return False


def _key(principal: Principal) -> str | None:
    """What `viewers_per_key` counts: a key or a share link, and nobody who has none."""
    return principal.name if principal.proof or principal.share else None


def _counted(play: Play) -> Iterator[tuple[str, str]]:
    for limit in LIMITS:
        if (counted := limit.of(play)) is not None:
            yield limit.key, counted


def _tab(play: Play) -> tuple[str, str]:
    return group(play.caller.address), play.tab


def _limits(play: Play, limits: LimitsConfig) -> Iterator[tuple[Limit, int]]:
    """The limits that are set, and how many each allows; a share link brings its own."""
    for limit in LIMITS:
        if most := getattr(limits, limit.key):
            yield limit, most
    if play.principal.share is not None and play.principal.share.viewers:
        yield PER_KEY, play.principal.share.viewers
