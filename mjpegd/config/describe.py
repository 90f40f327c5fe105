"""The schema in words: what a key expects, the commented example file, the effective configuration."""

import inspect
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec

from mjpegd.config.schema import SECTIONS, Config
from mjpegd.masking import mask

_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


@dataclass(frozen=True, slots=True)
class Key:
    """One configuration key. `expected` is its type and range in words."""

    name: str
    type: Any
    expected: str
    default: Any
    about: str


def keys_of(struct: type[msgspec.Struct]) -> Iterator[Key]:
    """Every key of a section, in the order of the schema."""
    for field in msgspec.structs.fields(struct):
        kind, metas = _unwrap(field.type)
        about = next((meta.description for meta in reversed(metas) if meta.description), "")
        yield Key(field.encode_name, field.type, _expected(kind, metas), field.default, about)


def _unwrap(annotation: Any) -> tuple[Any, list[msgspec.Meta]]:
    """The bare type under `Annotated`, and its metadata from the inside out."""
    if get_origin(annotation) is not Annotated:
        return annotation, []
    inner, *metas = get_args(annotation)
    kind, inner_metas = _unwrap(inner)
    return kind, [*inner_metas, *metas]


def _expected(kind: Any, metas: list[msgspec.Meta]) -> str:
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(get_args(kind))
    bounds = {
        name: getattr(meta, name) for meta in metas for name in ("gt", "ge", "le") if getattr(meta, name) is not None
    }
    low = f" above {bounds['gt']}" if "gt" in bounds else f" from {bounds['ge']}" if "ge" in bounds else ""
    high = f" to {bounds['le']}" if "le" in bounds else ""
    return _WORDS[kind] + low + high


def toml_value(value: Any) -> str:
    """A scalar as TOML writes it: as JSON does, but for surrogate pairs and DEL."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def example() -> str:
    """`mjpegd.toml`: every key with its default and a comment."""
    blocks = [_EXAMPLE_HEAD]
    for section, struct in SECTIONS.items():
        title = "camera.cam" if section == "camera" else section
        lines = [f"# {line}" for line in inspect.getdoc(struct).splitlines()] + [f"[{title}]"]  # type: ignore[union-attr]
        for key in keys_of(struct):
            lines += [f"# {key.about} ({key.expected})", f"{key.name} = {toml_value(key.default)}"]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


_EXAMPLE_HEAD = """\
# mjpegd.toml: every key with its default. Written by `mjpegd config --example`.
#
# A key may also come from the environment (MJPEGD_SERVER__PORT=9090, MJPEGD_CAMERA__PORCH__SOURCE=/dev/video0) or from
# the command line (--set server.port=9090), which win over this file in that order.
# One [camera.NAME] table for each camera; the first one is what /stream and /snapshot show."""


def effective(config: Config) -> str:
    """The configuration in force as TOML, passwords in source URLs masked."""
    blocks = []
    for section in ("server", "log"):
        blocks.append(_table(section, getattr(config, section)))
    blocks += [_table(f"camera.{name}", camera) for name, camera in config.camera.items()]
    return "\n\n".join(blocks) + "\n"


def _table(title: str, struct: msgspec.Struct) -> str:
    values = msgspec.structs.asdict(struct).items()
    rows = [f"{name} = {toml_value(mask(value) if isinstance(value, str) else value)}" for name, value in values]
    return "\n".join([f"[{title}]", *rows])
