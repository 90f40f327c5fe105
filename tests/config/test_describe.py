"""The schema in words."""

import tomllib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mjpegd.config.describe import effective, example, keys_of, toml_value
from mjpegd.config.load import load
from mjpegd.config.schema import SECTIONS, CameraConfig, Config, LogConfig, ServerConfig

ROOT = Path(__file__).parent.parent.parent


def test_example_is_the_defaults(tmp_path: Path) -> None:
    """The example file names every key, and to load it is to change nothing."""
    file = tmp_path / "mjpegd.toml"
    file.write_text(example())
    tables = tomllib.loads(example())

    assert Config() == load(file)
    assert {
        "server": msgspec.structs.asdict(ServerConfig()),
        "log": msgspec.structs.asdict(LogConfig()),
        "camera": {"cam": msgspec.structs.asdict(CameraConfig())},
    } == tables


def test_example_in_the_repository() -> None:
    """`mjpegd.toml` in the repository is what `mjpegd config --example` prints."""
    assert example() == (ROOT / "mjpegd.toml").read_text()


@pytest.mark.parametrize("section", SECTIONS)
def test_example_explains_every_key(section: str) -> None:
    """Above each key of the example stand its sentence and what it expects."""
    lines = example().splitlines()
    for key in keys_of(SECTIONS[section]):
        assignment = next(number for number, line in enumerate(lines) if line.startswith(f"{key.name} = "))
        assert f"# {key.about} ({key.expected})" == lines[assignment - 1]


@pytest.mark.parametrize(
    ("section", "name", "expected"),
    [
        ("server", "port", "a whole number from 0 to 65535"),
        ("server", "heartbeat", "a number above 0 to 60"),
        ("server", "head_timeout", "a number above 0 to 86400"),
        ("server", "host", "text"),
        ("camera", "complete_only", "true or false"),
        ("log", "format", "one of auto, console, json, journal"),
    ],
)
def test_expected(section: str, name: str, expected: str) -> None:
    """A key's type and range in words."""
    assert expected == {key.name: key.expected for key in keys_of(SECTIONS[section])}[name]


def test_effective_round_trip(tmp_path: Path) -> None:
    """The configuration in force, printed and loaded again, is the same one."""
    config = load(
        sets=["server.port=1", "log.level=error", "camera.b.fps=7.5", 'camera.a.source=/a "b"\\c', "camera.a.quality=1"]
    )
    file = tmp_path / "effective.toml"
    file.write_text(effective(config))

    assert config == load(file)
    assert list(config.camera) == list(load(file).camera)


def test_effective_masks_secrets() -> None:
    """The configuration in force is printed without passwords and keys."""
    text = effective(
        load(sets=["camera.a.source=rtsp://me:hidden@camera/", "camera.b.source=http://camera/?token=hidden"])
    )

    assert "hidden" not in text
    assert 'source = "rtsp://me:***@camera/"' in text
    assert 'source = "http://camera/?token=***"' in text


SCALAR = st.one_of(
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.floats(-86400, 86400),
    st.text(st.characters(exclude_categories=["Cs"])),
)


@given(SCALAR)
def test_values_are_toml(value: object) -> None:
    """Whatever a value is, it is written so that TOML reads the same."""
    assert {"key": value} == tomllib.loads(f"key = {toml_value(value)}")
