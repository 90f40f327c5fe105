"""Query parameters read as what they should be; `HttpError` 400 names the range where they are not."""

from collections.abc import Mapping

from mjpegd.errors import HttpError

Query = Mapping[str, str]


def flag(query: Query, name: str) -> bool:
    """Whether a switch is on: `?fresh=1`, `?fresh=true`."""
    return query.get(name, "0").lower() not in ("0", "", "false", "no")


def number(query: Query, name: str, low: int, high: int) -> int | None:
    """A whole number from `low` to `high`; None where the parameter is missing."""
    text = query.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 20 and low <= int(text) <= high):
        raise HttpError(400, f"{name} must be a whole number from {low} to {high}")
    return int(text)


def choice(query: Query, name: str, known: Mapping[str, object]) -> str | None:
    """One of the names in `known`; None where the parameter is missing."""
    text = query.get(name)
    if text is not None and text not in known:
        raise HttpError(400, f"{name} must be one of {', '.join(known)}")
    return text
