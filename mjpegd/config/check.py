"""What a single value's type and range do not show: contradictions, and what would open the door to everybody."""

import datetime
import ipaddress
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path

from mjpegd.config import hashing
from mjpegd.config.schema import USB_SPEC, Config
from mjpegd.hosts import UNIX
from mjpegd.look import MIN_FPS, MIN_SIDE, PASSTHROUGH

Places = Mapping[tuple[str, ...], str]
LONGEST_PATH = 200
_SECRET = re.compile(r"[\x21-\x7e][\x20-\x7e]*[\x21-\x7e]")
SHORTEST_SECRET = 8
_HOST = re.compile(r"(\*\.)?[A-Za-z0-9_.-]+|\[?[0-9A-Fa-f:.]+\]?")
_OPTION = re.compile(r"[A-Za-z0-9_-]+=[^;|]*")
_TOKEN = re.compile(r"[\x21-\x7e]+")
_ORIGIN = re.compile(r"\*|null|[a-z][a-z0-9+.-]*://[^/?#\s]+")


def contradictions(
    config: Config, places: Places, wrong: Collection[tuple[str, ...]] = (), *, listening: bool = True
) -> Iterator[str]:
    """A line for each problem, with its place; none for the keys in `wrong`, which were complained of already.

    What matters only to a daemon that is going to listen is left out for others.
    """
    for check in (*CHECKS, *(LISTENING_CHECKS if listening else ())):
        for path, problem in check(config):
            if path not in wrong:
                yield f"{_place(path, places)}: {'.'.join(path)} {problem}"


def is_local(host: str) -> bool:
    """Whether an address to listen on lets nobody in from outside."""
    if host == "localhost" or host.startswith(UNIX):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_network(text: str) -> bool:
    """Whether it is an address or a network of them."""
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def moment(text: str) -> datetime.datetime:
    """A time as people write it, local without a zone; a date is good to its end. `ValueError` if it is none."""
    is_date = re.fullmatch(r"\d{4}-?\d{2}-?\d{2}", text) is not None
    return (datetime.datetime.fromisoformat(text) + datetime.timedelta(days=is_date)).astimezone()


Problem = tuple[tuple[str, ...], str]


def _retries(config: Config) -> Iterator[Problem]:
    for name, camera in config.camera.items():
        if camera.retry_max < camera.retry_min:
            yield ("camera", name, "retry_max"), f"({camera.retry_max}) is less than retry_min ({camera.retry_min})"


def _usb(config: Config) -> Iterator[Problem]:
    for name, camera in config.camera.items():
        if camera.source.startswith("usb:") and not USB_SPEC.fullmatch(camera.source):
            example = "must be usb:VID:PID or usb:VID:PID:SERIAL, as in usb:046d:0825"
            yield ("camera", name, "source"), f"{example}, not {camera.source!r}"


def _ffmpeg_options(config: Config) -> Iterator[Problem]:
    for name, camera in config.camera.items():
        for option in camera.ffmpeg_options:
            if not _OPTION.fullmatch(option):
                yield ("camera", name, "ffmpeg_options"), "must be KEY=VALUE each, without ; and |"


def _tokens(config: Config) -> Iterator[Problem]:
    for name, camera in config.camera.items():
        if camera.token and not _TOKEN.fullmatch(camera.token):
            yield ("camera", name, "token"), "must be printable ASCII without spaces: headers take no other"


def _sides(config: Config) -> Iterator[Problem]:
    for name, camera in config.camera.items():
        for key in ("stream_width", "stream_height"):
            yield from _side(("camera", name, key), getattr(camera, key))
    for name, rendition in config.rendition.items():
        for key in ("width", "height"):
            yield from _side(("rendition", name, key), getattr(rendition, key))


def _side(path: tuple[str, ...], side: int) -> Iterator[Problem]:
    if 0 < side < MIN_SIDE:
        yield path, f"must be 0 or {MIN_SIDE} pixels at least, not {side}"


def _paces(config: Config) -> Iterator[Problem]:
    paces = [(("camera", name, "stream_fps"), camera.stream_fps) for name, camera in config.camera.items()]
    paces += [(("rendition", name, "fps"), rendition.fps) for name, rendition in config.rendition.items()]
    for path, fps in paces:
        if 0 < fps < MIN_FPS:
            yield path, f"must be 0 or {MIN_FPS:g} at least, not {fps:g}"


def _names(config: Config) -> Iterator[Problem]:
    if PASSTHROUGH in config.rendition:
        yield ("rendition", PASSTHROUGH), "is the name of the camera's own pictures, which stay as they are"


def _open_door(config: Config) -> Iterator[Problem]:
    if opens_door(config, config.server.host):
        yield ("server", "host"), f"({config.server.host}) {OPEN_DOOR}"


def opens_door(config: Config, host: str) -> bool:
    """Whether listening on that address would let everybody in, without the operator's having said so."""
    return not (is_local(host) or config.key or config.auth.anonymous)


OPEN_DOOR = (
    "lets everybody in: add a key (`mjpegd key NAME` makes one), "
    'or say `anonymous = ["view", "snapshot"]` under [auth] if all may look'
)


def _secrets(config: Config) -> Iterator[Problem]:
    for name, key in config.key.items():
        if not key.secret:
            yield ("key", name, "secret"), "is missing: `mjpegd key NAME` makes one"
        elif key.secret.startswith(hashing.PREFIX) and not hashing.is_hashed(key.secret):
            yield ("key", name, "secret"), "must be sha256: and 64 hexadecimal digits in lower case"
        elif len(key.secret) < SHORTEST_SECRET:
            yield ("key", name, "secret"), f"is shorter than {SHORTEST_SECRET} characters"
        elif not _SECRET.fullmatch(key.secret):
            yield ("key", name, "secret"), "must be printable ASCII without a space at its ends: headers take no other"


def _twins(config: Config) -> Iterator[Problem]:
    first: dict[bytes, str] = {}
    for name, key in config.key.items():
        same = hashing.proof(key.secret)
        if key.secret and first.setdefault(same, name) != name:
            yield ("key", name, "secret"), f"is the same as that of key.{first[same]}"


def _expiries(config: Config) -> Iterator[Problem]:
    for name, key in config.key.items():
        try:
            moment(key.expires or "2000-01-01")
        except (ValueError, OverflowError):
            yield ("key", name, "expires"), f"must be a date or time as 2027-01-31T12:00:00Z, not {key.expires!r}"


def _key_cameras(config: Config) -> Iterator[Problem]:
    for name, key in config.key.items():
        for camera in set(key.cameras) - set(config.camera):
            yield (
                ("key", name, "cameras"),
                f"names {camera!r}, which is no camera; known are {', '.join(config.camera)}",
            )


def _proxies(config: Config) -> Iterator[Problem]:
    for text in config.server.trusted_proxies:
        if text != "unix" and not is_network(text):
            yield ("server", "trusted_proxies"), f"must be addresses or networks as 10.0.0.0/8, or unix, not {text!r}"


def _path(config: Config) -> Iterator[Problem]:
    if config.server.host == UNIX:
        yield ("server", "host"), "lacks a path: unix:/run/mjpegd/http.sock"


def _hosts(config: Config) -> Iterator[Problem]:
    for text in config.server.allowed_hosts:
        if not _HOST.fullmatch(text):
            yield ("server", "allowed_hosts"), f"must be host names without a port, as cam.local, not {text!r}"


def _origins(config: Config) -> Iterator[Problem]:
    for text in config.server.cors_origins:
        if not _ORIGIN.fullmatch(text):
            yield ("server", "cors_origins"), f"must be origins as https://dash.example.org, or *, not {text!r}"


def _tls(config: Config) -> Iterator[Problem]:
    tls = config.tls
    if bool(tls.certificate) != bool(tls.key):
        missing = "key" if tls.certificate else "certificate"
        yield ("tls", missing), "is missing: HTTPS needs certificate and key"


def _tls_files(config: Config) -> Iterator[Problem]:
    for name, file in (("certificate", config.tls.certificate), ("key", config.tls.key)):
        if reason := file and unreadable(file):
            shown = file if file.isprintable() and len(file) < LONGEST_PATH else "..."  # perhaps the key itself
            yield ("tls", name), f"({shown}) cannot be read: {reason}"


def unreadable(file: str) -> str:
    """Why a file cannot be read, in the system's words; empty if it can."""
    try:
        with Path(file).open("rb"):
            return ""
    except OSError as error:
        return error.strerror or "no such file"
    except ValueError:
        return "that is no file name"


Check = Callable[[Config], Iterator[Problem]]
CHECKS: Sequence[Check] = (
    _retries,
    _usb,
    _ffmpeg_options,
    _tokens,
    _sides,
    _paces,
    _names,
    _secrets,
    _twins,
    _expiries,
    _key_cameras,
    _path,
    _proxies,
    _hosts,
    _origins,
    _tls,
)
LISTENING_CHECKS: Sequence[Check] = (_open_door, _tls_files)


def _place(path: tuple[str, ...], places: Places) -> str:
    """Where a key was set, or the first of a table; or else something else of its table; a default stands nowhere."""
    near = (
        place
        for depth in (len(path), len(path) - 1)
        for other, place in places.items()
        if other[:depth] == path[:depth]
    )
    return places.get(path) or next(near, "configuration")
