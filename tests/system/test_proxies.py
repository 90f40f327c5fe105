"""Behind proxies: the printed configuration as it stands, whose address counts, and names, paths and origins."""

import shutil
import socket
import statistics
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import pytest

from tests.certificates import make_pair
from tests.daemon import SECONDS, Daemon, cli, free_port, join, pattern
from tests.peers import Proxy, haproxy, nginx, nginx_in_front, peer, run
from tests.system.client import Client, Listening, fetch, read_through, size, wait_viewers

OPEN = {"auth.anonymous": "view,snapshot,admin"}
FAR = "203.0.113.9"
"""An address of somebody far away."""
WALL = "wall-3f9c1e77"


def print_config(program: str, port: int, sets: Mapping[str, object]) -> str:
    """What `mjpegd print-config` says for a proxy on that port."""
    words = [word for key, value in sets.items() for word in ("--set", f"{key}={value}")]
    printed = cli("print-config", program, "--listen", str(port), "--config", "/dev/null", *words)
    assert (printed.returncode, printed.stderr) == (0, "")
    return printed.stdout


def in_front(program: str, folder: Path, daemon: Daemon, sets: Mapping[str, object] | None = None) -> Proxy:
    """A proxy of that kind with the configuration that mjpegd prints for such a daemon."""
    port = free_port()
    text = print_config(program, port, join({"server.port": daemon.port}, sets or {}))
    if program == "nginx":
        try:
            socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        except OSError:
            pytest.skip("this machine has no IPv6, and nginx refuses to listen on it then")
        return nginx(folder, port, text)
    return haproxy(folder, port, text)


@pytest.fixture(params=["nginx", "haproxy"])
def kind(request: pytest.FixtureRequest) -> str:
    """Each of the proxies that are tested with the real program."""
    name: str = request.param
    return name


def addresses(daemon: Daemon) -> list[str]:
    """Whom `/clients` says that it serves."""
    return [row["address"] for row in daemon.json("/clients")["clients"]]


# The printed configuration


@pytest.mark.parametrize("width", [32, 640])
def test_a_stream_comes_through_fresh(kind: str, tmp_path: Path, width: int) -> None:
    """With the printed configuration as it stands frames come one by one and fresh, large or small."""
    with Daemon(pattern(width, width * 3 // 4, fps=5)) as daemon, in_front(kind, tmp_path, daemon) as proxy:
        daemon.wait_state("live")
        parts = read_through(f"{proxy.url}/stream", 10)[2:]
    ages = [came - float(picture.headers["x-timestamp"]) for came, picture in parts]
    steps = [later - sooner for (sooner, _), (later, _) in pairwise(parts)]
    assert statistics.median(ages) < 0.1 * SECONDS
    assert statistics.median(steps) == pytest.approx(0.2, rel=0.4)


def test_every_frame_comes_through(kind: str, tmp_path: Path) -> None:
    """Of thirty frames a second none is lost or held on the way, and the page and a snapshot come too."""
    with Daemon(pattern()) as daemon, in_front(kind, tmp_path, daemon) as proxy:
        daemon.wait_state("live")
        parts = read_through(f"{proxy.url}/stream", 40)[2:]
        ids = [int(picture.headers["x-frame-id"]) for _, picture in parts]
        assert len(ids) / (ids[-1] - ids[0] + 1) > 0.8
        assert statistics.median(came - float(picture.headers["x-timestamp"]) for came, picture in parts) < SECONDS / 20
        curl = peer("curl", "curl")
        assert size(run(curl, "-sf", f"{proxy.url}/snapshot").stdout) == (320, 240)
        assert b"<title>mjpegd</title>" in run(curl, "-sf", f"{proxy.url}/").stdout


def test_a_viewer_that_leaves_is_noticed(kind: str, tmp_path: Path) -> None:
    """When the viewer behind the proxy leaves, the daemon's stream ends within some seconds."""
    with Daemon(pattern()) as daemon, in_front(kind, tmp_path, daemon) as proxy:
        daemon.wait_state("live")
        read_through(f"{proxy.url}/stream", 3)
        wait_viewers(daemon, 0, within=3)


def test_the_real_address_is_known(kind: str, tmp_path: Path) -> None:
    """Behind the proxy `/clients` and the log show the viewer's own address, not the proxy's."""
    with Daemon(join(pattern(), OPEN)) as daemon, in_front(kind, tmp_path, daemon) as proxy:
        with Client(proxy, source="127.0.0.9") as client:
            client.get("/stream", version="1.0").read_until(b"X-Frame-Id")
            assert addresses(daemon) == ["127.0.0.9"]
        wait_viewers(daemon, 0)
        assert daemon.wait_log("viewer left")["viewer"] == "127.0.0.9"


def test_an_address_that_is_made_up_is_not_believed(kind: str, tmp_path: Path) -> None:
    """What the viewer itself claims in X-Forwarded-For counts for nothing, since the proxy's word comes last."""
    trusted = {"server.trusted_proxies": "127.0.0.1"}
    with (
        Daemon(join(pattern(), OPEN, trusted)) as daemon,
        in_front(kind, tmp_path, daemon) as proxy,
        Client(proxy, source="127.0.0.9") as client,
    ):
        client.get("/stream", {"X-Forwarded-For": FAR}, version="1.0").read_until(b"X-Frame-Id")
        assert addresses(daemon) == ["127.0.0.9"]


def status_of(proxy: Listening, source: str, headers: Mapping[str, str] | None = None) -> int:
    """The status of a request for `/stats`."""
    return fetch(proxy, "/stats", headers, source=source).status


def test_limits_count_for_the_real_address(kind: str, tmp_path: Path) -> None:
    """One viewer that asks too much, or with wrong keys, is refused; another behind the same proxy is not."""
    limits = {"limits.requests_per_second": 1, "limits.burst": 4, "auth.failures": 3, "key.wall.secret": WALL}
    right, wrong = ({"X-API-Key": secret} for secret in (WALL, "nonsense"))
    with Daemon(join(pattern(), limits)) as daemon, in_front(kind, tmp_path, daemon) as proxy:
        assert [status_of(proxy, "127.0.0.8", wrong) for _ in range(3)] == [401] * 3
        assert status_of(proxy, "127.0.0.8", right) == 429
        assert status_of(proxy, "127.0.0.9", right) == 200
        statuses = [status_of(proxy, "127.0.0.7", right) for _ in range(6)]
        assert (statuses[0], statuses[-1]) == (200, 429)
        assert status_of(proxy, "127.0.0.9", right) == 200


def test_an_encrypted_daemon_behind_the_proxy(kind: str, tmp_path: Path) -> None:
    """With a certificate configured the printed configuration speaks HTTPS to the daemon."""
    pair = make_pair(tmp_path, "mjpegd")
    with Daemon(join(pattern(), pair.sets)) as daemon, in_front(kind, tmp_path, daemon, pair.sets) as proxy:
        daemon.wait_state("live")
        assert len(read_through(f"{proxy.url}/stream", 5)) >= 5


def test_a_unix_socket_behind_the_proxy(kind: str, tmp_path: Path) -> None:
    """With a unix socket as `server.host` the printed configuration goes there, and the real address is known."""
    host = {"server.host": f"unix:{tmp_path}/http.sock"}
    with Daemon(join(pattern(), OPEN, host)) as daemon, in_front(kind, tmp_path, daemon, host) as proxy:
        daemon.wait_log("camera live")
        with Client(proxy, source="127.0.0.9") as client:
            client.get("/stream", version="1.0").read_until(b"X-Frame-Id")
            listed = fetch(proxy, "/clients").json()["clients"]
        assert [row["address"] for row in listed] == ["127.0.0.9"]


def test_a_base_path_behind_the_proxy(tmp_path: Path) -> None:
    """With `server.base_path` nginx's location is that path, and every address that is given out has it in front."""
    base = {"server.base_path": "/cams"}
    with Daemon(join(pattern(), base)) as daemon, in_front("nginx", tmp_path, daemon, base) as proxy:
        daemon.wait_state("live")
        (camera,) = fetch(proxy, "/cams/cameras").json()["cameras"]
        assert (camera["stream"], camera["snapshot"]) == ("/cams/stream/cam.mjpg", "/cams/snapshot/cam.jpg")
        assert size(fetch(proxy, camera["snapshot"]).body) == (320, 240)
        assert len(read_through(proxy.url + camera["stream"], 3)) >= 3
        assert fetch(proxy, "/stream").status == 404  # nginx's own


def test_caddy_takes_the_printed_configuration(tmp_path: Path) -> None:
    """Caddy passes a stream on fresh with the printed configuration as it stands."""
    caddy, port = shutil.which("caddy"), free_port()
    if caddy is None:
        pytest.skip("caddy is missing: it is not among the packages that the tests install")
    with Daemon(pattern(fps=5)) as daemon:
        daemon.wait_state("live")
        file = tmp_path / "Caddyfile"
        file.write_text(print_config("caddy", port, {"server.port": daemon.port}))
        command = (caddy, "run", "--adapter", "caddyfile", "--config", file)
        with Proxy(port, tmp_path / "caddy.log", *command) as proxy:
            parts = read_through(f"{proxy.url}/stream", 8)[2:]
    assert statistics.median(came - float(picture.headers["x-timestamp"]) for came, picture in parts) < 0.1 * SECONDS


# What proxies say, and who is believed


def login(daemon: Daemon, path: str, headers: Mapping[str, str]) -> str:
    """The cookie that a login sets."""
    body = f"key={WALL}"
    with Client(daemon) as client:
        client.get(path, {"Content-Length": str(len(body)), **headers}, method="POST").send(body.encode())
        return client.answer()["set-cookie"]


def test_a_prefix_that_was_taken_away_is_put_back() -> None:
    """X-Forwarded-Prefix and -Proto of a trusted proxy show in addresses, in the cookie and in where a login leads."""
    told = {"X-Forwarded-Prefix": "/porch/", "X-Forwarded-Proto": "https", "X-API-Key": WALL}
    with Daemon(join(pattern(), {"key.wall.secret": WALL})) as daemon:
        (camera,) = fetch(daemon, "/cameras", told).json()["cameras"]
        assert camera["stream"] == "/porch/stream/cam.mjpg"
        cookie = login(daemon, "/login", told)
        assert "; Path=/porch/;" in cookie
        assert cookie.endswith("; Secure")
        form = fetch(daemon, "/", {**told, "X-API-Key": "", "Accept": "text/html"})
        assert b'action="/porch/login"' in form.body
        for bad in ("//evil.example", '/x"><script>', "/a b", "javascript:", "/../.."):
            (camera,) = fetch(daemon, "/cameras", {**told, "X-Forwarded-Prefix": bad}).json()["cameras"]
            assert camera["stream"] in {"/stream/cam.mjpg", "/../../stream/cam.mjpg"}, bad


@pytest.mark.parametrize("prefix", ["", "/cams"])
def test_a_base_path_is_answered_with_and_without(prefix: str) -> None:
    """A path that the proxy leaves in front or takes away leads to the same; cookies are for the whole of it."""
    with Daemon(join(pattern(), {"server.base_path": "/cams", "key.wall.secret": WALL}), key=WALL) as daemon:
        daemon.wait_state("live")
        key = {"X-API-Key": WALL}
        (camera,) = fetch(daemon, f"{prefix}/cameras", key).json()["cameras"]
        assert camera["stream"] == "/cams/stream/cam.mjpg"
        assert fetch(daemon, f"{prefix}/snapshot/cam.jpg", key).status == 200
        assert "; Path=/cams/;" in login(daemon, f"{prefix}/login", {})
        assert fetch(daemon, "/camsnapshot", key).status == 404


def test_only_a_trusted_proxy_is_believed() -> None:
    """From anybody else X-Forwarded-For, -Proto, -Prefix and -Host are as if they were not there."""
    told = {
        "X-Forwarded-For": FAR,
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Prefix": "/porch",
        "X-Forwarded-Host": "cam.lan",
        "X-API-Key": WALL,
    }
    trust = {"server.trusted_proxies": "192.0.2.0/24", "server.allowed_hosts": "cam.lan"}
    keys = {"key.wall.secret": WALL, "key.wall.scopes": "admin"}
    with Daemon(join(pattern(), trust, keys), key=WALL) as daemon, Client(daemon) as client:
        client.open_stream("/stream", told)
        assert addresses(daemon) == ["127.0.0.1"]
        (camera,) = fetch(daemon, "/cameras", told).json()["cameras"]
        assert camera["stream"] == "/stream/cam.mjpg"
        assert "Secure" not in login(daemon, "/login", told)
        assert fetch(daemon, "/cameras", {**told, "Host": "evil.example"}).status == 421


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        (FAR, FAR),
        (f"{FAR}:4711", FAR),
        ("[2001:db8::7]:4711", "2001:db8::7"),
        (f"198.51.100.1, {FAR}, 127.0.0.1", FAR),
        (f"nonsense, {FAR}", FAR),
        (f"{FAR}, nonsense", "127.0.0.1"),
        ("nonsense", "127.0.0.1"),
        (f"{FAR}, 10.0.0.1", "10.0.0.1"),
        (", ," * 500, "127.0.0.1"),
    ],
)
def test_whom_a_chain_of_proxies_speaks_for(forwarded: str, address: str) -> None:
    """From the right, the first address that is not a trusted proxy's is the viewer's; nonsense ends the belief."""
    with Daemon(join(pattern(), OPEN)) as daemon, Client(daemon) as client:
        client.open_stream("/stream", {"X-Forwarded-For": forwarded})
        assert addresses(daemon) == [address]


# Names


def test_a_host_that_is_not_ours_is_421() -> None:
    """With `server.allowed_hosts` other names are 421 for every path; those named, addresses and localhost are not."""
    with Daemon(join(pattern(), {"server.allowed_hosts": "cam.lan,*.example.org"})) as daemon:
        for host in ("cam.lan", "CAM.LAN:8080", "a.example.org", "127.0.0.1", "localhost:1", "[::1]:8080", "192.0.2.1"):
            assert fetch(daemon, "/health", {"Host": host}).status == 200, host
        for host in ("evil.example", "cam.lan.evil.example", "example.org.evil", "1.2.3.4.evil.example", "notcam.lan"):
            for path in ("/health", "/stream", "/nothing", "/login"):
                answer = fetch(daemon, path, {"Host": host})
                assert answer.status == 421, host
            assert "allowed_hosts" in answer.json()["error"]


# Origins

DASH, EVIL = "https://dash.example.org", "https://evil.example"


def allowed(daemon: Daemon, path: str, origin: str, method: str = "GET", **headers: str) -> tuple[int, str | None]:
    """Status, and the origin that is allowed to read the answer."""
    with Client(daemon) as client:
        head = client.get(path, {"Origin": origin, **headers}, method=method).head(method)
        assert "Origin" in head.fields.get("vary", "")
        return head.status, head.fields.get("access-control-allow-origin")


def test_origins_that_are_named_may_read() -> None:
    """Stream, snapshot, errors and preflight name the origin that may read; another one gets no such word."""
    sets = {"server.cors_origins": DASH, "key.wall.secret": WALL}
    key = {"X-API-Key": WALL}
    with Daemon(join(pattern(), sets), key=WALL) as daemon:
        daemon.wait_state("live")
        for path in ("/stream", "/snapshot", "/stats"):
            assert allowed(daemon, path, DASH, **key) == (200, DASH)
            assert allowed(daemon, path, EVIL, **key) == (200, None)
            assert allowed(daemon, path, DASH) == (401, DASH)
        assert allowed(daemon, "/nothing", DASH, **key) == (404, DASH)
        preflight = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "x-api-key"}
        assert allowed(daemon, "/snapshot", EVIL, "OPTIONS", **preflight) == (204, None)
        answer = fetch(daemon, "/snapshot", {"Origin": DASH, **preflight}, method="OPTIONS")
        assert (answer.status, answer["access-control-allow-origin"]) == (204, DASH)
        assert "X-API-Key" in answer["access-control-allow-headers"]
        assert "GET" in answer["access-control-allow-methods"]
        shown = fetch(daemon, "/snapshot", {"Origin": DASH, **key})
        assert "X-Timestamp" in shown["access-control-expose-headers"]


def test_a_star_is_for_everybody_without_cookies() -> None:
    """With `*` any page may read, and none with the viewer's cookie."""
    with Daemon(join(pattern(), {"server.cors_origins": "*"})) as daemon:
        daemon.wait_state("live")
        answer = fetch(daemon, "/snapshot", {"Origin": EVIL})
        assert answer["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in answer.fields


def test_without_origins_nothing_is_said() -> None:
    """By default no answer has a CORS field, and so no page may read."""
    with Daemon(pattern()) as daemon:
        daemon.wait_state("live")
        for path in ("/stream", "/snapshot", "/nothing"):
            with Client(daemon) as client:
                head = client.get(path, {"Origin": DASH}).head()
                assert not [name for name in head.fields if name.startswith("access-control")]


def test_a_proxy_that_says_nothing_is_the_viewer(tmp_path: Path) -> None:
    """Without X-Forwarded-For the proxy's own address is all that is known."""
    with (
        Daemon(join(pattern(), OPEN)) as daemon,
        nginx_in_front(tmp_path, daemon.port) as proxy,
        Client(proxy, source="127.0.0.9") as client,
    ):
        client.get("/stream", version="1.0").read_until(b"X-Frame-Id")
        assert addresses(daemon) == ["127.0.0.1"]
