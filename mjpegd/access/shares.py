"""Share links: one camera for a while, in an address that `<img>` and VLC can open.

The link says all of it and is signed; the file beside the secret says which links there are and which were revoked, and
is read again when it changes, so that `mjpegd share --revoke` needs no daemon to talk to.
"""

import fcntl
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from time import time
from typing import Any

from mjpegd import log
from mjpegd.access import state
from mjpegd.access.tokens import Signer
from mjpegd.errors import ConfigError

FILE = "shares.json"
KIND = "share"


@dataclass(frozen=True, slots=True)
class Share:
    """What a link opens. `expires` is Unix seconds; 0 means as the camera gives it, or for `viewers` no limit."""

    id: str
    camera: str
    expires: int
    fps: int = 0
    width: int = 0
    viewers: int = 0


class Shares:
    """The links that were given out."""

    def __init__(self, place: Path, signer: Signer) -> None:
        self._file = place / FILE
        self._signer = signer
        self._stamp: tuple[int, int] | None = None
        self._revoked: frozenset[str] | None = frozenset()

    def make(self, camera: str, seconds: int, *, fps: int = 0, width: int = 0, viewers: int = 0) -> tuple[Share, str]:
        """A new link and its token; `OSError` if it cannot be noted."""
        share = Share(secrets.token_hex(4), camera, int(time()) + seconds, fps, width, viewers)
        with self._locked():
            self._note({**self._entries(), share.id: {**asdict(share), "revoked": False}})
        return share, self._signer.seal(KIND, astuple(share))

    def read(self, token: str) -> Share | None:
        """What a token opens now; None if it is none of ours, expired or revoked."""
        content = self._signer.open(KIND, token)
        share = Share(*content) if content is not None else None
        return share if share is not None and self.lasts(share) else None

    def lasts(self, share: Share) -> bool:
        """Whether a link is still good."""
        self._refresh()
        return share.expires > time() and self._revoked is not None and share.id not in self._revoked

    def known(self) -> list[tuple[Share, bool]]:
        """Every link that has not expired, and whether it was revoked."""
        entries = self._entries().values()
        return [
            (Share(**{name: value for name, value in entry.items() if name != "revoked"}), bool(entry["revoked"]))
            for entry in entries
        ]

    def revoke(self, identity: str) -> bool:
        """Make a link void; False if there is none of that id."""
        with self._locked():
            entries = self._entries()
            if identity not in entries:
                return False
            entries[identity]["revoked"] = True
            self._note(entries)
            return True

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One change at a time, by whichever process."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _refresh(self) -> None:
        """Look at the file again if it changed: a `stat` for each look."""
        try:
            status = self._file.stat()
        except OSError:
            return
        stamp = (status.st_mtime_ns, status.st_ino)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._revoked = frozenset(name for name, entry in self._entries().items() if entry["revoked"])
        except ConfigError as error:
            self._revoked = None
            log.get().error("no share link is good until it is known which were revoked", reason=str(error))

    def _entries(self) -> dict[str, dict[str, Any]]:
        try:
            entries: dict[str, dict[str, Any]] = json.loads(self._file.read_bytes())
            return {name: entry for name, entry in entries.items() if float(str(entry["expires"])) > time()}
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise ConfigError([f"{self._file}: cannot be read: {error.strerror}"]) from None
        except (ValueError, LookupError, TypeError, AttributeError):
            raise ConfigError(
                [f"{self._file}: is damaged; delete it, and every link is good until it expires"]
            ) from None

    def _note(self, entries: dict[str, dict[str, Any]]) -> None:
        state.write(self._file, json.dumps(entries, indent=1).encode())
