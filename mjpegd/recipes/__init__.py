"""Configuration for the programs around us, each a file with its blanks filled from ours.

A blank is `${NAME}`; a `$` of the program's own is doubled. What the values stand for is in `_values`.
"""

from dataclasses import dataclass
from importlib import resources
from string import Template
from urllib.parse import urlsplit

from mjpegd.config.schema import Config
from mjpegd.errors import ConfigError
from mjpegd.hosts import UNIX, bracketed, reachable


@dataclass(frozen=True, slots=True)
class Recipe:
    """A program, the file here, and where it goes there."""

    name: str
    file: str
    goes_to: str


RECIPES = (
    Recipe("nginx", "nginx.conf", "/etc/nginx/conf.d/mjpegd.conf"),
    Recipe("caddy", "Caddyfile", "/etc/caddy/Caddyfile"),
    Recipe("haproxy", "haproxy.cfg", "/etc/haproxy/haproxy.cfg"),
    Recipe("systemd", "mjpegd.service", "/etc/systemd/system/mjpegd.service"),
    Recipe("prometheus", "prometheus.yml", "/etc/prometheus/prometheus.yml"),
)


HIDDEN = ("/home/", "/root/", "/run/user/", "/tmp/", "/var/tmp/")  # noqa: S108  (compared only)
"""What the unit hides from the service."""
WARNING = "# This unit cannot see where this mjpegd is (ProtectHome, PrivateTmp): `make install` puts it elsewhere.\n"


def fill(name: str, config: Config, *, listen: int, program: str, arguments: str = "") -> str:
    """A recipe for this configuration: `listen` is a proxy's port, `program` and `arguments` how we are started."""
    recipe = next(recipe for recipe in RECIPES if recipe.name == name)
    text = (resources.files("mjpegd.recipes") / recipe.file).read_text()
    if name == "systemd":  # the unit itself, which has no blanks
        warning = WARNING if program.startswith(HIDDEN) else ""
        return warning + text.replace("ExecStart=/usr/bin/mjpegd run", f"ExecStart={program} run{arguments}")
    if name == "prometheus" and config.server.host.startswith(UNIX):
        raise ConfigError(["Prometheus scrapes no unix socket: let server.host be an address, or scrape a proxy"])
    return Template(text).substitute(_values(config, listen))


def _values(config: Config, listen: int) -> dict[str, str]:
    server, encrypted = config.server, bool(config.tls.certificate)
    scheme = "https" if encrypted else "http"
    upstream = _upstream(server.host, server.port)
    public = urlsplit(server.public_url)
    return {
        "scheme": scheme,
        "listen": str(listen),
        "base": server.base_path,
        "upstream": upstream,
        "haproxy_upstream": upstream.replace(UNIX, "unix@", 1),
        "caddy_upstream": upstream.replace(UNIX, "unix/", 1) if upstream.startswith(UNIX) else f"{scheme}://{upstream}",
        "server_name": bracketed(public.hostname or "_"),
        "site": server.public_url
        if public.scheme == "https"
        else f"http://{bracketed(public.hostname or '')}:{listen}",
        "haproxy_ssl": " ssl verify none" if encrypted else "",
        "caddy_ssl": _CADDY_SSL if encrypted else "",
        "prometheus_ssl": _PROMETHEUS_SSL if encrypted else "",
        "prometheus_key": _PROMETHEUS_KEY if config.key else "",
    }


def _upstream(host: str, port: int) -> str:
    if host.startswith(UNIX):
        return host
    return f"{bracketed(reachable(host))}:{port}"


_CADDY_SSL = """
        transport http {
            tls_insecure_skip_verify
        }"""
_PROMETHEUS_SSL = """
    tls_config:
      insecure_skip_verify: true"""
_PROMETHEUS_KEY = """
    authorization:
      credentials_file: /etc/prometheus/mjpegd.key # a key with the scope view"""
