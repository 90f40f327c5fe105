"""Finite answers and their heads."""

import json
import re
from email.utils import parsedate_to_datetime
from time import time

import pytest

from mjpegd.errors import HttpError, ProtocolError
from mjpegd.http.response import Response, error_response, json_response


def fields(response: Response, *, keep_alive: bool = True) -> list[tuple[str, str]]:
    """The fields of an answer's head."""
    lines = response.head({}, keep_alive=keep_alive).decode("latin-1").split("\r\n")
    assert lines[-2:] == ["", ""]
    return [(name, value) for name, _, value in (line.partition(": ") for line in lines[1:-2])]


def test_head() -> None:
    """A finite answer says when, who, what, how long, and whether the connection goes on."""
    (date, *rest) = fields(Response(200, b"12345", "image/jpeg", {"ETag": '"1"'}))

    assert date[0] == "Date"
    assert abs(parsedate_to_datetime(date[1]).timestamp() - time()) < 60
    assert rest == [
        ("Server", "mjpegd"),
        ("Content-Type", "image/jpeg"),
        ("Content-Length", "5"),
        ("X-Content-Type-Options", "nosniff"),
        ("ETag", '"1"'),
        ("Connection", "keep-alive"),
    ]


def test_status_line() -> None:
    """The status comes with its phrase."""
    assert Response(503).head({}, keep_alive=False).startswith(b"HTTP/1.1 503 Service Unavailable\r\n")


@pytest.mark.parametrize(("keep_alive", "value"), [(True, "keep-alive"), (False, "close")])
def test_connection(keep_alive: bool, value: str) -> None:  # noqa: FBT001  (a row of the table)
    """An answer says whether the connection is closed behind it."""
    assert value == dict(fields(Response(200), keep_alive=keep_alive))["Connection"]


@pytest.mark.parametrize("status", [204, 304])
def test_bodiless(status: int) -> None:
    """204 and 304 have neither content nor what describes it."""
    names = [name for name, _ in fields(Response(status, headers={"ETag": '"1"'}))]

    assert names == ["Date", "Server", "ETag", "Connection"]


def test_empty_body_has_its_length() -> None:
    """Any other answer has a Content-Length, also where it is 0: else the client waits for more."""
    assert dict(fields(Response(404)))["Content-Length"] == "0"


def test_body_from_a_frame() -> None:
    """A body may be a view of a frame; its length counts bytes."""
    assert dict(fields(Response(200, memoryview(b"abcdef")[2:5])))["Content-Length"] == "3"


def test_json() -> None:
    """JSON is indented for eyes, ends its last line, and is kept by no cache."""
    response = json_response({"name": "hütte", "list": [1, None]}, 503, {"Retry-After": "5"})

    assert json.loads(bytes(response.body)) == {"name": "hütte", "list": [1, None]}
    assert bytes(response.body).endswith(b"\n")
    assert (response.status, response.content_type) == (503, "application/json")
    assert response.headers == {"Cache-Control": "no-store", "Retry-After": "5"}


@pytest.mark.parametrize(
    "error",
    [
        HttpError(404, "there is nothing", headers={"A": "b"}, facts={"cameras": ["porch"]}),
        ProtocolError(404, "there is nothing", headers={"A": "b"}, facts={"cameras": ["porch"]}),
    ],
)
def test_error(error: HttpError) -> None:
    """An error is told in words, with its facts beside them and its fields in the head."""
    response = error_response(error)

    assert response.status == 404
    assert json.loads(bytes(response.body)) == {"error": "there is nothing", "cameras": ["porch"]}
    assert response.headers == {"Cache-Control": "no-store", "A": "b"}


def test_header_injection() -> None:
    """A field that would break out of its line is never sent."""
    with pytest.raises(ValueError, match="line break"):
        Response(200, headers={"X": "a\r\nSet-Cookie: b"}).head({}, keep_alive=True)


def test_head_is_what_http_allows() -> None:
    """A head is lines of ASCII that end in CRLF, and an empty one."""
    head = Response(200, b"x", headers={"X-Timestamp": "1.5"}).head({}, keep_alive=True)

    assert re.fullmatch(rb"HTTP/1\.1 200 OK\r\n(?:[A-Za-z-]+: [\x20-\x7e]+\r\n)+\r\n", head)
