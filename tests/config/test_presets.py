"""What a camera and a viewer get by the name of a kind of network."""

from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from msgspec import structs

from mjpegd.config.describe import effective
from mjpegd.config.load import load
from mjpegd.config.presets import PRESETS, renditions
from mjpegd.config.schema import VIEWING, CameraConfig, Config, RenditionConfig, capturing
from mjpegd.errors import ConfigError

presets = pytest.mark.parametrize("preset", PRESETS)


def camera(*sets: str) -> CameraConfig:
    """A camera with these keys."""
    return load(sets=[f"camera.porch.{text}" for text in sets]).camera["porch"]


def viewing(config: CameraConfig) -> dict[str, Any]:
    """What a camera's keys say of its viewers."""
    return {name: getattr(config, name) for name in VIEWING}


def test_names() -> None:
    """The presets are those that the key takes."""
    assert set(get_args(get_type_hints(CameraConfig)["preset"])) == set(PRESETS)


@presets
def test_keys(preset: str) -> None:
    """A preset sets keys of what viewers get, so that another one opens no camera again."""
    assert set(PRESETS[preset]) <= set(VIEWING)
    assert capturing(camera(f"preset={preset}")) == capturing(camera("preset=none"))


@presets
def test_a_preset_is_its_keys(preset: str) -> None:
    """A camera with a preset has the keys of that, and every other as it is by default."""
    expected = structs.replace(CameraConfig(), preset=preset, **PRESETS[preset])

    assert camera(f"preset={preset}") == expected


@pytest.mark.parametrize(
    ("preset", "expected"),
    [
        (
            "cloudflare",
            {"stream_width": 640, "stream_height": 480, "stream_quality": 70, "stream_fps": 15, "heartbeat": 5},
        ),
        ("lan", {"stream_width": 0, "stream_height": 0, "stream_quality": 85, "stream_fps": 30, "heartbeat": 10}),
        (
            "low-latency",
            {"stream_width": 1280, "stream_height": 720, "stream_quality": 90, "stream_fps": 20, "heartbeat": 0},
        ),
        (
            "low-bandwidth",
            {"stream_width": 480, "stream_height": 360, "stream_quality": 60, "stream_fps": 10, "heartbeat": 0},
        ),
    ],
)
def test_numbers(preset: str, expected: dict[str, object]) -> None:
    """The numbers of each preset are those that its documentation gives."""
    assert viewing(camera(f"preset={preset}")) == {"preset": preset, "adapt": False, **expected}


@pytest.mark.parametrize(
    ("key", "value"),
    [("stream_width", 320), ("stream_height", 0), ("stream_quality", 40), ("stream_fps", 25), ("heartbeat", 2)],
)
@pytest.mark.parametrize("order", [1, -1])
def test_a_key_wins(key: str, value: float, order: int) -> None:
    """A key that is given wins over the preset, wherever it stands, also with the value that is the default."""
    got = viewing(camera(*["preset=cloudflare", f"{key}={value}"][::order]))

    assert got == {**viewing(camera("preset=cloudflare")), key: value}


def test_in_a_file(tmp_path: Path) -> None:
    """In a file a preset is one line of a camera's table, and another camera has none of it."""
    file = tmp_path / "mjpegd.toml"
    file.write_text('[camera.porch]\npreset = "low-bandwidth"\nstream_fps = 5\n[camera.attic]\nsource = "pattern"\n')
    cameras = load(file).camera

    assert (cameras["porch"].stream_fps, cameras["porch"].stream_width) == (5, 480)
    assert viewing(cameras["attic"]) == viewing(CameraConfig())


@presets
def test_effective(preset: str, tmp_path: Path) -> None:
    """The configuration in force, printed and loaded again, is the same one."""
    config = load(sets=[f"camera.porch.preset={preset}", "camera.porch.stream_quality=0", "rendition.mobile.width=480"])
    file = tmp_path / "effective.toml"
    file.write_text(effective(config))

    assert load(file) == config


def test_no_such_preset() -> None:
    """A preset there is not is refused with those there are."""
    with pytest.raises(ConfigError, match="must be one of none, cloudflare, lan, low-latency, low-bandwidth"):
        camera("preset=dialup")


def test_renditions() -> None:
    """Each preset but `none` is a rendition by its name, with all but what is no matter of pictures."""
    known = renditions(Config())

    assert set(known) == set(PRESETS) - {"none"}
    assert known["cloudflare"] == RenditionConfig(640, 480, 70, 15)
    assert known["lan"] == RenditionConfig(quality=85, fps=30)


def test_renditions_of_the_file() -> None:
    """The file's renditions stand beside them, and one that has the name of a preset takes its place."""
    mine = {"mobile": RenditionConfig(480, quality=60), "lan": RenditionConfig(fps=10)}
    known = renditions(Config(rendition=mine))

    assert known == {**renditions(Config()), **mine}
    assert set(known) == {"cloudflare", "lan", "low-latency", "low-bandwidth", "mobile"}
