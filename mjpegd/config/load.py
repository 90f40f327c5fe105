"""Configuration from its layers: defaults, then file, then credentials, then environment, then `--set`.

A layer is a list of `Entry`: dotted key, value, and the place it came from. Later entries win key by key, and each one
is checked by itself, so that every problem is reported at once and none without its place.
"""

import datetime
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from mjpegd.config import credentials
from mjpegd.config.check import contradictions
from mjpegd.config.describe import Key, keys_of
from mjpegd.config.hint import hint
from mjpegd.config.presets import PRESETS
from mjpegd.config.scalar import scalar
from mjpegd.config.schema import CONTROL, NAME, NAMED, SECTIONS, Config, ControlValue
from mjpegd.errors import ConfigError
from mjpegd.masking import MASK, mask

ENVIRONMENT_PREFIX = "MJPEGD_"
SEARCH_PATH = (Path("mjpegd.toml"), Path("/etc/mjpegd/mjpegd.toml"))
"""Where a file is looked for when `--config` names none."""

LONGEST_SHOWN = 60
"""Characters of an offending value that an error repeats."""

Values = dict[tuple[str, ...], dict[str, Any]]
"""Checked values: section, or a named table such as `camera` and its name, to keys."""

_TABLE_HEADER = re.compile(r"\s*\[([^\[\]]+)\]")
_KEY = re.compile(r"\s*([A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*)\s*=")


@dataclass(frozen=True, slots=True)
class Entry:
    """One value and where it was found. `text` says that it came as a string and is still to be read as its type."""

    path: tuple[str, ...]
    value: Any
    place: str
    text: bool = False


def load(
    file: Path | None = None,
    environment: Mapping[str, str] | None = None,
    sets: Sequence[str] = (),
    *,
    listening: bool = True,
) -> Config:
    """Build the configuration; raise `ConfigError` with every problem found in any layer.

    Without `listening` it is for a command that opens no door: it does without credentials it cannot have.
    """
    problems: list[str] = []
    environment = environment or {}
    layers = (
        *_file_entries(file, problems),
        *(
            entry
            for each in credentials.files(environment, file, listening=listening)
            for entry in _file_entries(each, problems)
        ),
        *_environment_entries(environment),
        *_set_entries(sets, problems),
    )
    values: Values = {}
    places: dict[tuple[str, ...], str] = {}
    wrong: set[tuple[str, ...]] = set()
    for entry in layers:
        places[entry.path] = entry.place
        try:
            _apply(entry, environment, values, listening=listening)
        except ValueError as problem:
            wrong.add(entry.path)
            problems.append(f"{entry.place}: {problem}")
    config = _build(values)
    problems += contradictions(config, places, wrong, listening=listening)
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
            line = lines.get(path) or lines.get(path[:-1])  # an inline table is on its key's line
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
            lines.setdefault((*table, *key[1].split(".")), number)
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


def _apply(entry: Entry, environment: Mapping[str, str], values: Values, *, listening: bool) -> None:
    """Check one entry against the schema and put it into `values`; `ValueError` says what is wrong with it."""
    section, names = _locate(entry)
    table = values.setdefault(section, {})
    if not names:
        return
    key = _known(section[0], names[0], entry)
    if len(names) > 1:
        table.setdefault(key.name, {})[names[1]] = _converted(entry, key.item())
    elif key.each is not None:
        table.setdefault(key.name, {}).update(_converted(entry, key))
    else:
        value = _converted(entry, key)
        table[key.name] = credentials.resolve(value, section[0], key, environment, listening=listening)


def _known(section: str, name: str, entry: Entry) -> Key:
    known = {key.name: key for key in keys_of(SECTIONS[section])}
    if name not in known:
        raise ValueError(f"unknown key {'.'.join(entry.path)}{hint(name, known)}")
    return known[name]


def _converted(entry: Entry, key: Key) -> Any:
    """The value as the key's type, or `ValueError`. A list from outside a file is `a,b`; files may hold dates."""
    value = entry.value
    if entry.text and key.many:
        value = [item.strip() for item in value.split(",") if item.strip()]
    if entry.text and key.type == ControlValue:
        value = scalar(value)
    if isinstance(value, datetime.date):
        value = value.isoformat()
    try:
        return msgspec.convert(value, key.type, strict=not entry.text)
    except msgspec.ValidationError:
        shown = MASK if key.secret else _shown(entry.value)
        raise ValueError(f"{'.'.join(entry.path)} must be {key.expected}, not {shown}") from None


def _locate(entry: Entry) -> tuple[tuple[str, ...], Sequence[str]]:
    """The section an entry belongs to, and the names below it: none for an empty table, a key's, and perhaps that of
    a value in the table that the key is. `ValueError` if nowhere.
    """
    section, *rest = entry.path
    if section not in SECTIONS:
        raise ValueError(f"unknown section {section}{hint(section, SECTIONS)}")
    depth = 1 if section in NAMED else 0
    names = rest[depth:]
    whole = len(rest) == depth and entry.value == {}
    if not (whole or len(names) == 1 or (len(names) == 2 and _is_table(section, names[0]))):
        wanted = f"{section}.NAME.KEY" if depth else f"{section}.KEY"
        raise ValueError(f"{'.'.join(entry.path)} is not a key: write {wanted}")
    if depth and not re.fullmatch(NAME, rest[0]):
        raise ValueError(f"{section} name {rest[0]!r} must be 1 to 32 of a-z, 0-9, _ and -, beginning with a-z or 0-9")
    if len(names) > 1 and not re.fullmatch(CONTROL, names[1]):
        raise ValueError(f"{'.'.join(entry.path)}: a name there is 1 to 64 of a-z, 0-9 and _, as v4l2-ctl writes it")
    return (section, *rest[:depth]), names


def _is_table(section: str, name: str) -> bool:
    return any(key.name == name and key.each is not None for key in keys_of(SECTIONS[section]))


def _shown(value: Any) -> str:
    """The offending value, any password masked, then cut short."""
    text = mask(repr(value))
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."


def _build(values: Values) -> Config:
    sections: dict[str, Any] = {}
    for (section, *name), keys in values.items():
        preset = PRESETS[keys.get("preset", "none")] if section == "camera" else {}
        struct = SECTIONS[section](**{**preset, **keys})
        if name:
            sections.setdefault(section, {})[name[0]] = struct
        else:
            sections[section] = struct
    return Config(**sections)
