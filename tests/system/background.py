"""A helper with a thread of its own, for as long as a block lasts."""

import threading
from types import TracebackType
from typing import Self

from tests.daemon import SECONDS


class Background:
    """`work` runs in a thread until `stop` is set at the end of the block; then what it held is let go."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self._thread = threading.Thread(target=self.work, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop.set()
        self.interrupt()
        self._thread.join(5 * SECONDS)
        self.close()

    def work(self) -> None:
        """What the thread does."""
        raise NotImplementedError

    def interrupt(self) -> None:
        """End a wait that does not look at `stop`."""

    def close(self) -> None:
        """Let go of what it held."""
