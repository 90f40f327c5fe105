"""The encoder process as the loop sees it, against a peer that a test plays, on asyncio's loop and on uvloop."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

import pytest
import uvloop

from mjpegd.encoding import process as module
from mjpegd.encoding.orders import ANSWER, FORGET, ORDER, Order, Outcome
from mjpegd.encoding.process import Made, Process
from mjpegd.errors import BrokenPicture, EncoderLost
from mjpegd.frame import Frame
from tests.daemon import SECONDS
from tests.pictures import frame

JPEG = b"\xff\xd8 a picture \xff\xd9"


class Ordered(NamedTuple):
    """An order, and the JPEG that came with it."""

    order: Order
    jpeg: bytes


class Peer:
    """The other end."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._loop = asyncio.get_running_loop()

    async def ordered(self) -> Ordered:
        """The next order."""
        order = Order._make(ORDER.unpack(await self._read(ORDER.size)))
        return Ordered(order, await self._read(order.length))

    async def _read(self, length: int) -> bytes:
        data = bytearray()
        while len(data) < length:
            more = await self._loop.sock_recv(self.socket, length - len(data))
            assert more, "it hung up"
            data += more
        return bytes(data)

    async def sees_the_end(self) -> None:
        """Wait until the other end hangs up, and read all before that."""
        while await self._loop.sock_recv(self.socket, 1 << 16):
            pass

    async def answer(self, number: int, body: bytes = b"small", outcome: int = Outcome.MADE) -> None:
        """Answer that order."""
        await self.send(ANSWER.pack(number, outcome, 0.25, len(body)) + body)

    async def send(self, data: bytes) -> None:
        """Send that."""
        await self._loop.sock_sendall(self.socket, data)

    def hang_up(self) -> None:
        """Go."""
        self.socket.close()


Scene = Callable[[Process, Peer], Awaitable[None]]
Play = Callable[..., None]


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def play(request: pytest.FixtureRequest) -> Iterator[Play]:
    """Plays a scene with a process and its peer on a loop of each kind; of what the loop complains is an error."""
    complaints: list[object] = []

    async def run(scene: Scene, kind: type[Process]) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: complaints.append(context))
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        process = kind()
        await loop.create_unix_connection(lambda: process, sock=ours)
        try:
            async with asyncio.timeout(10 * SECONDS):
                await scene(process, Peer(theirs))
                process.close()
                await process.ended.wait()
        finally:
            theirs.close()

    def play(scene: Scene, kind: type[Process] = Process) -> None:
        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(run(scene, kind))

    yield play
    assert complaints == []


def shown(seq: int = 1, data: bytes = JPEG) -> Frame:
    """A camera's frame."""
    return replace(frame(seq, (data,)), width=1920, height=1080)


def ask(process: Process, camera: int = 1, seq: int = 1, data: bytes = JPEG) -> asyncio.Future[Made]:
    """Order a picture; that it was lost need not be looked at."""
    asked = process.make(camera, shown(seq, data), (640, 360), 80, bars=False)
    asked.add_done_callback(lambda asked: asked.cancelled() or asked.exception())
    return asked


async def rounds(count: int = 10) -> None:
    """Let the loop go round a few times."""
    for _ in range(count):
        await asyncio.sleep(0)


def test_order(play: Play) -> None:
    """An order says what is to be made, and of what."""

    async def scene(process: Process, peer: Peer) -> None:
        asked = [
            process.make(7, shown(3), (640, 480), 35, bars=True),
            process.make(8, shown(3), (64, 36), 100, bars=False),
        ]
        first, second = await peer.ordered(), await peer.ordered()
        await asyncio.gather(peer.answer(1), peer.answer(2), *asked)

        assert first.order == Order(1, 7, 1920, 1080, 640, 480, 35, bars=True, length=len(JPEG))
        assert second.order == Order(2, 8, 1920, 1080, 64, 36, 100, bars=False, length=len(JPEG))
        assert first.jpeg == second.jpeg == JPEG

    play(scene)


def test_made(play: Play) -> None:
    """What comes back is a picture, and how long it took; answers find who asked in whatever order they come."""

    async def scene(process: Process, peer: Peer) -> None:
        first, second, third = ask(process), ask(process, 2), ask(process, 3)
        await peer.answer(2, b"second")
        await peer.answer(3, b"third" * 100_000)
        await peer.answer(1, b"")

        assert (bytes((await second).jpeg), (await second).seconds) == (b"second", 0.25)
        assert bytes((await third).jpeg) == b"third" * 100_000
        assert bytes((await first).jpeg) == b""

    play(scene)


@pytest.mark.parametrize("most", [1, 20, 22, 1000])
def test_bit_by_bit(most: int, play: Play) -> None:
    """However few bytes come at a time, answers are put together."""

    class Sipping(Process):
        """Takes so many at most."""

        def get_buffer(self, hint: int) -> memoryview:
            """A part of the room."""
            return super().get_buffer(hint)[:most]

    async def scene(process: Process, peer: Peer) -> None:
        asked = [ask(process, camera) for camera in range(4)]
        for number, body in enumerate((b"picture", b"", b"x" * 3000, b"."), 1):
            await peer.answer(number, body)

        assert [bytes((await each).jpeg) for each in asked] == [b"picture", b"", b"x" * 3000, b"."]

    play(scene, Sipping)


def test_each_jpeg_is_sent_once(play: Play) -> None:
    """A camera's JPEG goes along once, not with each picture that is made of it; that of another frame goes again."""

    async def scene(process: Process, peer: Peer) -> None:
        wanted = [(1, 7, True), (1, 7, False), (2, 7, True), (1, 7, False), (1, 8, True), (2, 7, False), (1, 7, True)]
        for camera, seq, _ in wanted:
            ask(process, camera, seq)
        came = [await peer.ordered() for _ in wanted]

        assert [(each.order.camera, bool(each.jpeg)) for each in came] == [(camera, new) for camera, _, new in wanted]
        assert {each.jpeg for each in came} == {JPEG, b""}
        assert [each.order.number for each in came] == list(range(1, len(wanted) + 1))

    play(scene)


def test_forget(play: Play) -> None:
    """A camera is to be forgotten once, where something of it was sent; its JPEG is sent again after that."""

    async def scene(process: Process, peer: Peer) -> None:
        process.forget(1)
        ask(process, 1)
        for _ in range(3):
            process.forget(1)
        process.forget(2)
        ask(process, 1)
        first, forgotten, again = [await peer.ordered() for _ in range(3)]

        assert (forgotten.order, forgotten.jpeg) == (Order(FORGET, 1), b"")
        assert (first.order.number, again.order.number) == (1, 2)
        assert first.jpeg == again.jpeg == JPEG

    play(scene)


def test_more_than_a_socket_holds(play: Play) -> None:
    """Where the process is slow to read, large JPEGs wait for it, in their order, and the loop goes on."""

    async def scene(process: Process, peer: Peer) -> None:
        large = [bytes([number]) * (3 << 20) for number in range(3)]
        asked = [ask(process, 1, seq, data) for seq, data in enumerate(large, 1)]
        await rounds()
        for number, data in enumerate(large, 1):
            came = await peer.ordered()
            assert (came.order.number, came.jpeg == data) == (number, True)
            await peer.answer(number)
            await asked[number - 1]

    play(scene)


def test_broken(play: Play) -> None:
    """A JPEG that cannot be decoded is the picture's error, with the reason, and nobody else's."""

    async def scene(process: Process, peer: Peer) -> None:
        broken, well = ask(process), ask(process)
        await peer.answer(1, "zerstört".encode(), Outcome.BROKEN)
        await peer.answer(2)

        with pytest.raises(BrokenPicture, match=r"^zerstört$"):
            await broken
        await well

    play(scene)


def test_a_bug(play: Play) -> None:
    """Any other error is raised with the traceback that the process has sent."""

    async def scene(process: Process, peer: Peer) -> None:
        asked = ask(process)
        await peer.answer(1, b"Traceback ...\nValueError: strange", Outcome.BUG)

        with pytest.raises(RuntimeError, match=r"(?s)in the encoder process.*ValueError: strange"):
            await asked
        assert not process.lost

    play(scene)


def test_who_left(play: Play) -> None:
    """An answer for somebody who has left is dropped, and the others get theirs."""

    async def scene(process: Process, peer: Peer) -> None:
        left, stays, torn = ask(process), ask(process), ask(process)
        left.cancel()
        torn.cancel()
        await peer.answer(1, b"late")
        await peer.answer(3, b"late", Outcome.BROKEN)
        await peer.answer(2, b"well")

        assert bytes((await stays).jpeg) == b"well"
        assert left.cancelled()
        assert torn.cancelled()

    play(scene)


@pytest.mark.parametrize("last", [b"", b"\1", ANSWER.pack(1, 0, 0.1, 5), ANSWER.pack(1, 0, 0.1, 5) + b"pict"])
def test_it_hangs_up(last: bytes, play: Play) -> None:
    """When the process ends, wherever in an answer, all that was due is lost, and so is all that comes after."""

    async def scene(process: Process, peer: Peer) -> None:
        asked = [ask(process, camera) for camera in range(3)]
        left = ask(process)
        left.cancel()
        await peer.send(last)
        peer.hang_up()
        for each in asked:
            with pytest.raises(EncoderLost):
                await each
        await process.ended.wait()
        assert process.lost
        for _ in range(10):
            with pytest.raises(EncoderLost):
                await ask(process)
            process.forget(1)

    play(scene)


def test_it_hangs_up_before_it_has_read_all(play: Play) -> None:
    """When the process ends while a JPEG is on its way, what was due is lost too."""

    async def scene(process: Process, peer: Peer) -> None:
        asked = ask(process, 1, 1, bytes(8 << 20))
        await rounds()
        peer.hang_up()
        for seq in range(2, 20):
            ask(process, 1, seq).cancel()
        with pytest.raises(EncoderLost):
            await asked
        await process.ended.wait()

    play(scene)


def test_no_answer_of_ours(play: Play) -> None:
    """What is no answer ends the connection, and what was due is lost."""
    complaints: list[str] = []

    async def scene(process: Process, peer: Peer) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context["message"]))
        asked = ask(process)
        await peer.answer(1, outcome=77)
        with pytest.raises(EncoderLost):
            await asked

    play(scene)

    assert len(complaints) == 1


def test_close(play: Play) -> None:
    """When the daemon hangs up the process sees the end, what was due is lost, and nothing more is made."""

    async def scene(process: Process, peer: Peer) -> None:
        asked = ask(process)
        process.close()
        assert process.lost
        late = ask(process)
        process.forget(1)
        for each in asked, late:
            with pytest.raises(EncoderLost):
                await each
        await process.ended.wait()
        await peer.sees_the_end()

    play(scene)


def test_nobody_waits_for_the_end(play: Play) -> None:
    """Whoever waited for the end may be gone when it comes, as at the end of the daemon."""

    async def scene(process: Process, _peer: Peer) -> None:
        async def wait() -> None:
            await process.ended.wait()

        waiting = asyncio.create_task(wait())
        await rounds()
        waiting.cancel()
        process.close()
        await rounds()

        assert waiting.cancelled()

    play(scene)


SILENCE = 0.3 * SECONDS


def test_silence(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that does not answer for too long is cut, and what was due is lost."""
    monkeypatch.setattr(module, "PATIENCE", SILENCE)

    async def scene(process: Process, peer: Peer) -> None:
        began = asyncio.get_running_loop().time()
        answered, silent = ask(process), ask(process)
        await peer.answer(1)
        await answered
        with pytest.raises(EncoderLost):
            await silent
        assert asyncio.get_running_loop().time() - began >= SILENCE
        await process.ended.wait()
        assert process.lost
        await peer.sees_the_end()

    play(scene)


def test_one_that_is_stuck(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """So is one that goes on answering, but for one picture: the thread that makes it is stuck."""
    monkeypatch.setattr(module, "PATIENCE", SILENCE)

    async def scene(process: Process, peer: Peer) -> None:
        stuck, answered = ask(process), 0
        while not stuck.done():
            other = ask(process)
            await peer.answer(2 + answered)
            await asyncio.wait([other])
            answered += 1
            await asyncio.sleep(SILENCE / 10)
        with pytest.raises(EncoderLost):
            await stuck
        assert answered > 1
        await process.ended.wait()

    play(scene)


def test_silence_before_it_has_read_all(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """So is one that does not even read: what is on its way to it is not waited for."""
    monkeypatch.setattr(module, "PATIENCE", SILENCE)

    async def scene(process: Process, _peer: Peer) -> None:
        silent = ask(process, 1, 1, bytes(8 << 20))
        with pytest.raises(EncoderLost):
            await silent
        await process.ended.wait()

    play(scene)


def test_silence_where_nothing_is_due(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has nothing to do may be silent for as long as it likes."""
    monkeypatch.setattr(module, "PATIENCE", SILENCE)

    async def scene(process: Process, peer: Peer) -> None:
        asked = ask(process)
        await peer.answer(1)
        await asked
        await asyncio.sleep(1.5 * SILENCE)  # the loop calls in the order in which calls are due

        assert not process.lost

    play(scene)
