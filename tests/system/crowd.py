"""Many viewers in one thread, so that a test can watch a daemon under a hundred of them."""

import re
import selectors
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tests.daemon import SECONDS, Daemon, wait_for
from tests.system.client import BOUNDARY, request

_HEADER = re.compile(rb"X-Frame-Id: (\d+)\r\n(?:X-Source-State: \w+\r\n)?(X-Frame-Repeat: 1\r\n)?\r\n")


class Viewer:
    """What one viewer received. `ended` is "" while it is connected, then "closed" or "reset"."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.wire = bytearray()
        self.ended = ""

    @property
    def ids(self) -> list[int]:
        """The frames it got, repeats left out."""
        return [int(number) for number, repeat in _HEADER.findall(bytes(self.wire)) if not repeat]

    @property
    def span(self) -> int:
        """How many frames the camera took from this viewer's first to its last."""
        return self.ids[-1] - self.ids[0] + 1

    @property
    def share(self) -> float:
        """The share of those frames that the viewer was sent."""
        return len(self.ids) / self.span


class Crowd:
    """So many viewers of `/stream`, all reading as fast as they can for as long as the block lasts."""

    def __init__(self, daemon: Daemon, count: int, path: str = "/stream") -> None:
        self.viewers = [Viewer(socket.create_connection(("127.0.0.1", daemon.port))) for _ in range(count)]
        self._selector = selectors.DefaultSelector()
        for viewer in self.viewers:
            viewer.socket.sendall(request(path))
            viewer.socket.setblocking(False)
            self._selector.register(viewer.socket, selectors.EVENT_READ, viewer)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.wait(lambda viewer: BOUNDARY in viewer.wire, "a first frame for everyone")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._selector.close()
        for viewer in self.viewers:
            viewer.socket.close()

    def wait(self, condition: Callable[[Viewer], bool], what: str, within: float = 20.0) -> None:
        """Wait until something holds for every viewer."""
        wait_for(lambda: all(map(condition, self.viewers)), within, what)

    def wait_end(self, within: float = 5.0 * SECONDS) -> None:
        """Wait until every connection is over."""
        self.wait(lambda viewer: bool(viewer.ended), "every viewer's end", within)

    def _read(self) -> None:
        while not self._stop.is_set():
            for key, _ in self._selector.select(0.05):
                self._take(key.data)

    def _take(self, viewer: Viewer) -> None:
        try:
            chunk = viewer.socket.recv(1 << 20)
        except ConnectionError:
            viewer.ended = "reset"
        else:
            viewer.wire += chunk
            viewer.ended = "" if chunk else "closed"
        if viewer.ended:
            self._selector.unregister(viewer.socket)
