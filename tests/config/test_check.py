"""Contradictions, and what would open the door to everybody: each one line, with its place."""

import datetime
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mjpegd.config.check import is_local, is_network, moment
from mjpegd.config.hashing import hashed
from mjpegd.config.load import load
from mjpegd.errors import ConfigError

SECRET = "correct horse"  # noqa: S105  (a test's)
KEY = f"key.wall.secret={SECRET}"


def problems(*sets: str, file: Path | None = None, environment: Mapping[str, str] | None = None) -> list[str]:
    """What is wrong with these settings; nothing if they are good."""
    try:
        load(file, environment, sets)
    except ConfigError as error:
        return list(error.problems)
    return []


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost", "unix:/run/mjpegd/http.sock"])
def test_loopback_needs_no_key(host: str) -> None:
    """On loopback and on a unix socket it listens without keys."""
    assert problems(f"server.host={host}") == []
    assert is_local(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "2001:db8::1", "camera.local", "localhost.example.org"])
def test_an_open_door(host: str) -> None:
    """Beyond loopback it wants a key, or the word of the operator that all may look."""
    (problem,) = problems(f"server.host={host}")

    assert problem.startswith(f"--set server.host: server.host ({host}) lets everybody in: add a key")
    assert problems(f"server.host={host}", KEY) == []
    assert problems(f"server.host={host}", "auth.anonymous=view") == []
    assert not is_local(host)


@given(st.text())
def test_no_host_is_taken_for_local(host: str) -> None:
    """A host that is no address, localhost or unix socket is never taken for one that lets nobody in."""
    named = host == "localhost" or host.startswith(("unix:", "127.", "::"))

    assert named or not is_local(host)


@pytest.mark.parametrize(
    ("key", "least", "unit"),
    [
        ("camera.porch.stream_width", 16, " pixels"),
        ("camera.porch.stream_height", 16, " pixels"),
        ("camera.porch.stream_fps", 0.1, ""),
        ("rendition.mobile.width", 16, " pixels"),
        ("rendition.mobile.height", 16, " pixels"),
        ("rendition.mobile.fps", 0.1, ""),
    ],
)
def test_none_or_enough(key: str, least: float, unit: str) -> None:
    """A side or a pace is 0, for none, or no less than what a viewer may ask for."""
    small = least / 2 if unit == "" else round(least) - 1

    assert problems(f"{key}=0") == problems(f"{key}={least}") == []
    assert problems(f"{key}={small}") == [f"--set {key}: {key} must be 0 or {least:g}{unit} at least, not {small:g}"]


def test_the_name_of_what_is_passed_through(tmp_path: Path) -> None:
    """No table takes the name of the camera's own pictures, which would be another's then; it is told where it is."""
    file = tmp_path / "mjpegd.toml"
    said = "rendition.passthrough is the name of the camera's own pictures, which stay as they are"
    for keys in ("width = 40\nquality = 50\n", ""):
        file.write_text(f"[rendition.small]\nwidth = 40\n\n[rendition.passthrough]\n{keys}")
        assert problems(file=file) == [f"{file}:{5 if keys else 4}: {said}"]
    assert problems("rendition.passthrough.fps=5") == [f"--set rendition.passthrough.fps: {said}"]


@pytest.mark.parametrize("secret", [SECRET, "12345678", hashed(SECRET), "sha256" * 3])
def test_secrets(secret: str) -> None:
    """A secret is a text of eight characters at least, or a hash."""
    assert problems(f"key.wall.secret={secret}") == []


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        ("", "is missing: `mjpegd key NAME` makes one"),
        ("1234567", "is shorter than 8 characters"),
        ("sha256:", "must be sha256: and 64 hexadecimal digits in lower case"),
        ("sha256:" + "a" * 63, "must be sha256: and 64 hexadecimal digits in lower case"),
        ("sha256:" + "a" * 65, "must be sha256: and 64 hexadecimal digits in lower case"),
        ("sha256:" + "A" * 64, "must be sha256: and 64 hexadecimal digits in lower case"),
        ("sha256:" + "g" * 64, "must be sha256: and 64 hexadecimal digits in lower case"),
    ],
)
def test_bad_secrets(secret: str, said: str) -> None:
    """A secret that is none is one line, with its place and without the secret."""
    assert problems(f"key.wall.secret={secret}") == [f"--set key.wall.secret: key.wall.secret {said}"]


def test_a_key_without_a_secret() -> None:
    """A key of which everything is said but its secret is told where it stands."""
    assert problems("key.wall.scopes=view") == [
        "--set key.wall.scopes: key.wall.secret is missing: `mjpegd key NAME` makes one"
    ]


def test_keys_without_secrets() -> None:
    """Two keys without a secret are two lines: what is missing is not the same as something."""
    assert len(problems("key.wall.scopes=view", "key.lapse.scopes=snapshot")) == 2


@pytest.mark.parametrize("second", [SECRET, hashed(SECRET)])
def test_twins(second: str) -> None:
    """Two keys with one secret, hashed or not, would be one key with two names: the second is refused."""
    assert problems(KEY, f"key.lapse.secret={second}") == [
        "--set key.lapse.secret: key.lapse.secret is the same as that of key.wall"
    ]


@pytest.mark.parametrize(
    "expires", ["", "2027-01-31", "2027-01-31T12:00:00Z", "2027-01-31 12:00", "2027-01-31T12:00:00+02:00", "2020-01-01"]
)
def test_expiries(expires: str) -> None:
    """A key expires on a date or at a time, with a zone or without, and may have done so long ago."""
    assert problems(KEY, f"key.wall.expires={expires}") == []


@pytest.mark.parametrize(
    "expires", ["soon", "31.1.2027", "2027-02-30", "2h", "1800000000", "0001-01-01T00:00:00+14:00"]
)
def test_bad_expiries(expires: str) -> None:
    """An expiry that is no date is told, together with how one is written."""
    assert problems(KEY, f"key.wall.expires={expires}") == [
        f"--set key.wall.expires: key.wall.expires must be a date or time as 2027-01-31T12:00:00Z, not {expires!r}"
    ]


@pytest.mark.parametrize("value", ["2027-01-31", "2027-01-31T12:00:00Z", "2027-01-31T12:00:00", '"2027-01-31"'])
def test_toml_has_dates(value: str, tmp_path: Path) -> None:
    """In a file an expiry may be a date of TOML's own."""
    file = tmp_path / "mjpegd.toml"
    file.write_text(f'[key.wall]\nsecret = "{SECRET}"\nexpires = {value}\n')

    assert moment(load(file).key["wall"].expires).year == 2027


ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: datetime.timezone(datetime.timedelta(minutes=minutes)))


@given(st.datetimes(datetime.datetime(1971, 1, 2), datetime.datetime(9998, 1, 1), timezones=ZONES))  # noqa: DTZ001  (bounds)
def test_a_moment_is_read_as_it_is_written(when: datetime.datetime) -> None:
    """What is written with its zone is that moment."""
    assert moment(when.isoformat()) == when


@pytest.mark.parametrize("date", ["2027-01-31", "20270131"])
def test_a_date_is_good_to_its_end(date: str) -> None:
    """A date stands for its whole day, a time for its moment."""
    assert moment(date) == moment("2027-02-01T00:00:00")
    assert moment("2027-01-31T00:00") + datetime.timedelta(days=1) == moment(date)


def test_cameras_of_a_key() -> None:
    """A key for a camera that there is not is told with those there are: it would open nothing, or one day too much."""
    assert problems(KEY, "key.wall.cameras=porch, attic", "camera.porch.fps=5", "camera.cellar.fps=5") == [
        "--set key.wall.cameras: key.wall.cameras names 'attic', which is no camera; known are porch, cellar"
    ]
    assert problems(KEY, "key.wall.cameras=cam") == []


@pytest.mark.parametrize("value", ["10.0.0.0/8", "10.0.0.1", "10.0.0.1/8", "2001:db8::/32", "::1", "unix", ""])
def test_proxies(value: str) -> None:
    """Proxies are addresses, networks, or `unix`."""
    assert problems(f"server.trusted_proxies={value}") == []
    assert value in ("unix", "") or is_network(value)


@pytest.mark.parametrize("value", ["10.0.0.0/33", "proxy.local", "10.0.0", "*", "unix:/run/x", "Unix"])
def test_bad_proxies(value: str) -> None:
    """Anything else is told: a proxy that is not meant would be believed, or one that is meant would not."""
    assert problems(f"server.trusted_proxies=127.0.0.1,{value}") == [
        (
            "--set server.trusted_proxies: server.trusted_proxies must be addresses or networks as 10.0.0.0/8, "
            f"or unix, not {value!r}"
        )
    ]


@pytest.mark.parametrize("value", ["cam.local", "*.example.org", "box_1", "192.0.2.7", "[2001:db8::1]", "2001:db8::1"])
def test_hosts(value: str) -> None:
    """Hosts are names, names below a name, or addresses."""
    assert problems(f"server.allowed_hosts={value}") == []


@pytest.mark.parametrize("value", ["cam.local:8080", "http://cam.local", "*", "a*b", "*.*.org", "cam.local/", "a b"])
def test_bad_hosts(value: str) -> None:
    """A host with a port, a scheme or a star elsewhere would never match, and is told."""
    assert problems(f"server.allowed_hosts={value}") == [
        (
            "--set server.allowed_hosts: server.allowed_hosts must be host names without a port, as cam.local, "
            f"not {value!r}"
        )
    ]


@pytest.mark.parametrize("value", ["*", "null", "https://dash.example.org", "http://box:3000", "moz-extension://abc-1"])
def test_origins(value: str) -> None:
    """Origins are scheme, host and port, or every one."""
    assert problems(f"server.cors_origins={value}") == []


@pytest.mark.parametrize(
    "value", ["dash.example.org", "https://a.org/", "https://a.org/x", "https://", "https://a org", "**"]
)
def test_bad_origins(value: str) -> None:
    """An origin as no browser sends it is told."""
    assert problems(f"server.cors_origins={value}") == [
        (
            "--set server.cors_origins: server.cors_origins must be origins as https://dash.example.org, "
            f"or *, not {value!r}"
        )
    ]


@pytest.mark.parametrize("value", ["", "/cams", "/a/b-c_d~e.f", "/%"])
def test_base_path(value: str) -> None:
    """A base path is a plain path; one that needs quoting is refused."""
    assert len(problems(f"server.base_path={value}")) == ("%" in value)


@pytest.mark.parametrize("value", ["cams", "/cams/", "/", "//a", "/a b", "/ü", '/"', "/a?b", "/a\n"])
def test_bad_base_paths(value: str) -> None:
    """A base path that would break an address, a page or a header is told with how one is written."""
    assert problems(environment={"MJPEGD_SERVER__BASE_PATH": value}) == [
        (
            "MJPEGD_SERVER__BASE_PATH: server.base_path must be a path as /cams, without a slash at its end, "
            f"not {value!r}"
        )
    ]


@pytest.mark.parametrize("value", ["", "https://cam.example.org", "http://box:8080", "http://[2001:db8::1]:8080"])
def test_public_url(value: str) -> None:
    """The address that people reach it by is scheme, host and port."""
    assert problems(f"server.public_url={value}") == []


@pytest.mark.parametrize("value", ["cam.example.org", "https://a.org/", "ftp://a.org", "https://", "https://u:p@a.org"])
def test_bad_public_urls(value: str) -> None:
    """Anything else is told, and no password in it."""
    (problem,) = problems(f"server.public_url={value}")

    assert problem.startswith(
        "--set server.public_url: server.public_url must be http:// or https:// and a host, without a path, not "
    )
    assert "u:p@" not in problem


def test_tls(tmp_path: Path) -> None:
    """HTTPS needs two files that can be found."""
    here = tmp_path / "cert.pem"
    here.touch()

    assert problems(f"tls.certificate={here}", f"tls.key={here}") == []
    assert problems(f"tls.certificate={here}") == [
        "--set tls.certificate: tls.key is missing: HTTPS needs certificate and key"
    ]
    assert problems(f"tls.key={here}") == ["--set tls.key: tls.certificate is missing: HTTPS needs certificate and key"]
    assert problems(f"tls.certificate={here}", "tls.key=/nonexistent/key.pem") == [
        "--set tls.key: tls.key (/nonexistent/key.pem) cannot be read: No such file or directory"
    ]
    assert len(problems(f"tls.certificate={tmp_path}", "tls.key=/nonexistent/key.pem")) == 2


PEM = "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n"


@pytest.mark.parametrize("times", [1, 30, 500])
def test_a_key_in_place_of_its_file(times: int, tmp_path: Path) -> None:
    """Who pastes the private key itself is told that a file is wanted, and the key is not repeated."""
    here, file = tmp_path / "cert.pem", tmp_path / "mjpegd.toml"
    here.touch()
    file.write_text(f'[tls]\ncertificate = "{here}"\nkey = """{PEM.format("MIGHAgEAhunter2/" * times)}"""\n')
    (problem,) = problems(file=file)

    assert problem.startswith(f"{file}:3: tls.key ")
    assert "hunter2" not in problem
    assert "\n" not in problem


@pytest.mark.parametrize("name", ["x" * 300, "/tmp/\0/key"], ids=["long", "zero"])  # noqa: S108  (is no file)
def test_a_name_that_cannot_be_one(name: str) -> None:
    """A name that no file can have is one line like any other that is not found."""
    assert len(problems("tls.certificate=/etc/passwd", f"tls.key={name}")) == 1


@pytest.mark.parametrize(
    "sets",
    [
        ("key.wall.secret=credential:nothing",),
        ("key.wall.secret=1234567", "key.lapse.secret=12345678"),
        ("camera.cam.retry_min=60", "camera.cam.retry_max=x"),
        ("camera.cam.retry_min=60",),
        ("tls.certificate=credential:nothing", "tls.key=/etc/passwd"),
        ("server.port=x", KEY),
        ("auth.anonymous=look",),
        ("auth.anonymous=view,look",),
        ("key.wall.scopes=view,look", KEY),
        ("server.trusted_proxies=10.0.0.0/99", KEY),
        ("limits.burst=0",),
        ("limits.viewers=-1",),
        ("server.public_url=x",),
        ("camera.cam.source=usb:046d",),
    ],
)
def test_one_mistake_is_one_line(sets: Sequence[str]) -> None:
    """Each bad value is one line with the place it was set at, and nothing that only follows from it."""
    found = problems(*sets)

    assert len(found) == 1
    assert found[0].startswith("--set ")
    assert "\n" not in found[0]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ('[key.wall]\nsecret = "hunter2"\n', 2),
        ("[key.wall]\nsecret = 5\n", 2),
        ('[key.wall]\nscopes = ["view"]\nsecrets = "hunter2hunter2"\n', 3),
        ('[key.wall]\nsecret = ["hunter2hunter2"]\n', 2),
        ('[key]\nsecret = "hunter2hunter2"\n', 2),
        ('[key]\nwall = "hunter2hunter2"\n', 2),
        ('[key.Wall]\nsecret = "hunter2hunter2"\n', 2),
        ('[keys.wall]\nsecret = "hunter2hunter2"\n', 2),
        ('[key.wall]\nsecret = "sha256:hunter2"\n', 2),
        ('[key.wall.x]\nsecret = "hunter2hunter2"\n', 2),
    ],
)
def test_no_error_shows_a_secret(content: str, line: int, tmp_path: Path) -> None:
    """However a secret is mistyped or misplaced, no line repeats it, and the first says where it stands."""
    file = tmp_path / "mjpegd.toml"
    file.write_text(content)
    found = problems(file=file)

    assert found[0].startswith((f"{file}:{line}: ", f"{file}:1: "))
    assert "hunter2" not in "".join(found)


def test_a_command_that_does_not_listen() -> None:
    """What matters only to a daemon that listens is no problem for a command that only reads; all else is."""
    with pytest.raises(ConfigError):
        load(sets=["server.host=0.0.0.0"])
    sets = [
        "server.host=0.0.0.0",
        "tls.certificate=/nonexistent",
        "tls.key=/nonexistent",
        "key.wall.secret=credential:wall",
    ]

    assert load(sets=sets, listening=False).server.host == "0.0.0.0"
    with pytest.raises(ConfigError):
        load(sets=["server.trusted_proxies=x"], listening=False)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    """A private key that the daemon's user may not read is one line with the system's reason."""
    closed = tmp_path / "private"
    closed.mkdir(mode=0o700)
    sets = [f"tls.certificate={closed}/c", f"tls.key={closed}/k"]
    ended = subprocess.run([sys.executable, "-c", AS_NOBODY, *sets], check=True, capture_output=True, text=True)

    assert ended.stdout.splitlines() == [
        f"--set tls.{name}: tls.{name} ({closed}/{name[0]}) cannot be read: Permission denied"
        for name in ("certificate", "key")
    ]


AS_NOBODY = """\
import os, sys
from mjpegd.config.load import load
from mjpegd.errors import ConfigError
os.setuid(65534)
try:
    load(sets=sys.argv[1:])
except ConfigError as error:
    print(error)
"""


def test_a_secret_that_is_no_text() -> None:
    """A secret from the environment that is not UTF-8 is one line, and not an error in the middle of the start."""
    (problem,) = problems(environment={"MJPEGD_KEY__WALL__SECRET": "\udcff" * 8})

    assert problem.startswith("MJPEGD_KEY__WALL__SECRET: ")


@pytest.mark.parametrize(
    ("option", "good"),
    [
        ("user_agent=mjpegd", True),
        ("max_delay=", True),
        ("rtsp_transport", False),
        ("a=b;c", False),
        ("a=b|c=d", False),
    ],
)
def test_ffmpeg_options(option: str, good: bool) -> None:  # noqa: FBT001  (a row)
    """Each of FFmpeg's options is KEY=VALUE, and cannot smuggle in another; what it holds is not repeated."""
    said = problems(f"camera.cam.ffmpeg_options={option}")
    expected = "--set camera.cam.ffmpeg_options: camera.cam.ffmpeg_options must be KEY=VALUE each, without ; and |"

    assert said == ([] if good else [expected])


@pytest.mark.parametrize(
    ("token", "good"), [("a-token.of_one/word=", True), ("two words", False), ("zweifach-ü", False)]
)
def test_tokens(token: str, good: bool) -> None:  # noqa: FBT001  (a row)
    """A token is one that a header can carry, and is not repeated where it is none."""
    said = problems(f"camera.cam.token={token}")

    assert (said == []) is good
    assert token not in "".join(said)
