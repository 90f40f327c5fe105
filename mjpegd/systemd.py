"""What systemd and a service say to each other: readiness, the watchdog, inherited sockets, the journal.

Where systemd is not, each of them does nothing. sd_notify(3), sd_watchdog_enabled(3), sd_listen_fds(3), and for the
journal https://systemd.io/JOURNAL_NATIVE_PROTOCOL.
"""

import os
import socket
import struct
from collections.abc import Mapping, Sequence

JOURNAL = "/run/systemd/journal/socket"
FIRST_INHERITED = 3
"""SD_LISTEN_FDS_START: the descriptors behind standard input, output and error."""


class Notifier:
    """The way to the manager that started us; silent without one."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._address = _abstract(environment.get("NOTIFY_SOCKET", ""))
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) if self._address else None

    def tell(self, **fields: object) -> None:
        """Send one message: `tell(READY=1, STATUS="listening")`. A manager that does not listen is no error of ours."""
        if self._socket is None:
            return
        message = "\n".join(f"{name}={' '.join(str(value).split())}" for name, value in fields.items())
        try:
            self._socket.sendto(message.encode(errors="replace"), self._address)
        except OSError:
            return


def _abstract(address: str) -> str:
    """A socket's name as the kernel wants it: a leading @ stands for a zero byte."""
    return f"\0{address[1:]}" if address.startswith("@") else address


def watchdog_interval(environment: Mapping[str, str], pid: int) -> float | None:
    """Seconds between two signs of life, half of what the manager allows; None where no watchdog waits for ours."""
    allowed = environment.get("WATCHDOG_USEC", "")
    if not allowed.isdecimal() or environment.get("WATCHDOG_PID", str(pid)) != str(pid):
        return None
    return int(allowed) / 2_000_000 or None


def inherited_sockets(environment: Mapping[str, str], pid: int) -> list[socket.socket]:
    """The listening sockets of socket activation, in the order of the socket units."""
    count = environment.get("LISTEN_FDS", "")
    if not count.isdecimal() or environment.get("LISTEN_PID") != str(pid):
        return []
    return [_adopt(descriptor) for descriptor in range(FIRST_INHERITED, FIRST_INHERITED + int(count))]


def _adopt(descriptor: int) -> socket.socket:
    os.set_inheritable(descriptor, False)
    adopted = socket.socket(fileno=descriptor)
    adopted.setblocking(False)
    return adopted


class Journal:
    """The journal's own socket, which takes fields where standard error takes lines."""

    def __init__(self, address: str = JOURNAL) -> None:
        self._address = address
        self._socket: socket.socket | None = None

    def send(self, entry: bytes) -> bool:
        """Hand over one entry; False if the journal does not take it (not there, or the entry is too large)."""
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            self._socket.sendto(entry, self._address)
        except OSError:
            return False
        return True


def journal_entry(fields: Sequence[tuple[str, str]]) -> bytes:
    """Fields as one entry. A value with a line break goes with its length in front, so that it cannot forge a field."""
    return b"".join(_journal_field(name.upper().encode(), value.encode(errors="replace")) for name, value in fields)


def _journal_field(name: bytes, value: bytes) -> bytes:
    if b"\n" in value:
        return name + b"\n" + struct.pack("<Q", len(value)) + value + b"\n"
    return name + b"=" + value + b"\n"
