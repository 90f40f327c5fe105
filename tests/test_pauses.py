"""Which cameras are paused, over a restart."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mjpegd.access import state
from mjpegd.pauses import FILE, Pauses


def test_nothing_yet(tmp_path: Path) -> None:
    """Without a file, or a folder, no camera is paused, and none is made."""
    assert Pauses(tmp_path / "missing").names == set()
    assert list(tmp_path.iterdir()) == []


def test_kept(tmp_path: Path) -> None:
    """What was paused is paused at the next start too, in a folder that is made for it, and what was resumed is not."""
    folder = tmp_path / "state"
    pauses = Pauses(folder)
    for name, paused in (("porch", True), ("attic", True), ("porch", False), ("cellar", False)):
        pauses.note(name, paused=paused)

    assert pauses.names == Pauses(folder).names == {"attic"}
    assert [path.name for path in folder.iterdir()] == [FILE]
    assert (folder / FILE).stat().st_mode & 0o077 == 0


def test_many_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of cameras that are paused at the same time none is forgotten, however long one file takes to write."""
    write, takes = state.write, iter((0.1, 0.05))

    def slow(path: Path, content: bytes) -> None:
        time.sleep(next(takes, 0))
        write(path, content)

    monkeypatch.setattr(state, "write", slow)
    names = [f"camera-{number}" for number in range(8)]
    pauses = Pauses(tmp_path)
    with ThreadPoolExecutor(len(names)) as threads:
        list(threads.map(lambda name: pauses.note(name, paused=True), names))

    assert Pauses(tmp_path).names == pauses.names == set(names)


def test_one_set(tmp_path: Path) -> None:
    """Who holds the names sees them change: a camera that a reload adds is looked up there."""
    pauses = Pauses(tmp_path)
    names = pauses.names
    pauses.note("porch", paused=True)

    assert names == {"porch"}


def test_written_only_where_something_changes(tmp_path: Path) -> None:
    """To pause a paused camera writes nothing."""
    pauses = Pauses(tmp_path)
    pauses.note("porch", paused=True)
    (tmp_path / FILE).unlink()
    pauses.note("porch", paused=True)

    assert not (tmp_path / FILE).exists()


@pytest.mark.parametrize("content", [b"", b"{", b"5", b"null", b"\xff\xfe", b'["porch"'])
def test_a_damaged_file(content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that cannot be read pauses no camera, and is told; the next pause makes it anew."""
    (tmp_path / FILE).write_bytes(content)
    pauses = Pauses(tmp_path)
    assert pauses.names == set()
    assert "cannot read which cameras are paused" in "".join(capsys.readouterr())
    pauses.note("attic", paused=True)

    assert Pauses(tmp_path).names == {"attic"}


def test_a_link_is_not_followed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A link in the file's place is not read."""
    (tmp_path / "other").write_text('["porch"]')
    (tmp_path / FILE).symlink_to(tmp_path / "other")

    assert Pauses(tmp_path).names == set()
    assert "cannot read which cameras are paused" in "".join(capsys.readouterr())


def test_where_nothing_can_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where it cannot be kept a pause holds until the end of the run, with a warning that says what helps."""
    folder = tmp_path / "file"
    folder.write_text("no folder")
    pauses = Pauses(folder)
    capsys.readouterr()
    pauses.note("porch", paused=True)

    assert pauses.names == {"porch"}
    said = "".join(capsys.readouterr())
    assert "the pause ends with this run" in said
    assert "server.state" in said
