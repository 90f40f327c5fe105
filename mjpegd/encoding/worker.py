"""The encoder process: `python -m mjpegd.encoding.worker THREADS`, the daemon's end of a socket as standard input.

It is a process of its own because threads would share the interpreter's lock with the loop: each would now and then
have viewers wait for it. So they do not, however little of a core is left to encoders, and whatever becomes of them.
"""

import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import BinaryIO

from mjpegd.encoding.maker import Original, make
from mjpegd.encoding.orders import ANSWER, FORGET, ORDER, Order, Outcome
from mjpegd.errors import BrokenPicture


def serve(connection: socket.socket, threads: int) -> None:
    """Do what the daemon at the other end orders, until it hangs up."""
    sending, originals = threading.Lock(), dict[int, Original]()

    def work(order: Order, original: Original) -> None:
        outcome, seconds, body = _outcome(order, original)
        with sending, suppress(ConnectionError):  # it hung up: nobody wants it any more
            connection.sendall(b"".join((ANSWER.pack(order.number, outcome, seconds, len(body)), body)))

    with ThreadPoolExecutor(threads, thread_name_prefix="encoder") as pool, connection.makefile("rb") as orders:
        while (order := _next(orders)) is not None:
            if order.number == FORGET:
                originals.pop(order.camera, None)
                continue
            if order.length:
                originals[order.camera] = Original(memoryview(_read(orders, order.length)))
            pool.submit(work, order, originals[order.camera])
        pool.shutdown(wait=False, cancel_futures=True)


def _next(orders: BinaryIO) -> Order | None:
    """The next order; None at the end."""
    head = _read(orders, ORDER.size)
    return Order._make(ORDER.unpack(head)) if len(head) == ORDER.size else None


def _read(orders: BinaryIO, length: int) -> bytes:
    """So many bytes; fewer at the end, which is a reset where the daemon left answers unread."""
    try:
        return orders.read(length)
    except ConnectionError:
        return b""


def _outcome(order: Order, original: Original) -> tuple[Outcome, float, bytes | memoryview]:
    """What is to be answered."""
    try:
        picture, seconds = make(order, original)
    except BrokenPicture as error:
        return Outcome.BROKEN, 0.0, str(error).encode()
    except Exception:  # noqa: BLE001  (a bug costs one picture)
        return Outcome.BUG, 0.0, traceback.format_exc().encode()
    return Outcome.MADE, seconds, picture


def main(arguments: Sequence[str] = sys.argv[1:]) -> None:
    """Serve until the daemon hangs up, whatever signals it is sent beside that."""
    for each in signal.SIGINT, signal.SIGTERM, signal.SIGHUP:
        signal.signal(each, signal.SIG_IGN)
    with socket.socket(fileno=os.dup(0)) as connection:
        serve(connection, int(arguments[0]))


if __name__ == "__main__":
    main()
