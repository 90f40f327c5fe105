"""Which cameras are paused, kept on disk: a power cut must not open an eye that somebody closed."""

import json
import threading
from pathlib import Path

from mjpegd import log
from mjpegd.access import state

FILE = "paused.json"


class Pauses:
    """The names of the paused cameras, in a file of the state folder."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / FILE
        self.names = _read(self._file)
        self._lock = threading.Lock()

    def note(self, name: str, *, paused: bool) -> None:
        """Remember it. Where it cannot be kept it holds until the next start, and the log says so. For any thread."""
        with self._lock:  # one file at a time: several cameras are often paused at once
            if (name in self.names) is paused:
                return
            (self.names.add if paused else self.names.discard)(name)
            self._keep(name)

    def _keep(self, name: str) -> None:
        try:
            state.write(self._file, json.dumps(sorted(self.names)).encode())
        except OSError as error:
            log.get(camera=name).warning("the pause ends with this run", reason=error.strerror, hint="set server.state")


def _read(file: Path) -> set[str]:
    try:
        return {str(name) for name in json.loads(state.read(file))}
    except FileNotFoundError:
        return set()
    except (OSError, ValueError, TypeError) as error:
        log.get().error("cannot read which cameras are paused: none is", file=str(file), reason=str(error))
        return set()
