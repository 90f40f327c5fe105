"""Files at their own pace, and of streams the newest picture; a stream's input is a script of ours.

Each picture of a tape is how long FFmpeg has to wait for it, and its place in the stream, both in seconds.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest

from mjpegd.config.schema import CameraConfig
from mjpegd.errors import BrokenPicture, SourceError, SourceStalled, SourceWoken
from mjpegd.sources import ffmpeg
from mjpegd.sources.base import JPEG, Grab
from mjpegd.sources.ffmpeg import BEHIND, IDLE_AFTER, KEYFRAME_WITHIN, SHOWN_EVERY, FileSource, StreamSource
from tests.clock import Clock, stop_clocks
from tests.sources import videos
from tests.sources.videos import FPS, SHADES

FRAME = 0.04
URL = "rtsp://camera/"

Tape = Sequence[tuple[float, float]]


def file(path: Path) -> FileSource:
    """A file as it is opened."""
    source = ffmpeg.open_source(str(path), CameraConfig(), threading.Event())
    assert isinstance(source, FileSource)
    return source


@pytest.mark.parametrize(("name", "codec", "form"), [("film.mp4", "mp4v", "BGR"), ("film.avi", "MJPG", JPEG)])
def test_a_file_begins_again(name: str, codec: str, form: str, tmp_path: Path) -> None:
    """A file is played at its own rate, and from the beginning again at its end."""
    source = file(videos.write(tmp_path / name, codec))
    assert (source.granted.format, source.granted.fps, source.granted.device) == (form, FPS, "file")
    grabs = [source.read() for _ in range(2 * len(SHADES) + 3)]
    shades = [videos.shade(grab) for grab in grabs]
    gaps = [later.taken - sooner.taken for sooner, later in pairwise(grab for grab in grabs if grab is not None)]
    source.close()

    assert shades == [*range(len(SHADES)), *range(len(SHADES)), 0, 1, 2]
    assert sum(gaps) / len(gaps) == pytest.approx(1 / FPS, rel=0.2)


@pytest.mark.parametrize(("name", "codec", "made"), [("film.mp4", "mp4v", 1), ("film.avi", "MJPG", 15)])
def test_a_file_that_nobody_watches(name: str, codec: str, made: int, tmp_path: Path) -> None:
    """Of a file that nobody watches one picture a second is made; those of MJPEG need no making."""
    source = file(videos.write(tmp_path / name, codec))
    grabs = [source.read(pixels=False) for _ in range(15)]
    source.close()

    assert [bool(grab and grab.data) for grab in grabs] == [True] * made + [False] * (15 - made)
    assert len({grab.taken for grab in grabs if grab}) == 15


def test_a_file_that_vanishes(tmp_path: Path) -> None:
    """A file that is gone when it is to begin again is lost, with words."""
    film = videos.write(tmp_path / "film.avi", "MJPG")
    source = file(film)
    for _ in SHADES:
        assert source.read() is not None
    film.unlink()
    with pytest.raises(SourceError, match="FFmpeg cannot read this file"):
        source.read()


def test_stopped(tmp_path: Path) -> None:
    """A file that is stopped gives no picture any more, and can be closed twice."""
    stop = threading.Event()
    source = ffmpeg.open_source(str(videos.write(tmp_path / "film.avi", "MJPG")), CameraConfig(), stop)
    assert source.read() is not None
    stop.set()

    assert source.read() is None
    source.close()
    source.close()


def test_no_such_file() -> None:
    """A file that is not there is told as such."""
    with pytest.raises(SourceError, match="no such file"):
        ffmpeg.open_source("/nowhere/film.mp4", CameraConfig(), threading.Event())


@dataclass
class Player:
    """An input that plays a tape. `last` is how long it waits in vain at its end."""

    clock: Clock
    tape: Tape = ()
    last: float = 0.0
    format: str = "BGR"
    undecodable: bool = False
    fps: float = 1 / FRAME
    size: tuple[int, int] = (64, 48)
    decoder: str = "software"
    has_end: bool = False
    position: float = 0.0
    keyframes: bool = False
    patience: float = 0.0
    closed: bool = False
    decodes: bool = True
    played: int = 0

    def advance(self) -> bool:
        """Go on to the next picture."""
        assert not self.closed
        if self.played == len(self.tape):
            self.clock.forward(self.last)
            return False
        wait, self.position = self.tape[self.played]
        self.played += 1
        self.clock.forward(wait)
        return True

    def picture(self, taken: float, skipped: int = 0, lag: float = 0.0) -> Grab | None:
        """The picture: its number as its data."""
        assert self.decodes
        data = memoryview(str(self.played).encode())
        return None if self.undecodable else Grab(data, self.format, taken, skipped, lag=lag)

    def unseen(self, taken: float, skipped: int = 0, lag: float = 0.0) -> Grab:
        """The same without the data."""
        return Grab(memoryview(b""), self.format, taken, skipped, lag=lag)

    def stop_decoding(self) -> None:
        """Give packets from now on."""
        self.decodes = False

    def close(self) -> None:
        """End."""
        self.closed = True


@dataclass
class Stage:
    """Opens players; the first one plays the tape, and the others the rest of it."""

    clock: Clock
    players: list[Player] = field(default_factory=list)

    def open(self, *tape: tuple[float, float], stop: threading.Event | None = None, **keys: object) -> StreamSource:
        """A stream with this tape; `keys` are the player's, and the camera's where it knows them."""
        known = {name: keys.pop(name) for name in list(keys) if name in CameraConfig.__struct_fields__}
        player = Player(self.clock, tape, **keys)  # type: ignore[arg-type]
        self.players.append(player)
        camera = CameraConfig(**known)  # type: ignore[arg-type]
        return StreamSource(URL, camera, stop or threading.Event(), player)  # type: ignore[arg-type]

    def reopen(self, spec: str, camera: CameraConfig, *, keyframes: bool = False, patience: float) -> Player:
        """The same again, in place of `Input`."""
        assert spec == URL
        before = self.players[-1]
        tape = before.tape[before.played :]
        self.players.append(Player(self.clock, tape, format=before.format, keyframes=keyframes, patience=patience))
        return self.players[-1]


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Where tapes are played, in a time of their own."""
    clock = stop_clocks(monkeypatch, "mjpegd.sources.ffmpeg.monotonic")
    clock.now = 1000.0
    stage = Stage(clock)
    monkeypatch.setattr(ffmpeg, "Input", stage.reopen)
    return stage


def live(count: int, begin: float = 0.0) -> Tape:
    """Pictures that come when they are taken."""
    return [(FRAME, begin + number * FRAME) for number in range(count)]


def burst(count: int, begin: float = 0.0) -> Tape:
    """Pictures that lie ready."""
    return [(0.0, begin + number * FRAME) for number in range(count)]


def read(source: StreamSource, *, pixels: bool = True) -> Grab:
    """The next picture."""
    grab = source.read(pixels=pixels)
    assert grab is not None
    return grab


def numbers(source: StreamSource, count: int) -> list[tuple[int, int]]:
    """Of so many pictures the number and how many were passed over before it."""
    return [(int(bytes(grab.data)), grab.skipped) for grab in (read(source) for _ in range(count))]


def test_a_live_stream(stage: Stage) -> None:
    """Each picture is given when it comes, with its moment and without lag."""
    source = stage.open(*live(5))
    grabs = [read(source) for _ in range(5)]

    assert [bytes(grab.data) for grab in grabs] == [b"1", b"2", b"3", b"4", b"5"]
    assert [grab.taken for grab in grabs] == pytest.approx([1000 + FRAME * number for number in range(1, 6)])
    assert {(grab.skipped, round(grab.lag, 3)) for grab in grabs} == {(0, 0.0)}
    assert (source.granted.device, source.granted.decoder) == ("network", "software")


def test_the_first_burst(stage: Stage) -> None:
    """What was looked at while it was opened is passed over: the first picture is the first that had to be awaited."""
    source = stage.open(*burst(20), *live(3, 20 * FRAME))

    assert numbers(source, 3) == [(21, 20), (22, 0), (23, 0)]


def test_jitter(stage: Stage) -> None:
    """A picture that lies ready because the last one came late is given, though another may be behind it."""
    source = stage.open(*live(2), (3 * FRAME, 2 * FRAME), *burst(2, 3 * FRAME), *live(1, 5 * FRAME))

    assert numbers(source, 6) == [(number, 0) for number in range(1, 7)]


def test_a_backlog(stage: Stage) -> None:
    """A stream that has fallen behind is caught up with: what lies ready is passed over until the lag is small."""
    source = stage.open(*live(2), (1.0 + FRAME, 2 * FRAME), *burst(25, 3 * FRAME), *live(1, 28 * FRAME))
    seen = numbers(source, 3)
    assert seen == [(1, 0), (2, 0), (3, 0)]
    grab = read(source)

    assert grab.lag < BEHIND
    assert grab.skipped == pytest.approx((1 - BEHIND) / FRAME, abs=1)
    assert [skipped for _, skipped in numbers(source, 3)] == [0, 0, 0]


def test_a_backlog_that_takes_long(stage: Stage) -> None:
    """While much is passed over a picture is shown now and again."""
    slow = [(0.015, 3 * FRAME + number * 0.02) for number in range(200)]
    source = stage.open(*live(2), (2.0, 2 * FRAME), *slow, max_lag=5, stale_after=3)
    for _ in range(3):
        read(source)
    moments = [read(source).taken for _ in range(3)]

    assert [later - sooner for sooner, later in pairwise(moments)] == pytest.approx([SHOWN_EVERY] * 2, abs=0.03)


@pytest.mark.parametrize(("max_lag", "falls"), [(3.0, False), (1.0, True)])
def test_too_far_behind(stage: Stage, max_lag: float, falls: bool) -> None:  # noqa: FBT001  (a row)
    """A stream that is further behind than it may be is stale, so that it is opened again."""
    source = stage.open(*live(2), (2.0, 2 * FRAME), *live(2, 3 * FRAME), max_lag=max_lag, stale_after=3)
    for _ in range(2):
        read(source)
    if falls:
        with pytest.raises(SourceStalled, match="fell 1 s behind"):
            read(source)
    else:
        assert read(source).lag == pytest.approx(2 - FRAME, abs=0.01)


@pytest.mark.parametrize(
    ("last", "error", "words"),
    [
        (0.0, SourceError, "the connection ended"),
        (1.9, SourceError, "the connection ended"),
        (2.0, SourceStalled, "no frames for 2 s"),
    ],
)
def test_the_end(last: float, error: type[SourceError], words: str, stage: Stage) -> None:
    """A stream that breaks off is lost, and one that is silent for too long is stale."""
    source = stage.open(*live(1), last=last, stale_after=2)
    read(source)
    with pytest.raises(error, match=words) as caught:
        read(source)

    assert type(caught.value) is error


def test_nobody_watches(stage: Stage) -> None:
    """While nobody watches one picture a second is made, and the others are counted; who comes gets the next one."""
    source = stage.open(*live(62))
    grabs = [read(source, pixels=False) for _ in range(60)]
    made = [place for place, grab in enumerate(grabs) if grab.data]

    assert made == pytest.approx([0, 25, 50], abs=2)
    assert read(source).data
    assert len({grab.taken for grab in grabs}) == 60


def test_mjpeg_needs_no_making(stage: Stage) -> None:
    """Pictures that are passed through are given whoever watches."""
    source = stage.open(*live(30), format=JPEG)

    assert all(read(source, pixels=False).data for _ in range(30))


def test_what_cannot_be_decoded(stage: Stage) -> None:
    """A picture that the decoder does not hand out is a broken one."""
    source = stage.open(*live(3), undecodable=True)
    for _ in range(3):
        with pytest.raises(BrokenPicture):
            source.read()


def test_keyframes(stage: Stage) -> None:
    """With `idle = "keyframes"` only those are decoded when nobody watched for a while, until somebody comes."""
    source = stage.open(*live(2000), idle="keyframes", stale_after=2)
    while len(stage.players) == 1:
        read(source, pixels=False)
    assert stage.clock.now - 1000 == pytest.approx(IDLE_AFTER, abs=2 * FRAME)
    assert all(read(source, pixels=False).data for _ in range(10))
    first, idle = stage.players
    assert (first.closed, idle.closed, idle.keyframes, idle.patience) == (True, False, True, KEYFRAME_WITHIN)
    with pytest.raises(SourceWoken):
        source.read()


def test_nothing_is_decoded(stage: Stage) -> None:
    """With `idle = "nothing"` there are packets and no pictures a while after the last viewer, until the next."""
    source = stage.open(*live(2000), idle="nothing")
    (player,) = stage.players
    while player.decodes:
        read(source, pixels=False)
    assert stage.clock.now - 1000 == pytest.approx(IDLE_AFTER, abs=2 * FRAME)
    assert not any(read(source, pixels=False).data for _ in range(100))
    with pytest.raises(SourceWoken):
        source.read()


@pytest.mark.parametrize(("idle", "form"), [("full", "BGR"), ("keyframes", JPEG), ("nothing", JPEG)])
def test_no_keyframes(idle: str, form: str, stage: Stage) -> None:
    """Where nobody asked for it, or nothing is decoded, the stream is not opened again."""
    source = stage.open(*live(600), idle=idle, format=form)
    for _ in range(600):
        read(source, pixels=False)

    assert stage.clock.now - 1000 > 2 * IDLE_AFTER
    assert len(stage.players) == 1


def test_patience_with_keyframes(stage: Stage) -> None:
    """Between two keyframes there may be more time than without them."""
    source = stage.open(*live(300), idle="keyframes", stale_after=2)
    while len(stage.players) == 1:
        read(source, pixels=False)
    player = stage.players[-1]
    player.tape, player.last = player.tape[: player.played], 14.0
    with pytest.raises(SourceError, match="the connection ended"):
        read(source, pixels=False)
    player.last = 15.0
    with pytest.raises(SourceStalled, match="no frames for 15 s"):
        read(source, pixels=False)


def test_the_burst_of_a_stream_that_was_opened_again(stage: Stage) -> None:
    """Behind the change to keyframes, too, what lies ready at the beginning is passed over."""
    source = stage.open(*live(400), idle="keyframes")
    while len(stage.players) == 1:
        read(source, pixels=False)
    begin = stage.players[-1].position
    stage.players[-1].tape = [*burst(10, begin), *live(2, begin + 10 * FRAME)]
    stage.players[-1].played = 0
    stage.players[-1].fps = 1 / FRAME
    source._begun = False
    grab = read(source, pixels=False)

    assert (bytes(grab.data), grab.skipped) == (b"11", 10)


def test_a_stopped_stream(stage: Stage) -> None:
    """A stream that is to end gives no picture any more, and is closed."""
    stop = threading.Event()
    source = stage.open(*live(5), stop=stop)
    read(source)
    stop.set()

    assert source.read() is None
    source.close()
    assert stage.players[0].closed


@pytest.mark.parametrize(
    ("tape", "undecodable", "words"),
    [((), False, "the file holds no picture"), (live(1), True, "FFmpeg cannot decode this file")],
)
def test_a_file_without_pictures(tape: Tape, undecodable: bool, words: str, stage: Stage) -> None:  # noqa: FBT001
    """A file that holds no picture, or none that can be decoded, is lost and not begun again for ever."""
    player = Player(stage.clock, tape, undecodable=undecodable)
    stage.players.append(player)
    source = FileSource(URL, CameraConfig(), threading.Event(), player)  # type: ignore[arg-type]
    with pytest.raises(SourceError, match=words):
        source.read()


@pytest.mark.parametrize(
    ("address", "has_end", "kind"),
    [
        ("http://camera/live.ts", False, StreamSource),
        ("http://camera/film.mp4", True, FileSource),
        ("rtsp://camera/", True, StreamSource),
    ],
)
def test_an_address(
    address: str,
    has_end: bool,  # noqa: FBT001  (a row)
    kind: type[object],
    stage: Stage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An address of something that has an end is a file, but for cameras, which are always live."""
    player = Player(stage.clock, has_end=has_end)
    monkeypatch.setattr(ffmpeg, "Input", lambda *_, **__: player)

    assert type(ffmpeg.open_source(address, CameraConfig(), threading.Event())) is kind
