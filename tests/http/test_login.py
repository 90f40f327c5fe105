"""The form that takes a key, the cookie that comes out, and where one goes from there."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import replace
from html.parser import HTMLParser
from urllib.parse import urlencode, urljoin, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mjpegd.access import throttle
from mjpegd.config.schema import AuthConfig, CameraConfig, Config, KeyConfig, ServerConfig
from mjpegd.errors import HttpError
from mjpegd.http.login import LONGEST_TARGET, form, local
from mjpegd.http.response import Response
from mjpegd.http.server import Server
from mjpegd.http.site import Site
from tests.http.requests import CALLER, ask, request, site

WALL = "a wall display's"
CONFIG = Config(camera={"porch": CameraConfig(source="pattern")}, key={"wall": KeyConfig(secret=WALL)})


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for the answer to a wrong key."""
    monkeypatch.setattr(throttle, "FIRST_DELAY", 0.0)


async def posted(fields: Mapping[str, str], *more: str, place: Site | None = None, prefix: str = "") -> Response:
    """The answer to a form that is sent."""
    body = urlencode(fields).encode()
    asked = request("/login", f"Content-Length: {len(body)}", *more, method="POST")
    answer = await ask(place or site(config=CONFIG), asked, body=body, caller=replace(CALLER, prefix=prefix))
    assert isinstance(answer, Response)
    return answer


async def responded(target: str, *fields: str, method: str = "GET", prefix: str = "") -> Response:
    """The finite answer to a request."""
    answer = await ask(
        site(config=CONFIG), request(target, *fields, method=method), caller=replace(CALLER, prefix=prefix)
    )
    assert isinstance(answer, Response)
    return answer


class Page(HTMLParser):
    """What a browser makes of the page: attributes of the form and of its fields, and what is alerted."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.action = self.alert = ""
        self.tags: list[str] = []
        self.fields: dict[str, str] = {}
        self._alerting = False
        self.feed(bytes(response.body).decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element begins."""
        said = dict(attrs)
        self.tags.append(tag)
        self._alerting = said.get("role") == "alert"
        if tag == "form":
            self.action = said.get("action") or ""
        if tag == "input":
            self.fields[said.get("name") or ""] = said.get("value") or ""

    def handle_endtag(self, tag: str) -> None:
        """An element ends."""
        self._alerting = False

    def handle_data(self, data: str) -> None:
        """Text."""
        if self._alerting:
            self.alert += data


async def test_the_form() -> None:
    """GET shows the form, which nobody keeps, frames or tells the next site of."""
    response = await responded("/login")
    page = Page(response)

    assert (response.status, response.content_type) == (200, "text/html; charset=utf-8")
    assert (page.action, page.fields, page.alert) == ("/login", {"key": "", "next": "/"}, "")
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Referrer-Policy"] == "same-origin"
    assert "frame-ancestors 'self'" in response.headers["Content-Security-Policy"]
    assert "Set-Cookie" not in response.headers


async def test_the_form_below_a_path() -> None:
    """Behind a proxy's path the form is sent there."""
    assert Page(await responded("/login", prefix="/cams")).action == "/cams/login"


async def test_a_good_key() -> None:
    """A good key is answered with a cookie, and the way on to where one wanted to go."""
    response = await posted({"key": WALL, "next": "/stream/porch"})

    assert (response.status, response.headers["Location"]) == (303, "/stream/porch")
    assert response.headers["Set-Cookie"].startswith("mjpegd-")
    assert response.headers["Cache-Control"] == "no-store"
    cookie = response.headers["Set-Cookie"].partition(";")[0]
    assert (await responded("/cameras", f"Cookie: {cookie}")).status == 200


@pytest.mark.parametrize("fields", [{}, {"key": ""}, {"key": "hunter2"}, {"KEY": WALL}, {"key": WALL + " "}])
async def test_a_wrong_key(fields: Mapping[str, str]) -> None:
    """A wrong key is answered 401 with the form once more, what is wrong in words, and no cookie."""
    response = await posted({**fields, "next": "/stream/porch"})
    page = Page(response)

    assert (response.status, page.alert) == (401, "this key is wrong, or has expired")
    assert page.fields["next"] == "/stream/porch"
    assert "WWW-Authenticate" in response.headers
    assert "Set-Cookie" not in response.headers
    assert b"hunter2" not in response.body


async def test_a_key_in_a_field_of_the_head() -> None:
    """A program may log in with its key where it always has it."""
    assert (await posted({}, f"Authorization: Bearer {WALL}")).status == 303


async def test_locked_out() -> None:
    """Who is locked out is told so in the form, with the time to stay away, though the key be good."""
    place = site(config=Config(camera=CONFIG.camera, key=CONFIG.key, auth=AuthConfig(failures=2)))
    for _ in range(2):
        await posted({"key": "wrong"}, place=place)
    response = await posted({"key": WALL}, place=place)

    assert (response.status, response.headers["Retry-After"]) == (429, "60")
    assert "too many wrong keys" in Page(response).alert


async def test_below_a_path() -> None:
    """Behind a proxy's path one goes on below it, with a cookie for it."""
    response = await posted({"key": WALL, "next": "/stream/porch"}, prefix="/cams")

    assert response.headers["Location"] == "/cams/stream/porch"
    assert "Path=/cams/" in response.headers["Set-Cookie"]


async def conversation(port: int, head: str, body: str = "") -> str:
    """What one request over a connection of its own is answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    fields = f"Host: camera\r\nConnection: close\r\nContent-Length: {len(body)}"
    writer.write(f"{head}\r\n{fields}\r\n\r\n{body}".encode())
    answer = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()
    return answer


@pytest.mark.parametrize("base", ["", "/cams"])
@pytest.mark.parametrize("target", ["/", "/cameras"])
async def test_the_way_in(base: str, target: str) -> None:
    """A browser that opens a page without a key is shown the form, and arrives at that page with its key."""
    settings = ServerConfig(base_path=base, port=0)
    server = Server(site(config=Config(camera=CONFIG.camera, key=CONFIG.key, server=settings)))
    await server.start()
    port = urlsplit(next(server.addresses)).port or 0
    refused = await conversation(port, f"GET {base}{target} HTTP/1.1\r\nAccept: text/html")
    page = Page(Response(401, refused.partition("\r\n\r\n")[2].encode()))
    entered = await conversation(port, f"POST {page.action} HTTP/1.1", urlencode({**page.fields, "key": WALL}))
    location, cookie = (re.search(rf"\r\n{name}: ([^;\r]*)", entered) for name in ("Location", "Set-Cookie"))
    assert location is not None
    assert cookie is not None
    arrived = await conversation(port, f"GET {location[1]} HTTP/1.1\r\nCookie: {cookie[1]}")
    await server.stop(1)

    assert refused.startswith("HTTP/1.1 401 ")
    assert location[1] == base + target
    assert arrived.startswith("HTTP/1.1 200 ")


async def test_without_keys() -> None:
    """Where there are no keys none is good."""
    place = site(config=Config(camera=CONFIG.camera))

    assert (await posted({"key": WALL}, place=place)).status == 401


async def test_a_form_of_another_site() -> None:
    """Another site's page logs nobody in."""
    with pytest.raises(HttpError, match="another site") as caught:
        await posted({"key": WALL}, "Origin: https://evil.example")
    assert caught.value.status == 403


@pytest.mark.parametrize("fields", [(), ("Cookie: mjpegd=x.y",)])
async def test_logout(fields: tuple[str, ...]) -> None:
    """To log out takes the cookie away and leads to the form, whoever asks."""
    response = await responded("/logout", *fields, method="POST", prefix="/cams")

    assert (response.status, response.headers["Location"]) == (303, "/cams/login")
    assert re.match(r"mjpegd-[0-9a-f]{8}=; Path=/cams/; Max-Age=0;", response.headers["Set-Cookie"])


async def test_logout_is_no_link() -> None:
    """A picture's address on another page logs nobody out: only POST does."""
    with pytest.raises(HttpError) as caught:
        await responded("/logout", method="GET")
    assert caught.value.status == 405


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/", "/"),
        ("/stream/porch", "/stream/porch"),
        ("/stream?profile=browser&a=b", "/stream?profile=browser&a=b"),
        ("", "/"),
        ("stream", "/"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("/\\evil.example/", "/"),
        ("\\/evil.example", "/"),
        ("/\t/evil.example", "/"),
        ("/a\r\nSet-Cookie: b", "/"),
        ("javascript:alert(1)", "/"),
        ("/hütte", "/"),
        ("/" + "a" * LONGEST_TARGET, "/"),
    ],
)
def test_local(target: str, expected: str) -> None:
    """One goes on to a path of ours, or to the front page, and nowhere else."""
    assert local(target) == expected


@given(st.one_of(st.text(), st.text("/\\.:@?#%evil \t\n").map(lambda text: "/" + text)))
@example("//evil")
@example("/\\evil")
def test_local_leads_nowhere_else(target: str) -> None:
    """Whatever is asked for, a browser that follows it stays on our host."""
    for reading in (local(target), local(target).replace("\\", "/")):
        assert urlsplit(urljoin("http://camera/login", reading)).netloc == "camera"


@given(st.text())
def test_the_form_holds_what_it_is_given(target: str) -> None:
    """Whatever stands in the address and in an error, the page is the same page with it in its place."""
    page = Page(form(CALLER, target=target, error=HttpError(401, target)))

    assert page.fields == {"key": "", "next": local(target)}
    assert page.tags == Page(form(CALLER)).tags


async def test_quiet() -> None:
    """Who opened a page and brought no key is shown the form without a word of blame, but with status and challenge."""
    error = HttpError(401, "this needs a key", headers={"WWW-Authenticate": "Bearer"})
    response = form(CALLER, error=error, quiet=True)

    assert Page(response).alert == ""
    assert (response.status, response.headers["WWW-Authenticate"]) == (401, "Bearer")


async def test_a_key_in_the_address_of_the_page() -> None:
    """`/?key=KEY` moves the key into the cookie and out of the address, and tells it to nobody."""
    response = await responded(f"/?key={WALL.replace(' ', '+')}", prefix="/cams")

    assert (response.status, response.headers["Location"]) == (303, "/cams/")
    assert response.headers["Set-Cookie"].startswith("mjpegd-")
    assert response.headers["Referrer-Policy"] == "same-origin"


async def test_a_key_in_the_address_that_is_none() -> None:
    """A wrong key in the address is refused; where there are no keys it means nothing."""
    with pytest.raises(HttpError) as caught:
        await responded("/?key=wrong")
    assert caught.value.status == 401
    answer = await ask(site(config=Config(camera=CONFIG.camera)), request("/?key=wrong"))

    assert isinstance(answer, Response)
    assert (answer.status, "Set-Cookie" in answer.headers) == (200, False)
