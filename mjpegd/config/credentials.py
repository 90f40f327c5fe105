"""What systemd hands a service in secret: LoadCredential=, read from $CREDENTIALS_DIRECTORY (systemd.exec(5)).

A credential named `*.toml` is one more configuration file, so that keys and passwords need not stand in a file which
everybody may read. `credential:NAME` as a value means the credential of that name.
"""

from collections.abc import Mapping
from pathlib import Path

from mjpegd.config.describe import Key

PREFIX = "credential:"


def files(environment: Mapping[str, str]) -> list[Path]:
    """The credentials that are configuration."""
    folder = environment.get("CREDENTIALS_DIRECTORY")
    return sorted(Path(folder).glob("*.toml")) if folder else []


def resolve(value: object, section: str, key: Key, environment: Mapping[str, str]) -> object:
    """What `credential:NAME` stands for: the content where a secret is wanted, in `tls` the path; else the value.

    Raises `ValueError` for one that cannot be had.
    """
    if not (isinstance(value, str) and value.startswith(PREFIX) and (key.secret or section == "tls")):
        return value
    path = _path(value.removeprefix(PREFIX), environment)
    return _content(path) if key.secret else str(path)


def _path(name: str, environment: Mapping[str, str]) -> Path:
    folder = environment.get("CREDENTIALS_DIRECTORY")
    if not folder:
        raise ValueError(f"credential {name} is not here: only a service with LoadCredential={name}:FILE has it")
    if "/" in name or not (Path(folder) / name).is_file():
        raise ValueError(f"there is no credential {name}: the unit needs LoadCredential={name}:FILE")
    return Path(folder) / name


def _content(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ValueError(f"credential {path.name} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"credential {path.name} is not UTF-8 text") from None
