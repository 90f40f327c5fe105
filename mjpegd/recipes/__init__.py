"""Configuration for the programs around us, each a file with its blanks filled from ours.

A blank is `${NAME}`; a `$` of the program's own is doubled. What the values stand for is in `_values`.
"""

from dataclasses import dataclass
from importlib import resources
from string import Template

from mjpegd.config.schema import Config


@dataclass(frozen=True, slots=True)
class Recipe:
    """A program, the file here, and where it goes there."""

    name: str
    file: str
    about: str


RECIPES = (
    Recipe("nginx", "nginx.conf", "/etc/nginx/conf.d/mjpegd.conf"),
    Recipe("caddy", "Caddyfile", "/etc/caddy/Caddyfile"),
    Recipe("haproxy", "haproxy.cfg", "/etc/haproxy/haproxy.cfg"),
    Recipe("systemd", "mjpegd.service", "/etc/systemd/system/mjpegd.service"),
    Recipe("prometheus", "prometheus.yml", "/etc/prometheus/prometheus.yml"),
)


HTTPS = 443


def fill(name: str, config: Config, *, listen: int, program: str) -> str:
    """A recipe for this configuration: `listen` is the port of a proxy, `program` how we are started."""
    recipe = next(recipe for recipe in RECIPES if recipe.name == name)
    text = (resources.files("mjpegd.recipes") / recipe.file).read_text()
    if name == "systemd":
        return text.replace("ExecStart=/usr/bin/mjpegd", f"ExecStart={program}")
    return Template(text).substitute(_values(config, listen))


def _values(config: Config, listen: int) -> dict[str, str]:
    server, encrypted = config.server, bool(config.tls.certificate)
    public = server.public_url.partition("://")[2].partition(":")[0]
    return {
        "upstream": _upstream(server.host, server.port),
        "scheme": "https" if encrypted else "http",
        "listen": str(listen),
        "server_name": public or "_",
        "site": f"http://{public}:{listen}" if listen != HTTPS else public or f":{listen}",
        "base": server.base_path,
        "ssl": " ssl verify none" if encrypted else "",
        "tls_insecure": "\n        transport http {\n            tls_insecure_skip_verify\n        }"
        if encrypted
        else "",
        "authorization": _AUTHORIZATION if config.key else "",
    }


_AUTHORIZATION = """
    authorization:
      credentials_file: /etc/prometheus/mjpegd.key # a key with the scope view"""


def _upstream(host: str, port: int) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    if host.startswith("unix:"):
        return host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
