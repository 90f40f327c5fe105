"""Viewers on real connections that are served together, and what each of them gets all the same."""

import asyncio
import errno
import os
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic

import pytest

from mjpegd.camera import Tally
from mjpegd.config.schema import ServerConfig
from mjpegd.frame import Frame
from mjpegd.http.fanout import Fanout
from mjpegd.http.live import Viewer
from mjpegd.wire import multipart
from tests.http.test_live import PATIENCE, Place, play

LARGE, SMALL = 1 << 20, 1 << 14
"""Bytes of pictures of which one that is not read soon takes no more, over TCP and on a Unix socket."""
NUMBER = b"X-Frame-Id: "


def number(head: bytes) -> int:
    """The number of a frame, below 0 if it is shown once more."""
    found = int(head.split(NUMBER)[1].split(b"\r\n")[0])
    return -found if b"X-Frame-Repeat" in head else found


class Client:
    """Reads a stream of the default profile, and keeps the number of each part that came whole, and its bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.numbers: list[int] = []
        self.bytes = 0
        self.ended = False
        self._task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        boundary = f"--{multipart.BOUNDARY}".encode()
        await self.reader.readuntil(boundary + b"\r\n")
        while True:
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
            picture = await self.reader.readexactly(length)
            tail = await self.reader.readexactly(len(boundary) + 4)
            assert picture == bytes(length) or picture[:2] == b"\xff\xd8"
            assert tail[:-2] == b"\r\n" + boundary
            self.numbers.append(number(head))
            self.bytes += len(head) + length + len(tail)
            if tail.endswith(b"--"):
                assert await self.reader.readexactly(2) == b"\r\n"
                assert await self.reader.read() == b""
                self.ended = True
                return

    async def has(self, last: int) -> None:
        """Wait for that one."""
        await until(lambda: self._task.done() or self.numbers[-1:] == [last])
        if self._task.done():
            self._task.result()
        assert self.numbers[-1:] == [last]

    async def end(self) -> None:
        """Wait for the orderly end."""
        async with asyncio.timeout(PATIENCE):
            await self._task
        assert self.ended

    async def leave(self) -> None:
        """Read no more."""
        self._task.cancel()
        await asyncio.wait([self._task])
        if not self._task.cancelled():
            self._task.exception()


async def until(done: Callable[[], object]) -> None:
    """Wait for it."""
    async with asyncio.timeout(PATIENCE):
        while not done():  # noqa: ASYNC110  (nobody tells)
            await asyncio.sleep(0.002)


def publish(place: Place, length: int) -> Frame:
    """The next picture, of the usual size and so many bytes."""
    place.seq += 1
    now = monotonic()
    frame = multipart.assemble((bytes(length),), seq=place.seq, captured=now, taken=now, width=64, height=48)
    place.camera.ring.publish(frame)
    return frame


@asynccontextmanager
async def watching(place: Place, *queries: str) -> AsyncIterator[Sequence[Client]]:
    """Clients who have been sent the first picture, and are served together if nothing is against it."""
    if not place.seq:
        place.publish()
    clients = [Client(*await place.watch(query)) for query in queries]
    try:
        for client in clients:
            await client.has(place.seq)
        yield clients
    finally:
        for client in clients:
            await client.leave()


def fanouts(place: Place) -> list[Fanout]:
    """Those that there are."""
    return list(place.site.clients.fanouts._fanouts.values())


def together(place: Place) -> list[int]:
    """How many are served together, in each fan-out."""
    return sorted(map(len, fanouts(place)))


def viewers(place: Place) -> list[Viewer]:
    """The viewers, as they came."""
    found = [viewer for viewer in place.site.clients if isinstance(viewer, Viewer)]
    assert len(found) == len(place.site.clients)
    return found


def counts(place: Place) -> list[tuple[int, int, int]]:
    """Frames, skipped ones and bytes of each viewer, as `/clients` shows them."""
    reports = [viewer.report() for viewer in viewers(place)]
    return [(report["frames"], report["skipped"], report["bytes"]) for report in reports]


def test_each_frame_once() -> None:
    """Viewers who keep up are served together, get each frame once and in order, and are counted exactly."""

    async def scene(place: Place) -> None:
        async with watching(place, "", "", "") as clients:
            for _ in range(20):
                seq = place.publish().seq
                for client in clients:
                    await client.has(seq)
                assert together(place) == [3]
                assert counts(place) == [(seq, 0, client.bytes) for client in clients]
                total = Tally(3 * seq, 0, sum(client.bytes for client in clients))
                assert place.camera.audience.total() == total
                for viewer in viewers(place):
                    viewer.mark()
            assert [client.numbers for client in clients] == [list(range(1, 22))] * 3

    play(scene)


def test_one_that_comes_late() -> None:
    """Who comes while others are served together joins them, and each gets every frame from then on."""

    async def scene(place: Place) -> None:
        async with watching(place, "", "") as early:
            for _ in range(3):
                seq = place.publish().seq
                for client in early:
                    await client.has(seq)
            async with watching(place, "") as (late,):
                assert together(place) == [3]
                seq = place.publish().seq
                for client in (*early, late):
                    await client.has(seq)
                assert [client.numbers for client in (*early, late)] == [[1, 2, 3, 4, 5]] * 2 + [[4, 5]]
                assert counts(place) == [(5, 0, early[0].bytes)] * 2 + [(2, 0, late.bytes)]

    play(scene)


def test_one_stalls() -> None:
    """One that takes nothing falls behind alone, is counted alone, and is served with the others when it is back."""

    async def scene(place: Place) -> None:
        async with watching(place, "", "", "") as (first, slow, last):
            slow.writer.transport.pause_reading()  # type: ignore[attr-defined]
            while together(place) != [2]:
                seq = publish(place, LARGE).seq
                await first.has(seq)
                await last.has(seq)
            stalled = viewers(place)[1]
            under_way = stalled.report()["frames"]  # it was sent each up to that one
            for _ in range(5):
                seq = place.publish().seq
                await first.has(seq)
                await last.has(seq)
            missed = seq - under_way - 1  # the newest is not lost to it
            assert stalled.missed() == missed >= 4
            assert stalled.waiting() > 0
            assert [viewer.waiting() for viewer in viewers(place)[::2]] == [0, 0]
            slow.writer.transport.resume_reading()  # type: ignore[attr-defined]
            await slow.has(seq)
            seq = place.publish().seq
            for client in (first, slow, last):
                await client.has(seq)

            everything = list(range(1, seq + 1))
            assert [client.numbers for client in (first, last)] == [everything] * 2
            assert slow.numbers == [*range(1, under_way + 1), seq - 1, seq]
            assert together(place) == [3]
            assert counts(place) == [
                (seq, 0, first.bytes),
                (seq - missed, missed, slow.bytes),
                (seq, 0, last.bytes),
            ]
            total = place.camera.audience.total()
            assert (total.frames, total.skipped) == (3 * seq - missed, missed)

    play(scene)


def test_frames_that_nobody_saw() -> None:
    """What came and went at once is missed by all of them, and what passes now is seen to pass."""

    async def scene(place: Place) -> None:
        async with watching(place, "", "") as clients:
            for _ in range(3):
                place.publish()
            for client in clients:
                await client.has(4)
            assert together(place) == [2]
            missed = [[viewer.missed() for viewer in viewers(place)]]
            place.publish()
            place.publish()
            missed.append([viewer.missed() for viewer in viewers(place)])
            for client in clients:
                await client.has(6)

            assert missed == [[2, 2], [3, 3]]
            assert counts(place) == [(3, 3, client.bytes) for client in clients]
            assert [client.numbers for client in clients] == [[1, 4, 6]] * 2

    play(scene)


@pytest.mark.parametrize("query", ["", "repeat_ms=250"])
def test_frames_shown_again(query: str) -> None:
    """Where none comes in time everybody is shown the last one again, and with the next they are together again."""

    async def scene(place: Place) -> None:
        async with watching(place, query, query) as clients:
            for client in clients:
                await client.has(-1)
            for seq in (2, 3):
                place.publish()
                for client in clients:
                    await client.has(seq)
            assert together(place) == [2]
            assert [client.numbers for client in clients] == [[1, -1, 2, 3]] * 2
            assert counts(place) == [(3, 0, client.bytes) for client in clients]
            for client in clients:
                await client.has(-3)

    play(scene, server=ServerConfig(port=0, heartbeat=0.5 if not query else 30))


def test_another_size() -> None:
    """Players, who take no other size in one stream, go on in the first one; nobody is left behind in a fan-out."""

    async def scene(place: Place) -> None:
        async with watching(place, "", "") as clients:
            assert together(place) == [2]
            for seq in (2, 3):
                place.publish(32, 24)
                for client in clients:
                    await client.has(seq)
            assert [client.numbers for client in clients] == [[1, 2, 3]] * 2
            assert together(place) == []
            assert [report[:2] for report in counts(place)] == [(3, 0)] * 2
            assert [viewer.report()["rendition"] for viewer in viewers(place)] != ["passthrough"] * 2

    play(scene)


def test_another_size_in_a_browser() -> None:
    """Browsers take whatever size comes: they are served together in each."""

    async def scene(place: Place) -> None:
        place.publish()
        await asyncio.gather(*(place.watch("profile=browser&repeat_ms=30000") for _ in range(2)))
        await until(lambda: together(place) == [2])
        before = fanouts(place)[0]
        for width, height in ((32, 24), (32, 24), (64, 48)):
            seq = place.publish(width, height).seq
            await until(lambda seq=seq: [count[0] for count in counts(place)] == [seq] * 2)  # type: ignore[misc]
            assert together(place) == [2]
            assert fanouts(place)[0].kind.size == (width, height)
            assert fanouts(place)[0] is not before

    play(scene)


def test_those_who_are_served_alone() -> None:
    """Who is looked after in some way of its own is in no fan-out, and gets each frame too."""

    async def scene(place: Place) -> None:
        async with watching(place, "", "adapt=1", "max_latency=5000", "extra_headers=1", "") as clients:
            for _ in range(3):
                seq = place.publish().seq
                for client in clients:
                    await client.has(seq)
            assert [client.numbers for client in clients] == [[1, 2, 3, 4]] * 5
            assert together(place) == [2]

    play(scene)


def test_a_path(tmp_path: Path) -> None:
    """On a Unix socket they are served together too, and one that stalls there falls behind alone."""

    async def scene(place: Place) -> None:
        async with watching(place, "", "") as (first, slow):
            slow.writer.transport.pause_reading()  # type: ignore[attr-defined]
            while together(place) != [1]:
                await first.has(publish(place, SMALL).seq)
            slow.writer.transport.resume_reading()  # type: ignore[attr-defined]
            await slow.has(place.seq)
            seq = place.publish().seq
            await first.has(seq)
            await slow.has(seq)
            assert first.numbers == slow.numbers == list(range(1, seq + 1))
            assert together(place) == [2]

    play(scene, server=ServerConfig(host=f"unix:{tmp_path / 'socket'}"))


def test_no_descriptor_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where too many files are open a viewer is served all the same, by itself."""

    def none(*_: int) -> socket.socket:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    async def scene(place: Place) -> None:
        monkeypatch.setattr(socket, "fromfd", none)
        async with watching(place, "", "") as clients:
            for _ in range(3):
                seq = place.publish().seq
                for client in clients:
                    await client.has(seq)
            assert [client.numbers for client in clients] == [[1, 2, 3, 4]] * 2
            assert together(place) == []

    play(scene)
