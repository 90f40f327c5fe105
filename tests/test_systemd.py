"""What systemd is told and what it hands over, with the test in systemd's place."""

import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mjpegd.systemd import Journal, Notifier, inherited_sockets, journal_entry, watchdog_interval


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """The socket that a service manager listens on."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(5)
        yield listening


def notifier(address: str) -> Notifier:
    """The way to the manager at that address."""
    return Notifier({"NOTIFY_SOCKET": address})


def close(it: Notifier | Journal) -> None:
    """Close what lasts as long as the daemon."""
    if it._socket is not None:
        it._socket.close()


def test_tell(manager: socket.socket) -> None:
    """One call is one datagram of `NAME=value` lines."""
    told = notifier(manager.getsockname())
    told.tell(READY=1, STATUS="2 of 3 cameras live")
    told.tell(WATCHDOG=1)
    close(told)

    assert [manager.recv(1000) for _ in range(2)] == [b"READY=1\nSTATUS=2 of 3 cameras live", b"WATCHDOG=1"]


def test_tell_by_an_abstract_address() -> None:
    """An address that begins with @ is the kernel's abstract one, without a file."""
    name = f"mjpegd-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0{name}")
        listening.settimeout(5)
        told = notifier(f"@{name}")
        told.tell(STOPPING=1)
        close(told)

        assert listening.recv(1000) == b"STOPPING=1"


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": ""}])
def test_without_a_manager(environment: Mapping[str, str]) -> None:
    """Where no manager waits, nothing is opened and nothing said."""
    silent = Notifier(environment)
    silent.tell(READY=1)

    assert silent._socket is None


@pytest.mark.parametrize("address", ["/nonexistent/notify", "@nobody-listens-here", "/" + "x" * 100])
def test_a_manager_that_does_not_listen(address: str) -> None:
    """A manager that is gone is no error of ours, however often it is told."""
    told = notifier(address)
    for _ in range(2):
        told.tell(READY=1)
    close(told)

    assert told._socket is not None


@given(status=st.text())
def test_a_status_cannot_say_anything_else(status: str) -> None:
    """Whatever a camera gives as its reason stays in its own line of the message."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with here, there:
        told = Notifier({})
        told._socket, told._address = _Connected(here), "pair"  # type: ignore[assignment]
        told.tell(STATUS=status, WATCHDOG=1)
        first, second = there.recv(100_000).split(b"\n")

    assert (first[:7], second) == (b"STATUS=", b"WATCHDOG=1")


class _Connected:
    """A socket pair's end, which needs no address."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    def sendto(self, message: bytes, address: str) -> int:
        """Send it to the other end."""
        return self._end.send(message)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": ""}, None),
        ({"WATCHDOG_USEC": "500000"}, 0.25),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": ""}, None),
        ({"WATCHDOG_USEC": "-1"}, None),
        ({"WATCHDOG_USEC": "30s"}, None),
        ({"WATCHDOG_PID": "7"}, None),
    ],
)
def test_watchdog_interval(environment: Mapping[str, str], expected: float | None) -> None:
    """The watchdog is fed twice in the time it allows, if it is ours and there is one."""
    assert watchdog_interval(environment, 7) == expected


CHILD = """\
import json, os, socket, sys
from mjpegd.systemd import inherited_sockets
source = json.loads(sys.argv[1])
for number, descriptor in enumerate(source):
    os.dup2(descriptor, 3 + number)
found = inherited_sockets({"LISTEN_FDS": str(len(source)), "LISTEN_PID": str(os.getpid())}, os.getpid())
print(json.dumps([[each.fileno(), each.family, each.getblocking(), each.get_inheritable(), each.getsockname()]
                  for each in found]))
"""


def inherited(*listening: socket.socket) -> list[list[object]]:
    """What a process finds that was started with these sockets, as systemd starts one."""
    high = [fcntl.fcntl(each.fileno(), fcntl.F_DUPFD, 20) for each in listening]  # clear of those the child fills
    try:
        command = [sys.executable, "-c", CHILD, json.dumps(high)]
        ended = subprocess.run(command, pass_fds=high, check=True, capture_output=True, text=True)
    finally:
        for each in high:
            os.close(each)
    found: list[list[object]] = json.loads(ended.stdout)
    return found


def test_inherited_sockets(tmp_path: Path) -> None:
    """The sockets of socket activation come in their order from descriptor 3 on, of whatever family, for us alone."""
    path = str(tmp_path / "http.sock")
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(path)
        unix.listen()
        expected = [
            [3, int(socket.AF_INET), False, False, list(tcp.getsockname())],
            [4, int(socket.AF_UNIX), False, False, path],
        ]

        assert inherited(tcp, unix) == expected


@pytest.mark.parametrize(
    "environment",
    [
        {"LISTEN_FDS": "1"},
        {"LISTEN_FDS": "1", "LISTEN_PID": "1"},
        {"LISTEN_FDS": "1", "LISTEN_PID": ""},
        {"LISTEN_PID": "7"},
        {"LISTEN_FDS": "", "LISTEN_PID": "7"},
        {"LISTEN_FDS": "0", "LISTEN_PID": "7"},
        {"LISTEN_FDS": "-1", "LISTEN_PID": "7"},
        {"LISTEN_FDS": "one", "LISTEN_PID": "7"},
    ],
)
def test_nothing_inherited(environment: Mapping[str, str]) -> None:
    """Sockets that were meant for another process, or for none, are not ours."""
    assert inherited_sockets(environment, 7) == []


def parse(entry: bytes) -> list[tuple[str, bytes]]:
    """An entry as the journal reads it: https://systemd.io/JOURNAL_NATIVE_PROTOCOL, done slowly."""
    fields = []
    while entry:
        line, newline, rest = entry.partition(b"\n")
        assert newline
        name, equals, value = line.partition(b"=")
        if not equals:
            (length,) = struct.unpack("<Q", rest[:8])
            value, end, rest = rest[8 : 8 + length], rest[8 + length : 9 + length], rest[9 + length :]
            assert (len(value), end) == (length, b"\n")
        assert name
        fields.append((name.decode(), value))
        entry = rest
    return fields


NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True)


@given(st.lists(st.tuples(NAMES, st.text())))
def test_the_journal_reads_what_we_wrote(fields: list[tuple[str, str]]) -> None:
    """Whatever the values hold, the journal reads exactly these fields, and not one more."""
    assert parse(journal_entry(fields)) == [(name.upper(), value.encode()) for name, value in fields]


@pytest.mark.parametrize(
    "value", ["curl\nPRIORITY=0\nMESSAGE=forged", "\n", "a\n", "\nPRIORITY=0", "a=b", "PRIORITY=0", "", "\0", "\r\nA=b"]
)
def test_a_value_cannot_forge_a_field(value: str) -> None:
    """Line breaks and equals signs in a value, as a client may send them, make no field of their own."""
    fields = parse(journal_entry([("agent", value), ("message", "viewer left")]))

    assert fields == [("AGENT", value.encode()), ("MESSAGE", b"viewer left")]


def test_text_that_is_no_text() -> None:
    """What cannot be encoded is replaced, not an error."""
    assert parse(journal_entry([("agent", "a\udcffb")])) == [("AGENT", b"a?b")]


def test_send(manager: socket.socket) -> None:
    """An entry is one datagram to the journal's socket."""
    journal = Journal(manager.getsockname())
    assert journal.send(b"MESSAGE=one\n")
    assert journal.send(b"MESSAGE=two\n")
    close(journal)

    assert [manager.recv(1000) for _ in range(2)] == [b"MESSAGE=one\n", b"MESSAGE=two\n"]


def test_a_journal_that_does_not_take_it(manager: socket.socket, tmp_path: Path) -> None:
    """Without a journal, or with an entry too large for a datagram, the answer is no, and the next one may be yes."""
    nobody = Journal(str(tmp_path / "nothing"))
    assert not nobody.send(b"MESSAGE=one\n")
    close(nobody)
    journal = Journal(manager.getsockname())
    assert not journal.send(b"MESSAGE=" + b"x" * 50_000_000 + b"\n")

    assert journal.send(b"MESSAGE=two\n")
    close(journal)
    assert manager.recv(1000) == b"MESSAGE=two\n"


def test_a_journal_that_comes_back(tmp_path: Path) -> None:
    """A journal that was restarted takes the next entry: its socket is a new one by the same name."""
    address = str(tmp_path / "journal")
    journal = Journal(address)
    for _ in range(2):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
            listening.bind(address)
            assert journal.send(b"MESSAGE=one\n")
        assert not journal.send(b"MESSAGE=two\n")
        Path(address).unlink()
    close(journal)
