"""Conditions of a GET: RFC 9110 section 13."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mjpegd.wire.conditional import http_date, not_modified

ETAG = '"abc-7"'
MODIFIED = 1795181400.9
DATE = "Fri, 20 Nov 2026 13:30:00 GMT"
LATER = "Fri, 20 Nov 2026 13:30:01 GMT"
EARLIER = "Fri, 20 Nov 2026 13:29:59 GMT"


def test_http_date() -> None:
    """A moment is written as IMF-fixdate, whole seconds, rounded down."""
    assert http_date(MODIFIED) == DATE


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ('"abc-7"', True),
        ('W/"abc-7"', True),
        (' "abc-7" ', True),
        ('"abc-6", "abc-7"', True),
        ('"abc-6","abc-7"', True),
        ('"a,b", W/"abc-7", "c"', True),
        ("*", True),
        (" * ", True),
        ('"abc-6"', False),
        ('"abc-70"', False),
        ('"xabc-7"', False),
        ("", False),
        ("abc-7", False),
        ('"abc-7', False),
        ('abc-7"', False),
        ('w/"other"', False),
        ('"*"', False),
        ("'abc-7'", False),
        ('"h\xfctte"', False),
    ],
)
def test_if_none_match(tags: str, expected: bool) -> None:  # noqa: FBT001  (a row of the table)
    """If-None-Match is a list or `*`, compared weakly; what is no entity tag matches none."""
    assert expected is not_modified({"if-none-match": tags}, ETAG, MODIFIED)


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        (DATE, True),
        (LATER, True),
        (EARLIER, False),
        ("Friday, 20-Nov-26 13:30:00 GMT", True),
        ("Fri Nov 20 13:30:00 2026", True),
        ("", False),
        (" ", False),
        ("yesterday", False),
        ("0", False),
        ("Fri, 20 Nov 99999 13:30:00 GMT", False),
        ("Fri, 32 Nov 2026 13:30:00 GMT", False),
        ("Fri, 20 Nov 2026 13:30:00 +9999", False),
    ],
)
def test_if_modified_since(date: str, expected: bool) -> None:  # noqa: FBT001  (a row of the table)
    """If-Modified-Since is one of the three date forms, at whole seconds; one that cannot be read is ignored."""
    assert expected is not_modified({"if-modified-since": date}, ETAG, MODIFIED)


@pytest.mark.parametrize("tags", ['"abc-6"', "", "nonsense"])
def test_if_none_match_wins(tags: str) -> None:
    """With If-None-Match there, If-Modified-Since is not looked at."""
    assert not not_modified({"if-none-match": tags, "if-modified-since": LATER}, ETAG, MODIFIED)


def test_unconditional() -> None:
    """A request without conditions is answered in full."""
    assert not not_modified({}, ETAG, MODIFIED)


DATE_PARTS = ("Fri,", " ", "20", "Nov", "2026", "13:30:00", "GMT", "+0100", "-0000", ":", ",", "99", "0", "-1", "13.30")


@given(st.one_of(st.text(max_size=40), st.lists(st.sampled_from(DATE_PARTS), max_size=9).map("".join)))
def test_no_date_is_too_odd(date: str) -> None:
    """Whatever a client writes for a date, there is an answer: 304 only if the date is not before the picture."""
    assert not not_modified({"if-modified-since": date}, ETAG, 1e12)
