"""What is written to the log, in each style, and what never is."""

import io
import json
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import pytest
import structlog

from mjpegd import log
from mjpegd.systemd import Journal
from tests.test_systemd import parse

STYLES = ("console", "json", "journal")
styles = pytest.mark.parametrize("style", STYLES)


@pytest.fixture(autouse=True)
def restore() -> Iterator[None]:
    """The process's logging as it was before."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.fixture
def stream() -> io.StringIO:
    """Where the log goes."""
    return io.StringIO()


def lines(stream: io.StringIO) -> list[str]:
    """What was written, line by line."""
    return stream.getvalue().splitlines()


def parsed(stream: io.StringIO) -> list[dict[str, Any]]:
    """What was written as JSON."""
    return [json.loads(line) for line in lines(stream)]


def fail() -> None:
    """Raises an error whose text holds a password."""
    raise RuntimeError("cannot open rtsp://me:hidden@camera/")


def test_console(stream: io.StringIO) -> None:
    """On a terminal: time, level, event and its context, for eyes."""
    log.setup(style="console", stream=stream)
    log.get(camera="porch").info("camera live", fps=30)

    assert re.fullmatch(r"\d\d:\d\d:\d\d \[info +\] camera live +camera=porch fps=30\n", stream.getvalue())


def test_json(stream: io.StringIO) -> None:
    """Elsewhere: one JSON object a line, with the time in UTC."""
    log.setup(style="json", stream=stream)
    log.get(camera="porch").warning("camera lost", reason="unplugged\nagain")
    (line,) = parsed(stream)

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", line.pop("timestamp"))
    assert line == {"event": "camera lost", "level": "warning", "camera": "porch", "reason": "unplugged\nagain"}


@pytest.mark.parametrize(
    ("method", "prefix"), [("debug", "<7>"), ("info", "<6>"), ("warning", "<4>"), ("error", "<3>"), ("critical", "<2>")]
)
def test_journal(method: str, prefix: str, stream: io.StringIO) -> None:
    """Under systemd: the level as sd-daemon's prefix, and no time, for journald stamps it."""
    log.setup("debug", "journal", stream=stream)
    getattr(log.get(camera="porch"), method)("event", count=2)

    assert f"{prefix}event camera=porch count=2\n" == stream.getvalue()


def test_journal_prefixes_each_line_of_a_traceback(stream: io.StringIO) -> None:
    """A traceback has the level on each of its lines."""
    log.setup(style="journal", stream=stream)
    try:
        fail()
    except RuntimeError:
        log.get().exception("broke down")

    assert lines(stream)[0] == "<3>broke down"
    assert lines(stream)[1] == "<3>Traceback (most recent call last):"
    assert all(line.startswith("<3>") for line in lines(stream))


@styles
@pytest.mark.parametrize("separator", ["\n", "\r\n", "\x85", "\u2028", "\x0b", "\x1c"])
def test_a_value_cannot_forge_a_line(style: str, separator: str, stream: io.StringIO) -> None:
    """A line break in a value, as a client may send one in its User-Agent, begins no new line in the log."""
    log.setup(style=style, stream=stream)
    log.get().info("viewer left", agent=f"curl{separator}camera lost camera=porch")

    assert stream.getvalue().count("\n") == 1
    assert stream.getvalue().endswith("\n")


@styles
@pytest.mark.parametrize(
    "value",
    ["rtsp://me:hidden@camera/", "GET /snapshot?token=hidden", "cannot open http://me:hidden@camera/x: refused"],
)
def test_secrets_in_values(style: str, value: str, stream: io.StringIO) -> None:
    """No password or key in any value is ever written, the event's own text included."""
    log.setup(style=style, stream=stream)
    log.get(source=value).info(f"event {value}", reason=value)

    assert "hidden" not in stream.getvalue()
    assert stream.getvalue().count("***") >= 3


@styles
def test_secrets_in_a_traceback(style: str, stream: io.StringIO) -> None:
    """No password in an exception's text is ever written."""
    log.setup(style=style, stream=stream)
    try:
        fail()
    except RuntimeError:
        log.get().exception("broke down")

    assert "RuntimeError" in stream.getvalue()
    assert "hidden" not in stream.getvalue()


@pytest.mark.parametrize(
    ("level", "written"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_level(level: str, written: list[str], stream: io.StringIO) -> None:
    """Only lines of the level asked for and above are written."""
    log.setup(level, "json", stream=stream)
    for method in ("debug", "info", "warning", "error"):
        getattr(log.get(), method)("event")

    assert written == [line["level"] for line in parsed(stream)]


def repeat(times: int, event: str = "viewer left", **context: object) -> None:
    """Log one event that many times."""
    for _ in range(times):
        log.get(**context).info(event)


def test_flood(stream: io.StringIO) -> None:
    """Of one event ten lines are written a period, the rest is counted and reported once at its end."""
    flood = log.setup(style="json", stream=stream)
    repeat(25)
    assert len(lines(stream)) == 10
    flood.report()
    report = parsed(stream)[-1]

    assert len(lines(stream)) == 11
    assert (report["event"], report["count"], report["level"]) == ("viewer left (more of these, not shown)", 15, "info")
    assert report["seconds"] >= 0


def test_after_a_flood(stream: io.StringIO) -> None:
    """A new period begins with ten lines again, and without a flood there is no report."""
    flood = log.setup(style="json", stream=stream)
    repeat(25)
    flood.report()
    repeat(10)
    flood.report()
    flood.report()

    assert len(lines(stream)) == 10 + 1 + 10


def test_floods_are_counted_apart(stream: io.StringIO) -> None:
    """One event's or one camera's flood takes no line of another one's away, and is reported with its camera."""
    flood = log.setup(style="json", stream=stream)
    repeat(12, camera="porch")
    repeat(11, camera="attic")
    repeat(10, "another event", camera="porch")
    assert len(lines(stream)) == 30
    flood.report()

    assert [(line["camera"], line["count"]) for line in parsed(stream)[30:]] == [("porch", 2), ("attic", 1)]


def test_report_keeps_the_level(stream: io.StringIO) -> None:
    """What was held back is reported at its own level, an exception's as an error."""
    flood = log.setup(style="journal", stream=stream)
    for _ in range(11):
        log.get().warning("picture skipped")
        log.get().exception("broke down", exc_info=False)
    flood.report()

    assert {"<4>picture skipped (more of these, not shown)", "<3>broke down (more of these, not shown)"} == {
        line.partition(" count=")[0] for line in lines(stream)[-2:]
    }


def test_flood_period(stream: io.StringIO) -> None:
    """The period is what the caller asked for, and is what it reports by."""
    assert log.setup(flood_period=3.5, stream=stream).period == 3.5


def log_event(stream: TextIO) -> None:
    """Log one event in the style `auto`."""
    log.setup(style="auto", stream=stream)
    log.get().info("event")
    stream.flush()


def journal_name(path: Path) -> str:
    """A file as systemd names the journal's socket."""
    status = path.stat()
    return f"{status.st_dev}:{status.st_ino}"


@pytest.fixture
def no_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The journal's socket is not there: the machine's own one, if it has one, is none of the tests' business."""
    yield from replaced_journal(str(tmp_path / "nothing"), monkeypatch)


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The journal's socket, with the test in the journal's place."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "socket"))
        listening.settimeout(5)
        for _ in replaced_journal(listening.getsockname(), monkeypatch):
            yield listening


def replaced_journal(address: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have every journal be the one at that address; its socket would last as long as a daemon, and is closed here."""
    made = []

    def make() -> Journal:
        made.append(Journal(address))
        return made[-1]

    monkeypatch.setattr(log, "Journal", make)
    yield
    for each in made:
        if each._socket is not None:
            each._socket.close()


@pytest.fixture
def ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TextIO]:
    """A stream that the journal reads, as systemd says so."""
    file = tmp_path / "journal"
    file.touch()
    monkeypatch.setenv("JOURNAL_STREAM", journal_name(file))
    with file.open("w+") as stream:
        yield stream


def written(stream: TextIO) -> str:
    """What stands in a stream by now."""
    stream.flush()
    stream.seek(0)
    return stream.read()


@pytest.mark.usefixtures("no_journal")
def test_detects_the_journal(ours: TextIO) -> None:
    """JOURNAL_STREAM with the device and inode of our stream means that the journal reads it."""
    log_event(ours)

    assert written(ours) == "<6>event\n"


def test_fields_for_the_journal(ours: TextIO, journal: socket.socket) -> None:
    """To the journal go the message, its level, our name, and each value as a field of its own; no line besides."""
    log.setup("debug", "journal", stream=ours)
    log.get(camera="porch").warning("camera lost", reason="unplugged\nagain", count=2)

    assert parse(journal.recv(10_000)) == [
        ("MESSAGE", b"camera lost camera=porch reason=unplugged again count=2"),
        ("PRIORITY", b"4"),
        ("SYSLOG_IDENTIFIER", b"mjpegd"),
        ("CAMERA", b"porch"),
        ("REASON", b"unplugged\nagain"),
        ("COUNT", b"2"),
    ]
    assert written(ours) == ""


@pytest.mark.parametrize(
    ("method", "priority"), [("debug", "7"), ("info", "6"), ("warning", "4"), ("error", "3"), ("critical", "2")]
)
def test_levels_for_the_journal(method: str, priority: str, ours: TextIO, journal: socket.socket) -> None:
    """Each level has its priority, and what is below the level asked for is not sent."""
    log.setup(method, "journal", stream=ours)
    log.get().debug("too little" if method != "debug" else "event")
    getattr(log.get(), method)("event")
    fields = dict(parse(journal.recv(10_000)))

    assert (fields["MESSAGE"], fields["PRIORITY"]) == (b"event", priority.encode())


def test_a_traceback_for_the_journal(ours: TextIO, journal: socket.socket) -> None:
    """A traceback is part of the message, whole, and without passwords."""
    log.setup(style="journal", stream=ours)
    try:
        fail()
    except RuntimeError:
        log.get(camera="porch").exception("broke down")
    fields = dict(parse(journal.recv(100_000)))

    assert fields["MESSAGE"].startswith(b"broke down camera=porch\nTraceback (most recent call last):\n")
    assert fields["PRIORITY"] == b"3"
    assert b"hidden" not in b"".join(fields.values())
    assert {"MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER", "CAMERA"} == set(fields)


def test_nobody_forges_fields_of_the_journal(ours: TextIO, journal: socket.socket) -> None:
    """What a client calls itself stays one field and one line of the message."""
    log.setup(style="journal", stream=ours)
    log.get().info("viewer left", agent="curl\nPRIORITY=0\nCAMERA=porch")
    fields = parse(journal.recv(10_000))

    assert [name for name, _ in fields] == ["MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER", "AGENT"]
    assert dict(fields)["MESSAGE"].count(b"\n") == 0


def test_a_journal_that_does_not_take_an_entry(ours: TextIO, journal: socket.socket) -> None:
    """What the journal does not take is written as a line, with its level in front; what it takes is not."""
    log.setup(style="journal", stream=ours)
    log.get().info("before")
    journal.close()
    log.get(camera="porch").error("after")

    assert written(ours) == "<3>after camera=porch\n"


@pytest.mark.usefixtures("no_journal")
def test_secrets_in_lines_for_the_journal(ours: TextIO) -> None:
    """The line that takes an entry's place holds no password either."""
    log.setup(style="journal", stream=ours)
    log.get().error("camera lost", source="rtsp://me:hidden@camera/")

    assert "hidden" not in written(ours)
    assert "***" in written(ours)


def test_journal_style_elsewhere(stream: io.StringIO, journal: socket.socket) -> None:
    """Where the journal does not read our stream, its style is lines, and its socket is left alone."""
    log.setup(style="journal", stream=stream)
    log.get().info("event")
    journal.setblocking(False)

    assert stream.getvalue() == "<6>event\n"
    with pytest.raises(BlockingIOError):
        journal.recv(1)


@pytest.mark.parametrize("value", ["0:0", "", "nonsense"])
def test_somebody_elses_journal(value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """JOURNAL_STREAM of another stream (ours was redirected) means JSON."""
    monkeypatch.setenv("JOURNAL_STREAM", value)
    file = tmp_path / "log"
    with file.open("w") as stream:
        log_event(stream)

    assert json.loads(file.read_text())["event"] == "event"


def test_stream_without_a_descriptor(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO) -> None:
    """A stream that is no file is not the journal's."""
    monkeypatch.setenv("JOURNAL_STREAM", "0:0")
    log_event(stream)

    assert parsed(stream)[0]["event"] == "event"


def test_detects_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal gets lines for eyes, in colours."""
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    master, slave = os.openpty()
    with os.fdopen(slave, "w") as stream:
        log_event(stream)
        text = os.read(master, 1000).decode()
    os.close(master)

    assert "event" in text
    assert "\x1b[" in text


class Broken(io.StringIO):
    """A stream whose reader has left."""

    def write(self, text: str) -> int:
        """Fail as a pipe does."""
        raise BrokenPipeError(text)


def test_a_log_that_cannot_be_written_fails_nothing_else() -> None:
    """A full disk or a reader that left costs the line and no more."""
    stream = Broken()
    log.setup(style="json", stream=stream)
    log.get(camera="porch").info("camera live")

    assert stream.getvalue() == ""
