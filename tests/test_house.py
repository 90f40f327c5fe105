"""The laws of this house, read from its source: who may import whom, who may do what, and how long anything may be."""

import ast
import importlib
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import mjpegd
from mjpegd.config.describe import keys_of
from mjpegd.config.schema import SECTIONS
from mjpegd.http.routes import ROUTES
from mjpegd.sources import KINDS

ROOT = Path(__file__).parent.parent
HOUSE, TESTS = ROOT / "mjpegd", ROOT / "tests"

FLOORS = (
    (
        *("mjpegd", "errors", "frame", "timing", "masking", "hosts", "systemd", "backoff", "condition", "demand"),
        *("opencv", "aside", "bell", "look", "pace", "adaptation"),
    ),
    ("log", "jpeg", "wire", "ladder", "prints"),
    ("config", "ring"),
    ("sources", "pixels", "access", "recipes"),
    ("encoding", "cards", "lifeline", "stillness", "review", "pauses", "picture"),
    ("capture", "rendition"),
    ("camera",),
    ("http",),
    ("supervisor", "probe"),
    ("app",),
    ("cli",),
    ("__main__",),
)
"""A room imports from lower floors, and within itself. `sources` and `pixels` open on each other."""

FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
DOOR = frozenset({"sources", "pixels"})
"""The rooms of one floor that open on each other."""

PRIVILEGES = {
    "cv2": ("opencv",),
    "fcntl": ("sources.v4l2", "sources.controls", "http.tcp", "access.shares"),
    "mmap": ("sources.v4l2",),
    "call_soon_threadsafe": (),
    "os.eventfd": ("bell",),
    "print": ("cli.__init__", "cli.serve", "cli.look", "cli.access", "cli.recipe"),
    "sys.exit": ("__main__",),
    "os.environ": (
        *("log", "cli.__init__", "cli.common", "cli.serve", "cli.access"),
        *("opencv", "sources.ffoptions", "encoding.process"),
    ),
    "os.getenv": (),
    "subprocess": ("encoding.process",),
    "asyncio": (
        *(
            "bell",
            "ring",
            "prints",
            "encoding.encoders",
            "encoding.process",
            "encoding.workshop",
            "rendition",
            "camera",
            "pauses",
            "access.guard",
            "supervisor",
            "app",
        ),
        *("sources.client.connection", "sources.client.loop"),
        *(f"http.{name}" for name in ("connection", "controls", "governor", "line", "live", "server", "snapshot")),
        *("http.steer", "http.tcp"),
    ),
    "socket": (
        *("systemd", "encoding.process", "encoding.worker"),
        *("sources.diagnosis", "sources.client.connection", "sources.client.loop"),
        *("http.tcp", "http.live", "http.server", "app"),
    ),
    "ssl": ("sources.ffinput", "http.tls", "http.server", "sources.client.connection", "sources.client.session"),
    "threading": (
        *(
            "log",
            "aside",
            "bell",
            "ring",
            "encoding.maker",
            "encoding.worker",
            "lifeline",
            "pauses",
            "capture",
            "app",
            "probe",
        ),
        *(
            f"sources.{name}"
            for name in (
                *("__init__", "base", "auto", "anycamera", "standin"),
                *("pattern", "pace", "v4l2", "ffmpeg", "ffoptions"),
                *("poll", "web", "client.loop", "client.session"),
            )
        ),
    ),
}
"""What only these modules import, call or touch."""

LONGEST_FUNCTION = 60
LONGEST_MODULE = 400


def modules(folder: Path) -> list[Path]:
    """Every Python file in a folder."""
    return sorted(folder.rglob("*.py"))


def named(path: Path) -> str:
    """`http.routes` for mjpegd/http/routes.py, `sources.__init__` for its package."""
    return ".".join(path.relative_to(HOUSE).with_suffix("").parts)


@cache
def tree(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(), str(path))


def every(path: Path, *kinds: type[ast.AST]) -> Iterator[ast.AST]:
    """All nodes of these kinds in a file."""
    return (node for node in ast.walk(tree(path)) if isinstance(node, kinds))


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything a file imports, at its top or inside a function."""
    for node in every(path, ast.Import, ast.ImportFrom):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def room(dotted: str) -> str:
    """The room an import of ours leads to: `wire` for mjpegd.wire.http.Request, `mjpegd` for the package itself."""
    _, *rest = dotted.split(".")
    return rest[0] if rest and rest[0] in FLOOR else "mjpegd"


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function in a file, methods and inner ones included."""
    for node in every(path, ast.FunctionDef, ast.AsyncFunctionDef):
        assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        yield node


def used(path: Path) -> Iterator[tuple[int, str]]:
    """Line and name of whatever a file imports, calls or touches, as the privileges name it."""
    for line, dotted in imports(path):
        yield line, dotted.partition(".")[0]
        yield line, dotted
    for node in every(path, ast.Call, ast.Attribute):
        if isinstance(node, ast.Attribute):
            yield node.lineno, node.attr
            yield node.lineno, ast.unparse(node)
        elif isinstance(node, ast.Call):
            yield node.lineno, ast.unparse(node.func)


def test_every_module_has_a_floor() -> None:
    """Each file and folder of the package is a room on some floor, and each room on a floor is there."""
    there = {info.name for info in pkgutil.iter_modules([str(HOUSE)])} | {"__main__", "mjpegd"}

    assert set(FLOOR) == there


@pytest.mark.parametrize("path", modules(HOUSE), ids=named)
def test_floors(path: Path) -> None:
    """A module imports only from lower floors, or from its own room."""
    home = named(path).partition(".")[0].replace("__init__", "mjpegd")
    upward = [
        f"{path.name}:{line} ({home}, floor {FLOOR[home]}) imports {room(dotted)} (floor {FLOOR[room(dotted)]})"
        for line, dotted in imports(path)
        if dotted.partition(".")[0] == "mjpegd"
        and room(dotted) != home
        and FLOOR[room(dotted)] >= FLOOR[home]
        and not {home, room(dotted)} <= DOOR
    ]

    assert upward == []


@pytest.mark.parametrize("path", modules(HOUSE), ids=named)
def test_imports_are_absolute(path: Path) -> None:
    """Every import names the whole way, so that it can be judged."""
    assert [
        node.lineno for node in every(path, ast.ImportFrom) if isinstance(node, ast.ImportFrom) and node.level
    ] == []


@pytest.mark.parametrize("privilege", PRIVILEGES)
def test_privileges(privilege: str) -> None:
    """Only the modules named here do this, and each of them does."""
    users = {named(path): line for path in modules(HOUSE) for line, name in used(path) if name == privilege}
    allowed = PRIVILEGES[privilege]

    assert {name: line for name, line in users.items() if name not in allowed} == {}
    assert [name for name in allowed if name not in users] == []


@pytest.mark.parametrize("path", modules(HOUSE / "wire"), ids=named)
def test_wire_knows_no_socket(path: Path) -> None:
    """No file in `wire` knows a socket, a thread or an event loop."""
    assert set() == {dotted.partition(".")[0] for _, dotted in imports(path)} & {
        *("asyncio", "socket", "threading", "select", "selectors", "uvloop", "os", "structlog")
    }


@pytest.mark.parametrize("path", modules(HOUSE), ids=named)
def test_sizes(path: Path) -> None:
    """No function is longer than 60 lines and no module longer than 400."""
    lengths = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in functions(path)}

    assert {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION} == {}
    assert len(path.read_text().splitlines()) <= LONGEST_MODULE


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_table_of_sources(kind: object) -> None:
    """Each row of the sources names a module with `open_source`, and has a sentence."""
    module = importlib.import_module(f"mjpegd.sources.{getattr(kind, 'module', '')}")

    assert callable(module.open_source)
    assert len(getattr(kind, "about", "").split()) > 2


def test_every_source_is_in_the_table() -> None:
    """Each file in `sources` that opens one is named by a row."""
    opening = {
        path.stem for path in modules(HOUSE / "sources") if any(f.name == "open_source" for f in functions(path))
    }

    assert {kind.module for kind in KINDS} | {"__init__"} == opening


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_table_of_routes(route: object) -> None:
    """Each route has a sentence, and a path that begins with a slash."""
    assert len(getattr(route, "about", "").split()) > 2
    assert getattr(route, "path", "").startswith("/")


@pytest.mark.parametrize("section", SECTIONS)
def test_table_of_keys(section: str) -> None:
    """Each configuration key has a sentence that ends as one, and says in words what it expects."""
    for key in keys_of(SECTIONS[section]):
        assert key.about.endswith("."), key.name
        assert key.expected, key.name


def is_public(name: str) -> bool:
    """Whether a name is for others."""
    return not name.startswith("_")


def undocumented(node: ast.AST, path: Path) -> Iterator[str]:
    """Public functions and classes in a module or class that have no docstring."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and is_public(child.name):
            if not ast.get_docstring(child):
                yield f"{path.relative_to(ROOT)}:{child.lineno} {child.name}"
            if isinstance(child, ast.ClassDef):
                yield from undocumented(child, path)


@pytest.mark.parametrize("path", modules(HOUSE), ids=named)
def test_public_names_are_documented(path: Path) -> None:
    """Every module, and every public function and class in it, has a docstring."""
    assert ast.get_docstring(tree(path))
    assert list(undocumented(tree(path), path)) == []


def test_tests_are_documented() -> None:
    """Every test says in one sentence what behaviour it shows."""
    silent = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in modules(TESTS)
        for node in functions(path)
        if node.name.startswith("test") and not (ast.get_docstring(node) or "").endswith(".")
    ]

    assert silent == []


def loads(*heavy: str) -> set[str]:
    """Which of these modules a fresh Python holds after it imported the daemon."""
    program = f"import sys, mjpegd.app; print(*({set(heavy)} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return set(result.stdout.split())


def test_no_opencv_without_need() -> None:
    """A daemon that passes JPEG through loads no OpenCV, NumPy or linuxpy: together they are most of its memory."""
    assert {"mjpegd.capture"} == loads(
        *("cv2", "numpy", "linuxpy", "prometheus_client", "mjpegd.pixels", "mjpegd.capture")
    )


def test_version() -> None:
    """The package knows its version."""
    assert mjpegd.__version__.count(".") == 2


def test_readme_tables_are_those_of_the_code() -> None:
    """Routes, aliases, sources and keys in the README are written by `make format`, and up to date."""
    ended = subprocess.run([sys.executable, ROOT / "docs" / "tables.py", "--check"], check=False)
    assert ended.returncode == 0
