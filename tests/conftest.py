"""Fixtures that several folders share: the LD_PRELOAD camera, pictures for it, certificates, and encoders."""

import asyncio
import gc
import socket
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import cv2
import numpy
import pytest

from mjpegd.config.schema import LimitsConfig
from mjpegd.encoding import worker, workshop
from mjpegd.encoding.encoders import Encoders
from tests.certificates import Pair, make_pair
from tests.peers import peer

NATIVE = Path(__file__).parent.parent / "bench" / "native"


@pytest.fixture(scope="session")
def fakecam() -> Path:
    """`libfakecam.so`, built here: a V4L2 camera by LD_PRELOAD, for machines whose kernel has none."""
    for tool in ("make", "gcc"):
        peer(tool, f"{tool} libc6-dev")
    subprocess.run(["make", "-C", NATIVE, "build/libfakecam.so"], check=True, capture_output=True)
    return NATIVE / "build" / "libfakecam.so"


@pytest.fixture(scope="session")
def camera_frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of ten 640x480 JPEGs of about 40 KB, each different."""
    folder = tmp_path_factory.mktemp("frames")
    noise = numpy.random.default_rng(1)
    for number in range(10):
        image = noise.integers(0, 60, (480, 640, 3), numpy.uint8)
        cv2.circle(image, (60 + 50 * number, 240), 50, (40, 200, 255), -1)
        cv2.imwrite(str(folder / f"{number:03}.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, 60])
    return folder


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Pair]:
    """An old certificate, a new one, and one whose key has a password."""
    folder = tmp_path_factory.mktemp("pairs")
    return {
        "old": make_pair(folder, "old"),
        "new": make_pair(folder, "new"),
        "locked": make_pair(folder, "locked", "-passout", "pass:hunter2"),
    }


class Inside:
    """The encoder process's program in a thread of this process, where tests can get at it."""

    pid = 0

    def __init__(self, threads: int) -> None:
        self.connection, self._theirs = socket.socketpair()
        self._thread = threading.Thread(target=self._serve, args=(threads,), daemon=True)
        self._thread.start()

    def _serve(self, threads: int) -> None:
        with self._theirs:
            worker.serve(self._theirs, threads)

    def end(self) -> str:
        """Wait for its end."""
        self._thread.join()
        return "exit status 0"


@pytest.fixture
async def encoders(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Encoders]:
    """Two threads for renditions, in this process; of these there may be as many as there are by default."""
    monkeypatch.setattr(workshop, "Child", Inside)
    encoders = Encoders(LimitsConfig(encoders=2))
    yield encoders
    encoders.close()
    await asyncio.sleep(0)


@pytest.fixture
def uncollected() -> Iterator[None]:
    """No collector: what goes, goes by itself."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
async def told() -> AsyncIterator[list[BaseException | None]]:
    """The errors that callbacks raised on the loop; a test that expects some clears them."""
    errors: list[BaseException | None] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context.get("exception")))
    yield errors
    assert errors == []
