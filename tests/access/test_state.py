"""The folder for what outlives a restart, and the files in it."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

import pytest

from mjpegd.access import state
from mjpegd.errors import ConfigError


def mode(file: Path) -> int:
    """Who may do what with a file."""
    return stat.S_IMODE(file.stat().st_mode)


@pytest.mark.parametrize(
    ("configured", "environment", "root", "expected"),
    [
        ("/srv/state", {"STATE_DIRECTORY": "/a", "HOME": "/home/me"}, True, "/srv/state"),
        ("", {"STATE_DIRECTORY": "/var/lib/mjpegd"}, False, "/var/lib/mjpegd"),
        ("", {"STATE_DIRECTORY": "/var/lib/a:/var/lib/b"}, True, "/var/lib/a"),
        ("", {"STATE_DIRECTORY": "", "HOME": "/root"}, True, "/var/lib/mjpegd"),
        ("", {"HOME": "/home/me"}, True, "/var/lib/mjpegd"),
        ("", {"HOME": "/home/me"}, False, "/home/me/.local/state/mjpegd"),
        ("", {"HOME": "/home/me", "XDG_STATE_HOME": "/data"}, False, "/data/mjpegd"),
        ("", {"HOME": "/home/me", "XDG_STATE_HOME": ""}, False, "/home/me/.local/state/mjpegd"),
        ("", {}, False, "/nonexistent/.local/state/mjpegd"),
    ],
)
def test_folder(configured: str, environment: Mapping[str, str], root: bool, expected: str) -> None:  # noqa: FBT001  (a row)
    """The folder is the one configured, else systemd's, else the system's for root and one's own for others."""
    assert state.folder(configured, environment, root=root) == Path(expected)


def test_secret_is_made_once(tmp_path: Path) -> None:
    """The secret is made at the first call, kept where only its owner reads it, and the same from then on."""
    place = tmp_path / "deep" / "state"
    made = state.secret(place)

    assert len(made) == state.SECRET_BYTES
    assert state.secret(place) == made
    assert mode(place / state.FILE) == 0o600
    assert [file.name for file in place.iterdir()] == [state.FILE]


def test_secrets_differ(tmp_path: Path) -> None:
    """Each place has a secret of its own."""
    assert state.secret(tmp_path / "a") != state.secret(tmp_path / "b")


def test_secret_of_whoever_was_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two that make the secret at the same moment the second takes the first one's."""
    first = b"1" * state.SECRET_BYTES
    (tmp_path / state.FILE).write_bytes(first)
    monkeypatch.setattr(Path, "exists", lambda _: False)  # as it was when the second one looked

    assert state.secret(tmp_path) == first


@pytest.mark.parametrize("content", [b"", b"short", b"x" * (state.SECRET_BYTES - 1)])
def test_short_secret(content: bytes, tmp_path: Path) -> None:
    """A secret that is too short to be one is refused, and neither used nor replaced."""
    (tmp_path / state.FILE).write_bytes(content)

    with pytest.raises(ConfigError, match=r"secret: is shorter than 32 bytes: delete it, and share anew"):
        state.secret(tmp_path)
    assert (tmp_path / state.FILE).read_bytes() == content


@pytest.mark.parametrize("below", ["file", "file/state"])
def test_no_place(below: str, tmp_path: Path) -> None:
    """Where no folder can be, that is said with the place and the system's reason."""
    (tmp_path / "file").touch()

    with pytest.raises(
        ConfigError, match=r"file.*: cannot keep the secret of share links: (Not a directory|File exists)"
    ):
        state.secret(tmp_path / below)


def test_write(tmp_path: Path) -> None:
    """A file is written whole, over the one before, for its owner only, whatever the umask; nothing else is left."""
    file = tmp_path / "shares.json"
    before = os.umask(0)
    try:
        for content in (b"one", b"another, longer", b""):
            state.write(file, content)
            assert (file.read_bytes(), mode(file)) == (content, 0o600)
    finally:
        os.umask(before)

    assert list(tmp_path.iterdir()) == [file]


def test_write_without_replacing(tmp_path: Path) -> None:
    """A file that is not to be replaced stays, and nothing is left beside it."""
    file = tmp_path / "secret"
    state.write(file, b"first", replace=False)
    state.write(file, b"second", replace=False)

    assert file.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("replace", [True, False])
def test_never_half(replace: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001  (a row)
    """A disk that fails in the middle leaves the file as it was, and nothing beside it."""
    file = tmp_path / "shares.json"
    file.write_bytes(b"old")

    def fail(descriptor: int) -> None:
        assert file.read_bytes() == b"old"
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        state.write(file, b"new", replace=replace)

    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_on_the_disk_before_it_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written is on the disk before it takes the old one's place: a power cut leaves one or the other."""
    file, seen = tmp_path / "shares.json", []
    file.write_bytes(b"old")

    def look(descriptor: int) -> None:
        (temporary,) = (path for path in tmp_path.iterdir() if path != file)
        seen.append((file.read_bytes(), temporary.read_bytes(), mode(temporary)))

    monkeypatch.setattr(os, "fsync", look)
    state.write(file, b"new")

    assert seen == [(b"old", b"new", 0o600)]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_root_gives_away(tmp_path: Path) -> None:
    """What root writes belongs to whom the folder belongs to, so that the daemon can read it."""
    os.chown(tmp_path, 12345, 23456)
    state.write(tmp_path / "shares.json", b"{}")
    state.secret(tmp_path)

    for name in ("shares.json", state.FILE):
        owner = (tmp_path / name).stat()
        assert (owner.st_uid, owner.st_gid, mode(tmp_path / name)) == (12345, 23456, 0o600)


@pytest.mark.parametrize("name", ["shares.lock", "shares.json"])
def test_links_lead_nowhere(name: str, tmp_path: Path) -> None:
    """A link that was left in the folder is not followed: what it names keeps content, owner and mode."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    victim.chmod(0o640)
    folder = tmp_path / "state"
    folder.mkdir()
    (folder / name).symlink_to(victim)
    before = victim.stat()
    with pytest.raises(OSError, match="symbolic links"), state.opened(folder / name):
        pass
    with pytest.raises(OSError, match="symbolic links"):
        state.read(folder / name)
    after = victim.stat()

    assert (after.st_uid, after.st_mode, victim.read_bytes()) == (before.st_uid, before.st_mode, b"precious")
