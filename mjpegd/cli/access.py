"""`key` and `share`: make what opens the door, and take it back."""

import argparse
import os
import platform
import re
from datetime import UTC, datetime
from time import time

from mjpegd.access import state
from mjpegd.access.keys import new_secret
from mjpegd.access.shares import Share, Shares
from mjpegd.access.tokens import Signer
from mjpegd.cli.common import FOUND_WRONG, OK, Commands, bounded, load_config
from mjpegd.config.describe import toml_value
from mjpegd.config.hashing import hashed
from mjpegd.config.schema import NAME, SCOPES, Config, ServerConfig
from mjpegd.errors import ConfigError
from mjpegd.hosts import EVERYWHERE, UNIX, bracketed

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
LONGEST_TTL = 366 * UNITS["d"]


def add(commands: Commands, settings: argparse.ArgumentParser) -> None:
    """Add the commands to the parser."""
    _add_key(commands)
    _add_share(commands, settings)


def _add_key(commands: Commands) -> None:
    about = "make a key: print it once, and the lines for the configuration"
    command = commands.add_parser("key", help=about, description=about)
    command.add_argument("name", type=_name, metavar="NAME", help="who or what it is for, as in kitchen-tablet")
    command.add_argument("--scopes", type=_words, default=["view", "snapshot"], help=f"of {','.join(SCOPES)}")
    command.add_argument("--cameras", type=_words, default=[], help="camera names; all of them without it")
    command.add_argument("--ttl", type=seconds, metavar="TIME", help="how long it lasts: 90m, 2h, 7d; for ever without")
    command.set_defaults(command=_key)


def _add_share(commands: Commands, settings: argparse.ArgumentParser) -> None:
    about = "print a link to one camera that ends by itself, for <img>, VLC and people"
    command = commands.add_parser("share", help=about, description=about, parents=[settings], allow_abbrev=False)
    command.add_argument("camera", nargs="?", metavar="CAMERA", help="the camera's name in the configuration")
    command.add_argument("--ttl", type=seconds, default=3600, metavar="TIME", help="how long: 90m, 2h, 7d (1h)")
    command.add_argument("--fps", type=bounded(1, 60), default=0, metavar="N", help="frames a second at most")
    command.add_argument("--width", type=bounded(16, 7680), default=0, metavar="PX", help="width at most")
    command.add_argument("--viewers", type=bounded(1, 10_000), default=0, metavar="N", help="viewers at a time at most")
    command.add_argument("--url", help="where people reach it (server.public_url, else the address it listens on)")
    command.add_argument("--list", action="store_true", help="list the links that have not expired")
    command.add_argument("--revoke", metavar="ID", help="make a link void")
    command.set_defaults(command=_share)


def _key(options: argparse.Namespace) -> int:
    unknown = ", ".join(sorted(set(options.scopes) - set(SCOPES))) or ("nothing" if not options.scopes else "")
    if unknown:
        raise ConfigError([f"--scopes: {unknown} is none of {', '.join(SCOPES)}"])
    secret = new_secret()
    lines = [f"[key.{options.name}]", f"secret = {toml_value(hashed(secret))}"]
    lines.append(f"scopes = {toml_value(options.scopes)}")
    if options.cameras:
        lines.append(f"cameras = {toml_value(options.cameras)}")
    if options.ttl:
        expires = datetime.fromtimestamp(int(time()) + options.ttl, UTC)
        lines.append(f"expires = {expires.isoformat().replace('+00:00', 'Z')}")
    print(f"# The key, shown this once: {secret}", "# These lines go into the configuration:", *lines, sep="\n")
    return OK


def _share(options: argparse.Namespace) -> int:
    config = load_config(options)
    place = state.folder(config.server.state, os.environ, root=os.geteuid() == 0)
    shares = Shares(place, Signer(state.secret(place)))
    try:
        return _work_on(options, config, shares)
    except OSError as error:
        raise ConfigError([f"{place}: cannot note it: {error.strerror}"]) from None


def _work_on(options: argparse.Namespace, config: Config, shares: Shares) -> int:
    if options.list:
        for share, revoked in shares.known():
            print(_line(share, revoked=revoked))
        return OK
    if options.revoke:
        found = shares.revoke(options.revoke)
        print(f"{options.revoke}: revoked" if found else f"{options.revoke}: there is no such link")
        return OK if found else FOUND_WRONG
    return _print_link(options, config, shares)


def _print_link(options: argparse.Namespace, config: Config, shares: Shares) -> int:
    if options.camera not in config.camera:
        raise ConfigError([f"share {options.camera or 'CAMERA'}: known cameras are {', '.join(config.camera)}"])
    base = options.url.rstrip("/") if options.url else _address(config)
    limits = {"fps": options.fps, "width": options.width, "viewers": options.viewers}
    share, token = shares.make(options.camera, options.ttl, **limits)
    print(f"{base}/s/{token}.mjpg")
    print(f"# a single picture: the same with .jpg; to take it back: mjpegd share --revoke {share.id}")
    return OK


def _address(config: Config) -> str:
    server: ServerConfig = config.server
    if server.public_url:
        return server.public_url + server.base_path
    if server.host.startswith(UNIX):
        raise ConfigError(["nobody can open a link to a unix socket: set server.public_url, or use --url"])
    scheme = "https" if config.tls.certificate else "http"
    host = platform.node() if server.host in EVERYWHERE else server.host
    return f"{scheme}://{bracketed(host)}:{server.port}{server.base_path}"


def _line(share: Share, *, revoked: bool) -> str:
    until = datetime.fromtimestamp(share.expires, UTC).astimezone().strftime("%Y-%m-%d %H:%M")
    limits = [f"{name} {getattr(share, name)}" for name in ("fps", "width", "viewers") if getattr(share, name)]
    return "  ".join([share.id, share.camera, f"until {until}", *limits, *(["revoked"] if revoked else [])])


def seconds(text: str) -> int:
    """A time as people say it: 90s, 15m, 2h, 1h30m, 7d."""
    parts = re.findall(r"(\d{1,9})([smhdw])", text)
    total = sum(int(number) * UNITS[unit] for number, unit in parts)
    if "".join(number + unit for number, unit in parts) != text or not 0 < total <= LONGEST_TTL:
        raise argparse.ArgumentTypeError(f"{text!r} is no time as 90s, 15m, 2h, 1h30m or 7d, up to a year")
    return total


def _name(text: str) -> str:
    if not re.fullmatch(NAME, text):
        raise argparse.ArgumentTypeError(f"{text!r} must be 1 to 32 of a-z, 0-9, _ and -, beginning with a-z or 0-9")
    return text


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]
