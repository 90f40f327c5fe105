"""Which cameras are paused, over a restart."""

import errno
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mjpegd.access import state
from mjpegd.pauses import FILE, Pauses

NAMES = ("porch", "attic", "cellar")


def test_nothing_yet(tmp_path: Path) -> None:
    """Without a file, or a folder, no camera is paused, and none is made."""
    assert "porch" not in Pauses(tmp_path / "missing").names
    assert list(tmp_path.iterdir()) == []


def test_kept(tmp_path: Path) -> None:
    """What was paused is paused at the next start too, in a folder that is made for it, and what was resumed is not."""
    folder = tmp_path / "state"
    pauses = Pauses(folder)
    for name, paused in (("porch", True), ("attic", True), ("porch", False), ("cellar", False)):
        pauses.note(name, paused=paused, among=NAMES)

    assert sorted(pauses.names) == sorted(Pauses(folder).names) == ["attic"]
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
        list(threads.map(lambda name: pauses.note(name, paused=True, among=NAMES), names))

    assert sorted(Pauses(tmp_path).names) == sorted(pauses.names) == names


def test_one_set(tmp_path: Path) -> None:
    """Who holds the names sees them change: a camera that a reload adds is looked up there."""
    pauses = Pauses(tmp_path)
    names = pauses.names
    pauses.note("porch", paused=True, among=NAMES)

    assert list(names) == ["porch"]


def test_written_only_where_something_changes(tmp_path: Path) -> None:
    """To pause a paused camera writes nothing."""
    pauses = Pauses(tmp_path)
    pauses.note("porch", paused=True, among=NAMES)
    (tmp_path / FILE).unlink()
    pauses.note("porch", paused=True, among=NAMES)

    assert not (tmp_path / FILE).exists()


DAMAGED = [
    b"",
    b"{",
    b"5",
    b"null",
    b"\xff\xfe",
    b'["porch"',
    b'"porch"',
    b'{"porch": 1}',
    b"[1]",
    bytes(64),
    b"[" * 9999,
]


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_file(content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Behind a file that cannot be read every camera is paused, and the log says what to do."""
    (tmp_path / FILE).write_bytes(content)
    names = Pauses(tmp_path).names

    assert "porch" in names
    assert "attic" in names
    said = "".join(capsys.readouterr())
    assert "cannot read which cameras are paused: all are" in said
    assert "resume" in said
    assert "delete the file" in said


@pytest.mark.parametrize(("verb", "left"), [("resume", {"porch", "cellar"}), ("pause", {"porch", "attic", "cellar"})])
def test_a_damaged_file_is_made_anew(verb: str, left: set[str], tmp_path: Path) -> None:
    """The first note makes the file anew, and of the cameras there are it opens none but its own."""
    (tmp_path / FILE).write_bytes(b"")
    pauses = Pauses(tmp_path)

    assert pauses.note("attic", paused=verb == "pause", among=NAMES)
    assert set(pauses.names) == set(Pauses(tmp_path).names) == left
    assert "garden" not in pauses.names


def test_a_link_is_not_followed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A link in the file's place is not read: every camera is paused."""
    (tmp_path / "other").write_text('["porch"]')
    (tmp_path / FILE).symlink_to(tmp_path / "other")

    assert "attic" in Pauses(tmp_path).names
    assert "cannot read which cameras are paused" in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    ("kept", "words"), [([], "the pause ends with this run"), (["porch"], "the pause is back at the next start")]
)
def test_where_nothing_can_be_written(
    kept: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What cannot be kept holds until the end of the run, with a warning that says what helps; it is tried again."""
    paused = not kept
    state.write(tmp_path / FILE, json.dumps(kept).encode())
    pauses = Pauses(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(state, "write", refuse)
        for _ in range(2):
            assert not pauses.note("porch", paused=paused, among=NAMES)
            said = "".join(capsys.readouterr())
            assert words in said
            assert "server.state" in said

    assert ("porch" in pauses.names) is paused
    assert list(Pauses(tmp_path).names) == kept
    assert pauses.note("porch", paused=paused, among=NAMES)
    assert ("porch" in Pauses(tmp_path).names) is paused


def refuse(path: Path, content: bytes) -> None:
    """As `state.write`, on a disk that can only be read."""
    raise OSError(errno.EROFS, "Read-only file system", str(path))


def test_a_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    """Where there can be no file no camera is paused, and what is noted ends with the run."""
    (tmp_path / "file").write_text("no folder")
    pauses = Pauses(tmp_path / "file")

    assert "porch" not in pauses.names
    assert not pauses.note("porch", paused=True, among=NAMES)
    assert "porch" in pauses.names
