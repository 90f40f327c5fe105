"""Calls that may never come back, in threads that may be left behind."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def aside(work: Callable[[], T], name: str) -> Future[T]:
    """What `work` gives or raises, in a daemon thread of its own.

    A driver or a name server may never answer and cannot be interrupted; asyncio's own executor would be waited for at
    the end, and run out of threads before.
    """
    answer: Future[T] = Future()

    def run() -> None:
        if answer.set_running_or_notify_cancel():
            try:
                answer.set_result(work())
            except Exception as error:  # noqa: BLE001  (whatever it is, it belongs to who asked)
                answer.set_exception(error)

    threading.Thread(target=run, name=name, daemon=True).start()
    return answer
