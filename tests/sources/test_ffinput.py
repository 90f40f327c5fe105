"""What OpenCV's FFmpeg opens: how it is opened, and its pictures one by one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import cv2
import pytest

from mjpegd import log
from mjpegd.config.schema import CameraConfig
from mjpegd.errors import SourceError
from mjpegd.sources import ffinput
from mjpegd.sources.base import JPEG, Grab
from mjpegd.sources.ffinput import DEFAULT_FPS, Input
from tests.daemon import free_port
from tests.sources import videos
from tests.sources.videos import FPS, HEIGHT, SHADES, WIDTH

LOW_DELAY = ["fpsprobesize;0", "analyzeduration;1000000"]
USUAL = ["rtsp_transport;tcp", "allowed_media_types;video", *LOW_DELAY]


def opened(path: Path | str, **keys: object) -> Input:
    """A file as it is opened for a camera with these keys."""
    return Input(str(path), CameraConfig(**keys), patience=2.0)  # type: ignore[arg-type]


def pictures(source: Input) -> list[Grab]:
    """Every picture to the end."""
    grabs = []
    while source.advance():
        grab = source.picture(monotonic())
        assert grab is not None
        grabs.append(grab)
    source.close()
    return grabs


@pytest.mark.parametrize("name", ["film.avi", "film.mkv", "film.mov"])
def test_mjpeg_is_passed_through(name: str, tmp_path: Path) -> None:
    """MJPEG in any container is given byte for byte as it stands in the file, and nothing is decoded."""
    film = videos.write(tmp_path / name, "MJPG")
    source = opened(film)
    assert (source.format, source.decoder, source.size) == (JPEG, "", (WIDTH, HEIGHT))
    grabs = pictures(source)
    content = film.read_bytes()

    assert [videos.shade(grab) for grab in grabs] == list(range(len(SHADES)))
    for grab in grabs:
        data = bytes(grab.data)
        assert data.startswith(b"\xff\xd8")
        assert data.rstrip(b"\0").endswith(b"\xff\xd9")
        assert data in content


@pytest.mark.parametrize(("name", "codec"), [("film.mp4", "mp4v"), ("film.avi", "XVID"), ("film.mkv", "mp4v")])
def test_others_are_decoded(name: str, codec: str, tmp_path: Path) -> None:
    """Whatever is no MJPEG is decoded to pixels, in software."""
    source = opened(videos.write(tmp_path / name, codec))
    assert (source.format, source.decoder, source.size, source.fps) == ("BGR", "software", (WIDTH, HEIGHT), FPS)
    assert source.has_end
    grabs = pictures(source)

    assert [videos.shade(grab) for grab in grabs] == list(range(len(SHADES)))
    assert {(grab.width, grab.height) for grab in grabs} == {(WIDTH, HEIGHT)}


def test_marks(tmp_path: Path) -> None:
    """A picture carries what is said of it, seen or not, and the stream has a time of its own."""
    source = opened(videos.write(tmp_path / "film.mp4", "mp4v"))
    positions = []
    for _ in range(3):
        assert source.advance()
        positions.append(source.position)
    seen, unseen = source.picture(5.0, 3, 0.25), source.unseen(5.0, 3, 0.25)
    source.close()

    assert seen is not None
    assert positions == pytest.approx([0, 1 / FPS, 2 / FPS])
    assert {(grab.taken, grab.skipped, grab.lag, grab.format) for grab in (seen, unseen)} == {(5.0, 3, 0.25, "BGR")}
    assert (len(seen.data), len(unseen.data)) == (WIDTH * HEIGHT * 3, 0)


def test_an_accelerator_there_is_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the accelerator is not there it is decoded in software, and the log says so."""
    log.get().warning("to be told from what follows")
    source = opened(videos.write(tmp_path / "film.mp4", "mp4v"), hwaccel="mfx")

    assert source.decoder == "software"
    assert len(pictures(source)) == len(SHADES)
    assert "no such hardware decoder: decoding in software" in "".join(capsys.readouterr())


def test_what_is_no_video(tmp_path: Path) -> None:
    """A file that FFmpeg cannot read is said to be one."""
    (tmp_path / "film.avi").write_text("not a film\n" * 100)
    with pytest.raises(SourceError, match="FFmpeg cannot read this file"):
        opened(tmp_path / "film.avi")


@pytest.mark.parametrize("fps", [0.0, -1.0, 90_000.0])
def test_a_rate_that_is_none(fps: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no rate, or a time base, is taken for FFmpeg's own default."""
    film = videos.write(tmp_path / "film.mp4", "mp4v")

    class Capture:
        def __init__(self, *arguments: Any) -> None:
            self._capture = cv2_capture(*arguments)

        def get(self, key: int) -> float:
            return fps if key == cv2.CAP_PROP_FPS else self._capture.get(key)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._capture, name)

    cv2_capture = cv2.VideoCapture
    monkeypatch.setattr(cv2, "VideoCapture", Capture)
    source = opened(film)

    assert source.fps == DEFAULT_FPS
    assert len(pictures(source)) == len(SHADES)


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The options with which something was opened, each time."""
    texts: list[str] = []

    @contextmanager
    def options(text: str) -> Iterator[None]:
        texts.append(text)
        yield

    monkeypatch.setattr(ffinput, "options", options)
    return texts


@pytest.mark.parametrize(
    ("keys", "keyframes", "expected"),
    [
        ({}, False, USUAL),
        ({"transport": "udp"}, False, ["rtsp_transport;udp", *USUAL[1:]]),
        ({"low_delay": False}, False, USUAL[:2]),
        ({}, True, [*USUAL, "avdiscard;nonkey"]),
        ({"ffmpeg_options": ("user_agent=a=b", "max_delay=5")}, False, [*USUAL, "user_agent;a=b", "max_delay;5"]),
        ({"ffmpeg_options": ("rtsp_transport=http",)}, True, [*USUAL, "avdiscard;nonkey", "rtsp_transport;http"]),
    ],
)
def test_options(keys: dict[str, object], keyframes: bool, expected: list[str], given: list[str]) -> None:  # noqa: FBT001
    """An address is opened with the options that the camera's keys stand for, those of the operator last."""
    camera = CameraConfig(**keys)  # type: ignore[arg-type]
    with pytest.raises(SourceError, match="cannot be reached: connection refused"):
        Input(f"rtsp://127.0.0.1:{free_port()}/", camera, keyframes=keyframes, patience=2.0)

    assert given == ["|".join(expected)]


def test_a_file_has_no_options(tmp_path: Path, given: list[str]) -> None:
    """A file needs none of what is for the network."""
    opened(videos.write(tmp_path / "film.mp4", "mp4v"), ffmpeg_options=("max_delay=5",)).close()

    assert given == [""]


def test_an_address_is_tried_without_the_accelerator(given: list[str]) -> None:
    """What cannot be opened with an accelerator is tried once more in software."""
    camera = CameraConfig(hwaccel="vaapi")
    with pytest.raises(SourceError):
        Input(f"rtsp://127.0.0.1:{free_port()}/", camera, patience=2.0)

    assert given == ["|".join(USUAL)] * 2
