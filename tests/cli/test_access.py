"""`mjpegd key` and `mjpegd share`: what they print, and that it opens the door."""

import argparse
import os
import re
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mjpegd.access.keys import Keyring
from mjpegd.access.shares import FILE, Share, Shares
from mjpegd.access.state import secret
from mjpegd.access.tokens import Signer
from mjpegd.cli import main
from mjpegd.cli.access import LONGEST_TTL, UNITS, seconds
from mjpegd.config.check import moment
from mjpegd.config.load import load
from tests.clock import Clock, stop_clocks

BLANK = ("--config", os.devnull)
PORCH = (*BLANK, "--set", "camera.porch.source=pattern", "--set", "camera.attic.source=pattern")

Out = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The state folder, as systemd names it; and nothing else of the operator's environment."""
    for name in os.environ:
        if name.startswith("MJPEGD_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "state"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time of day."""
    names = ("mjpegd.cli.access.time", "mjpegd.access.shares.time", "mjpegd.access.keys.time")
    return stop_clocks(monkeypatch, *names)


def key(capsys: Out, *words: str) -> tuple[str, str]:
    """The key that is printed, and the lines for the configuration."""
    assert main(["key", *words]) == 0
    first, second, lines = capsys.readouterr().out.split("\n", 2)
    assert second == "# These lines go into the configuration:"
    return first.removeprefix("# The key, shown this once: "), lines


def test_a_key_works(capsys: Out, tmp_path: Path) -> None:
    """The lines that are printed are configuration, and the key that is printed opens it."""
    made, lines = key(capsys, "kitchen-tablet")
    file = tmp_path / "mjpegd.toml"
    file.write_text(lines)
    config = load(file)
    holder = Keyring(config.key).find(made)

    assert holder is not None
    assert (holder.name, holder.scopes, holder.cameras) == ("kitchen-tablet", {"view", "snapshot"}, set())
    assert made not in lines
    assert len(made) == 43


def test_a_key_with_everything(capsys: Out, tmp_path: Path, clock: Clock) -> None:
    """Scopes, cameras and an end that were asked for stand in the lines."""
    _, lines = key(capsys, "wall", "--scopes", "view, admin", "--cameras", "porch,attic", "--ttl", "2h")
    file = tmp_path / "mjpegd.toml"
    file.write_text(f'{lines}[camera.porch]\nsource = "pattern"\n[camera.attic]\nsource = "pattern"\n')
    made = load(file).key["wall"]

    assert (made.scopes, made.cameras) == (("view", "admin"), ("porch", "attic"))
    assert moment(made.expires).timestamp() == clock.now + 7200


def test_keys_differ(capsys: Out) -> None:
    """Each key is another one."""
    assert key(capsys, "wall")[0] != key(capsys, "wall")[0]


def test_a_key_touches_nothing(capsys: Out, tmp_path: Path) -> None:
    """To make a key writes no file."""
    key(capsys, "wall")

    assert list(tmp_path.iterdir()) == []


def test_unknown_scopes(capsys: Out) -> None:
    """Scopes there are not are told with those there are."""
    assert main(["key", "wall", "--scopes", "view,look,steer"]) == 2
    assert capsys.readouterr().err == (
        "mjpegd: --scopes: look, steer is none of view, snapshot, push, control, admin\n"
    )


@pytest.mark.parametrize("name", ["Wall", "-wall", "a b", "", "x" * 33, "w/all", "hütte", "wall\n"])
def test_bad_names(name: str, capsys: Out) -> None:
    """A name that the configuration would not take is refused at once."""
    with pytest.raises(SystemExit) as ended:
        main(["key", "--ttl=1h", "--", name])

    assert ended.value.code == 2
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1s", 1),
        ("90s", 90),
        ("15m", 900),
        ("2h", 7200),
        ("7d", 604_800),
        ("2w", 1_209_600),
        ("1h30m", 5400),
        ("366d", LONGEST_TTL),
    ],
)
def test_seconds(text: str, expected: int) -> None:
    """A time is written as people say it."""
    assert seconds(text) == expected


@pytest.mark.parametrize(
    "text", ["", "0s", "1", "h", "1y", "1h 30m", "-1h", "1.5h", "1H", "367d", "53w", "9999999999s", "1h30", "1hm"]
)
def test_no_seconds(text: str) -> None:
    """Anything else, nothing, and more than a year is told with how a time is written."""
    with pytest.raises(argparse.ArgumentTypeError, match="is no time as 90s, 15m, 2h, 1h30m or 7d, up to a year"):
        seconds(text)


@given(st.lists(st.tuples(st.integers(0, 500), st.sampled_from(sorted(UNITS))), min_size=1, max_size=4))
def test_any_seconds(parts: list[tuple[int, str]]) -> None:
    """Times add up, within a second and a year."""
    text, total = (
        "".join(f"{number}{unit}" for number, unit in parts),
        sum(number * UNITS[unit] for number, unit in parts),
    )

    if 0 < total <= LONGEST_TTL:
        assert seconds(text) == total
    else:
        with pytest.raises(argparse.ArgumentTypeError):
            seconds(text)


@given(st.text())
def test_any_text_is_a_time_or_none(text: str) -> None:
    """No text is any other error."""
    try:
        assert 0 < seconds(text) <= LONGEST_TTL
    except argparse.ArgumentTypeError as error:
        assert repr(text) in str(error)  # noqa: PT017  (most texts are none)


def share(capsys: Out, *words: str) -> tuple[str, str]:
    """The link that is printed, and its identity."""
    assert main(["share", *words]) == 0
    printed = capsys.readouterr()
    link, hint = printed.out.splitlines()
    match = re.search(r"mjpegd share --revoke ([0-9a-f]{8})$", hint)
    assert match is not None
    assert printed.err == ""
    return link, match[1]


def opened(place: Path, link: str) -> Share | None:
    """What the daemon makes of a link, with its secret from the same folder."""
    match = re.search(r"/s/([^/]+)\.mjpg$", link)
    assert match is not None
    return Shares(place, Signer(secret(place))).read(match[1])


def test_a_link_works(capsys: Out, place: Path, clock: Clock) -> None:
    """The link that is printed opens that camera for an hour, with no other limit."""
    link, identity = share(capsys, "porch", *PORCH)

    assert link.startswith("http://127.0.0.1:8080/s/")
    assert opened(place, link) == Share(identity, "porch", int(clock.now) + 3600)


def test_a_link_with_limits(capsys: Out, place: Path, clock: Clock) -> None:
    """The limits and the time that were asked for are in it."""
    words = ("--ttl", "1d", "--fps", "5", "--width", "640", "--viewers", "3")
    link, identity = share(capsys, "attic", *words, *PORCH)

    assert opened(place, link) == Share(identity, "attic", int(clock.now) + 86_400, 5, 640, 3)


@pytest.mark.parametrize(
    ("settings", "url", "expected"),
    [
        ((), None, "http://127.0.0.1:8080"),
        (("server.port=9090",), None, "http://127.0.0.1:9090"),
        (("server.host=::1",), None, "http://[::1]:8080"),
        (("server.base_path=/cams",), None, "http://127.0.0.1:8080/cams"),
        (("server.public_url=https://cam.example.org",), None, "https://cam.example.org"),
        (("server.public_url=https://cam.example.org", "server.base_path=/cams"), None, "https://cam.example.org/cams"),
        (("server.public_url=https://cam.example.org",), "http://box.local:81", "http://box.local:81"),
        ((), "http://box.local/", "http://box.local"),
        (("server.host=unix:/run/http.sock",), "http://box.local", "http://box.local"),
    ],
)
def test_where_people_reach_it(settings: tuple[str, ...], url: str | None, expected: str, capsys: Out) -> None:
    """A link begins with the address that people reach us by: what is asked for, configured, or listened on."""
    sets = [word for setting in settings for word in ("--set", setting)]
    link, _ = share(capsys, "porch", *PORCH, *sets, *(["--url", url] if url else []))

    assert re.fullmatch(re.escape(expected) + r"/s/[^/]+\.mjpg", link)


def test_a_link_without_an_address(capsys: Out) -> None:
    """On a unix socket nobody knows how people reach us: that is asked for, and no link is made that leads nowhere."""
    assert main(["share", "porch", *PORCH, "--set", "server.host=unix:/run/http.sock"]) == 2
    printed = capsys.readouterr()

    assert printed.out == ""
    assert "server.public_url" in printed.err


@pytest.mark.parametrize("words", [["cellar"], []])
def test_no_such_camera(words: list[str], capsys: Out) -> None:
    """A camera there is not, or none, is told with those there are, and no link is made."""
    assert main(["share", *words, *PORCH]) == 2
    printed = capsys.readouterr()

    assert (printed.out, printed.err) == (
        "",
        f"mjpegd: share {'cellar' if words else 'CAMERA'}: known cameras are porch, attic\n",
    )


@pytest.mark.parametrize(
    "words",
    [
        ("--ttl", "0s"),
        ("--ttl", "2y"),
        ("--fps", "0"),
        ("--fps", "61"),
        ("--fps", "1.5"),
        ("--width", "15"),
        ("--width", "7681"),
        ("--width", "\u0663\u0662"),
        ("--viewers", "0"),
        ("--viewers", "-1"),
        ("--viewers", "1" * 5000),
    ],
    ids=lambda words: f"{words[0]} {words[1][:8]}",
)
def test_limits_that_are_none(words: tuple[str, ...], capsys: Out, place: Path) -> None:
    """A limit out of its range is exit code 2, with the range, and no link is made."""
    with pytest.raises(SystemExit) as ended:
        main(["share", "porch", *PORCH, *words])

    assert ended.value.code == 2
    assert words[0] in capsys.readouterr().err
    assert not place.exists()


def test_list(capsys: Out, clock: Clock) -> None:
    """Every link that has not expired is one line, with its limits, and whether it was revoked."""
    assert main(["share", "--list", *BLANK]) == 0
    assert capsys.readouterr().out == ""
    made = [
        share(capsys, *words, *PORCH)[1]
        for words in (
            ("porch", "--ttl", "1h"),
            ("attic", "--ttl", "2h", "--fps", "5", "--viewers", "3"),
            ("porch", "--ttl", "1m"),
        )
    ]
    main(["share", "--revoke", made[0], *BLANK])
    capsys.readouterr()
    clock.forward(60)
    main(["share", "--list", *BLANK])
    first, second = capsys.readouterr().out.splitlines()

    assert re.fullmatch(rf"{made[0]}  porch  until \d{{4}}-\d\d-\d\d \d\d:\d\d  revoked", first)
    assert re.fullmatch(rf"{made[1]}  attic  until \d{{4}}-\d\d-\d\d \d\d:\d\d  fps 5  viewers 3", second)


def test_a_list_holds_no_link(capsys: Out) -> None:
    """Whoever sees the list cannot watch."""
    link, _ = share(capsys, "porch", *PORCH)
    main(["share", "--list", *BLANK])

    assert link.rpartition("/")[2][:20] not in capsys.readouterr().out


def test_revoke(capsys: Out, place: Path) -> None:
    """A link that is revoked is void; the others are not."""
    (link, identity), (other, _) = (share(capsys, camera, *PORCH) for camera in ("porch", "attic"))
    assert main(["share", "--revoke", identity, *BLANK]) == 0
    assert capsys.readouterr().out == f"{identity}: revoked\n"

    assert opened(place, link) is None
    assert opened(place, other) is not None


@pytest.mark.parametrize("identity", ["00000000", "x", "../secret"])
def test_revoke_what_is_not(identity: str, capsys: Out) -> None:
    """To revoke a link there is not is exit code 1, and said."""
    assert main(["share", "--revoke", identity, *BLANK]) == 1
    assert capsys.readouterr().out == f"{identity}: there is no such link\n"


def test_the_folder(capsys: Out, place: Path, tmp_path: Path) -> None:
    """What is kept is readable by its owner only, in the folder that is configured before the one of the service."""
    share(capsys, "porch", *PORCH)
    share(capsys, "porch", *PORCH, "--set", f"server.state={tmp_path / 'other'}")

    for folder in (place, tmp_path / "other"):
        assert {file.name: stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {
            FILE: 0o600,
            "secret": 0o600,
            "shares.lock": 0o600,
        }


def full(descriptor: int) -> None:
    """A disk without space."""
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("revoke", [False, True])
def test_a_full_disk(revoke: bool, capsys: Out, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001  (a row)
    """What cannot be noted is said in a line with its reason, and not done: neither a link nor its end."""
    link, identity = share(capsys, "porch", *PORCH)
    monkeypatch.setattr(os, "fsync", full)
    words = ["--revoke", identity] if revoke else ["porch"]

    assert main(["share", *words, *PORCH]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert re.fullmatch(r"mjpegd: .*No space left on device.*\n", printed.err)
    assert opened(place, link) is not None


def test_no_place_at_all(capsys: Out, place: Path) -> None:
    """Where no folder can be, that is one line."""
    place.touch()

    assert main(["share", "porch", *PORCH]) == 2
    assert capsys.readouterr().err.startswith(f"mjpegd: {place}: cannot keep the secret of share links: ")


def test_a_damaged_list(capsys: Out, place: Path) -> None:
    """A damaged list is one line with what to do, for each that needs it."""
    share(capsys, "porch", *PORCH)
    for content in ("{", '{"a": {"expires": 1e11}}', '{"a": {"expires": 1e11, "revoked": false}}'):
        (place / FILE).write_text(content)
        assert main(["share", "--list", *PORCH]) == 2
        assert capsys.readouterr().err.startswith(f"mjpegd: {place / FILE}: is damaged")
