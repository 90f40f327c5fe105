"""How it gets onto a machine: the units, `make install`, and the Debian package, all below a temporary folder."""

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mjpegd import __version__
from tests.daemon import SECONDS, Daemon, pattern
from tests.peers import missing, peer, run

ROOT = Path(__file__).parent.parent.parent
UNITS = ROOT / "systemd"
ALLOWED_EXPOSURE = 1.5
OWN = "# the operator's own line\n"
INSTALLING = 300
"""Seconds for one installation: pip fetches OpenCV."""


def make(target: str, **variables: object) -> str:
    """Run one target of our Makefile in this Python's environment; returns what it said."""
    words = [f"{name}={value}" for name, value in {"PYTHON": sys.executable, "VENV": sys.prefix, **variables}.items()]
    command = [peer("make", "make"), "-s", "-C", str(ROOT), target, *words]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=INSTALLING * SECONDS, check=False, env=surroundings()
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def surroundings() -> dict[str, str]:
    """The environment without what a `make` around the tests hands down."""
    return {name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES"}}


def said(*command: str | Path, within: float = 30) -> str:
    """What a program that must end well says."""
    done = run(*map(str, command), within=within)
    assert done.returncode == 0, done
    return done.stdout.decode()


def files(folder: Path) -> set[Path]:
    """Every file in a folder, by its way from there; compiled ones do not count."""
    return {path.relative_to(folder) for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`make install` below a folder of its own."""
    folder = tmp_path_factory.mktemp("stage")
    make("install", DESTDIR=folder)
    return folder


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Debian package, hardly compressed, for that takes a minute."""
    peer("dpkg-deb", "dpkg")
    folder = tmp_path_factory.mktemp("dist")
    make("deb", DIST=folder, DEBFLAGS="-Zgzip -z1")
    (deb,) = folder.iterdir()
    return deb


@pytest.fixture(scope="module")
def unpacked(package: Path) -> Path:
    """What the package puts on a disk."""
    folder = package.parent / "root"
    said("dpkg-deb", "--extract", package, folder, within=60)
    return folder


def test_the_service_is_hardened() -> None:
    """What systemd reckons the service could do to its machine stays at 1.5 of 10 or below."""
    program = peer("systemd-analyze", "systemd")
    verdict = said(program, "security", "--offline=true", "--no-pager", UNITS / "mjpegd.service")
    exposure = re.search(r"Overall exposure level for mjpegd.service: ([0-9.]+)", verdict)
    assert exposure, verdict
    assert float(exposure[1]) <= ALLOWED_EXPOSURE, verdict


@pytest.mark.parametrize("unit", ["mjpegd.service", "mjpegd.socket"])
def test_systemd_understands_every_line(stage: Path, unit: str) -> None:
    """`systemd-analyze verify` has no word to say about the installed units but that the program lies elsewhere."""
    program = peer("systemd-analyze", "systemd")
    checked = run(program, "verify", str(stage / "usr/local/lib/systemd/system" / unit))
    complaints = [line for line in checked.stderr.decode().splitlines() if "mjpegd" in line]
    assert [line for line in complaints if "is not executable" not in line] == []


def test_installed_program_runs(stage: Path) -> None:
    """What `make install` staged runs in place, and finds nothing of where it was built."""
    home = stage / "usr/local/lib/mjpegd"
    program = home / "bin/mjpegd"
    assert said(home / "bin/python", program, "--version") == f"mjpegd {__version__}\n"
    assert program.read_text().startswith("#!/usr/local/lib/mjpegd/bin/python3 -I\n")
    assert (stage / "usr/local/bin/mjpegd").resolve() == program.resolve()
    traces = run("grep", "-rlF", str(stage), str(home), within=60)
    assert traces.stdout == b""


def test_installed_service_starts_it_there(stage: Path) -> None:
    """The installed unit names the program below PREFIX."""
    unit = (stage / "usr/local/lib/systemd/system/mjpegd.service").read_text()
    assert "\nExecStart=/usr/local/bin/mjpegd run\n" in unit


def test_installed_files_are_for_everybody_to_read_and_root_to_write(stage: Path) -> None:
    """Any user can run it and none can change it; secrets.toml is for root alone."""
    for path in stage.rglob("*"):
        if path.is_symlink():
            continue
        mode = path.stat().st_mode & 0o777
        assert not mode & 0o022, path
        assert path.name == "secrets.toml" or mode & 0o044 == 0o044, path
    assert (stage / "etc/mjpegd/secrets.toml").stat().st_mode & 0o777 == 0o600


def test_configuration_outlives_installing_again_and_removing(stage: Path) -> None:
    """A second `make install` keeps what the operator wrote, and `make uninstall` leaves that alone."""
    edited = [stage / "etc/mjpegd" / name for name in ("mjpegd.toml", "secrets.toml")]
    for file in edited:
        file.write_text(OWN)
    make("install", DESTDIR=stage)
    assert [file.read_text() for file in edited] == [OWN, OWN]
    assert "/etc/mjpegd" in make("uninstall", DESTDIR=stage)
    assert sorted(path for path in stage.rglob("*") if not path.is_dir()) == edited
    assert not (stage / "usr/local/lib/mjpegd").exists()


def test_package_says_what_it_is(package: Path) -> None:
    """The control fields name version, machine and the one Python whose wheels are inside."""
    architecture = said("dpkg", "--print-architecture").strip()
    assert package.name == f"mjpegd_{__version__}_{architecture}.deb"
    fields = said("dpkg-deb", "--field", package)
    assert f"\nVersion: {__version__}\n" in fields
    assert f"\nArchitecture: {architecture}\n" in fields
    assert "python3 (>= 3.11), python3 (<< 3.12)" in fields
    for script in ("postinst", "prerm", "postrm"):
        assert said("dpkg-deb", "--info", package, script).startswith("#!/bin/sh\n")
    assert said("dpkg-deb", "--info", package, "conffiles") == "/etc/mjpegd/mjpegd.toml\n"


def test_package_belongs_to_root(package: Path) -> None:
    """Whoever built it, every file is root's, and no one else may write it."""
    for line in said("dpkg-deb", "--contents", package).splitlines():
        mode, owner, *_ = line.split()
        assert owner == "root/root", line
        assert mode.startswith("l") or mode[5] == mode[8] == "-", line


def test_package_has_all_its_parts(unpacked: Path) -> None:
    """Code, units, example, licence and changes are in it as they are here; tests and traces of pip are not."""
    parts = {
        "usr/lib/systemd/system/mjpegd.service": UNITS / "mjpegd.service",
        "usr/lib/systemd/system/mjpegd.socket": UNITS / "mjpegd.socket",
        "usr/share/mjpegd/secrets.toml": UNITS / "secrets.toml",
        "etc/mjpegd/mjpegd.toml": ROOT / "mjpegd.toml",
    }
    assert [name for name, source in parts.items() if (unpacked / name).read_bytes() != source.read_bytes()] == []
    assert files(unpacked / "usr/lib/mjpegd/mjpegd") == files(ROOT / "mjpegd")
    doc = unpacked / "usr/share/doc/mjpegd"
    copyright_file = (doc / "copyright").read_text()
    assert "GPL-3" in copyright_file
    assert "Permission is hereby granted, free of charge" in copyright_file
    assert gzip.decompress((doc / "changelog.gz").read_bytes()) == (ROOT / "CHANGELOG.md").read_bytes()
    useless = {"tests", "__pycache__", "pip", "direct_url.json", "RECORD"}
    assert [path for path in unpacked.rglob("*") if path.name in useless] == []


def test_package_runs_with_debians_python(unpacked: Path) -> None:
    """The unpacked program serves with /usr/bin/python3 and nothing but its own bundle."""
    python = Path("/usr/bin/python3")
    version = said(python, "-c", "import sys; print(*sys.version_info[:2])") if python.exists() else ""
    if version.split() != ["3", "11"]:
        missing("Debian's Python 3.11", "python3")
    program = unpacked / "usr/bin/mjpegd"
    with Daemon(pattern(), program=[python, "-IB", program, "run"]) as daemon:
        daemon.wait_state("live", within=20)
        assert daemon.get("/snapshot")[1].startswith(b"\xff\xd8")
        modules = said(
            python,
            "-IB",
            "-c",
            f"import sys; sys.path.insert(0, {str(unpacked / 'usr/lib/mjpegd')!r}); "
            "import json, cv2, numpy, uvloop, msgspec, structlog, linuxpy; "
            "print(json.dumps([sys.modules[m].__file__ for m in ('cv2', 'numpy', 'uvloop', 'linuxpy')]))",
        )
        assert all(Path(file).is_relative_to(unpacked) for file in json.loads(modules))


def test_scripts_are_shell() -> None:
    """Every script of the packaging is POSIX shell that parses."""
    scripts = [*UNITS.glob("*.sh"), *(UNITS / "deb" / name for name in ("build.sh", "postinst", "prerm", "postrm"))]
    for script in scripts:
        said(shutil.which("sh") or "sh", "-n", script)
