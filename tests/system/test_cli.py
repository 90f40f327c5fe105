"""The command line: every command, its exit codes, what it prints and where."""

import json
import os
import signal
import socket
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest

from mjpegd import __version__
from tests.daemon import SECONDS, Daemon, cli, join, pattern
from tests.system.client import fetch, is_whole, size
from tests.system.fakecam import HEIGHT, WIDTH, Camera, read_stamp, unstamped

COMMANDS = ("run", "check", "config", "probe", "snapshot", "key", "share", "print-config")
BLANK = ("--config", os.devnull)
SMALL = [word for key, value in pattern().items() for word in ("--set", f"{key}={value}")]
GUARDED = "rtsp://user:hunter2@127.0.0.1:1/"


def lines(text: str) -> list[str]:
    """The lines of a text, which must not hold a traceback."""
    assert "Traceback" not in text
    return text.splitlines()


def test_version_is_the_packages() -> None:
    """`mjpegd --version` prints name and version."""
    ended = cli("--version")
    assert (ended.returncode, ended.stdout) == (0, f"mjpegd {__version__}\n")


def test_help_names_every_command_and_where_settings_come_from() -> None:
    """`mjpegd --help` lists the commands, the files looked for, the environment and `--set`."""
    ended = cli("--help")
    assert ended.returncode == 0
    for word in (*COMMANDS, "mjpegd.toml", "/etc/mjpegd/mjpegd.toml", "MJPEGD_SERVER__PORT", "--set", "--example"):
        assert word in ended.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_explains_each_of_its_options(command: str) -> None:
    """`mjpegd COMMAND --help` has a sentence for the command and words behind every option."""
    ended = cli(command, "--help")
    assert ended.returncode == 0
    assert f"usage: mjpegd {command}" in ended.stdout
    about, _, options = ended.stdout.partition("options:\n")
    assert len(about.split("\n\n")[1]) > 10
    entries = [entry for entry in options.split("\n  -") if entry.strip()]
    assert entries
    for entry in entries:
        assert len(entry.split()) > 3, entry


@pytest.mark.parametrize(
    "words", [["frobnicate"], ["run", "extra"], ["snapshot"], ["snapshot", "cam"], ["config", "--nonsense"], ["-x"]]
)
def test_arguments_that_make_no_sense_are_exit_code_2(words: Sequence[str]) -> None:
    """Unknown commands and options, and missing arguments, are told on standard error with exit code 2."""
    ended = cli(*words)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert lines(ended.stderr)[0].startswith("usage: mjpegd")


def test_all_configuration_errors_come_at_once_and_nothing_starts(tmp_path: Path) -> None:
    """Every problem of file, environment and command line is one line with its place; no port is opened."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    file = tmp_path / "mjpegd.toml"
    file.write_text(
        f"""\
[server]
port = {port}
hots = "0.0.0.0"

[camera.porch]
fps = "many"
quality = 101

[camera."Bad Name"]
source = "pattern"

[sever]
port = 1
"""
    )
    ended = cli(
        "run",
        *("--config", file),
        *("--set", "camera.porch.width=wide", "--set", "nonsense"),
        environment={"MJPEGD_SERVER__HEARTBEAT": "-1"},
    )
    assert ended.returncode == 2
    assert ended.stdout == ""
    problems = lines(ended.stderr)
    for place, words in (
        (f"{file}:3", "did you mean host?"),
        (f"{file}:6", "camera.porch.fps must be a number"),
        (f"{file}:7", "camera.porch.quality must be a whole number from 1 to 100"),
        (f"{file}:10", "camera name"),
        (f"{file}:13", "did you mean server?"),
        ("MJPEGD_SERVER__HEARTBEAT", "server.heartbeat must be a number above 0"),
        ("--set camera.porch.width", "camera.porch.width must be a whole number"),
        ("--set nonsense", "section.key=value"),
    ):
        found = [line for line in problems if f"mjpegd: {place}: " in line and words in line]
        assert len(found) == 1, (place, problems)
    assert len(problems) == 8


@pytest.mark.parametrize("command", ["run", "check", "config"])
def test_a_bad_configuration_is_exit_code_2_for_every_command(command: str) -> None:
    """Each command that reads the configuration refuses a bad one in the same words."""
    ended = cli(command, *BLANK, "--set", "server.port=70000")
    assert ended.returncode == 2
    assert lines(ended.stderr) == [
        "mjpegd: --set server.port: server.port must be a whole number from 0 to 65535, not '70000'"
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "cannot be read"), (b"[server\n", "is not valid TOML"), (b"\xff\xfe", "is not UTF-8 text")],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None, words: str) -> None:
    """A missing, malformed or binary file is one line with its name."""
    file = tmp_path / "mjpegd.toml"
    if content is not None:
        file.write_bytes(content)
    ended = cli("config", "--config", file)
    assert ended.returncode == 2
    (line,) = lines(ended.stderr)
    assert str(file) in line
    assert words in line


def test_a_bad_value_does_not_show_a_password() -> None:
    """A problem with a URL in it shows the URL masked."""
    ended = cli("config", *BLANK, "--set", f"server.port={GUARDED}", "--set", f"camera.cam.fps={GUARDED}")
    assert ended.returncode == 2
    assert len(lines(ended.stderr)) == 2
    assert "hunter2" not in ended.stderr


def test_config_prints_what_is_in_force_with_secrets_masked(tmp_path: Path) -> None:
    """`mjpegd config` prints TOML of all layers: file, then environment, then `--set`, passwords masked."""
    file = tmp_path / "mjpegd.toml"
    file.write_text(f'[server]\nport = 1\nheartbeat = 2\nhost = "::1"\n[camera.porch]\nsource = "{GUARDED}"\nfps = 5\n')
    environment = {"MJPEGD_SERVER__HEARTBEAT": "3", "MJPEGD_SERVER__PORT": "2", "MJPEGD_CAMERA__PORCH__FPS": "6.5"}
    sets = ("--set", "server.port=3", "--set", "camera.attic.source=pattern")
    ended = cli("config", "--config", file, *sets, environment=environment)
    assert (ended.returncode, ended.stderr) == (0, "")
    config = tomllib.loads(ended.stdout)
    assert (config["server"]["host"], config["server"]["heartbeat"], config["server"]["port"]) == ("::1", 3.0, 3)
    assert list(config["camera"]) == ["porch", "attic"]
    assert config["camera"]["porch"]["fps"] == 6.5
    assert config["camera"]["porch"]["source"] == "rtsp://user:***@127.0.0.1:1/"
    assert config["camera"]["attic"]["source"] == "pattern"
    assert "hunter2" not in ended.stdout


def test_config_example_is_a_configuration(tmp_path: Path) -> None:
    """`mjpegd config --example` prints a commented file that loads as the defaults."""
    example = cli("config", "--example", *BLANK)
    assert example.returncode == 0
    file = tmp_path / "mjpegd.toml"
    file.write_text(example.stdout)
    assert "#" in example.stdout
    assert cli("config", "--config", file).stdout == cli("config", *BLANK).stdout


def test_a_file_in_the_folder_is_found(tmp_path: Path) -> None:
    """Without `--config` the `mjpegd.toml` of the current folder is read."""
    (tmp_path / "mjpegd.toml").write_text("[server]\nport = 1234\n")
    assert tomllib.loads(cli("config", folder=tmp_path).stdout)["server"]["port"] == 1234


def test_without_any_file_the_defaults_are_used(tmp_path: Path) -> None:
    """An empty folder means every default: loopback, port 8080, one camera `cam` with source auto."""
    config = tomllib.loads(cli("config", folder=tmp_path).stdout)
    assert (config["server"]["host"], config["server"]["port"]) == ("127.0.0.1", 8080)
    assert {name: camera["source"] for name, camera in config["camera"].items()} == {"cam": "auto"}


@pytest.mark.parametrize("program", [(sys.executable, "-m", "mjpegd"), (Path(sys.executable).parent / "mjpegd", "run")])
def test_mjpegd_alone_is_run(tmp_path: Path, program: Sequence[str | Path]) -> None:
    """Without a command, as module or as installed script, mjpegd serves; it says where on its first line."""
    with Daemon(pattern(), program=program, config=None, folder=tmp_path) as daemon:
        assert fetch(daemon, "/health").status == 200
        first = json.loads(daemon.raw_log[0])
        assert first["page"] == f"{daemon.url}/"
        assert first["stream"] == f"{daemon.url}/stream"
        assert daemon.wait_log("camera live")["camera"] == "cam"
    assert daemon.process.returncode == 0


def test_environment_and_set_configure_a_running_daemon() -> None:
    """Cameras may come from the environment and from `--set`, the latter winning."""
    environment = {
        "MJPEGD_CAMERA__ENV__SOURCE": "pattern",
        "MJPEGD_CAMERA__ENV__WIDTH": "160",
        "MJPEGD_CAMERA__ENV__HEIGHT": "120",
        "MJPEGD_CAMERA__CAM__WIDTH": "7000",
    }
    with Daemon(pattern(), environment=environment) as daemon:
        daemon.wait_state("live", "env")
        daemon.wait_state("live", "cam")
        assert size(fetch(daemon, "/snapshot/env").body) == (160, 120)
        assert size(fetch(daemon, "/snapshot/cam").body) == (320, 240)


@pytest.mark.parametrize("style", ["console", "journal"])
def test_the_log_can_be_read_by_people_and_by_journald(style: str) -> None:
    """`log.format` console is a line for people, journal one with journald's level in front; both name the URL."""
    command = [sys.executable, "-m", "mjpegd", "run", *BLANK, *SMALL, "--set", "server.port=0"]
    with subprocess.Popen(
        [*command, "--set", f"log.format={style}"], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        rest = process.stderr.read()
        assert process.wait(5 * SECONDS) == 0
    assert "mjpegd listens" in first
    assert "http://127.0.0.1:" in first
    assert first.startswith("<6>") is (style == "journal")
    assert "stopped" in lines(rest)[-1]


def test_check_tries_every_camera() -> None:
    """`mjpegd check` says of each camera what it gives or why not; one that gives nothing is exit code 1."""
    sets = [*SMALL, "--set", "camera.gone.source=/dev/video99"]
    ended = cli("check", *BLANK, *sets)
    assert ended.returncode == 1
    said = lines(ended.stdout)
    assert said[0] == "configuration: ok"
    assert said[1].startswith("camera cam: ok: 320x240")
    assert "fps" in said[1]
    assert said[2] == "camera gone: not plugged in"


def test_check_of_a_good_camera_is_exit_code_0(camera: Camera) -> None:
    """`mjpegd check` with a camera that works ends with 0 and says what it measured."""
    sets = ["--set", "camera.cam.source=/dev/video0", "--set", f"camera.cam.width={WIDTH}"]
    environment = {"LD_PRELOAD": str(camera.library), **camera.environment()}
    ended = cli("check", *BLANK, *sets, environment=environment)
    assert ended.returncode == 0, ended
    assert f"camera cam: ok: {WIDTH}x{HEIGHT} MJPG from /dev/video0" in ended.stdout


def test_check_shows_no_password() -> None:
    """`mjpegd check` of a source that refuses is exit code 1 without its password anywhere."""
    ended = cli("check", *BLANK, "--set", f"camera.cam.source={GUARDED}", "--set", "camera.cam.open_timeout=2")
    assert ended.returncode == 1
    assert "cannot be reached" in ended.stdout
    assert "hunter2" not in ended.stdout + ended.stderr


def test_probe_lists_cameras_with_their_modes(camera: Camera) -> None:
    """`mjpegd probe` lists each device with formats, sizes and rates, and the line for the configuration."""
    environment = {"LD_PRELOAD": str(camera.library), **camera.environment(devices="/dev/video0,/dev/video1")}
    ended = cli("probe", environment=environment)
    assert ended.returncode == 0, ended
    assert "/dev/video0: Fakecam 0" in ended.stdout
    assert "/dev/video1: Fakecam 1" in ended.stdout
    assert 'source = "/dev/video0"' in ended.stdout
    assert f"{WIDTH}x{HEIGHT} at 30, 15" in ended.stdout
    assert "YUYV" in ended.stdout


def test_probe_without_cameras_says_so(camera: Camera) -> None:
    """`mjpegd probe` where there are none says that, with exit code 1."""
    camera.unplug()
    environment = {"LD_PRELOAD": str(camera.library), **camera.environment()}
    ended = cli("probe", environment=environment)
    assert (ended.returncode, ended.stdout) == (1, "no V4L2 cameras found\n")


def test_probe_opens_a_url_and_says_what_it_gives() -> None:
    """`mjpegd probe URL` says size, format and measured rate of what is there."""
    with Daemon(pattern(fps=20)) as daemon:
        daemon.wait_state("live")
        ended = cli("probe", f"{daemon.url}/stream")
    assert ended.returncode == 0, ended
    (line,) = lines(ended.stdout)
    assert line.startswith(f"{daemon.url}/stream: ok: 320x240")
    assert "fps measured" in line


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("/no/such/file.mp4", "no such file"),
        ("/dev/video99", "not plugged in"),
        ("usb:nonsense", "usb:VID:PID"),
        (GUARDED, "cannot be reached"),
    ],
)
@pytest.mark.parametrize("command", ["probe", "snapshot"])
def test_a_source_that_gives_nothing_is_exit_code_1(tmp_path: Path, command: str, source: str, words: str) -> None:
    """Probe and snapshot of a source that is not there say why on standard error, without its password."""
    output: list[str | Path] = ["-o", tmp_path / "x.jpg", *BLANK] if command == "snapshot" else []
    ended = cli(command, source, *output, "--timeout", "2")
    assert ended.returncode == 1
    assert ended.stdout == ""
    (line,) = lines(ended.stderr)
    assert words in line
    assert "hunter2" not in line
    assert not (tmp_path / "x.jpg").exists()


def test_snapshot_of_a_configured_camera(tmp_path: Path) -> None:
    """`mjpegd snapshot CAMERA -o FILE` writes one picture of the camera in the configuration."""
    file = tmp_path / "x.jpg"
    ended = cli("snapshot", "cam", "-o", file, *BLANK, *SMALL)
    assert ended.returncode == 0, ended
    assert size(file.read_bytes()) == (320, 240)
    assert str(file) in ended.stdout


def test_snapshot_of_a_device_is_the_cameras_own_picture(camera: Camera, tmp_path: Path) -> None:
    """`mjpegd snapshot /dev/video0` writes the camera's JPEG as it came."""
    file = tmp_path / "x.jpg"
    environment = {"LD_PRELOAD": str(camera.library), **camera.environment()}
    ended = cli("snapshot", "/dev/video0", "-o", file, *BLANK, environment=environment)
    assert ended.returncode == 0, ended
    picture = file.read_bytes()
    assert read_stamp(picture)
    assert unstamped(picture) in camera.files()


@pytest.mark.parametrize("path", ["/snapshot", "/stream"])
def test_snapshot_of_a_running_daemon(tmp_path: Path, path: str) -> None:
    """`mjpegd snapshot URL` takes a picture from a snapshot address, and from a stream too."""
    file = tmp_path / "x.jpg"
    with Daemon(pattern()) as daemon:
        daemon.wait_state("live")
        ended = cli("snapshot", f"{daemon.url}{path}", "-o", file, *BLANK)
    assert ended.returncode == 0, ended
    assert size(file.read_bytes()) == (320, 240)


def test_snapshot_to_standard_output_is_nothing_but_the_picture() -> None:
    """`-o -` writes the JPEG and not a byte more."""
    ended = subprocess.run(
        [sys.executable, "-m", "mjpegd", "snapshot", "cam", "-o", "-", *BLANK, *SMALL],
        capture_output=True,
        check=False,
        timeout=30 * SECONDS,
    )
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert is_whole(ended.stdout)
    assert size(ended.stdout) == (320, 240)


def test_snapshot_of_a_camera_without_a_picture_says_why(tmp_path: Path) -> None:
    """A running mjpegd that answers 503 is exit code 1 with its status in words."""
    with Daemon({"camera.cam.source": "/dev/video99"}) as daemon:
        ended = cli("snapshot", f"{daemon.url}/snapshot", "-o", tmp_path / "x.jpg", *BLANK)
    assert ended.returncode == 1
    (line,) = lines(ended.stderr)
    assert "503" in line
    assert not (tmp_path / "x.jpg").exists()


def test_a_file_that_cannot_be_written_is_exit_code_2(tmp_path: Path) -> None:
    """A snapshot into a folder that is not there says so."""
    ended = cli("snapshot", "cam", "-o", tmp_path / "no" / "x.jpg", *BLANK, *SMALL)
    assert ended.returncode == 2
    (line,) = lines(ended.stderr)
    assert "cannot write" in line


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_listening_everywhere_prints_an_address_to_click(host: str) -> None:
    """With every address listened on the log names the loopback one, which works."""
    with Daemon(join(pattern(), {"server.host": host, "auth.anonymous": "view"})) as daemon:
        page = daemon.wait_log("mjpegd listens")["page"]
        assert page.startswith("http://127.0.0.1:" if host == "0.0.0.0" else "http://[::1]:")
        family = socket.AF_INET if host == "0.0.0.0" else socket.AF_INET6
        with socket.socket(family) as client:
            client.connect(("127.0.0.1" if host == "0.0.0.0" else "::1", daemon.port))
