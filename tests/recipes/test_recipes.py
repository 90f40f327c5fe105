"""Configuration for the programs around us: filled, without a blank, and good in the eyes of those programs."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from mjpegd.config.schema import Config, KeyConfig, ServerConfig, TlsConfig
from mjpegd.errors import ConfigError
from mjpegd.recipes import RECIPES, fill
from tests.peers import peer

TLS = TlsConfig(certificate="/etc/mjpegd/cert.pem", key="/etc/mjpegd/key.pem")
KEY = {"wall": KeyConfig(secret="a wall display's")}  # noqa: S106  (a test's)
CONFIGS: Mapping[str, Config] = {
    "plain": Config(),
    "tls": Config(tls=TLS),
    "base_path": Config(server=ServerConfig(base_path="/cams")),
    "unix": Config(server=ServerConfig(host="unix:/run/mjpegd/http.sock")),
    "ipv6": Config(server=ServerConfig(host="::1")),
    "everywhere": Config(server=ServerConfig(host="::", port=9090), key=KEY),
    "public": Config(server=ServerConfig(public_url="https://cam.example.org:8443", host="0.0.0.0")),
    "public address": Config(server=ServerConfig(public_url="http://[2001:db8::1]:8080")),
    "public address, no port": Config(server=ServerConfig(public_url="http://[2001:db8::1]")),
    "all": Config(
        server=ServerConfig(host="::1", base_path="/a/b", public_url="https://cam.example.org"), tls=TLS, key=KEY
    ),
}
PROGRAM = "/opt/mjpegd/bin/mjpegd"
configs = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
SCRAPED = {name: config for name, config in CONFIGS.items() if name != "unix"}
scraped = pytest.mark.parametrize("config", SCRAPED.values(), ids=SCRAPED)
recipes = pytest.mark.parametrize("name", [recipe.name for recipe in RECIPES])


def filled(name: str, config: Config, listen: int = 80) -> str:
    """A recipe for that configuration."""
    return fill(name, config, listen=listen, program=PROGRAM)


def values(text: str, name: str) -> list[str]:
    """What stands behind a word at a line's beginning, without the line's end."""
    return [value.strip(" ;{") for value in re.findall(rf"^[ \t]*{re.escape(name)}[ \t]+(.*)$", text, re.MULTILINE)]


def code(text: str) -> str:
    """A text without its comments."""
    return re.sub(r"(^|\s)#.*", "", text)


@pytest.mark.parametrize("listen", [80, 443, 8081])
@configs
@recipes
def test_no_blank_is_left(name: str, config: Config, listen: int) -> None:
    """Whatever the configuration, nothing is left to be filled in, and nothing is None."""
    if name == "prometheus" and config not in SCRAPED.values():
        config = Config()
    text = code(filled(name, config, listen))

    assert "${" not in text
    assert "$$" not in text
    assert not re.search(r"\b(None|True|False)\b", text)
    assert text.endswith("\n")
    assert [text.count(each) for each in "[{("] == [text.count(each) for each in "]})"]


@recipes
def test_says_where_it_goes(name: str) -> None:
    """The first line says for which program it is."""
    (recipe,) = (recipe for recipe in RECIPES if recipe.name == name)
    first = filled(name, Config()).partition("\n")[0]

    assert first.startswith("# ")
    assert name == "systemd" or recipe.goes_to in first


@pytest.mark.parametrize(
    ("config", "upstream"),
    [
        ("plain", "127.0.0.1:8080"),
        ("ipv6", "[::1]:8080"),
        ("everywhere", "[::1]:9090"),
        ("public", "127.0.0.1:8080"),
        ("all", "[::1]:8080"),
    ],
)
def test_upstream(config: str, upstream: str) -> None:
    """A proxy on the same box reaches us where we listen, over loopback where we listen everywhere."""
    settings = CONFIGS[config]
    scheme = "https" if settings.tls.certificate else "http"

    assert values(filled("nginx", settings), "server") == [upstream, ""]
    assert values(filled("nginx", settings), "proxy_pass") == [f"{scheme}://mjpegd"]
    assert values(filled("caddy", settings), "reverse_proxy") == [f"{scheme}://{upstream}"]
    assert values(filled("haproxy", settings), "server")[0].split()[:2] == ["edge", upstream]
    assert f'targets: ["{upstream}"]' in filled("prometheus", settings)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("nginx", "server unix:/run/mjpegd/http.sock;"),
        ("caddy", "reverse_proxy unix//run/mjpegd/http.sock {"),
        ("haproxy", "server edge unix@/run/mjpegd/http.sock "),
    ],
)
def test_unix_upstream(name: str, expected: str) -> None:
    """A unix socket is written in each program's own way."""
    assert expected in filled(name, CONFIGS["unix"])


@pytest.mark.parametrize(
    ("config", "server_name"),
    [
        ("plain", "_"),
        ("public", "cam.example.org"),
        ("public address", "[2001:db8::1]"),
        ("public address, no port", "[2001:db8::1]"),
        ("all", "cam.example.org"),
    ],
)
def test_server_name(config: str, server_name: str) -> None:
    """The server answers to the name that people reach us by, or to any."""
    assert values(filled("nginx", CONFIGS[config]), "server_name") == [server_name]


@pytest.mark.parametrize(
    ("config", "listen", "site"),
    [
        ("plain", 80, "http://:80"),
        ("plain", 443, "http://:443"),
        ("public", 80, "https://cam.example.org:8443"),
        ("all", 80, "https://cam.example.org"),
        ("public address", 8081, "http://[2001:db8::1]:8081"),
    ],
)
def test_site(config: str, listen: int, site: str) -> None:
    """Caddy serves the name that people reach us by, with HTTPS of its own where that says so."""
    assert code(filled("caddy", CONFIGS[config], listen)).split()[0] == site


@pytest.mark.parametrize(
    ("config", "path"), [("plain", "/metrics"), ("base_path", "/cams/metrics"), ("all", "/a/b/metrics")]
)
def test_base_path(config: str, path: str) -> None:
    """What Prometheus scrapes and nginx passes on is below our own path."""
    text = filled("prometheus", CONFIGS[config])

    assert values(text, "metrics_path:") == [path]
    assert values(filled("nginx", CONFIGS[config]), "location") == [path.removesuffix("metrics")]


@scraped
def test_tls(config: Config) -> None:
    """Behind HTTPS of our own, with whatever certificate, each proxy speaks TLS with us, and without it none does."""
    encrypted = bool(config.tls.certificate)

    assert ("ssl verify none" in filled("haproxy", config)) is encrypted
    assert ("tls_insecure_skip_verify" in filled("caddy", config)) is encrypted
    assert ("insecure_skip_verify: true" in filled("prometheus", config)) is encrypted
    assert values(filled("prometheus", config), "scheme:") == ["https" if encrypted else "http"]


@scraped
def test_prometheus_brings_a_key(config: Config) -> None:
    """Where there are keys, Prometheus is told where its own is."""
    assert ("credentials_file: /" in filled("prometheus", config)) is bool(config.key)


def test_unit_starts_this_program() -> None:
    """The unit starts mjpegd as it is installed, and differs from the packaged one in nothing else."""
    text = filled("systemd", Config())
    packaged = fill("systemd", Config(), listen=80, program="/usr/bin/mjpegd")

    assert f"\nExecStart={PROGRAM} run\n" in text
    assert text.replace(PROGRAM, "/usr/bin/mjpegd") == packaged


def test_no_secret_leaves() -> None:
    """Nothing that is printed for others holds a key or its hash."""
    for recipe in RECIPES:
        assert "wall display" not in filled(recipe.name, CONFIGS["all"])


def indented(text: str) -> list[tuple[int, str]]:
    """The lines of a YAML text with their depth."""
    return [(len(line) - len(line.lstrip()), line.strip()) for line in code(text).splitlines() if line.strip()]


@scraped
def test_prometheus_is_yaml(config: Config) -> None:
    """The scrape configuration is of the plain YAML that needs no library to be read: keys in steps of two."""
    for depth, line in indented(filled("prometheus", config)):
        assert depth % 2 == 0
        assert re.fullmatch(r"(- )?[a-z_]+:( [^:#{}\[\]]+)?|- targets: \[\"[^\"]+\"\]", line), line


@configs
def test_haproxy_takes_it(config: Config, tmp_path: Path) -> None:
    """HAProxy finds nothing wrong with its configuration."""
    file = tmp_path / "haproxy.cfg"
    file.write_text(filled("haproxy", config))
    ended = subprocess.run(
        [peer("haproxy", "haproxy"), "-c", "-q", "-f", file], check=False, capture_output=True, text=True
    )

    assert (ended.returncode, ended.stdout + ended.stderr) == (0, "")


@configs
def test_nginx_takes_it(config: Config, tmp_path: Path) -> None:
    """The program finds nothing wrong with its configuration."""
    (tmp_path / "site.conf").write_text(filled("nginx", config, 8081))
    paths = "".join(
        f"{kind}_temp_path {tmp_path}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    file = tmp_path / "nginx.conf"
    file.write_text(
        f"pid {tmp_path}/pid;\nevents {{}}\nhttp {{ {paths} access_log off; include {tmp_path}/site.conf; }}\n"
    )
    ended = subprocess.run(
        [peer("nginx", "nginx-light"), "-t", "-q", "-e", "stderr", "-c", file],
        check=False,
        capture_output=True,
        text=True,
    )

    assert (ended.returncode, ended.stderr) == (0, "")


def test_prometheus_scrapes_no_unix_socket() -> None:
    """What Prometheus cannot do is said, and nothing printed that would not work."""
    with pytest.raises(ConfigError, match="Prometheus scrapes no unix socket"):
        filled("prometheus", CONFIGS["unix"])


@pytest.mark.parametrize("field", ["X-Forwarded-Host", "X-Forwarded-Prefix"])
def test_what_a_client_says_of_itself_stays_outside(field: str) -> None:
    """Fields that we believe of a proxy, and which it does not write itself, it takes away from what clients send."""
    assert f'proxy_set_header {field} "";' in filled("nginx", Config())
    assert f"http-request del-header {field}\n" in filled("haproxy", Config())
