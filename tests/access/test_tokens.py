"""Signed words, and what becomes of those that somebody changed or made up."""

import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mjpegd.access.tokens import LONGEST, Signer

SIGNER = Signer(b"a secret of thirty-two bytes ...")
OTHER = Signer(b"another secret of the same size.")
CONTENT = ["4fe1a2b3", "porch", 1_800_000_000, 5, 640, 3]

WORDS = st.lists(st.one_of(st.text(max_size=20), st.integers(-(2**53), 2**53), st.booleans(), st.none()), max_size=4)
TOKEN = SIGNER.seal("share", CONTENT)


@given(WORDS, st.text(st.characters(codec="utf-8"), max_size=10))
def test_what_was_sealed_is_opened(content: list[object], kind: str) -> None:
    """What one secret sealed, for whatever kind, the same secret opens unchanged."""
    token = SIGNER.seal(kind, content)

    assert SIGNER.open(kind, token) == (content if len(token) <= LONGEST else None)


@given(WORDS)
def test_a_token_is_safe_in_addresses_and_cookies(content: list[object]) -> None:
    """A token holds only what needs no quoting in a path, a query or a cookie."""
    assert re.fullmatch(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{22}", SIGNER.seal("share", content))


def test_kinds_are_kept_apart() -> None:
    """A share link is no session, a session no share link, and no text around the kind makes it one."""
    assert SIGNER.open("share", TOKEN) == CONTENT
    for kind in ("session", "", "share\0", "shar"):
        assert SIGNER.open(kind, TOKEN) is None


def test_another_secret() -> None:
    """What was sealed with another secret is not opened."""
    assert OTHER.open("share", TOKEN) is None


@given(st.integers(0, len(TOKEN) - 1), st.characters(min_codepoint=0, max_codepoint=0x2FF))
def test_a_changed_character(at: int, character: str) -> None:
    """With any one character changed, a token says what it said or nothing, and never anything else."""
    changed = TOKEN[:at] + character + TOKEN[at + 1 :]

    assert SIGNER.open("share", changed) in (None, CONTENT)


@pytest.mark.parametrize("at", range(TOKEN.index(".")))
def test_a_changed_body(at: int) -> None:
    """The content cannot be changed in a single place without the token being void."""
    changed = TOKEN[:at] + ("A" if TOKEN[at] != "A" else "B") + TOKEN[at + 1 :]

    assert SIGNER.open("share", changed) is None


@given(st.integers(0, len(TOKEN) - 1))
def test_a_token_that_was_not_copied_whole(length: int) -> None:
    """A token that lost its end is void."""
    assert SIGNER.open("share", TOKEN[:length]) is None


@given(st.one_of(st.text(), st.text("AZaz09_-.=+/", max_size=60)))
def test_garbage(token: str) -> None:
    """Whatever somebody makes up is None and no error."""
    assert SIGNER.open("share", token) is None


@pytest.mark.parametrize(
    "token", ["", ".", "..", "A.A", f"{TOKEN}.", f".{TOKEN}", f"{TOKEN}{TOKEN}", f"{TOKEN} ", f"{TOKEN}\n", TOKEN[:-22]]
)
def test_nearly_a_token(token: str) -> None:
    """Parts of a token, empty ones, and more than one are none."""
    assert SIGNER.open("share", token) is None


def test_longest() -> None:
    """A token longer than ours ever are is not even looked at, however well it is signed."""
    long = SIGNER.seal("share", ["x" * LONGEST])

    assert len(long) > LONGEST
    assert SIGNER.open("share", long) is None


@pytest.mark.parametrize("content", ["text", {"a": 1}])
def test_only_lists_are_opened(content: Sequence[object]) -> None:
    """What is no list, though signed, says nothing: whoever opens it takes it apart."""
    assert SIGNER.open("share", SIGNER.seal("share", content)) is None
