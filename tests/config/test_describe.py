"""The schema in words."""

import json
import re
import tomllib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mjpegd.config.describe import effective, example, keys_of, toml_value
from mjpegd.config.load import load
from mjpegd.config.schema import NAMED, SECTIONS, Config, KeyConfig, RenditionConfig

ROOT = Path(__file__).parent.parent.parent


def test_example_is_the_defaults(tmp_path: Path) -> None:
    """The example file names every key, and to load it is to change nothing."""
    file = tmp_path / "mjpegd.toml"
    file.write_text(example())

    assert Config() == load(file)
    assert defaults("server", "tls", "auth", "limits", "log", "camera") == tomllib.loads(example())


def test_example_of_a_key_and_a_rendition(tmp_path: Path) -> None:
    """The tables of which there are none by default stand there as comments; without them they are such that work."""
    tables = tomllib.loads(uncommented())
    assert defaults("rendition", "key") == {name: tables[name] for name in ("rendition", "key")}
    file = tmp_path / "mjpegd.toml"
    file.write_text(uncommented().replace('secret = ""', 'secret = "correct horse"'))
    config = load(file)

    assert {"wall": KeyConfig(secret="correct horse")} == config.key  # noqa: S106  (a test's)
    assert {"mobile": RenditionConfig()} == config.rendition
    assert msgspec.structs.replace(config, key={}, rendition={}) == Config()


def defaults(*sections: str) -> dict[str, object]:
    """The tables of these sections as TOML reads them, with every default."""
    tables = {section: json.loads(msgspec.json.encode(SECTIONS[section]())) for section in sections}
    return {section: {NAMED[section]: table} if section in NAMED else table for section, table in tables.items()}


def uncommented() -> str:
    """The example with its muted tables in force."""
    return re.sub(r"^#(?! )", "", example(), flags=re.MULTILINE)


def test_example_in_the_repository() -> None:
    """`mjpegd.toml` in the repository is what `mjpegd config --example` prints."""
    assert example() == (ROOT / "mjpegd.toml").read_text()


@pytest.mark.parametrize("section", SECTIONS)
def test_example_explains_every_key(section: str) -> None:
    """Above each key of the example, commented out or not, stand its sentence and what it expects."""
    title = f"{section}.{NAMED[section]}" if section in NAMED else section
    table = uncommented().partition(f"\n[{title}]\n")[2].partition("\n\n")[0].splitlines()
    keys = list(keys_of(SECTIONS[section]))

    assert [f"# {key.about} ({key.expected})" for key in keys] == table[::2]
    assert [key.name for key in keys] == [line.partition(" = ")[0] for line in table[1::2]]


@pytest.mark.parametrize(
    ("section", "name", "expected"),
    [
        ("server", "port", "a whole number from 0 to 65535"),
        ("server", "heartbeat", "a number above 0 to 60"),
        ("server", "host", "text"),
        ("server", "base_path", "a path as /cams, without a slash at its end"),
        ("server", "cors_origins", "a list of text"),
        ("limits", "head_timeout", "a number above 0 to 86400"),
        ("limits", "duration", "a number from 0 to 31536000"),
        ("auth", "anonymous", "a list of view, snapshot, push, control, admin"),
        ("key", "secret", "text"),
        ("camera", "complete_only", "true or false"),
        ("camera", "controls", 'a table as {brightness = 10, auto_exposure = "Manual Mode"}'),
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


def test_effective_masks_keys() -> None:
    """Of a key everything is printed but its secret, hashed or not."""
    text = effective(
        load(sets=["key.wall.secret=hunter2hunter2", "key.wall.cameras=cam", "key.b.secret=sha256:" + "a" * 64])
    )

    assert "hunter2" not in text
    assert "aaaa" not in text
    assert text.count('secret = "***"') == 2
    assert 'cameras = ["cam"]' in text


def test_effective_round_trip_of_lists(tmp_path: Path) -> None:
    """Lists are printed as TOML lists, and read again the same."""
    config = load(sets=["auth.anonymous=view,admin", "server.trusted_proxies=10.0.0.0/8", "server.cors_origins=*"])
    file = tmp_path / "effective.toml"
    file.write_text(effective(config))

    assert config == load(file)


def test_effective_round_trip_of_controls(tmp_path: Path) -> None:
    """Controls are printed as an inline table, and read again the same."""
    config = load(sets=["camera.a.controls.hue=-5", "camera.a.controls.mode=50 Hz", "camera.a.controls.focus=true"])
    file = tmp_path / "effective.toml"
    file.write_text(effective(config))

    assert 'controls = {hue = -5, mode = "50 Hz", focus = true}' in file.read_text()
    assert config == load(file)


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
