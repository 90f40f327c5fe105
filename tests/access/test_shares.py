"""Share links: made, read, expired, revoked, and what becomes of a file that is damaged."""

import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mjpegd.access.shares import FILE, Shares
from mjpegd.access.state import write
from mjpegd.access.tokens import Signer
from mjpegd.errors import ConfigError
from tests.clock import Clock, stop_clocks

SIGNER = Signer(b"a secret of thirty-two bytes ...")


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time of day."""
    return stop_clocks(monkeypatch, "mjpegd.access.shares.time")


@pytest.fixture
def shares(tmp_path: Path) -> Shares:
    """The links of a place that has none yet."""
    return Shares(tmp_path, SIGNER)


def listed(shares: Shares) -> dict[str, bool]:
    """The known links' cameras, and whether each was revoked."""
    return {share.camera: revoked for share, revoked in shares.known()}


def test_a_link_opens_what_it_was_made_for(shares: Shares, clock: Clock) -> None:
    """A token read again is the link that was made, with its camera, its limits and its end."""
    share, token = shares.make("porch", 7200, fps=5, width=640, viewers=3)

    assert shares.read(token) == share
    assert (share.camera, share.fps, share.width, share.viewers) == ("porch", 5, 640, 3)
    assert share.expires == clock.now + 7200


def test_a_link_without_limits(shares: Shares) -> None:
    """Limits that were not asked for are 0."""
    share, _ = shares.make("porch", 60)

    assert (share.fps, share.width, share.viewers) == (0, 0, 0)


def test_a_link_ends(shares: Shares, clock: Clock) -> None:
    """A link is good to its last second, then void for whoever comes and for whoever watches."""
    share, token = shares.make("porch", 60)
    clock.forward(59)
    assert shares.read(token) == share
    assert shares.lasts(share)
    clock.forward(1)

    assert shares.read(token) is None
    assert not shares.lasts(share)


def test_links_survive_a_restart(shares: Shares, tmp_path: Path) -> None:
    """Links are signed: with the same secret they open after a restart, with another they do not."""
    share, token = shares.make("porch", 60)

    assert Shares(tmp_path, SIGNER).read(token) == share
    assert Shares(tmp_path, Signer(b"another secret of the same size.")).read(token) is None


def test_revoked_at_once_and_elsewhere(shares: Shares, tmp_path: Path) -> None:
    """A link revoked by another process is void at the next look, its neighbours are not."""
    (share, token), (other, other_token) = shares.make("porch", 60), shares.make("attic", 60)
    assert shares.read(token) == share
    assert Shares(tmp_path, SIGNER).revoke(share.id)

    assert shares.read(token) is None
    assert not shares.lasts(share)
    assert shares.read(other_token) == other
    assert Shares(tmp_path, SIGNER).read(token) is None


def test_revoking_twice(shares: Shares) -> None:
    """A link that was revoked stays so, however often and whatever else is made."""
    share, token = shares.make("porch", 60)
    assert shares.revoke(share.id)
    assert shares.revoke(share.id)
    shares.make("attic", 60)

    assert shares.read(token) is None
    assert listed(shares) == {"porch": True, "attic": False}


@pytest.mark.parametrize("identity", ["", "00000000", "porch", "../secret"])
def test_revoking_what_is_not(identity: str, shares: Shares, tmp_path: Path) -> None:
    """To revoke a link there is not changes nothing."""
    shares.make("porch", 60)
    before = (tmp_path / FILE).read_bytes()

    assert not shares.revoke(identity)
    assert (tmp_path / FILE).read_bytes() == before


def test_the_list_forgets_what_has_expired(shares: Shares, clock: Clock, tmp_path: Path) -> None:
    """Links that have expired are listed no more, and at the next change gone from the file."""
    shares.make("porch", 60)
    shares.make("attic", 600)
    clock.forward(60)
    assert listed(shares) == {"attic": False}
    shares.make("cellar", 60)

    assert {entry["share"]["camera"] for entry in json.loads((tmp_path / FILE).read_bytes()).values()} == {
        "attic",
        "cellar",
    }


def test_identities(shares: Shares) -> None:
    """Each link has an identity of its own, also two of the same camera, and is listed by it."""
    made = [shares.make("porch", 60)[0] for _ in range(20)]

    assert len({share.id for share in made}) == 20
    assert [share for share, _ in shares.known()] == made


def test_all_files_are_for_their_owner(shares: Shares, tmp_path: Path) -> None:
    """Whatever is kept is for its owner only, and holds no token."""
    share, token = shares.make("porch", 60)
    shares.revoke(share.id)

    assert {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {
        file.name: 0o600 for file in tmp_path.iterdir()
    }
    assert token.encode() not in (tmp_path / FILE).read_bytes()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_root_shares_for_the_daemon(shares: Shares, tmp_path: Path) -> None:
    """Whatever root leaves in the folder belongs to whom the folder belongs to, who then may share too."""
    os.chown(tmp_path, 12345, 23456)
    share, _ = shares.make("porch", 60)
    shares.revoke(share.id)

    assert {(file.name, file.stat().st_uid) for file in tmp_path.iterdir()} == {
        (file.name, 12345) for file in tmp_path.iterdir()
    }


def test_two_at_once(tmp_path: Path) -> None:
    """Links that are made and revoked at one moment are all noted: none is lost for another."""
    kept = [Shares(tmp_path, SIGNER).make("porch", 60)[0].id for _ in range(8)]

    def work(number: int) -> str:
        here = Shares(tmp_path, SIGNER)
        here.revoke(kept[number])
        return here.make("attic", 60)[0].id

    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(work, range(8)))

    assert {share.id: revoked for share, revoked in Shares(tmp_path, SIGNER).known()} == {
        **dict.fromkeys(kept, True),
        **dict.fromkeys(made, False),
    }


def test_nothing_was_shared(shares: Shares) -> None:
    """Without a file there are no links, and none to revoke."""
    assert shares.known() == []
    assert not shares.revoke("00000000")


def test_a_session_is_no_link(shares: Shares) -> None:
    """What was signed for a login opens no link, though it says the same."""
    share, _ = shares.make("porch", 60)

    assert shares.read(SIGNER.seal("session", astuple(share))) is None


@given(token=st.text())
def test_garbage(token: str) -> None:
    """Whatever is tried as a link is none, and no error."""
    assert Shares(Path("/nonexistent"), SIGNER).read(token) is None


DAMAGED = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"\xff\xfe",
    b'{"a": 5}',
    b'{"a": {}}',
    b'{"a": {"expires": "never"}}',
    b'{"a": {"expires": 1e11}}',
]


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_list(content: bytes, shares: Shares, tmp_path: Path) -> None:
    """While nobody knows which were revoked no link is good, and nothing breaks; a whole list heals it."""
    (share, token), (other, other_token) = shares.make("porch", 60), shares.make("attic", 60)
    shares.revoke(share.id)
    whole = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(content)
    assert shares.read(token) is None
    assert shares.read(other_token) is None
    assert not shares.lasts(other)
    write(tmp_path / FILE, whole)

    assert shares.read(token) is None
    assert shares.read(other_token) == other


@pytest.mark.parametrize(
    "content", [*DAMAGED, b'{"a": {"id": "a", "camera": "porch", "expires": 1e11, "revoked": true, "more": 1}}']
)
def test_a_damaged_list_is_said(content: bytes, shares: Shares, tmp_path: Path) -> None:
    """Whoever lists or revokes is told that the file is damaged and what to do."""
    (tmp_path / FILE).write_bytes(content)

    with pytest.raises(ConfigError, match=r"shares\.json: is damaged; delete it"):
        shares.known()


def test_a_list_that_cannot_be_read(shares: Shares, tmp_path: Path) -> None:
    """A file that cannot be read is told with the system's reason, and until it can be no link is good."""
    _, token = Shares(tmp_path / "elsewhere", SIGNER).make("porch", 60)
    (tmp_path / FILE).mkdir()

    with pytest.raises(ConfigError, match=r"shares\.json: cannot be read: Is a directory"):
        shares.known()
    assert shares.read(token) is None


def test_a_list_that_was_lost(shares: Shares, tmp_path: Path) -> None:
    """While we run, a list that somebody deleted brings no revoked link back."""
    share, token = shares.make("porch", 60)
    shares.revoke(share.id)
    assert shares.read(token) is None
    (tmp_path / FILE).unlink()

    assert shares.read(token) is None


def test_a_link_that_cannot_be_noted(shares: Shares, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link that cannot be noted could not be revoked: it is not made, and the list stays as it was."""
    shares.make("porch", 60)
    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(OSError, match="No space left"):
        shares.make("attic", 60)
    assert listed(shares) == {"porch": False}


def full(descriptor: int) -> None:
    """A disk without space."""
    raise OSError(28, "No space left on device")
