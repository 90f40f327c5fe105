"""The schema in words: what a key expects, the commented example file, the effective configuration."""

import inspect
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import UnionType
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec

from mjpegd.config.schema import NAMED, SECTIONS, Config
from mjpegd.masking import MASK, mask

_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


@dataclass(frozen=True, slots=True)
class Key:
    """One configuration key. `expected` is its type and range in words, `many` says that it is a list.

    `each` is the type of one value where the key is a table of them, else None.
    """

    name: str
    type: Any
    expected: str
    default: Any
    about: str
    secret: bool
    many: bool
    each: Any = None

    def item(self) -> "Key":
        """One value of the table that this key is."""
        return replace(self, type=self.each, expected=_expected(self.each, []), each=None)


def keys_of(struct: type[msgspec.Struct]) -> Iterator[Key]:
    """Every key of a section, in the order of the schema."""
    for field in msgspec.structs.fields(struct):
        kind, metas = _unwrap(field.type)
        about = next((meta.description for meta in reversed(metas) if meta.description), "")
        extra = {name: value for meta in metas for name, value in (meta.extra or {}).items()}
        expected = extra.get("expected") or _expected(kind, metas)
        secret, many = extra.get("secret", False), get_origin(kind) is tuple
        each = get_args(kind)[1] if get_origin(kind) is Mapping else None
        yield Key(field.encode_name, field.type, expected, _default(field), about, secret, many, each)


def _default(field: msgspec.structs.FieldInfo) -> Any:
    """A field's default; mutable ones are made anew by a factory."""
    return field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()


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
    if get_origin(kind) is tuple:
        inner, inner_metas = _unwrap(get_args(kind)[0])
        return "a list of " + _expected(inner, inner_metas).removeprefix("one of ")
    if isinstance(kind, UnionType):
        *others, last = (_WORDS[each] for each in get_args(kind))
        return f"{', '.join(others)} or {last}"
    bounds = {
        name: getattr(meta, name) for meta in metas for name in ("gt", "ge", "le") if getattr(meta, name) is not None
    }
    low = f" above {bounds['gt']:.9g}" if "gt" in bounds else f" from {bounds['ge']:.9g}" if "ge" in bounds else ""
    high = f" to {bounds['le']:.9g}" if "le" in bounds else ""
    return _WORDS[kind] + low + high


def toml_value(value: Any) -> str:
    """A scalar, a list or a table of them as TOML writes it: as JSON does, but for tables, surrogate pairs and DEL."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {toml_value(each)}" for key, each in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


ABSENT = frozenset({"rendition", "key"})
"""Tables that the example shows as comments: there are none but one's own."""


def example() -> str:
    """`mjpegd.toml`: every key with its default and a comment."""
    blocks = [_EXAMPLE_HEAD]
    for section, struct in SECTIONS.items():
        title = f"{section}.{NAMED[section]}" if section in NAMED else section
        mute = "#" if section in ABSENT else ""
        lines = [f"# {line}" for line in inspect.getdoc(struct).splitlines()] + [f"{mute}[{title}]"]  # type: ignore[union-attr]
        for key in keys_of(struct):
            lines += [f"# {key.about} ({key.expected})", f"{mute}{key.name} = {toml_value(key.default)}"]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


_EXAMPLE_HEAD = """\
# mjpegd.toml: every key with its default. Written by `mjpegd config --example`.
#
# What others must not read may stand in secrets.toml beside it, or in a credential of the service, in the same form.
# A key may also come from the environment (MJPEGD_SERVER__PORT=9090, MJPEGD_CAMERA__PORCH__SOURCE=/dev/video0) or from
# the command line (--set server.port=9090), which win over this file in that order.
# One [camera.NAME] table for each camera; the first one is what /stream and /snapshot show."""


def effective(config: Config) -> str:
    """The configuration in force as TOML, secrets and passwords in source URLs masked."""
    blocks = []
    for section in SECTIONS:
        values = getattr(config, section)
        tables = {f"{section}.{name}": each for name, each in values.items()} if section in NAMED else {section: values}
        blocks += [_table(title, struct) for title, struct in tables.items()]
    return "\n\n".join(blocks) + "\n"


def _table(title: str, struct: msgspec.Struct) -> str:
    rows = [f"{key.name} = {toml_value(_shown(key, getattr(struct, key.name)))}" for key in keys_of(type(struct))]
    return "\n".join([f"[{title}]", *rows])


def _shown(key: Key, value: Any) -> Any:
    if key.secret and value:
        return MASK
    return mask(value) if isinstance(value, str) else value
