"""A service manager's end of the talk: a NOTIFY_SOCKET that keeps what it was told, and sockets to hand over."""

import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from tests.daemon import RUN, wait_for
from tests.system.background import Background

_LAUNCHER = """
import fcntl, os, sys
count = int(sys.argv[1])
# First out of the way of 3 and those behind it.
given = [fcntl.fcntl(int(number), fcntl.F_DUPFD, 100) for number in sys.argv[2 : 2 + count]]
for place, descriptor in enumerate(given, 3):
    os.dup2(descriptor, place)
os.environ.update(LISTEN_PID=os.environ.get("LISTEN_PID") or str(os.getpid()), LISTEN_FDS=str(count))
os.execv(sys.argv[2 + count], sys.argv[2 + count :])
"""


def handing_over(listeners: Sequence[socket.socket]) -> list[str]:
    """How mjpegd is called with these sockets on descriptor 3 and behind, as systemd does; they are to be passed on."""
    numbers = [str(listener.fileno()) for listener in listeners]
    return [sys.executable, "-c", _LAUNCHER, str(len(numbers)), *numbers, *RUN]


@dataclass(frozen=True)
class Message:
    """One datagram: its fields, and when it came."""

    fields: dict[str, str]
    came: float = field(default_factory=monotonic)


class Manager(Background):
    """Listens on a socket in this folder; `on_ready` is called the moment READY=1 comes."""

    def __init__(self, folder: Path, on_ready: Callable[[], None] = lambda: None, *, abstract: bool = False) -> None:
        super().__init__()
        self.messages: list[Message] = []
        self._on_ready = on_ready
        path = folder / "notify"
        self.address = f"@{path}" if abstract else str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"\0{path}" if abstract else str(path))
        self._socket.settimeout(0.1)

    def close(self) -> None:
        """Listen no more."""
        self._socket.close()

    def environment(self, watchdog: float = 0) -> dict[str, str]:
        """What a service is started with; `watchdog` is WatchdogSec=."""
        return {"NOTIFY_SOCKET": self.address, **({"WATCHDOG_USEC": f"{watchdog * 1e6:.0f}"} if watchdog else {})}

    def told(self, name: str) -> list[Message]:
        """The messages that hold this field, in their order."""
        return [message for message in self.messages if name in message.fields]

    @property
    def status(self) -> str:
        """What `systemctl status` would show now."""
        said = self.told("STATUS")
        return said[-1].fields["STATUS"] if said else ""

    def wait_status(self, *words: str, within: float = 5) -> None:
        """Wait until the status holds all of these."""
        wait_for(lambda: all(word in self.status for word in words), within, f"the status {words}, not {self.status!r}")

    def work(self) -> None:
        """Listen."""
        while not self.stop.is_set():
            try:
                data = self._socket.recv(65536)
            except TimeoutError:
                continue
            message = Message(dict(line.split("=", 1) for line in data.decode().split("\n")))
            if message.fields.get("READY") == "1" and not self.told("READY"):
                self._on_ready()
            self.messages.append(message)
