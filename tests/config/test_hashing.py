"""Hashes of secrets, as they are written and as they are read."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mjpegd.config.hashing import digest, hashed, is_hashed, proof


def test_digest() -> None:
    """What is kept of a secret is its SHA-256."""
    assert digest("hütte") == hashlib.sha256("hütte".encode()).digest()


@given(st.text(st.characters()))
def test_hashes(text: str) -> None:
    """What `mjpegd key` prints of any secret is taken for a hash, and proves what the secret does."""
    assert is_hashed(hashed(text))
    assert proof(hashed(text)) == digest(text)


@pytest.mark.parametrize(
    "text", ["", "correct horse", "sha256:", "sha256:" + "a" * 63, "sha256:" + "A" * 64, "a" * 64, hashed("a") + "\n"]
)
def test_what_is_no_hash(text: str) -> None:
    """Anything else is a secret in clear."""
    assert not is_hashed(text)
    assert proof(text) == digest(text)
