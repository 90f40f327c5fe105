"""The encoder process's program, in a thread: what it answers, and how it ends."""

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from itertools import count
from typing import NamedTuple

import pytest

from mjpegd import pixels
from mjpegd.encoding import orders, worker
from mjpegd.encoding.maker import Original
from mjpegd.encoding.orders import ANSWER, FORGET, ORDER, Order, Outcome
from mjpegd.jpeg import quality as estimated
from mjpegd.look import Size
from tests.daemon import SECONDS
from tests.pictures import decode, jpeg

BIG = jpeg(128, 96)
OTHER = jpeg(96, 128)
PATIENCE = 10 * SECONDS


class Said(NamedTuple):
    """An answer, and what followed it."""

    number: int
    outcome: Outcome
    seconds: float
    body: bytes

    @property
    def size(self) -> Size:
        """Of the picture."""
        height, width, _ = decode(self.body).shape
        return width, height


class Served:
    """`serve` in a thread, and the daemon's end of its socket."""

    def __init__(self, threads: int) -> None:
        self.socket, self._theirs = socket.socketpair()
        self.socket.settimeout(PATIENCE)
        self.error: BaseException | None = None
        self._numbers = count(1)
        self._thread = threading.Thread(target=self._serve, args=(threads,), daemon=True)
        self._thread.start()

    def _serve(self, threads: int) -> None:
        with self._theirs:
            try:
                worker.serve(self._theirs, threads)
            except BaseException as error:  # noqa: BLE001  (whatever it is, the test is to see it)
                self.error = error

    def order(self, data: bytes = b"", size: Size = (64, 48), *, camera: int = 1, quality: int = 80) -> int:
        """Order a picture of that JPEG, or of the one of before; returns its number."""
        number = next(self._numbers)
        order = Order(number, camera, 128, 96, *size, quality=quality, length=len(data))
        self.socket.sendall(ORDER.pack(*order) + data)
        return number

    def forget(self, camera: int) -> None:
        """Have it forget a camera."""
        self.socket.sendall(ORDER.pack(*Order(FORGET, camera)))

    def answer(self) -> Said:
        """The next answer."""
        number, outcome, seconds, length = orders.answer(self._read(ANSWER.size))
        return Said(number, outcome, seconds, self._read(length))

    def _read(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            more = self.socket.recv(length - len(data))
            assert more
            data += more
        return data

    def hang_up(self) -> None:
        """Go, whatever it does."""
        self.socket.close()

    def end(self) -> None:
        """Wait until it has ended, which is to be without an error."""
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        assert self.error is None


@pytest.fixture
def serve() -> Iterator[Callable[[int], Served]]:
    """Begins one with so many threads; in the end it hangs up, and each must end well."""
    begun: list[Served] = []

    def begin(threads: int = 1) -> Served:
        begun.append(Served(threads))
        return begun[-1]

    yield begin
    for each in begun:
        each.hang_up()
        each.end()


Serve = Callable[..., Served]


def test_made(serve: Serve) -> None:
    """A picture that is ordered comes in the size and the quality that were asked for."""
    served = serve()
    number = served.order(BIG, (64, 48), quality=35)
    said = served.answer()

    assert (said.number, said.outcome, said.size) == (number, Outcome.MADE, (64, 48))
    assert estimated(memoryview(said.body)) == 35
    assert 0 < said.seconds < PATIENCE


def test_of_the_same_picture(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """An order without a JPEG is for that camera's last one, which is decoded once."""
    served, decoded, decoder = serve(), list[bytes](), pixels.decode

    def noted(data: memoryview, factor: int = 1) -> pixels.Pixels:
        decoded.append(bytes(data))
        return decoder(data, factor)

    monkeypatch.setattr(pixels, "decode", noted)
    served.order(BIG, camera=1)
    served.order(OTHER, (48, 64), camera=2)
    served.order(b"", (60, 45), camera=1)
    served.order(b"", (45, 60), camera=2)

    assert [served.answer().size for _ in range(4)] == [(64, 48), (48, 64), (60, 45), (45, 60)]
    assert decoded == [BIG, OTHER]


def test_the_next_picture(serve: Serve) -> None:
    """A camera's next JPEG takes the place of its last one."""
    served = serve()
    served.order(BIG, (128, 96))
    served.order(jpeg(128, 96, grey=True), (128, 96))
    served.order(b"", (128, 96))
    colour, grey, again = (served.answer().body for _ in range(3))

    assert again == grey != colour


def test_broken(serve: Serve) -> None:
    """A JPEG that cannot be decoded is answered with the reason, and the next one is made."""
    served = serve()
    served.order(b"\xff\xd8 no picture \xff\xd9")
    broken = served.answer()
    served.order(BIG)

    assert (broken.number, broken.outcome, broken.body) == (1, Outcome.BROKEN, b"OpenCV could not decode it")
    assert served.answer().outcome is Outcome.MADE


@pytest.mark.parametrize("error", [ValueError("strange"), MemoryError("strange")])
def test_a_bug(error: Exception, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any other error is answered with its traceback, and costs that one picture."""

    def fail(_order: Order, _original: Original) -> tuple[memoryview, float]:
        raise error

    served = serve()
    with monkeypatch.context() as patch:
        patch.setattr(worker, "make", fail)
        served.order(BIG)
        said = served.answer()
    served.order()

    assert said.outcome is Outcome.BUG
    assert said.body.startswith(b"Traceback")
    assert said.body.rstrip().endswith(f"{type(error).__name__}: strange".encode())
    assert served.answer().outcome is Outcome.MADE


class Kept:
    """What was decoded and is in memory still."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.there = 0
        monkeypatch.setattr(worker, "Original", self._original)

    def _original(self, data: memoryview) -> Original:
        kept = self

        class Counted(Original):
            """One that is counted until it goes."""

            def __del__(self) -> None:
                kept.there -= 1

        self.there += 1
        return Counted(data)


def test_forget(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """A camera's JPEG and pixels are let go when they are to be forgotten, others stay; nothing is answered."""
    kept, served = Kept(monkeypatch), serve()
    for camera, data in (1, BIG), (2, BIG), (1, BIG):
        served.order(data, camera=camera)
        served.answer()
    served.order(camera=2)
    served.answer()
    assert kept.there == 2
    served.forget(1)
    served.forget(5)
    served.order(b"", (60, 45), camera=2)

    assert served.answer().number == 5
    assert kept.there == 1


def test_forgotten_while_it_is_made(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is forgotten while a picture is made of it is made all the same."""
    begun, gate, scale = threading.Event(), threading.Event(), pixels.scale

    def late(image: pixels.Pixels, size: Size, *, bars: bool = False) -> pixels.Pixels:
        begun.set()
        assert gate.wait(PATIENCE)
        return scale(image, size, bars=bars)

    monkeypatch.setattr(pixels, "scale", late)
    served = serve()
    served.order(BIG)
    assert begun.wait(PATIENCE)
    served.forget(1)
    gate.set()

    assert served.answer().outcome is Outcome.MADE


def test_several_at_once(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """With two threads two pictures are made at the same time."""
    both = threading.Barrier(2, timeout=PATIENCE)

    def meet(order: Order, _original: Original) -> tuple[memoryview, float]:
        both.wait()
        return memoryview(b"met"), 0.0

    monkeypatch.setattr(worker, "make", meet)
    served = serve(2)
    for _ in range(4):
        served.order(BIG)

    assert sorted(served.answer()[:2] for _ in range(4)) == [(number, Outcome.MADE) for number in (1, 2, 3, 4)]


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_answers_do_not_interleave(threads: int, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """However large answers are, and however slowly they are read, each comes in one piece."""

    def large(order: Order, _original: Original) -> tuple[memoryview, float]:
        return memoryview(bytes([order.number]) * (1 << 20)), 0.0

    monkeypatch.setattr(worker, "make", large)
    served = serve(threads)
    for _ in range(12):
        served.order(BIG)
    answers = [served.answer() for _ in range(12)]

    assert sorted(each.number for each in answers) == list(range(1, 13))
    assert [each.body for each in answers] == [bytes([each.number]) * (1 << 20) for each in answers]


HEAD = ORDER.pack(*Order(9, 1, 128, 96, 64, 48, 80, bars=False, length=len(BIG)))


@pytest.mark.parametrize(
    "last",
    [b"", HEAD[:1], HEAD[:-1], HEAD, HEAD + BIG[:1], HEAD + BIG[:-1]],
    ids=[*("none", "1", "most", "head"), "jpeg", "all but one"],
)
@pytest.mark.parametrize("unread", [False, True])
def test_hang_up(last: bytes, unread: bool, serve: Serve) -> None:  # noqa: FBT001  (a row)
    """Wherever the daemon hangs up, it ends without an error: also where an answer was not read (a reset)."""
    served = serve()
    served.order(BIG)
    if unread:
        assert served.socket.recv(1, socket.MSG_PEEK)
    else:
        served.answer()
    served.socket.sendall(last)
    served.hang_up()

    served.end()


def test_hang_up_while_it_answers(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the daemon hangs up while large answers are on their way it ends, and what was not begun never is."""
    made: list[int] = []

    def large(order: Order, _original: Original) -> tuple[memoryview, float]:
        made.append(order.number)
        return memoryview(bytes(16 << 20)), 0.0

    monkeypatch.setattr(worker, "make", large)
    served = serve(1)
    for _ in range(20):
        served.order(BIG)
    assert served.socket.recv(1, socket.MSG_PEEK)
    served.hang_up()
    served.end()

    assert made[0] == 1
    assert len(made) < 20


def test_main(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program survives the daemon's signals, and serves on its standard input."""
    ours, theirs = socket.socketpair()
    deaf, served = list[int](), list[int]()

    def serve(connection: socket.socket, threads: int) -> None:
        assert (connection.family, connection.type) == (socket.AF_UNIX, socket.SOCK_STREAM)
        connection.sendall(b"here")
        served.append(threads)

    def ignore(number: int, handler: object) -> None:
        assert handler is signal.SIG_IGN
        deaf.append(number)

    duplicate = os.dup
    monkeypatch.setattr(os, "dup", lambda number: duplicate(theirs.fileno()) if number == 0 else -1)
    monkeypatch.setattr(signal, "signal", ignore)
    monkeypatch.setattr(worker, "serve", serve)
    with ours, theirs:
        worker.main(["3"])
        assert ours.recv(10) == b"here"

    assert served == [3]
    assert set(deaf) == {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
