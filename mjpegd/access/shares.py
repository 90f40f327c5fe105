"""Share links: one camera for a while, in an address that `<img>` and VLC can open.

The link says all of it and is signed; the file beside the secret says which links there are and which were revoked, and
is read again when it changes, so that `mjpegd share --revoke` needs no daemon to talk to.
"""

import fcntl
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from time import time

import msgspec

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
            self._note({**self._entries(), share.id: (share, False)})
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
        return list(self._entries().values())

    def revoke(self, identity: str) -> bool:
        """Make a link void; False if there is none of that id."""
        with self._locked():
            entries = self._entries()
            if identity not in entries:
                return False
            share, _ = entries[identity]
            self._note({**entries, identity: (share, True)})
            return True

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One change at a time, by whichever process."""
        with state.opened(self._file.with_suffix(".lock")) as lock:
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
            self._revoked = frozenset(name for name, (_, revoked) in self._entries().items() if revoked)
        except ConfigError as error:
            self._revoked = None
            log.get().error("no share link is good until it is known which were revoked", reason=str(error))

    def _entries(self) -> dict[str, tuple[Share, bool]]:
        """Every link that has not expired, by its id, and whether it was revoked; `ConfigError` if nobody knows."""
        try:
            noted = msgspec.json.decode(state.read(self._file), type=dict[str, _Entry])
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise ConfigError([f"{self._file}: cannot be read: {error.strerror}"]) from None
        except msgspec.MsgspecError:
            hint = "delete it, and every link is good until it expires"
            raise ConfigError([f"{self._file}: is damaged; {hint}"]) from None
        return {name: (entry.share, entry.revoked) for name, entry in noted.items() if entry.share.expires > time()}

    def _note(self, entries: dict[str, tuple[Share, bool]]) -> None:
        noted = {name: _Entry(share, revoked) for name, (share, revoked) in entries.items()}
        state.write(self._file, msgspec.json.format(msgspec.json.encode(noted)))


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    """A link as the file has it."""

    share: Share
    revoked: bool
