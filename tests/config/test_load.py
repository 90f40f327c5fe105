"""Where each value comes from, and what is said about one that cannot be used."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from mjpegd.config.load import find_file, load
from mjpegd.config.schema import CameraConfig, Config
from mjpegd.errors import ConfigError

Write = Callable[[str | bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a configuration file."""

    def write(content: str | bytes) -> Path:
        file = tmp_path / "mjpegd.toml"
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return file

    return write


def problems(
    file: Path | None = None, environment: Mapping[str, str] | None = None, sets: Sequence[str] = ()
) -> tuple[str, ...]:
    """What is wrong with these layers."""
    with pytest.raises(ConfigError) as caught:
        load(file, environment, sets)
    return caught.value.problems


def test_without_anything() -> None:
    """Without any layer every key has its default, and there is one camera, `cam`."""
    assert Config() == load()
    assert {"cam": CameraConfig()} == load().camera


LAYERS = "[server]\nport = 1\nbacklog = 1\nheartbeat = 1\n"
ENVIRONMENT = {"MJPEGD_SERVER__PORT": "2", "MJPEGD_SERVER__BACKLOG": "2", "PATH": "/bin", "MJPEG_SERVER__PORT": "9"}


def test_layers(write: Write) -> None:
    """The command line wins over the environment, the environment over the file, the file over the defaults."""
    config = load(write(LAYERS), ENVIRONMENT, ["server.port=3"])
    server = config.server

    assert (server.port, server.backlog, server.heartbeat, config.limits.head_timeout) == (3, 2, 1, 10.0)


def test_last_set_wins() -> None:
    """Of two `--set` for one key the later one counts."""
    assert load(sets=["server.port=1", "server.port=2"]).server.port == 2


def test_layers_meet_in_one_camera(write: Write) -> None:
    """A camera's keys may come from different layers, and cameras stand in the order in which they are first named."""
    config = load(
        write('[camera.porch]\nsource = "pattern"\nfps = 5\n[camera.attic]\n'),
        {"MJPEGD_CAMERA__PORCH__FPS": "10"},
        ["camera.porch.width=640", "camera.cellar.height=480"],
    )

    assert list(config.camera) == ["porch", "attic", "cellar"]
    assert CameraConfig(source="pattern", fps=10, width=640) == config.camera["porch"]
    assert CameraConfig() == config.camera["attic"]
    assert CameraConfig(height=480) == config.camera["cellar"]


@pytest.mark.parametrize(
    "content",
    [
        '[camera.porch.controls]\nhue = -5\nfocus_automatic = false\nauto_exposure = "Manual Mode"\n',
        'camera.porch.controls = {hue = -5, focus_automatic = false, auto_exposure = "Manual Mode"}\n',
        '[camera.porch]\ncontrols.hue = -5\ncontrols.focus_automatic = false\ncontrols.auto_exposure = "Manual Mode"\n',
    ],
)
def test_controls(content: str, write: Write) -> None:
    """Controls are a table of names and values, however TOML lets one write it."""
    (camera,) = load(write(content)).camera.values()

    assert camera.controls == {"hue": -5, "focus_automatic": False, "auto_exposure": "Manual Mode"}


def test_controls_from_layers(write: Write) -> None:
    """Controls are set one by one by each layer; text is a number or a switch where it reads as one."""
    config = load(
        write("[camera.porch]\ncontrols = {hue = 1, gain = 1, zoom = 1}\n"),
        {"MJPEGD_CAMERA__PORCH__CONTROLS__GAIN": "2", "MJPEGD_CAMERA__PORCH__CONTROLS__ZOOM": "2"},
        ["camera.porch.controls.zoom=3", "camera.porch.controls.focus_auto=False", "camera.porch.controls.mode=50 Hz"],
    )

    assert config.camera["porch"].controls == {"hue": 1, "gain": 2, "zoom": 3, "focus_auto": False, "mode": "50 Hz"}


def test_controls_compare() -> None:
    """Cameras differ if their controls do; without any there is an empty table."""
    first, second = (load(sets=[f"camera.cam.controls.hue={hue}"]).camera["cam"] for hue in (1, 2))

    assert first != second
    assert first == load(sets=["camera.cam.controls.hue=1"]).camera["cam"]
    assert CameraConfig().controls == {}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("[camera.a]\ncontrols = 5\n", ":2: camera.a.controls must be a table as {brightness = 10, "),
        (
            "[camera.a]\ncontrols = {hue = 1, gain = 1.5}\n",
            ":2: camera.a.controls.gain must be a whole number, true or false or text, not 1.5",
        ),
        ("[camera.a.controls]\nhue = [1]\n", ":2: camera.a.controls.hue must be a whole number, true or false or "),
        ("[camera.a.controls]\nhue = {}\n", ":2: camera.a.controls.hue must be a whole number, true or false or "),
        ("[camera.a.controls]\nHue-x = 1\n", ":2: camera.a.controls.Hue-x: a name there is 1 to 64 of a-z, 0-9 and _"),
        ("[camera.a]\nfps.x = 5\n", ":2: camera.a.fps.x is not a key: write camera.NAME.KEY"),
    ],
)
def test_wrong_controls(content: str, problem: str, write: Write) -> None:
    """What is no table of controls is told with its line."""
    file = write(content)
    (found,) = problems(file)

    assert found.startswith(f"{file}{problem}")


def test_controls_are_no_text() -> None:
    """From outside of a file controls come one by one."""
    (found,) = problems(sets=["camera.a.controls=hue=1"])

    assert found.startswith("--set camera.a.controls: camera.a.controls must be a table")


def test_set_creates_a_camera() -> None:
    """`--set camera.NAME.KEY=VALUE` is enough for a camera; then there is no `cam`."""
    assert {"porch": CameraConfig(source="/dev/video2")} == load(sets=["camera.porch.source=/dev/video2"]).camera


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ("server.port = 9090", 9090),
        ("server.heartbeat=2.5", 2.5),
        ("server.heartbeat=3", 3.0),
        ("log.level=debug", "debug"),
        ("camera.cam.complete_only=false", False),
        ("camera.cam.complete_only=true", True),
        ("camera.cam.source=123", "123"),
        ("camera.cam.source=http://camera/?a=b", "http://camera/?a=b"),
    ],
)
def test_text_is_read_as_its_keys_type(item: str, expected: object) -> None:
    """A value from the command line or the environment is read as what its key expects."""
    config = load(sets=[item])
    *section, key = item.partition("=")[0].strip().split(".")
    struct = config.camera[section[1]] if section[0] == "camera" else getattr(config, section[0])

    assert expected == getattr(struct, key)
    assert type(expected) is type(getattr(struct, key))


@pytest.mark.parametrize(
    "content",
    [
        '[camera.porch]\nsource = "pattern"\n',
        '[camera]\nporch.source = "pattern"\n',
        'camera.porch.source = "pattern"\n',
        'camera = {porch = {source = "pattern"}}\n',
        '  [ camera . "porch" ] # the porch\n  source="pattern"# inside\n',
        '\ufeff[camera.porch]\nsource = "pattern"\n'[1:],
        '[camera.porch]\r\nsource = "pattern"\r\n',
    ],
)
def test_spellings_of_toml(content: str, write: Write) -> None:
    """However TOML lets one write a camera, it is the same camera."""
    assert {"porch": CameraConfig(source="pattern")} == load(write(content)).camera


@pytest.mark.parametrize("content", ["", "# nothing\n", "[server]\n", "[log]\n[server]\n"])
def test_file_without_values(content: str, write: Write) -> None:
    """A file without values changes nothing."""
    assert Config() == load(write(content))


EVERYTHING_WRONG = """\
[server]
prot = 9090
port = 70000

[sever]
port = 1

[camera.Porch]
source = "auto"

[camera.porch]
fps = "fast"
width = 8
"""


def test_every_problem_at_once(write: Write) -> None:
    """All that is wrong in all layers is told at once, each with its place: file and line, variable, or option."""
    file = write(EVERYTHING_WRONG)
    environment = {"MJPEGD_SERVER__HEARTBEAT": "never", "MJPEGD_LOG__LEVEL": "loud"}
    found = problems(file, environment, ["server.backlog=0", "server"])

    places = [
        *(f"{file}:{line}: " for line in (2, 3, 6, 9, 12, 13)),
        *("MJPEGD_SERVER__HEARTBEAT: ", "MJPEGD_LOG__LEVEL: ", "--set server.backlog: ", "--set server: "),
    ]
    assert len(places) == len(found)
    for place in places:
        assert sum(problem.startswith(place) for problem in found) == 1, place


def test_error_text_is_its_problems() -> None:
    """The text of the error is one line for each problem."""
    with pytest.raises(ConfigError, match=r"^--set server.port: .*\n--set log.level: .*$"):
        load(sets=["server.port=x", "log.level=x"])


@pytest.mark.parametrize(
    ("item", "hint"),
    [
        ("server.prot=1", "unknown key server.prot; did you mean port?"),
        ("sever.port=1", "unknown section sever; did you mean server?"),
        ("camera.porch.hieght=1", "unknown key camera.porch.hieght; did you mean height?"),
        ("log.xyzzy=1", "unknown key log.xyzzy; known are level, format, flood_period"),
        ("xyzzy.port=1", "unknown section xyzzy; known are server, tls, auth, limits, log, camera, rendition, key"),
        ("port=1", "unknown section port; known are server, tls, auth, limits, log, camera, rendition, key"),
    ],
)
def test_did_you_mean(item: str, hint: str) -> None:
    """An unknown name is told together with the one that was meant, else with those there are."""
    assert (f"--set {item.partition('=')[0]}: {hint}",) == problems(sets=[item])


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ("server.port=-1", "a whole number from 0 to 65535, not '-1'"),
        ("server.port=65536", "a whole number from 0 to 65535, not '65536'"),
        ("server.port=80.5", "a whole number from 0 to 65535, not '80.5'"),
        ("server.port=", "a whole number from 0 to 65535, not ''"),
        ("server.port=http", "a whole number from 0 to 65535, not 'http'"),
        ("server.host=", "text, not ''"),
        ("camera.cam.fps=0", "a number above 0 to 1000, not '0'"),
        ("camera.cam.fps=nan", "a number above 0 to 1000, not 'nan'"),
        ("camera.cam.fps=inf", "a number above 0 to 1000, not 'inf'"),
        ("camera.cam.quality=101", "a whole number from 1 to 100, not '101'"),
        ("camera.cam.complete_only=maybe", "true or false, not 'maybe'"),
        ("camera.cam.retry_max=86401", "a number above 0 to 86400, not '86401'"),
        ("log.level=INFO", "one of debug, info, warning, error, not 'INFO'"),
    ],
)
def test_wrong_values(item: str, expected: str) -> None:
    """A value of the wrong type or out of its range is told together with what is expected."""
    name = item.partition("=")[0]

    assert (f"--set {name}: {name} must be {expected}",) == problems(sets=[item])


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("port = '80'", "a whole number from 0 to 65535, not '80'"),
        ("port = 80.0", "a whole number from 0 to 65535, not 80.0"),
        ("port = true", "a whole number from 0 to 65535, not True"),
        ("port = [80]", "a whole number from 0 to 65535, not [80]"),
        ("heartbeat = nan", "a number above 0 to 60, not nan"),
        ("heartbeat = inf", "a number above 0 to 60, not inf"),
        ("host = 127", "text, not 127"),
    ],
)
def test_types_in_a_file_are_strict(line: str, expected: str, write: Write) -> None:
    """TOML has types: a number in quotes is not a number, and a boolean is none either."""
    file = write(f"[server]\n{line}\n")

    assert (f"{file}:2: server.{line.partition(' ')[0]} must be {expected}",) == problems(file)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("MJPEGD_SERVER__PROT", "unknown key server.prot; did you mean port?"),
        ("MJPEGD_SERVER_PORT", "unknown section server_port; did you mean server?"),
        ("MJPEGD_SERVER", "server is not a key: write server.KEY"),
        ("MJPEGD_", "unknown section ; known are server, tls, auth, limits, log, camera, rendition, key"),
        ("MJPEGD_CAMERA__PORCH", "camera.porch is not a key: write camera.NAME.KEY"),
        ("MJPEGD_CAMERA__A__B__C", "camera.a.b.c is not a key: write camera.NAME.KEY"),
        ("MJPEGD_SERVER__PORT__A", "server.port.a is not a key: write server.KEY"),
    ],
)
def test_unknown_variables(name: str, problem: str) -> None:
    """Every variable that begins with MJPEGD_ has to be a key."""
    assert (f"{name}: {problem}",) == problems(environment={name: "1"})


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("server = 5\n", ":1: server is not a key: write server.KEY"),
        ("[camera]\n", ":1: camera is not a key: write camera.NAME.KEY"),
        ("[[camera]]\nfps = 1\n", ": camera is not a key: write camera.NAME.KEY"),
        ("[server.tls]\n", ":1: unknown key server.tls; known are "),
        ("[server.tls]\nkey = 1\n", ":2: server.tls.key is not a key: write server.KEY"),
        ("[camera.a.b]\n", ":1: camera.a.b must be "),
        ("camera.a.b.c = 1\n", ":1: camera.a.b.c is not a key: write camera.NAME.KEY"),
        ("camera.a.controls.b.c = 1\n", ":1: camera.a.controls.b.c is not a key: write camera.NAME.KEY"),
    ],
)
def test_tables_in_odd_places(content: str, problem: str, write: Write) -> None:
    """A table or value where none belongs is told with what belongs there."""
    file = write(content)
    (found,) = problems(file)

    assert found.startswith((f"{file}{problem}", f"{file}:1: unknown key camera.a.b"))


@pytest.mark.parametrize("name", ["porch", "0", "a-b_c", "x" * 32])
def test_camera_names(name: str) -> None:
    """A camera's name is of a-z, 0-9, _ and -, at most 32 of them."""
    assert [name] == list(load(sets=[f"camera.{name}.fps=5"]).camera)


@pytest.mark.parametrize("name", ["Porch", "-a", "_a", "a b", "a/b", "", "x" * 33, "hütte", r"cam\n", "../etc"])
def test_bad_camera_names(name: str, write: Write) -> None:
    """A name that is not safe in a URL, a log line or a header is refused."""
    (found,) = problems(write(f'[camera."{name}"]\n'))

    assert "must be 1 to 32 of a-z, 0-9, _ and -, beginning with a-z or 0-9" in found


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("[server\n", "is not valid TOML: "),
        ("port = \n", "is not valid TOML: "),
        ("[server]\nport = 1\nport = 2\n", "is not valid TOML: "),
        (b"# h\xfctte\n", "is not UTF-8 text"),
    ],
)
def test_file_that_is_no_toml(content: str | bytes, reason: str, write: Write) -> None:
    """A file that cannot be understood is told by name, with the reason."""
    file = write(content)
    (found,) = problems(file)

    assert found.startswith(f"{file}: {reason}")


def test_file_that_is_not_there(tmp_path: Path) -> None:
    """A file that was named and is not there is a problem; the other layers' are told as well."""
    file = tmp_path / "none.toml"

    assert f"{file}: cannot be read: No such file or directory" == problems(file, sets=["server.port=x"])[0]
    assert len(problems(file, sets=["server.port=x"])) == 2


def test_folder_for_a_file(tmp_path: Path) -> None:
    """A folder in place of the file is a problem like any other."""
    assert (f"{tmp_path}: cannot be read: Is a directory",) == problems(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file(write: Write) -> None:
    """A file that may not be read is a problem like any other."""
    file = write("")
    file.chmod(0)

    assert (f"{file}: cannot be read: Permission denied",) == problems(file)


def test_contradiction() -> None:
    """Pauses cannot grow to less than they begin with."""
    assert problems(sets=["camera.porch.retry_min=2", "camera.porch.retry_max=1"]) == (
        "--set camera.porch.retry_max: camera.porch.retry_max (1.0) is less than retry_min (2.0)",
    )


def test_password_in_a_wrong_value() -> None:
    """A value that cannot be used is shown with its password masked, and cut short."""
    (found,) = problems(sets=["camera.cam.fps=rtsp://me:hidden@camera/" + "x" * 500])

    assert "hidden" not in found
    assert len(found) < 200


def test_find_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without `--config` the file is `mjpegd.toml` in the current folder, if there is one."""
    monkeypatch.chdir(tmp_path)
    assert find_file() in (None, Path("/etc/mjpegd/mjpegd.toml"))
    (tmp_path / "mjpegd.toml").touch()

    assert Path("mjpegd.toml") == find_file()


def test_contradictions_are_told_with_everything_else(write: Write) -> None:
    """A malformed USB identity is a problem of its line, beside whatever else is wrong."""
    file = write('[server]\nport = "x"\n[camera.porch]\nsource = "usb:046d"\n')

    first, second = problems(file)
    assert first.startswith(f"{file}:2: server.port")
    assert second.startswith(f"{file}:4: camera.porch.source must be usb:VID:PID")


@pytest.mark.parametrize(
    "item",
    ["rtsp://me:hidden@camera/", "camera.rtsp://me:hidden@camera/.fps=1", 'camera.porch.fps=["rtsp://me:hidden@c/"]'],
)
def test_no_problem_repeats_a_password(item: str) -> None:
    """Whatever was mistyped, wherever: a URL in it is shown without its password."""
    assert "hidden" not in "".join(problems(sets=[item]))
