"""An ESP32-CAM as its example firmware streams: chunked, for one client, with a clock that began at its own start."""

import socket
import threading
from collections.abc import Iterator, Sequence
from itertools import cycle
from time import monotonic
from types import TracebackType
from typing import Self

from tests.daemon import SECONDS
from tests.faulty import RESET

BOUNDARY = b"123456789000000000000987654321"
HEAD = b"\r\n".join(
    (
        b"HTTP/1.1 200 OK",
        b"Content-Type: multipart/x-mixed-replace;boundary=" + BOUNDARY,
        b"Transfer-Encoding: chunked",
        b"Access-Control-Allow-Origin: *",
        b"X-Framerate: 60",
        b"",
        b"",
    )
)


class Esp32:
    """Sends the pictures in a loop at `url` to one client at a time; another one is reset.

    `served` counts the clients that got the stream, `refused` those that did not.
    """

    def __init__(self, pictures: Sequence[bytes], fps: float = 25) -> None:
        self.served = self.refused = 0
        self._pictures, self._fps = pictures, fps
        self._began = monotonic()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/stream"
        self._stop = threading.Event()
        self._busy = threading.Lock()
        self._threads = [threading.Thread(target=self._listen, daemon=True)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5 * SECONDS)
        self._listener.close()

    def _listen(self) -> None:
        while not self._stop.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:  # it was shut down
                return
            if self._busy.acquire(blocking=False):
                self.served += 1
                thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
                self._threads.append(thread)
                thread.start()
            else:
                self.refused += 1
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                client.close()

    def _serve(self, client: socket.socket) -> None:
        try:
            with client:
                client.settimeout(5 * SECONDS)
                client.recv(4096)
                client.sendall(HEAD)
                for chunk in self._chunks():
                    client.sendall(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
        except OSError:
            pass  # the client left
        finally:
            self._busy.release()

    def _chunks(self) -> Iterator[bytes]:
        """Boundary, head and picture each are a chunk."""
        for picture in cycle(self._pictures):
            if self._stop.wait(1 / self._fps):
                return
            stamp = f"{monotonic() - self._began:.6f}"
            yield b"\r\n--" + BOUNDARY + b"\r\n"
            yield f"Content-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\nX-Timestamp: {stamp}\r\n\r\n".encode()
            yield picture
