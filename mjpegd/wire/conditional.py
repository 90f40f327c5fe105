"""Entity tags, HTTP dates and the conditions of a GET: RFC 9110 sections 8.8, 5.6.7 and 13."""

import re
from collections.abc import Mapping
from email.utils import formatdate, parsedate_to_datetime

_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')


def http_date(timestamp: float) -> str:
    """Unix seconds as an IMF-fixdate: `Fri, 20 Nov 2026 13:30:00 GMT`."""
    return formatdate(timestamp, usegmt=True)


def not_modified(headers: Mapping[str, str], etag: str, modified: float) -> bool:
    """Whether the client's copy is the current one, so that 304 is the answer.

    If-None-Match wins over If-Modified-Since (RFC 9110 13.2.2) and is compared weakly (13.1.2); a date that cannot be
    read is as none (13.1.3).
    """
    tags = headers.get("if-none-match")
    if tags is not None:
        return tags.strip() == "*" or _opaque(etag) in map(_opaque, _TAG.findall(tags))
    since = _timestamp(headers.get("if-modified-since"))
    return since is not None and int(modified) <= since


def _opaque(tag: str) -> str:
    return tag.removeprefix("W/")


def _timestamp(date: str | None) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp() if date else None
    except (ValueError, OverflowError):
        return None
