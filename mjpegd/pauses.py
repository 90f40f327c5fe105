"""Which cameras are paused, kept on disk: a power cut must not open an eye that somebody closed."""

import asyncio
import os
import threading
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import msgspec

from mjpegd import log
from mjpegd.access import state

FILE = "paused.json"

Known = frozenset[str] | None
"""Names; None while nobody can say which."""


class Names(Collection[str]):
    """The names of the paused cameras, for whoever asks again and again; each there may be, where nobody can say."""

    def __init__(self, known: Known) -> None:
        self.known = known

    def __contains__(self, name: object) -> bool:
        return self.known is None or name in self.known

    def __iter__(self) -> Iterator[str]:
        return iter(self.known or ())

    def __len__(self) -> int:
        return len(self.known or ())


class Pauses:
    """The names of the paused cameras, in a file of the state folder; every camera is, while that is damaged."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / FILE
        self._kept = _read(self._file)
        self.names = Names(self._kept)
        self.turn = asyncio.Lock()
        """Held by who notes and switches, so that two who disagree leave the file and the camera as one of them."""
        self._lock = threading.Lock()

    def note(self, name: str, *, paused: bool, among: Iterable[str]) -> bool:
        """Remember it, and say whether it outlives this run; if not, so does the log. For any thread.

        `among` are the cameras there are: the others of them stay paused behind a file that was damaged.
        """
        with self._lock:  # one file at a time: several cameras are often paused at once
            before = frozenset(among) if self.names.known is None else self.names.known
            self.names.known = before | {name} if paused else before - {name}
            return self._keep(name, self.names.known, paused=paused)

    def _keep(self, name: str, names: frozenset[str], *, paused: bool) -> bool:
        if names == self._kept:
            return True
        try:
            state.write(self._file, msgspec.json.encode(sorted(names)))
        except OSError as error:
            lost = "the pause ends with this run" if paused else "the pause is back at the next start"
            log.get(camera=name).warning(lost, reason=error.strerror, hint="set server.state")
            return False
        self._kept = names
        return True


def _read(file: Path) -> Known:
    if not os.access(file.parent, os.X_OK):  # one that we may not enter, or is not there, holds nothing of ours
        return frozenset()
    try:
        return frozenset(msgspec.json.decode(state.read(file), type=list[str]))
    except FileNotFoundError:
        return frozenset()
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        log.get().error(
            "cannot read which cameras are paused: all are",
            file=str(file),
            reason=str(error),
            hint="POST /cameras/NAME/resume for each that may be open, or delete the file and restart",
        )
        return None
