"""What systemd hands a service in secret: LoadCredential=, read from $CREDENTIALS_DIRECTORY (systemd.exec(5)).

A credential named `*.toml` is one more configuration file, so that keys and passwords need not stand in a file which
everybody may read. Outside of a service `secrets.toml` beside the configuration stands for it, so that root's
`mjpegd share` sees what the service sees. `credential:NAME` as a value means the credential of that name.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from mjpegd.config.describe import Key

PREFIX = "credential:"
BESIDE = "secrets.toml"


def files(environment: Mapping[str, str], configuration: Path | None, *, listening: bool) -> list[Path]:
    """The credentials that are configuration; without `listening` only those that may be read."""
    folder = environment.get("CREDENTIALS_DIRECTORY")
    if folder:
        return sorted(Path(folder).glob("*.toml"))
    beside = configuration.with_name(BESIDE) if configuration is not None else None
    if beside is None or beside == configuration or not os.path.lexists(beside):
        return []
    return [beside] if listening or os.access(beside, os.R_OK) else []


def resolve(value: object, section: str, key: Key, environment: Mapping[str, str], *, listening: bool) -> object:
    """What `credential:NAME` stands for: the content where a secret is wanted, in `tls` the path; else the value.

    Raises `ValueError` for one that cannot be had, if it is needed: by a daemon that is going to listen.
    """
    if not (isinstance(value, str) and value.startswith(PREFIX) and (key.secret or section == "tls")):
        return value
    folder, name = environment.get("CREDENTIALS_DIRECTORY"), value.removeprefix(PREFIX)
    if not folder:
        if not listening:
            return value
        raise ValueError(f"credential {name} is not here: only a service with LoadCredential={name}:FILE has it")
    path = Path(folder) / name
    if path.parent != Path(folder) or not os.path.lexists(path):
        raise ValueError(f"there is no credential {name}: the unit needs LoadCredential={name}:FILE")
    return _content(path) if key.secret else str(path)


def _content(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ValueError(f"credential {path.name} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"credential {path.name} is not UTF-8 text") from None
