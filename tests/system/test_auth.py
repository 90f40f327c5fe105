"""Who may look: keys by every way, what they open, what wrong ones cost, and that none is ever shown."""

import base64
import contextlib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from time import monotonic, sleep, time

import cv2
import pytest

from mjpegd.http.routes import ROUTES
from tests.chromium import Chromium
from tests.daemon import SECONDS, Daemon, cli, join, pattern, wait_for, write_config
from tests.peers import peer, run
from tests.system.client import Answer, Client, events, fetch, last_picture, size, wait_viewers

WALL, VIEWER, SHUTTER = "wall-3f9c1e77", "viewer-8d1b5a02", "shutter-61c0e9d4"
BOSS, YARD, OLD, HASHED = "boss-b7725f13", "yard-0a94e6c8", "old-5be21f90", "hashed-94d3c7aa"
WRONG = "wrong-2c8e4b6f"
FINGERPRINT = f"sha256:{sha256(HASHED.encode()).hexdigest()}"


def key(name: str, secret: str, **more: object) -> dict[str, object]:
    """`sets` for one key."""
    return {f"key.{name}.{what}": value for what, value in {"secret": secret, **more}.items()}


def at(seconds: float) -> str:
    """The time in so many seconds, as the configuration wants it."""
    return datetime.fromtimestamp(time() + seconds, UTC).isoformat()


KEYS = join(
    key("wall", WALL),
    key("viewer", VIEWER, scopes=["view"]),
    key("shutter", SHUTTER, scopes=["snapshot"]),
    key("boss", BOSS, scopes=["admin"]),
    key("yard", YARD, cameras=["yard"]),
    key("old", OLD, expires="2020-01-31"),
    key("hashed", FINGERPRINT),
)
TWO = join(pattern(), {"camera.yard.source": "pattern", "camera.yard.width": 160, "camera.yard.height": 120})


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Two cameras and every kind of key, and patience with wrong ones."""
    file = write_config(tmp_path_factory.mktemp("auth") / "mjpegd.toml", TWO, KEYS, {"auth.failures": 1000})
    with Daemon(config=file, key=WALL) as running:
        running.wait_state("live", "cam")
        running.wait_state("live", "yard")
        yield running


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def basic(secret: str, user: str = "anybody") -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode()}


def ways(secret: str) -> dict[str, tuple[str, Mapping[str, str]]]:
    """What is added to an address, and the header fields, for each way that needs no cookie."""
    return {
        "bearer": ("", bearer(secret)),
        "lower-case scheme": ("", {"Authorization": f"bearer {secret}"}),
        "X-API-Key": ("", {"X-API-Key": secret}),
        "basic": ("", basic(secret)),
        "basic without a user": ("", basic(secret, "")),
        "query": (f"?key={secret}", {}),
    }


def test_every_route_wants_a_key(daemon: Daemon) -> None:
    """Without a key each row of the table that has a scope is answered 401, and so is a path that is none."""
    values = {"{camera}": "cam", "{id}": "1", "[": "", "]": ""}
    for route in ROUTES:
        path = route.path
        for mark, value in values.items():
            path = path.replace(mark, value)
        if route.scope is not None and "{token}" not in path:
            for method in route.methods:
                assert fetch(daemon, path, method=method).status == 401, route
    assert fetch(daemon, "/nothing/here").status == 401
    assert fetch(daemon, "/?action=stream").status == 401


def test_a_program_without_a_key_is_told_how_to_bring_one(daemon: Daemon) -> None:
    """401 names Basic and Bearer and says why in JSON; without a look at the cameras' names."""
    answer = fetch(daemon, "/stream")
    assert answer.status == 401
    assert answer["www-authenticate"].startswith('Basic realm="mjpegd"')
    assert 'Bearer realm="mjpegd"' in answer["www-authenticate"]
    assert answer.json() == {"error": "this needs a key"}


def test_a_browser_without_a_key_gets_the_form(daemon: Daemon) -> None:
    """To a browser that opens a page 401 comes as the login form, without the challenge that opens a window."""
    answer = fetch(daemon, "/?x=1", {"Accept": "text/html,*/*"})
    assert answer.status == 401
    assert answer["content-type"].startswith("text/html")
    assert b'<form method="post" action="/login">' in answer.body
    assert "Basic" not in answer["www-authenticate"]
    assert "frame-ancestors 'self'" in answer["content-security-policy"]


def test_health_says_ok_to_everybody_and_no_more(daemon: Daemon) -> None:
    """`/health` without a key is 200 and names no camera; with one it does."""
    assert fetch(daemon, "/health").json() == {"status": "ok"}
    assert set(fetch(daemon, "/health", bearer(WALL)).json()["cameras"]) == {"cam", "yard"}
    assert fetch(daemon, "/health", bearer(WRONG), source="127.0.1.1").status == 401


@pytest.mark.parametrize("way", ways(WALL))
def test_each_way_to_bring_a_key(daemon: Daemon, way: str) -> None:
    """The key opens stream and snapshot by each way, and a wrong one opens neither."""
    more, headers = ways(WALL)[way]
    assert fetch(daemon, f"/snapshot{more}", headers).status == 200
    with Client(daemon) as client:
        client.open_stream(f"/stream{more}", headers)
        assert size(client.part().jpeg) == (320, 240)
    more, headers = ways(WRONG)[way]
    source = f"127.0.2.{1 + list(ways(WRONG)).index(way)}"
    for path in ("/stream", "/snapshot"):
        answer = fetch(daemon, path + more, headers, source=source)
        assert (answer.status, "www-authenticate" in answer.fields) == (401, True)


def test_curl_logs_in_by_the_form(daemon: Daemon, tmp_path: Path) -> None:
    """Curl posts the key, keeps the cookie, and watches with it; the cookie is HttpOnly and holds no key."""
    curl, jar = peer("curl", "curl"), tmp_path / "jar"
    posted = run(curl, "-s", "-c", str(jar), "-d", f"key={WALL}&next=/cameras", "-D", "-", f"{daemon.url}/login")
    head = posted.stdout.decode().lower()
    assert head.startswith("http/1.1 303 ")
    assert "location: /cameras\r\n" in head
    assert "httponly; samesite=lax\r\n" in head
    assert "secure" not in head
    assert WALL not in jar.read_text()
    assert "#HttpOnly_127.0.0.1" in jar.read_text()
    picture = run(curl, "-sf", "-b", str(jar), f"{daemon.url}/snapshot")
    assert size(picture.stdout) == (320, 240)
    stream = run(curl, "-sN", "-b", str(jar), "--max-time", "1", f"{daemon.url}/stream/yard")
    assert stream.stdout.count(b"--mjpegdframe\r\n") > 5
    assert run(curl, "-sf", f"{daemon.url}/snapshot").returncode == 22  # without the jar nothing has changed


def login(daemon: Daemon, secret: str, headers: Mapping[str, str] | None = None, source: str = "") -> Answer:
    """Post the login form."""
    body = f"key={secret}"
    with Client(daemon, source=source) as client:
        length = {"Content-Type": "application/x-www-form-urlencoded", "Content-Length": str(len(body))}
        client.get("/login", {**length, **(headers or {})}, method="POST")
        client.send(body.encode())
        return client.answer()


def cookie(answer: Answer) -> dict[str, str]:
    """The cookie that an answer set, as a browser sends it back."""
    return {"Cookie": answer["set-cookie"].partition(";")[0]}


def test_the_form_refuses_a_wrong_key(daemon: Daemon) -> None:
    """A wrong key in the form is the form again, 401, with the reason and no cookie."""
    answer = login(daemon, WRONG, source="127.0.1.2")
    assert answer.status == 401
    assert b"this key is wrong, or has expired" in answer.body
    assert "set-cookie" not in answer.fields


def test_a_cookie_lasts_as_long_as_configured(tmp_path: Path) -> None:
    """After `auth.session` seconds the cookie is worth nothing; a forged one never is."""
    file = write_config(tmp_path / "mjpegd.toml", pattern(), key("wall", WALL), {"auth.session": 2})
    with Daemon(config=file, key=WALL) as daemon:
        daemon.wait_state("live")
        kept = cookie(login(daemon, WALL))
        assert fetch(daemon, "/stats", kept).status == 200
        forged = {"Cookie": kept["Cookie"][:-4] + "AAAA"}
        assert fetch(daemon, "/stats", forged).status == 401
        wait_for(lambda: fetch(daemon, "/stats", kept).status == 401, 4, "the end of the session")
        assert fetch(daemon, "/stats", bearer(WALL)).status == 200


def test_logging_out_takes_the_cookie_away(daemon: Daemon) -> None:
    """`POST /logout` answers with a cookie that is empty and over."""
    answer = fetch(daemon, "/logout", cookie(login(daemon, WALL)), method="POST")
    assert answer.status == 303
    assert re.match(r"mjpegd[0-9a-z-]*=; Path=/; Max-Age=0;", answer["set-cookie"])


@pytest.mark.parametrize("path", ["/login", "/clients/1"])
def test_another_sites_page_changes_nothing(daemon: Daemon, path: str) -> None:
    """What changes something is 403 for a page of another site, whatever key its browser brings along."""
    method = "POST" if path == "/login" else "DELETE"
    foreign = {"Origin": "https://evil.example", **bearer(BOSS)}
    assert fetch(daemon, path, foreign, method=method).status == 403
    ours = {"Origin": "http://localhost", **bearer(BOSS)}
    assert fetch(daemon, path, ours, method=method).status in {303, 404}


@pytest.mark.parametrize(
    ("secret", "path", "status"),
    [
        (VIEWER, "/stats", 200),
        (VIEWER, "/snapshot", 403),
        (VIEWER, "/clients", 403),
        (SHUTTER, "/snapshot", 200),
        (SHUTTER, "/stream", 403),
        (SHUTTER, "/", 403),
        (WALL, "/clients", 403),
        (BOSS, "/clients", 200),
        (BOSS, "/snapshot", 200),
        (BOSS, "/stats", 200),
        (OLD, "/stats", 401),
        (HASHED, "/stats", 200),
        (FINGERPRINT, "/stats", 401),
        (YARD, "/snapshot/yard", 200),
        (YARD, "/snapshot/cam", 403),
        (YARD, "/stream/cam", 403),
        (YARD, "/health/cam", 403),
        (YARD, "/?action=snapshot", 200),
        (YARD, "/?action=snapshot_0", 403),
        (YARD, "/nothing", 404),
    ],
)
def test_what_a_key_opens(daemon: Daemon, secret: str, path: str, status: int) -> None:
    """A key opens what its scopes and cameras say: 403 beyond them, 401 for one that expired or is only a hash."""
    with Client(daemon, source="127.0.1.3") as client:
        assert client.get(path, bearer(secret)).head().status == status


def test_the_missing_scope_is_named(daemon: Daemon) -> None:
    """403 says in JSON which scope was needed."""
    assert fetch(daemon, "/stream", bearer(SHUTTER)).json()["scope"] == "view"


def test_a_key_for_one_camera_knows_of_no_other(daemon: Daemon) -> None:
    """Its first camera is its own, and lists, statistics, metrics, health and errors name no other."""
    mine = bearer(YARD)
    with Client(daemon) as client:
        client.open_stream("/stream", mine)
        assert size(client.part().jpeg) == (160, 120)
    assert size(fetch(daemon, "/snapshot", mine).body) == (160, 120)
    assert [camera["name"] for camera in fetch(daemon, "/cameras", mine).json()["cameras"]] == ["yard"]
    for path in ("/stats", "/health", "/stream/cam", "/stream/none", "/nothing"):
        answer = fetch(daemon, path, mine).json()
        assert list(answer["cameras"]) == ["yard"], path
    assert b'"cam"' not in fetch(daemon, "/metrics", mine).body


def test_a_key_that_expires_sends_its_viewers_home(tmp_path: Path) -> None:
    """When its time is over, a key's stream ends in order, and neither it nor its cookie opens anything."""
    short = key("short", WRONG, expires=at(4))
    with Daemon(config=write_config(tmp_path / "mjpegd.toml", pattern(), key("wall", WALL), short)) as daemon:
        kept = cookie(login(daemon, WRONG))
        with Client(daemon) as client, Client(daemon) as other:
            client.open_stream("/stream", bearer(WRONG))
            other.open_stream("/stream", bearer(WALL))
            assert last_picture(client.read_all(within=8))
            assert fetch(daemon, "/stats", bearer(WRONG)).status == 401
            assert fetch(daemon, "/stats", kept).status == 401
            other.part()
            assert fetch(daemon, "/stats", bearer(WALL)).json()["viewers"] == 1


def test_a_key_made_by_the_command_works(tmp_path: Path) -> None:
    """The lines that `mjpegd key` prints hold no key, and in the configuration they open what they say."""
    made = cli("key", "tablet", "--scopes", "view", "--cameras", "cam", "--ttl", "2h")
    assert made.returncode == 0, made
    first, _, lines = made.stdout.partition("\n")
    secret = first.rpartition(" ")[2]
    assert secret not in lines
    assert tomllib.loads(lines)["key"]["tablet"]["cameras"] == ["cam"]
    file = write_config(tmp_path / "mjpegd.toml", pattern())
    file.write_text(file.read_text() + lines)
    with Daemon(config=file) as daemon:
        assert fetch(daemon, "/stats", bearer(secret)).status == 200
        assert fetch(daemon, "/snapshot", bearer(secret)).status == 403
        assert fetch(daemon, "/stats").status == 401


# Guessing


def timed(daemon: Daemon, secret: str, source: str) -> tuple[int, float]:
    """Status of a request with that key, and the seconds until it came."""
    began = monotonic()
    return fetch(daemon, "/stats", bearer(secret), source=source).status, monotonic() - began


def test_wrong_keys_are_answered_later_and_later(daemon: Daemon) -> None:
    """The delay doubles from 0.1 s with each wrong key, and meanwhile another address is answered at once."""
    waits = [timed(daemon, WRONG, "127.0.3.1") for _ in range(4)]
    assert {status for status, _ in waits} == {401}
    for (_, seconds), least in zip(waits, (0.1, 0.2, 0.4, 0.8), strict=True):
        assert least <= seconds < least + 0.35 * SECONDS
    with Client(daemon, source="127.0.3.1") as client:
        client.get("/stats", bearer(WRONG))
        status, seconds = timed(daemon, WALL, "127.0.3.2")
        assert (status, seconds < 0.5 * SECONDS) == (200, True)
        assert client.answer().status == 401


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[Daemon]:
    """A daemon that locks out after three wrong keys, for two seconds."""
    strictness = {"auth.failures": 3, "auth.lockout": 2}
    with Daemon(config=write_config(tmp_path / "mjpegd.toml", pattern(), key("wall", WALL), strictness)) as running:
        yield running


def test_too_many_wrong_keys_lock_the_address_out(strict: Daemon) -> None:
    """After three wrong keys the address gets 429 with Retry-After, the right key or not; another one does not."""
    with Client(strict) as watching:
        watching.open_stream("/stream", bearer(WALL))
        for _ in range(3):
            assert fetch(strict, "/stats", bearer(WRONG)).status == 401
        for headers in (bearer(WRONG), bearer(WALL), basic(WALL)):
            answer = fetch(strict, "/stats", headers)
            assert answer.status == 429
            assert 1 <= int(answer["retry-after"]) <= 2
            assert "wrong keys" in answer.json()["error"]
        assert login(strict, WALL).status == 429
        assert fetch(strict, "/stats", bearer(WALL), source="127.0.0.2").status == 200
        assert fetch(strict, "/health").status == 200
        watching.part()
        wait_for(lambda: fetch(strict, "/stats", bearer(WALL)).status == 200, 4, "the end of the lock-out")


def test_a_second_lock_out_is_longer(strict: Daemon) -> None:
    """Who goes on guessing after a lock-out is locked out for twice as long."""
    for _ in range(3):
        fetch(strict, "/stats", bearer(WRONG))
    sleep(2.1)
    for _ in range(3):
        assert fetch(strict, "/stats", bearer(WRONG)).status == 401
    assert 3 <= int(fetch(strict, "/stats", bearer(WALL))["retry-after"]) <= 4


def test_guessing_in_parallel_gains_nothing(strict: Daemon) -> None:
    """Of thirty wrong keys at once no more than three are looked at, the others meet the lock-out."""
    with ThreadPoolExecutor(30) as pool:
        statuses = list(pool.map(lambda _: fetch(strict, "/stats", bearer(WRONG)).status, range(30)))
    assert sorted(set(statuses)) == [401, 429]
    assert statuses.count(401) <= 3


# The door


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_an_open_door_is_refused(tmp_path: Path, host: str) -> None:
    """Beyond loopback without a key: exit code 2, one line that says what to do, and nothing was begun."""
    state = tmp_path / "state"
    sets = ("--set", f"server.host={host}", "--set", "server.port=0", "--set", f"server.state={state}")
    ended = cli("run", "--config", os.devnull, *sets)
    assert (ended.returncode, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    assert f"({host}) lets everybody in" in line
    assert "mjpegd key NAME" in line
    assert "anonymous" in line
    assert not state.exists()


@pytest.mark.parametrize("more", [{"auth.anonymous": ["view"]}, key("wall", WALL)])
def test_a_door_that_is_watched_may_be_opened(tmp_path: Path, more: dict[str, object]) -> None:
    """With a key, or with a word on what everybody may, it listens on every address."""
    file = write_config(tmp_path / "mjpegd.toml", pattern(), more, {"server.host": "0.0.0.0"})
    with Daemon(config=file) as daemon:
        assert fetch(daemon, "/stats").status == (200 if "auth.anonymous" in more else 401)
        assert fetch(daemon, "/snapshot").status == 401


def test_everybody_may_what_anonymous_says(tmp_path: Path) -> None:
    """With keys and `auth.anonymous` a key opens the more; a wrong one is refused, not taken for none."""
    file = write_config(tmp_path / "mjpegd.toml", pattern(), key("wall", WALL), {"auth.anonymous": ["view"]})
    with Daemon(config=file) as daemon:
        daemon.wait_state("live")
        with Client(daemon) as client:
            client.open_stream()
            client.part()
        assert fetch(daemon, "/snapshot").status == 401
        assert fetch(daemon, "/snapshot", bearer(WALL)).status == 200
        assert fetch(daemon, "/stats", bearer(WRONG)).status == 401


# Secrets stay secret


def test_no_key_is_ever_shown(tmp_path: Path) -> None:
    """Neither right nor wrong keys stand in the log, in any answer, or in the process's title."""
    sets = join(
        pattern(),
        key("wall", WALL),
        key("boss", BOSS, scopes="admin"),
        {"camera.net.source": "rtsp://u:hunter2@[::1]:1/", "log.flood_period": 0.1},
    )
    with Daemon(sets, key=BOSS) as daemon, contextlib.ExitStack() as stack:
        daemon.wait_state("live")
        daemon.wait_state("lost", "net")
        said = b""
        for number, (more, headers) in enumerate((*ways(WALL).values(), *ways(WRONG).values())):
            for path in ("/stream/cam", "/snapshot/cam", "/stream/net"):
                client = stack.enter_context(Client(daemon, source=f"127.0.4.{number + 1}"))
                client.get(path + more, {"User-Agent": "curl", "Referer": f"http://x/{more}", **headers})
                said += client.head().head
        login(daemon, WALL)
        login(daemon, WRONG)
        wait_viewers(daemon, len(ways(WALL)))
        for path in ("/", "/cameras", "/stats", "/metrics", "/health", "/state", "/clients", "/nothing"):
            said += daemon.get(path)[1]
        assert b'"agent": "curl' in said
        process = Path(f"/proc/{daemon.process.pid}")
        title = (process / "cmdline").read_bytes()
        assert b"mjpegd" in title
        daemon.reload()
    told = said + title + "\n".join(daemon.raw_log).encode()
    assert len(events(daemon, "wrong key")) > 6
    for secret in (WALL, BOSS, WRONG, "hunter2"):
        assert secret.encode() not in told, secret
        assert base64.b64encode(f"anybody:{secret}".encode()) not in told
        assert sha256(secret.encode()).hexdigest().encode() not in told


def test_hiding_a_secret_changes_nothing_else() -> None:
    """A camera whose `--set` is moved out of the process's title keeps its place: the first one stays the default."""
    sets = join(pattern(), {"camera.net.source": "rtsp://u:hunter2@[::1]:1/"})
    with Daemon(sets) as daemon:
        assert [camera["name"] for camera in daemon.json("/cameras")["cameras"]] == ["cam", "net"]


def test_the_printed_configuration_masks_keys(tmp_path: Path) -> None:
    """`mjpegd config` shows each key's name and scopes, and neither secret nor hash."""
    printed = cli("config", "--config", write_config(tmp_path / "mjpegd.toml", TWO, KEYS))
    assert printed.returncode == 0
    shown = tomllib.loads(printed.stdout)["key"]
    assert list(shown) == ["wall", "viewer", "shutter", "boss", "yard", "old", "hashed"]
    for secret in (WALL, VIEWER, SHUTTER, BOSS, YARD, OLD, FINGERPRINT.partition(":")[2]):
        assert secret not in printed.stdout


@pytest.mark.parametrize("value", ["pssst", "sha256:123"])
def test_a_bad_secret_is_refused_unseen(value: str) -> None:
    """A secret that is no good is exit code 2 and one line, without the secret."""
    ended = cli("run", "--config", os.devnull, "--set", f"key.wall.secret={value}")
    assert (ended.returncode, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    assert "key.wall.secret" in line
    assert value not in line


# Real clients


def test_curl_brings_a_key_as_password(daemon: Daemon) -> None:
    """`curl -u` works with the key as password and any user."""
    curl = peer("curl", "curl")
    done = run(curl, "-sf", "-u", f"whoever:{WALL}", f"{daemon.url}/snapshot")
    assert (done.returncode, size(done.stdout)) == (0, (320, 240))
    assert (
        run(curl, "-sf", "-u", f"whoever:{WRONG}", "--interface", "127.0.1.4", f"{daemon.url}/snapshot").returncode
        == 22
    )


@pytest.mark.parametrize("way", ["user", "header", "query"])
def test_ffmpeg_brings_a_key(daemon: Daemon, way: str) -> None:
    """Ffmpeg plays with the key in the address as password or parameter, and as a header field."""
    ffmpeg = peer("ffmpeg", "ffmpeg")
    options, url = {
        "user": ((), daemon.url.replace("://", f"://user:{WALL}@") + "/stream"),
        "header": (("-headers", f"Authorization: Bearer {WALL}\r\n"), f"{daemon.url}/stream"),
        "query": ((), f"{daemon.url}/stream?key={WALL}"),
    }[way]
    done = run(ffmpeg, "-loglevel", "warning", *options, "-i", url, "-frames:v", "10", "-f", "framecrc", "-")
    assert (done.returncode, done.stderr) == (0, b"")
    assert len([line for line in done.stdout.splitlines() if not line.startswith(b"#")]) == 10


def test_ffmpeg_without_a_key_is_refused(daemon: Daemon) -> None:
    """Ffmpeg without a key ends and says 401."""
    done = run(peer("ffmpeg", "ffmpeg"), "-loglevel", "error", "-i", f"{daemon.url}/stream", "-f", "null", "-")
    assert done.returncode != 0
    assert b"401" in done.stderr


def test_opencv_brings_a_key(daemon: Daemon) -> None:
    """OpenCV reads frames from an address with the key as password."""
    patience = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, 10_000, cv2.CAP_PROP_READ_TIMEOUT_MSEC, 10_000]
    url = daemon.url.replace("://", f"://user:{WALL}@")
    capture = cv2.VideoCapture(f"{url}/stream", cv2.CAP_FFMPEG, patience)
    try:
        assert capture.read()[1].shape == (240, 320, 3)
    finally:
        capture.release()


def test_gstreamer_brings_a_key(daemon: Daemon) -> None:
    """GStreamer's souphttpsrc plays with `user-pw`."""
    launch = peer("gst-launch-1.0", "gstreamer1.0-tools")
    source = ["souphttpsrc", f"location={daemon.url}/stream", "user-id=x", f"user-pw={WALL}", "!", "multipartdemux"]
    done = run(launch, "-q", *source, "!", "identity", "eos-after=6", "!", "fdsink")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.count(b"\xff\xd9\xff\xd8") >= 4


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """One browser for all."""
    with Chromium(tmp_path_factory.mktemp("chromium")) as running:
        yield running


MOVING = """(async () => {
    const image = document.querySelector("img"), seen = new Set();
    const canvas = Object.assign(document.createElement("canvas"), {width: 64, height: 48});
    const context = canvas.getContext("2d");
    for (let n = 0; n < 60 && seen.size < 5; n++) {
        if (image?.naturalWidth) {
            context.drawImage(image, 0, 0, 64, 48);
            seen.add(context.getImageData(0, 0, 64, 48).data.join());
        }
        await new Promise(resolve => setTimeout(resolve, 50));
    }
    return seen.size;
})()"""
"""How many different pictures the first image of a page shows, up to five."""


def enter(browser: Chromium, secret: str) -> None:
    """Type a key into the form and send it."""
    wait_for(lambda: browser.evaluate("!!document.querySelector('#key')"), 10, "the form")
    browser.evaluate(f"document.querySelector('#key').value = '{secret}'; document.querySelector('button').click()")


def test_chromium_logs_in(browser: Chromium, daemon: Daemon) -> None:
    """The page is the form first; a wrong key shows why, the right one shows the picture, which moves."""
    browser.open(f"{daemon.url}/")
    enter(browser, WRONG)
    alert = "document.querySelector('[role=alert]')?.textContent ?? ''"
    wait_for(lambda: "this key is wrong" in browser.evaluate(alert), 10, "the message")
    enter(browser, WALL)
    wait_for(lambda: browser.evaluate("!!document.querySelector('#picture')"), 10, "the page")
    wait_for(lambda: browser.evaluate(MOVING) == 5, 10, "the picture to move")
    assert browser.evaluate("document.cookie") == ""
    browser.evaluate("fetch('/logout', {method: 'POST'}).then(answer => answer.status)")
    browser.open(f"{daemon.url}/")
    wait_for(lambda: browser.evaluate("!!document.querySelector('#key')"), 10, "the form again")
    browser.open("about:blank")


def test_chromium_takes_a_key_out_of_the_address_bar(browser: Chromium, daemon: Daemon) -> None:
    """`/?key=KEY` becomes a cookie: the address shown has no key, and the picture moves."""
    browser.open(f"{daemon.url}/?key={WALL}")
    wait_for(lambda: browser.evaluate("!!document.querySelector('#picture')"), 10, "the page")
    wait_for(lambda: browser.evaluate(MOVING) == 5, 10, "the picture to move")
    assert WALL not in browser.evaluate("location.href")
    browser.open("about:blank")
