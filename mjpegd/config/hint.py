"""What an unknown word was probably meant to be."""

import difflib
from collections.abc import Iterable


def hint(word: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown word: the known one most like it, else all of them."""
    match = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {match[0]}?" if match else f"; known are {', '.join(known)}"
