"""Configuration from its layers: defaults, then file, then environment, then `--set`.

A layer is a list of `Entry`: dotted key, value, and the place it came from. Later entries win key by key, and each one
is checked by itself, so that every problem is reported at once and none without its place.
"""

import difflib
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from mjpegd.config.describe import keys_of
from mjpegd.config.schema import CAMERA_NAME, SECTIONS, USB_SPEC, CameraConfig, Config, LogConfig, ServerConfig
from mjpegd.errors import ConfigError
from mjpegd.masking import mask

ENVIRONMENT_PREFIX = "MJPEGD_"
SEARCH_PATH = (Path("mjpegd.toml"), Path("/etc/mjpegd/mjpegd.toml"))
"""Where a file is looked for when `--config` names none."""

LONGEST_SHOWN = 60
"""Characters of an offending value that an error repeats."""

Values = dict[tuple[str, ...], dict[str, Any]]
"""Checked values: section, or `camera` and a name, to keys."""

_TABLE_HEADER = re.compile(r"\s*\[([^\[\]]+)\]")
_KEY = re.compile(r"\s*([A-Za-z0-9_-]+)\s*=")


@dataclass(frozen=True, slots=True)
class Entry:
    """One value and where it was found. `text` says that it came as a string and is still to be read as its type."""

    path: tuple[str, ...]
    value: Any
    place: str
    text: bool = False


def load(file: Path | None = None, environment: Mapping[str, str] | None = None, sets: Sequence[str] = ()) -> Config:
    """Build the configuration; raise `ConfigError` with every problem found in any layer."""
    problems: list[str] = []
    layers = (
        *_file_entries(file, problems),
        *_environment_entries(environment or {}),
        *_set_entries(sets, problems),
    )
    values: Values = {}
    places: dict[tuple[str, ...], str] = {}
    for entry in layers:
        _apply(entry, values, problems)
        places[entry.path] = entry.place
    config = _build(values)
    problems += _contradictions(config, places)
    if problems:
        raise ConfigError([mask(problem) for problem in problems])
    return config


def find_file() -> Path | None:
    """The first file of `SEARCH_PATH` that exists."""
    return next((path for path in SEARCH_PATH if path.is_file()), None)


def _file_entries(file: Path | None, problems: list[str]) -> Iterator[Entry]:
    if file is None:
        return
    try:
        text = file.read_text(encoding="utf-8")
        tables = tomllib.loads(text)
    except OSError as error:
        problems.append(f"{file}: cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        problems.append(f"{file}: is not UTF-8 text")
    except tomllib.TOMLDecodeError as error:
        problems.append(f"{file}: is not valid TOML: {error}")
    else:
        lines = _key_lines(text)
        for path, value in _leaves(tables):
            line = lines.get(path)
            yield Entry(path, value, f"{file}:{line}" if line else str(file))


def _leaves(table: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every value of nested tables with its path; an empty table is a leaf, since `[camera.porch]` alone says much."""
    for key, value in table.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*path, key))
        else:
            yield (*path, key), value


def _key_lines(text: str) -> dict[tuple[str, ...], int]:
    """Line numbers of keys and table headers as people write them; `tomllib` keeps none."""
    lines: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _TABLE_HEADER.match(line):
            table = tuple(part.strip().strip("\"'") for part in header[1].split("."))
            lines.setdefault(table, number)
        elif key := _KEY.match(line):
            lines.setdefault((*table, key[1]), number)
    return lines


def _environment_entries(environment: Mapping[str, str]) -> Iterator[Entry]:
    for name in sorted(environment):
        if name.startswith(ENVIRONMENT_PREFIX):
            path = tuple(name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__"))
            yield Entry(path, environment[name], name, text=True)


def _set_entries(sets: Iterable[str], problems: list[str]) -> Iterator[Entry]:
    for item in sets:
        key, equals, value = item.partition("=")
        if equals:
            yield Entry(tuple(key.strip().split(".")), value.strip(), f"--set {key.strip()}", text=True)
        else:
            problems.append(f"--set {item}: write --set section.key=value")


def _apply(entry: Entry, values: Values, problems: list[str]) -> None:
    """Check one entry against the schema and put it into `values`, or add a line to `problems`."""
    try:
        section, key = _locate(entry)
    except ValueError as problem:
        problems.append(f"{entry.place}: {problem}")
        return
    if key is None:
        values.setdefault(section, {})
        return
    struct = SECTIONS[section[0]]
    known = {known.name: known for known in keys_of(struct)}
    if key not in known:
        problems.append(f"{entry.place}: unknown key {'.'.join(entry.path)}{_hint(key, known)}")
        return
    try:
        values.setdefault(section, {})[key] = msgspec.convert(entry.value, known[key].type, strict=not entry.text)
    except msgspec.ValidationError:
        problems.append(
            f"{entry.place}: {'.'.join(entry.path)} must be {known[key].expected}, not {_shown(entry.value)}"
        )


def _locate(entry: Entry) -> tuple[tuple[str, ...], str | None]:
    """The section an entry belongs to and its key there; None for a camera's empty table. `ValueError` if nowhere."""
    section, *rest = entry.path
    if section not in SECTIONS:
        raise ValueError(f"unknown section {section}{_hint(section, SECTIONS)}")
    if section != "camera":
        if len(rest) == 1:
            return (section,), rest[0]
        if not rest and entry.value == {}:
            return (section,), None
        raise ValueError(f"{'.'.join(entry.path)} is not a key: write {section}.KEY")
    if not rest or len(rest) > 2 or (len(rest) == 1 and entry.value != {}):
        raise ValueError(f"{'.'.join(entry.path)} is not a camera's key: write camera.NAME.KEY")
    if not re.fullmatch(CAMERA_NAME, rest[0]):
        raise ValueError(f"camera name {rest[0]!r} must be 1 to 32 of a-z, 0-9, _ and -, beginning with a-z or 0-9")
    return (section, rest[0]), rest[1] if len(rest) == 2 else None


def _hint(word: str, known: Iterable[str]) -> str:
    match = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {match[0]}?" if match else f"; known are {', '.join(known)}"


def _shown(value: Any) -> str:
    """The offending value, any password masked, then cut short."""
    text = mask(repr(value))
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."


def _build(values: Values) -> Config:
    cameras = {path[1]: CameraConfig(**keys) for path, keys in values.items() if path[0] == "camera"}
    server = ServerConfig(**values.get(("server",), {}))
    log = LogConfig(**values.get(("log",), {}))
    return Config(server, log, cameras) if cameras else Config(server, log)


def _contradictions(config: Config, places: Mapping[tuple[str, ...], str]) -> Iterator[str]:
    """What a value's type and range do not show."""
    for name, camera in config.camera.items():
        if camera.retry_max < camera.retry_min:
            place = places.get(("camera", name, "retry_max")) or places[("camera", name, "retry_min")]
            yield f"{place}: camera.{name}.retry_max ({camera.retry_max}) is less than retry_min ({camera.retry_min})"
        if camera.source.startswith("usb:") and not USB_SPEC.fullmatch(camera.source):
            yield (
                f"{places['camera', name, 'source']}: camera.{name}.source must be usb:VID:PID or usb:VID:PID:SERIAL, "
                f"as in usb:046d:0825, not {camera.source!r}"
            )
