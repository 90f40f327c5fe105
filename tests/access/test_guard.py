"""The one door: whose request it is, what it may, and what it costs to guess."""

import asyncio
import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mjpegd.access.caller import Caller
from mjpegd.access.guard import CHALLENGES, QUIET_CHALLENGE, Guard, presented, unauthorized
from mjpegd.access.principal import Principal
from mjpegd.access.shares import Shares
from mjpegd.access.throttle import Throttle
from mjpegd.access.tokens import Signer
from mjpegd.config.hashing import hashed
from mjpegd.config.schema import SCOPES, AuthConfig, CameraConfig, Config, KeyConfig, LimitsConfig, Scopes, ServerConfig
from mjpegd.errors import HttpError
from mjpegd.wire.http import Request
from tests.clock import Clock, stop_clocks
from tests.http.requests import CALLER, SIGNER, request

WALL, BOSS = "a wall display's", "the operator's own"
KEYS = {
    "wall": KeyConfig(secret=WALL, cameras=("porch",)),
    "boss": KeyConfig(secret=hashed(BOSS), scopes=("admin",)),
}
CAMERAS = {"porch": CameraConfig(), "attic": CameraConfig()}
CONFIG = Config(camera=CAMERAS, key=KEYS)
FREE = Config(camera=CAMERAS)
NAME = f"mjpegd-{SIGNER.mark(b'cookie')[:8]}"
"""The cookie, which each daemon names after its own secret."""
PAGE = "Accept: text/html,*/*;q=0.8"


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """One clock for keys, sessions, links and lock-outs."""
    modules = ("guard.time", "keys.time", "shares.time", "throttle.monotonic")
    return stop_clocks(monkeypatch, *(f"mjpegd.access.{module}" for module in modules))


@pytest.fixture(autouse=True)
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long each wrong key had to wait; nobody really does."""
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return pauses


def guard(config: Config = CONFIG, state: Path = Path("/nonexistent"), signer: Signer = SIGNER) -> Guard:
    """The guard of a configuration."""
    return Guard(config, Shares(state, signer), signer, Throttle(config))


def basic(password: str, user: str = "x") -> str:
    """The field with which a program answers the Basic challenge."""
    return f"Authorization: Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def cookie(set_cookie: str) -> str:
    """The field that a browser sends after a Set-Cookie."""
    return "Cookie: " + set_cookie.partition(";")[0]


async def admitted(
    *fields: str, target: str = "/stream", scope: str | None = "view", at: Guard | None = None, token: str | None = None
) -> Principal:
    """Who is let in with these fields."""
    return await (at or guard()).admit(request(target, *fields), CALLER, scope, token)


async def refused(
    *fields: str,
    target: str = "/stream",
    scope: str | None = "view",
    at: Guard | None = None,
    token: str | None = None,
    method: str = "GET",
    caller: Caller = CALLER,
) -> HttpError:
    """The error with which these fields are answered."""
    with pytest.raises(HttpError) as caught:
        await (at or guard()).admit(request(target, *fields, method=method), caller, scope, token)
    return caught.value


async def status(asked: Request, scope: str | None, at: Guard | None = None) -> int:
    """200 where it is let in, else the status of the error."""
    try:
        await (at or guard()).admit(asked, CALLER, scope)
    except HttpError as error:
        return error.status
    return 200


def turned_away(host: str, *hosts: str) -> HttpError | None:
    """The error for a request that asks for that host where these are allowed."""
    door = guard(Config(server=ServerConfig(allowed_hosts=hosts)))
    asked = replace(request("/"), headers={"host": host})
    try:
        door.receive(asked, "192.0.2.7", secure=False)
    except HttpError as error:
        return error
    return None


WAYS = [
    (("Authorization: Bearer SECRET",), "/stream"),
    (("Authorization: bearer  SECRET",), "/stream"),
    (("X-API-Key: SECRET",), "/stream"),
    (("BASIC",), "/stream"),
    ((), "/stream?key=SECRET"),
]


@pytest.mark.parametrize(("fields", "target"), WAYS)
@pytest.mark.parametrize(("secret", "name"), [(WALL, "wall"), (BOSS, "boss")])
async def test_ways_to_bring_a_key(fields: Sequence[str], target: str, secret: str, name: str) -> None:
    """A key is taken as Bearer, Basic, X-API-Key or from the query."""
    filled = [basic(secret) if field == "BASIC" else field.replace("SECRET", secret) for field in fields]
    quoted = secret.replace(" ", "+").replace("'", "%27")

    assert (await admitted(*filled, target=target.replace("SECRET", quoted))).name == name


@pytest.mark.parametrize("user", ["", "x", "admin", "wall", "hütte"])
async def test_any_user(user: str) -> None:
    """With Basic any user name will do, the key is the password."""
    assert (await admitted(basic(WALL, user))).name == "wall"


async def test_a_key_in_place_of_the_user() -> None:
    """With Basic and no password the user is the key: `http://KEY@box/`."""
    assert (await admitted(basic("", WALL))).name == "wall"


async def test_a_colon_in_a_key() -> None:
    """A password may hold colons; it begins behind the first."""
    config = Config(key={"odd": KeyConfig(secret="a:b:c:d:e")})  # noqa: S106  (a test's)

    assert (await admitted(basic("a:b:c:d:e"), at=guard(config))).name == "odd"


@pytest.mark.parametrize(
    "fields",
    [
        ("Authorization: Bearer nobody's",),
        ("Authorization: Bearer",),
        ("Authorization: Basic",),
        ("Authorization: Basic !!!",),
        ("Authorization: Basic AA",),
        ("Authorization: Basic //79",),
        (basic("nobody's"),),
        ("X-API-Key: nobody's",),
        ("X-API-Key: wall",),
        ("X-API-Key: " + hashed(WALL),),
        ("X-API-Key: " + hashed(BOSS),),
        (f"Authorization: Bearer {WALL}", "X-API-Key: nobody's"),
    ],
)
@pytest.mark.parametrize("scope", ["view", None])
async def test_wrong_keys(fields: Sequence[str], scope: str | None) -> None:
    """A wrong key is 401, also where none is needed, and also beside a good one: the first that is there counts."""
    error = await refused(*fields, scope=scope)

    assert (error.status, str(error)) == (401, "this key is wrong, or has expired")


async def test_a_wrong_key_in_the_query() -> None:
    """A wrong key in the address is refused like any other."""
    assert (await refused(target="/stream?key=wrong")).status == 401


async def test_without_a_key() -> None:
    """Without a key it is 401 where one is needed, and nobody waits for that or is counted."""
    door = guard()

    for _ in range(50):
        assert (await refused(at=door)).status == 401
    assert door.throttle.failures.locked(CALLER.address) == 0.0
    assert (await admitted(scope=None, at=door)).name == "anonymous"


@pytest.mark.parametrize(
    "fields", [("Authorization: Digest username=x",), ("Authorization: Negotiate abc",), ("X-API-Key:",)]
)
async def test_what_is_no_key(fields: Sequence[str]) -> None:
    """A scheme that is not ours, or an empty field, is no key at all, and takes nothing from one that is there."""
    assert str(await refused(*fields)) == "this needs a key"
    assert (await admitted(*fields, target="/stream?key=" + WALL.replace(" ", "%20"))).name == "wall"


@pytest.mark.parametrize("fields", [(), ("Authorization: Bearer wrong",)])
async def test_challenge(fields: Sequence[str]) -> None:
    """401 says how to bring a key: programs are asked for Basic or Bearer."""
    error = await refused(*fields)

    assert error.headers == {"WWW-Authenticate": CHALLENGES}
    assert re.match(r'Basic realm="[^"]+".*, Bearer realm=', CHALLENGES)


@pytest.mark.parametrize("fields", [(), ("Authorization: Bearer wrong",)])
async def test_challenge_for_pages(fields: Sequence[str]) -> None:
    """A browser that opens a page is asked for Bearer only, so that it shows the form and no window of its own."""
    error = await refused(PAGE, *fields)

    assert error.headers == {"WWW-Authenticate": QUIET_CHALLENGE}
    assert "Basic" not in QUIET_CHALLENGE


def test_unauthorized_says_what_it_was_told() -> None:
    """The error is 401 with the words given."""
    error = unauthorized(request("/"), "because")

    assert (error.status, str(error)) == (401, "because")


@pytest.mark.parametrize("scope", ["push", "control", "admin"])
async def test_a_key_without_the_scope(scope: str) -> None:
    """A good key that does not allow it is 403, and says what is missing."""
    error = await refused(f"X-API-Key: {WALL}", scope=scope)

    assert (error.status, error.facts) == (403, {"scope": scope})
    assert scope in str(error)
    assert "WWW-Authenticate" not in error.headers


@pytest.mark.parametrize("scope", SCOPES)
async def test_admin_may_all(scope: str) -> None:
    """The scope admin allows everything."""
    assert (await admitted(f"X-API-Key: {BOSS}", scope=scope)).name == "boss"


@pytest.mark.parametrize(
    ("keys", "anonymous", "allowed"),
    [
        ({}, (), {"view", "snapshot"}),
        ({}, ("view",), {"view"}),
        ({}, ("admin",), set(SCOPES)),
        (KEYS, (), set()),
        (KEYS, ("snapshot",), {"snapshot"}),
        (KEYS, ("view", "control"), {"view", "control"}),
    ],
)
async def test_anybody(keys: dict[str, KeyConfig], anonymous: Scopes, allowed: set[str]) -> None:
    """Without any key everybody may view and take pictures; else, and beyond, what `auth.anonymous` says."""
    door = guard(Config(key=keys, auth=AuthConfig(anonymous=anonymous)))
    answers = {scope: await status(request("/"), scope, door) for scope in SCOPES}

    assert answers == {scope: 200 if scope in allowed else 401 for scope in SCOPES}


async def test_where_there_are_no_keys_none_is_wrong() -> None:
    """A program that brings a key where none is configured is anybody."""
    assert (await admitted("Authorization: Bearer whatever", at=guard(FREE))).name == "anonymous"


async def test_a_key_that_expires(clock: Clock) -> None:
    """A key that has expired opens nothing, whichever way it comes."""
    config = Config(key={"wall": KeyConfig(secret=WALL, expires="2027-01-31T12:00:00Z")})
    clock.now = 1_801_396_800.0 - 1
    door = guard(config)
    logged_in = cookie(await door.login(WALL, request("/"), CALLER))
    assert (await admitted(f"X-API-Key: {WALL}", at=door)).name == "wall"
    clock.forward(1)

    assert (await refused(f"X-API-Key: {WALL}", at=door)).status == 401
    assert (await refused(logged_in, at=door)).status == 401


@given(
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF)),
    st.sampled_from(("authorization", "x-api-key", "cookie")),
)
def test_garbage(value: str, field: str) -> None:
    """Whatever a client sends as its key or cookie, it is no error of ours."""
    for each in (value, f"Basic {value}", f"Bearer {value}", f"{NAME}={value}"):
        asked = replace(request("/"), headers={field: each})
        assert isinstance(presented(asked), str | None)
        assert asyncio.run(status(asked, None)) in (200, 401)


async def test_guessing_takes_longer_and_longer(slept: list[float]) -> None:
    """Each wrong key is answered later, and the tenth locks the address out with the time it is to stay away."""
    door = guard()
    for _ in range(10):
        assert (await refused("X-API-Key: wrong", at=door)).status == 401
    assert slept == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 2.0, 2.0, 0.0]
    error = await refused("X-API-Key: wrong", at=door)

    assert (error.status, error.headers) == (429, {"Retry-After": "60"})
    assert len(slept) == 10


async def test_locked_out(clock: Clock) -> None:
    """While an address is locked out even a good key is not looked at from there, but it is from elsewhere."""
    door, elsewhere = guard(), replace(CALLER, address="192.0.2.8")
    for _ in range(10):
        await refused("X-API-Key: wrong", at=door)
    assert (await refused(f"X-API-Key: {WALL}", at=door)).status == 429
    assert (await door.admit(request("/", f"X-API-Key: {WALL}"), elsewhere, "view")).name == "wall"
    clock.forward(60)

    assert (await admitted(f"X-API-Key: {WALL}", at=door)).name == "wall"


async def test_a_login_is_not_locked_out() -> None:
    """Whoever is logged in stays so, though somebody behind the same address is guessing."""
    door = guard()
    logged_in = cookie(await door.login(WALL, request("/"), CALLER))
    for _ in range(10):
        await refused("X-API-Key: wrong", at=door)

    assert (await admitted(logged_in, at=door)).name == "wall"


async def test_guessing_by_several_ways_is_guessing() -> None:
    """The form, the query and the headers are counted together."""
    door = guard(Config(key=KEYS, auth=AuthConfig(failures=3)))
    await refused("X-API-Key: wrong", at=door)
    await refused(target="/?key=wrong", at=door)
    with pytest.raises(HttpError):
        await door.login("wrong", request("/login", method="POST"), CALLER)

    assert (await refused(basic("wrong"), at=door)).status == 429


async def test_secrets_are_not_in_errors() -> None:
    """No error repeats what was brought."""
    for fields in (("X-API-Key: hunter2hunter2",), (basic("hunter2hunter2"),)):
        error = await refused(*fields)
        assert "hunter2" not in f"{error} {error.headers} {error.facts}"


def parts(set_cookie: str) -> tuple[str, set[str]]:
    """The name with the value, and the attributes of a cookie."""
    first, *rest = set_cookie.split("; ")
    return first, set(rest)


async def test_login() -> None:
    """A good key is changed for a cookie without a key in it, which no script reads and no other site sends."""
    pair, attributes = parts(await guard().login(WALL, request("/"), CALLER))

    assert re.fullmatch(r"mjpegd-[0-9a-f]{8}=[A-Za-z0-9._-]+", pair)
    assert attributes == {"Path=/", "Max-Age=2592000", "HttpOnly", "SameSite=Lax"}
    assert WALL not in pair
    assert (await admitted(f"Cookie: {pair}")).name == "wall"


async def test_login_over_tls_and_below_a_path() -> None:
    """Over HTTPS the cookie goes over HTTPS only; behind a proxy's path it goes to that path only."""
    _, attributes = parts(
        await guard().login(WALL, request("/"), Caller("192.0.2.7", secure=True, hosts=("h",), prefix="/cams"))
    )

    assert {"Secure", "Path=/cams/"} <= attributes


@pytest.mark.parametrize("secret", ["", "wrong", hashed(WALL)])
async def test_login_with_a_wrong_key(secret: str) -> None:
    """A wrong key gets no cookie."""
    with pytest.raises(HttpError) as caught:
        await guard().login(secret, request("/"), CALLER)

    assert caught.value.status == 401


def test_logout() -> None:
    """To log out is to have the cookie taken away, where it was set."""
    pair, attributes = parts(guard().logout(replace(CALLER, prefix="/cams")))

    assert re.fullmatch(r"mjpegd-[0-9a-f]{8}=", pair)
    assert {"Max-Age=0", "Path=/cams/", "HttpOnly"} <= attributes


async def test_a_login_ends(clock: Clock) -> None:
    """A cookie is good for `auth.session` seconds, whatever the browser keeps."""
    door = guard(Config(key=KEYS, auth=AuthConfig(session=600)))
    set_cookie = await door.login(WALL, request("/"), CALLER)
    assert "Max-Age=600" in set_cookie
    clock.forward(599)
    assert (await admitted(cookie(set_cookie), at=door)).name == "wall"
    clock.forward(1)

    assert str(await refused(cookie(set_cookie), at=door)) == "this needs a key"


async def test_a_login_ends_with_its_key(clock: Clock) -> None:
    """A cookie lasts no longer than the key it was given for."""
    clock.now = 1_801_396_800.0 - 90
    door = guard(Config(key={"wall": KeyConfig(secret=WALL, expires="2027-01-31T12:00:00Z")}))

    assert "Max-Age=90" in await door.login(WALL, request("/"), CALLER)


@pytest.mark.parametrize(
    ("keys", "good"),
    [
        (KEYS, True),
        ({"wall": KeyConfig(secret=hashed(WALL))}, True),
        ({"wall": KeyConfig(secret="another secret")}, False),  # noqa: S106  (a test's)
        ({"boss": KEYS["boss"]}, False),
        ({"renamed": KEYS["wall"]}, False),
    ],
)
async def test_a_changed_key_voids_its_cookies(keys: dict[str, KeyConfig], good: bool) -> None:  # noqa: FBT001  (a row)
    """A cookie is good while the key of its name has the same secret."""
    logged_in = cookie(await guard().login(WALL, request("/"), CALLER))
    after = guard(Config(camera=CAMERAS, key=keys))

    if good:
        assert (await admitted(logged_in, at=after)).name == "wall"
    else:
        assert (await refused(logged_in, at=after)).status == 401


async def test_a_cookie_follows_its_key() -> None:
    """What a login allows is what its key allows now."""
    logged_in = cookie(await guard().login(WALL, request("/"), CALLER))
    after = guard(Config(key={"wall": KeyConfig(secret=WALL, scopes=("snapshot",))}))

    assert (await refused(logged_in, at=after, scope="view")).status == 403


async def test_cookies_of_others() -> None:
    """A cookie signed with another secret, a share link as a cookie, and a made-up one are none."""
    foreign = await guard(signer=Signer(b"another secret of the same size.")).login(WALL, request("/"), CALLER)
    link = SIGNER.seal("share", ["wall", "proof", 2**40])
    invented = SIGNER.seal("session", ["nobody", "proof", 2**40])

    for value in (
        cookie(foreign),
        f"Cookie: {NAME}={link}",
        f"Cookie: {NAME}={invented}",
        f"Cookie: {NAME}=",
        "Cookie: x",
    ):
        assert str(await refused(value)) == "this needs a key"


@pytest.mark.parametrize(
    "neighbours",
    [
        "{ours}; theme=dark",
        "theme=dark; {ours}",
        'prefs={{"dark":true}}; {ours}',
        'prefs="a b"; {ours}',
        "version=1; {ours}",
        "path=/x; {ours}",
        "a[b]=1; {ours}",
        "@x=1; {ours}",
        "a=b c; {ours}",
        "lonely; {ours}",
        "{ours}; lonely",
        "a=ü; {ours}",
    ],
)
async def test_neighbours_cookies(neighbours: str) -> None:
    """Cookies are shared by every program on a host: whatever the others look like, ours is found."""
    ours = cookie(await guard().login(WALL, request("/"), CALLER)).removeprefix("Cookie: ")
    asked = replace(request("/"), headers={"cookie": neighbours.format(ours=ours)})

    assert (await guard().admit(asked, CALLER, "view")).name == "wall"


async def test_a_key_wins_over_a_cookie() -> None:
    """A good key in the request counts before the cookie."""
    logged_in = cookie(await guard().login(WALL, request("/"), CALLER))

    assert (await admitted(logged_in, f"X-API-Key: {BOSS}")).name == "boss"


async def test_a_password_that_is_none_of_ours(slept: list[float]) -> None:
    """A proxy's own password beside a good cookie costs nothing; beside a bad one it is a wrong key."""
    logged_in = cookie(await guard().login(WALL, request("/"), CALLER))

    assert (await admitted(logged_in, basic("the proxy's"))).name == "wall"
    assert slept == []
    assert (await refused(f"Cookie: {NAME}=x.y", basic("the proxy's"))).status == 401


async def test_cookies_of_two_daemons() -> None:
    """Two daemons on one host, whose cookies know no ports, leave each other's alone."""
    config, other = CONFIG, Signer(b"another secret of the same size.")
    mine, theirs = [
        (await guard(config, signer=each).login(WALL, request("/"), CALLER)).partition(";")[0]
        for each in (SIGNER, other)
    ]
    both = replace(request("/"), headers={"cookie": f"{mine}; {theirs}"})

    assert mine.partition("=")[0] != theirs.partition("=")[0]
    for signer in (SIGNER, other):
        assert (await guard(signer=signer).admit(both, CALLER, "view")).name == "wall"


async def test_a_login_that_ends_ends_what_is_watched(clock: Clock) -> None:
    """Who watches by a login is sent home when it ends, though the key lasts."""
    door = guard(Config(camera=CAMERAS, key=KEYS, auth=AuthConfig(session=600)))
    watcher = await admitted(cookie(await door.login(WALL, request("/"), CALLER)), at=door)
    assert door.lasts(watcher, "porch")
    clock.forward(600)

    assert not door.lasts(watcher, "porch")


async def test_share_links(tmp_path: Path, clock: Clock) -> None:
    """A link's holder may view and take pictures of its camera, until it ends, and nothing else."""
    share, token = Shares(tmp_path, SIGNER).make("porch", 60)
    door = guard(state=tmp_path)
    holder = await admitted(at=door, token=token)

    assert {scope for scope in SCOPES if holder.may(scope)} == {"view", "snapshot"}
    assert (holder.sees("porch"), holder.sees("attic"), holder.share) == (True, False, share)
    clock.forward(60)
    assert (await refused(at=door, token=token)).status == 403


@pytest.mark.parametrize("fields", [(), (f"X-API-Key: {BOSS}",), ("X-API-Key: wrong",)])
@pytest.mark.parametrize("token", ["", "x", "x.y"])
async def test_bad_share_links(fields: Sequence[str], token: str) -> None:
    """A link that is not good is 403 and no challenge, whatever key comes with it."""
    error = await refused(*fields, token=token)

    assert (error.status, error.headers) == (403, {})


async def test_a_session_is_no_link() -> None:
    """What is in a login's cookie opens no link."""
    token = cookie(await guard().login(BOSS, request("/"), CALLER)).removeprefix(f"Cookie: {NAME}=")

    assert (await refused(token=token)).status == 403


async def test_who_watches_still_may(tmp_path: Path, clock: Clock) -> None:
    """Who watches may go on while its key or link is there, the same, not expired, and for that camera."""
    shares = Shares(tmp_path, SIGNER)
    share, token = shares.make("porch", 60)
    door = guard(state=tmp_path)
    watcher, boss = await admitted(f"X-API-Key: {WALL}", at=door), await admitted(f"X-API-Key: {BOSS}", at=door)
    holder = await admitted(at=door, token=token)

    assert [door.lasts(watcher, "porch"), door.lasts(watcher, "attic"), door.lasts(boss, "attic")] == [
        True,
        False,
        True,
    ]
    assert door.lasts(holder, "porch")
    shares.revoke(share.id)
    assert not door.lasts(holder, "porch")


@pytest.mark.parametrize(
    ("key", "lasts"),
    [
        (KeyConfig(secret=WALL), True),
        (KeyConfig(secret=WALL, cameras=("attic",)), False),
        (KeyConfig(secret=WALL, scopes=("snapshot",)), False),
        (KeyConfig(secret=WALL, expires="2020-01-01"), False),
        (KeyConfig(secret="another secret"), False),  # noqa: S106  (a test's)
        (None, False),
    ],
)
async def test_who_watches_after_a_reload(key: KeyConfig | None, lasts: bool) -> None:  # noqa: FBT001  (a row)
    """Whether somebody may go on watching is asked of the key as it is now."""
    watcher = await admitted(f"X-API-Key: {WALL}")
    keys = {"boss": KEYS["boss"]} | ({"wall": key} if key is not None else {})

    assert guard(Config(camera=CAMERAS, key=keys)).lasts(watcher, "porch") is lasts


@pytest.mark.parametrize(
    ("after", "lasts"),
    [(FREE, True), (CONFIG, False), (Config(key=KEYS, auth=AuthConfig(anonymous=("view",))), True)],
)
async def test_anybody_who_watches(after: Config, lasts: bool) -> None:  # noqa: FBT001  (a row of the table)
    """Who came without a key is sent home once a key is needed."""
    watcher = await admitted(at=guard(FREE))

    assert guard(after).lasts(watcher, "porch") is lasts


@pytest.mark.parametrize(
    "host",
    [
        "cam.local",
        "cam.local:8080",
        "CAM.local",
        "a.example.org",
        "b.a.example.org:1",
        "localhost",
        "localhost:8080",
        "192.0.2.7",
        "192.0.2.7:8080",
        "[2001:db8::1]",
        "[::1]:8080",
        "",
    ],
)
def test_hosts_that_are_ours(host: str) -> None:
    """Requests for an allowed name are answered, and always those for addresses, localhost, and without any Host."""
    assert turned_away(host, "Cam.local", "*.example.org") is None


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "example.org",
        "badexample.org",
        "cam.local.evil.example",
        "xcam.local",
        "localhost.evil.example",
        "192.0.2.7.evil.example",
        "1.2.3.4x",
        ":8080",
    ],
)
def test_hosts_that_are_not(host: str) -> None:
    """A request for any other name is 421: somebody's DNS has pointed it at us."""
    error = turned_away(host, "cam.local", "*.example.org")

    assert error is not None
    assert error.status == 421


def test_hosts_are_free_without_a_list() -> None:
    """Without `server.allowed_hosts` every host is served."""
    assert turned_away("evil.example") is None


REBOUND = {"host": "evil.example", "x-forwarded-host": "localhost"}


@pytest.mark.parametrize(("peer", "headers"), [("192.0.2.7", REBOUND), ("127.0.0.1", REBOUND)])
def test_a_rebound_page_cannot_name_another_host(peer: str, headers: Mapping[str, str]) -> None:
    """A page whose name was pointed at us may send X-Forwarded-Host, and from this box: its Host still counts."""
    door = guard(Config(server=ServerConfig(allowed_hosts=("cam.local",))))

    with pytest.raises(HttpError, match="that host is not served here"):
        door.receive(replace(request("/"), headers=headers), peer, secure=False)


def test_requests_are_counted(clock: Clock) -> None:
    """An address that asks too often is 429, with the time to wait in whole seconds; another one is not."""
    door = guard(Config(limits=LimitsConfig(requests_per_second=0.5, burst=2)))
    for _ in range(2):
        door.receive(request("/"), "192.0.2.7", secure=False)
    with pytest.raises(HttpError) as caught:
        door.receive(request("/"), "192.0.2.7", secure=False)

    assert (caught.value.status, caught.value.headers) == (429, {"Retry-After": "2"})
    assert door.receive(request("/"), "192.0.2.8", secure=False).address == "192.0.2.8"
    clock.forward(2)
    assert door.receive(request("/"), "192.0.2.7", secure=False).address == "192.0.2.7"


def test_clients_of_a_proxy_are_counted_apart() -> None:
    """Behind a proxy each client has its own rate; whoever is no proxy cannot have another's."""
    door = guard(Config(limits=LimitsConfig(requests_per_second=1, burst=1)))
    for number in range(5):
        asked = request("/", f"X-Forwarded-For: 198.51.100.{number}")
        assert door.receive(asked, "127.0.0.1", secure=False).address == f"198.51.100.{number}"
    door.receive(request("/"), "192.0.2.7", secure=False)

    with pytest.raises(HttpError, match="too many requests"):
        door.receive(request("/", "X-Forwarded-For: 198.51.100.99"), "192.0.2.7", secure=False)


FOREIGN = "Origin: https://evil.example"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "https://camera:81", "https://sub.camera", "camera"]
)
@pytest.mark.parametrize("key", [(), (f"X-API-Key: {BOSS}",)])
async def test_pages_of_others_change_nothing(method: str, origin: str, key: Sequence[str]) -> None:
    """What changes something is refused if a page of another site asks for it, whatever key it brings."""
    error = await refused(f"Origin: {origin}", *key, method=method, scope=None)

    assert (error.status, "another site" in str(error)) == (403, True)


@pytest.mark.parametrize("origin", ["http://camera", "https://camera", "https://CAMERA"])
async def test_pages_of_ours_do(origin: str) -> None:
    """What changes something may be asked for by a page of ours, or by a program, which has no origin."""
    for fields in ((f"Origin: {origin}",), ()):
        asked = request("/", *fields, f"X-API-Key: {BOSS}", method="DELETE")
        assert (await guard().admit(asked, CALLER, "admin")).name == "boss"


async def test_pages_of_friends_do() -> None:
    """An origin that `server.cors_origins` names may too; a star there means reading only."""
    asked = request("/", FOREIGN, f"X-API-Key: {BOSS}", method="DELETE")
    friend, star = (
        guard(Config(key=KEYS, server=ServerConfig(cors_origins=origins)))
        for origins in (("https://evil.example",), ("*",))
    )

    assert (await friend.admit(asked, CALLER, "admin")).name == "boss"
    with pytest.raises(HttpError, match="another site"):
        await star.admit(asked, CALLER, "admin")


async def test_looking_is_free_of_origins() -> None:
    """A page of another site may show a picture: `<img>` sends GET, and changes nothing."""
    assert (await admitted(FOREIGN, f"X-API-Key: {WALL}")).name == "wall"
