"""Writes the README's tables from the code they describe: routes, aliases, sources and configuration keys.

`python docs/tables.py` rewrites README.md; `--check` only says whether it would change (exit code 1).
"""

import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from mjpegd.config.describe import keys_of, toml_value
from mjpegd.config.schema import NAMED, SECTIONS
from mjpegd.http.aliases import ALIASES
from mjpegd.http.routes import ROUTES, Route
from mjpegd.sources import KINDS

README = Path(__file__).parent.parent / "README.md"
_BLOCK = re.compile(r"(<!-- table: (?P<name>\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def routes() -> str:
    """Every route."""
    rows = ((_address(route), route.scope or "", route.about) for route in ROUTES)
    return table(("address", "scope", "what it is"), rows)


def _address(route: Route) -> str:
    methods = "" if route.methods == ("GET",) else ", ".join(route.methods) + " "
    return f"`{methods}{route.path}`"


def aliases() -> str:
    """Every foreign address; those of mjpg-streamer and its proxies are patterns, not rows."""
    rows = [
        ("`/?action=stream[_N]`, `/?action=snapshot[_N]`", "`/stream`, `/snapshot` of camera N, from 0"),
        ("`/webcam[N]/...`", "any of these for camera N, from 1"),
    ]
    rows += [(f"`{alias.path}{_query(alias.parameter)}`", f"`{alias.ours}`") for alias in ALIASES]
    return table(("address", "stands for"), rows)


def _query(parameter: str) -> str:
    return f"?{parameter}=" if parameter else ""


def sources() -> str:
    """Every kind of source."""
    return table(("source", "what it opens"), ((kind.name, kind.about) for kind in KINDS))


def keys() -> str:
    """Every configuration key."""
    rows = [
        (
            f"`{section}{'.NAME' if section in NAMED else ''}.{key.name}`",
            f"`{toml_value(key.default)}`",
            key.expected,
            key.about,
        )
        for section, struct in SECTIONS.items()
        for key in keys_of(struct)
    ]
    return table(("key", "default", "expects", "what it does"), rows)


TABLES: Mapping[str, Callable[[], str]] = {"routes": routes, "aliases": aliases, "sources": sources, "keys": keys}


def render(text: str) -> str:
    """`text` with each marked block filled anew."""
    return _BLOCK.sub(lambda block: f"{block[1]}{TABLES[block['name']]()}{block[3]}", text)


def main() -> int:
    """Write the README, or with `--check` compare it."""
    old = README.read_text(encoding="utf-8")
    new = render(old)
    if "--check" in sys.argv:
        return int(old != new)
    README.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
