"""Query parameters read as what they should be; `HttpError` 400 names the range where they are not."""

import re
from collections.abc import Mapping

from mjpegd.errors import HttpError

Query = Mapping[str, str]
_DECIMAL = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6})?")


def flag(query: Query, name: str, *, default: bool = False) -> bool:
    """Whether a switch is on: `?fresh=1`, `?fresh=true`."""
    text = query.get(name)
    return default if text is None else text.lower() not in ("0", "", "false", "no")


def number(query: Query, name: str, low: int, high: int) -> int | None:
    """A whole number from `low` to `high`; None where the parameter is missing."""
    text = query.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 20 and low <= int(text) <= high):
        raise HttpError(400, f"{name} must be a whole number from {low} to {high}")
    return int(text)


def decimal(query: Query, name: str, low: float, high: float) -> float | None:
    """A number from `low` to `high`, with or without a point; None where the parameter is missing."""
    text = query.get(name)
    if text is None:
        return None
    if not (_DECIMAL.fullmatch(text) and low <= float(text) <= high):
        raise HttpError(400, f"{name} must be a number from {low:g} to {high:g}")
    return float(text)


def choice(query: Query, name: str, known: Mapping[str, object]) -> str | None:
    """One of the names in `known`; None where the parameter is missing."""
    text = query.get(name)
    if text is not None and text not in known:
        raise HttpError(400, f"{name} must be one of {', '.join(known)}")
    return text
