"""The folder for what outlives a restart, and the secret in it that share links and logins are signed with.

The daemon and `mjpegd share` use it side by side, perhaps as different users: a file made by root belongs to whom the
folder belongs to, and a file appears whole or not at all.
"""

import os
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mjpegd.errors import ConfigError

FILE = "secret"
SECRET_BYTES = 32
_MINE = os.O_CLOEXEC | os.O_NOFOLLOW
"""The folder is the daemon's, and root comes by: a link that a daemon out of control left there leads it nowhere."""


def folder(configured: str, environment: Mapping[str, str], *, root: bool) -> Path:
    """Where it is: as configured, else as systemd says (StateDirectory=), else the system's or the user's own place."""
    if configured:
        return Path(configured)
    if named := environment.get("STATE_DIRECTORY"):
        return Path(named.split(":")[0])
    if root:
        return Path("/var/lib/mjpegd")
    home = environment.get("XDG_STATE_HOME") or Path(environment.get("HOME") or "/nonexistent") / ".local" / "state"
    return Path(home) / "mjpegd"


def secret(place: Path) -> bytes:
    """The signing secret, made at the first call; `ConfigError` where it cannot be read or made."""
    try:
        if not (place / FILE).exists():
            write(place / FILE, secrets.token_bytes(SECRET_BYTES), replace=False)
        kept = read(place / FILE)
    except OSError as error:
        raise ConfigError([f"{place}: cannot keep the secret of share links: {error.strerror}"]) from None
    if len(kept) < SECRET_BYTES:
        raise ConfigError([f"{place / FILE}: is shorter than {SECRET_BYTES} bytes: delete it, and share anew"])
    return kept


def write(path: Path, content: bytes, *, replace: bool = True) -> None:
    """Write a file that only its owner reads. Without `replace`, one that was there first stays. Raises `OSError`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
            _give(descriptor, path.parent)
        if replace:
            Path(temporary).replace(path)
        else:
            _link(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """A file of ours, made if it is missing, that only its owner opens; for locks. Raises `OSError`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, _MINE | os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        _give(descriptor, path.parent)
    except FileExistsError:
        descriptor = os.open(path, _MINE | os.O_RDWR)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def read(path: Path) -> bytes:
    """What a file of ours holds. Raises `OSError`."""
    with os.fdopen(os.open(path, _MINE | os.O_RDONLY), "rb") as file:
        return file.read()


def _give(descriptor: int, place: Path) -> None:
    owner = place.stat()
    if os.geteuid() == 0 and owner.st_uid != 0:
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def _link(temporary: str, path: Path) -> None:
    try:
        os.link(temporary, path)
    except FileExistsError:
        return
