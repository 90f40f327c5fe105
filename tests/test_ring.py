"""From a capture thread to whoever waits on the loop."""

import asyncio
import threading
from collections.abc import Callable
from time import monotonic

import pytest

from mjpegd.bell import Bell
from mjpegd.frame import Frame
from mjpegd.ring import Ring
from tests.daemon import SECONDS
from tests.pictures import frame

pytestmark = pytest.mark.usefixtures("told")

FRAMES = {seq: frame(seq) for seq in range(1, 10)}


def make_ring(slots: int = 4) -> Ring:
    """A ring on the running loop."""
    return Ring(asyncio.get_running_loop(), slots)


class Viewer:
    """A waiter that keeps what it is shown, and then does something."""

    def __init__(self, then: Callable[[], object] = lambda: None) -> None:
        self.shown: list[int | None] = []
        self._then = then

    def show(self, frame: Frame | None) -> None:
        """Keep it."""
        self.shown.append(seq_of(frame))
        self._then()


def soon() -> float:
    """A deadline that no test is meant to reach."""
    return asyncio.get_running_loop().time() + 30 * SECONDS


async def turns(count: int = 5) -> None:
    """Let the loop go round a few times."""
    for _ in range(count):
        await asyncio.sleep(0)


def seq_of(result: Frame | None) -> int | None:
    """The number of a frame, None for none."""
    return None if result is None else result.seq


@pytest.fixture
def wakeups(monkeypatch: pytest.MonkeyPatch) -> list[Bell]:
    """Every ring of a bell, which does what it always does."""
    calls, original = list[Bell](), Bell.ring

    def counted(bell: Bell) -> None:
        calls.append(bell)
        original(bell)

    monkeypatch.setattr(Bell, "ring", counted)
    return calls


async def test_next_one_comes() -> None:
    """Whoever waits gets the frame that is published, and every waiter the same object."""
    ring = make_ring()
    waiters = [ring.next(0, soon()) for _ in range(3)]
    ring.publish(FRAMES[1])

    assert [FRAMES[1]] * 3 == await asyncio.gather(*waiters)


async def test_newest_that_is_there() -> None:
    """Who asks while a newer frame is there gets it without a wait for the next one, and only the newest of several."""
    ring = make_ring()
    for seq in (1, 2, 3):
        ring.publish(FRAMES[seq])

    assert FRAMES[3] is await ring.next(1, soon())
    assert FRAMES[3] is await ring.next(2, soon())


async def test_same_frame_is_not_given_twice() -> None:
    """Who has the newest frame waits for the one after it."""
    ring = make_ring()
    ring.publish(FRAMES[1])
    assert FRAMES[1] is await ring.next(0, soon())
    waiter = ring.next(1, soon())
    await turns()
    assert not waiter.done()
    ring.publish(FRAMES[2])

    assert FRAMES[2] is await waiter


async def test_skips_to_the_newest() -> None:
    """Of several frames published before the loop ran, the waiter gets the last."""
    ring = make_ring()
    waiter = ring.next(0, soon())
    for seq in (1, 2, 3):
        ring.publish(FRAMES[seq])

    assert FRAMES[3] is await waiter


async def test_one_wakeup_a_frame(wakeups: list[Bell]) -> None:
    """The loop is woken once a frame, however many wait for it."""
    ring = make_ring()
    for seq in (1, 2, 3):
        waiters = [ring.next(seq - 1, soon()) for _ in range(50)]
        ring.publish(FRAMES[seq])
        await asyncio.gather(*waiters)

    assert len(wakeups) == 3


async def test_one_wakeup_for_a_burst(wakeups: list[Bell]) -> None:
    """Frames published before the loop ran wake it once."""
    ring = make_ring()
    waiter = ring.next(0, soon())
    for seq in (1, 2, 3):
        ring.publish(FRAMES[seq])
    await waiter

    assert len(wakeups) == 1


async def test_no_wakeup_while_nobody_waits(wakeups: list[Bell]) -> None:
    """A camera that nobody looks at never wakes the loop."""
    ring = make_ring()
    for seq in (1, 2, 3):
        ring.publish(FRAMES[seq])
    await ring.next(0, soon())
    ring.publish(FRAMES[4])

    assert wakeups == []


async def test_wakeup_is_measured() -> None:
    """The time from a frame's making to the loop's learning of it is measured once for each wake-up."""
    ring = make_ring()
    assert ring.wakeup.percentile(0.5) is None
    waiter = ring.next(0, soon())
    made = frame(1)
    ring.publish(made)
    await waiter

    (measured,) = ring.wakeup._samples
    assert 0 <= measured <= monotonic() - made.ready


async def test_deadline() -> None:
    """At its deadline, not before, a waiter gets None."""
    ring, loop = make_ring(), asyncio.get_running_loop()
    deadline = loop.time() + 0.05

    assert await ring.next(0, deadline) is None
    assert loop.time() >= deadline - 0.001


async def test_deadline_that_has_passed() -> None:
    """A deadline in the past gives a newer frame that is there, else None, without a wait for the next one."""
    ring = make_ring()
    assert await ring.next(0, 0.0) is None
    ring.publish(FRAMES[1])

    assert FRAMES[1] is await ring.next(0, 0.0)
    assert FRAMES[1] is await ring.next(0, 0.0)
    assert await ring.next(1, 0.0) is None


async def test_each_waiter_has_its_own_deadline() -> None:
    """A waiter with an early deadline, entered first or last, takes no other one's patience away."""
    ring, now = make_ring(), asyncio.get_running_loop().time()
    early, late, earlier = ring.next(0, now + 0.04), ring.next(0, soon()), ring.next(0, now + 0.02)

    assert list(await asyncio.gather(earlier, early)) == [None, None]
    assert not late.done()
    ring.publish(FRAMES[1])
    assert FRAMES[1] is await late


async def test_short_patience_behind_a_long_one() -> None:
    """A waiter whose deadline is the first, though it asked last, does not wait for the others'."""
    ring = make_ring()
    patient = ring.next(0, soon())

    async with asyncio.timeout(10 * SECONDS):
        assert await ring.next(0, 0.0) is None
    assert not patient.done()


async def test_close_lets_go() -> None:
    """When the ring is closed, everyone who waits gets None."""
    ring = make_ring()
    waiters = [ring.next(0, soon()) for _ in range(3)]
    ring.close()

    assert await asyncio.gather(*waiters) == [None] * 3
    assert ring.closed


async def test_closed_stays_closed() -> None:
    """Who comes after the close gets None too, with a newer frame there or one published later still."""
    ring = make_ring()
    ring.publish(FRAMES[1])
    ring.close()
    assert await ring.next(0, soon()) is None
    ring.publish(FRAMES[2])

    assert await ring.next(0, soon()) is None


async def test_frame_published_right_before_the_close() -> None:
    """A wake-up under way when the ring is closed does no harm, and measures nothing absurd."""
    ring = make_ring()
    waiter = ring.next(0, soon())
    ring.publish(FRAMES[1])
    ring.close()
    assert await waiter is None
    await turns()

    assert (ring.wakeup.percentile(0) or 0) >= 0


async def test_cancelled_waiter() -> None:
    """A waiter that is cancelled leaves the others unharmed."""
    ring = make_ring()
    first, gone, last = (ring.next(0, soon()) for _ in range(3))
    gone.cancel()
    ring.publish(FRAMES[1])

    assert [FRAMES[1]] * 2 == list(await asyncio.gather(first, last))
    assert gone.cancelled()


@pytest.mark.parametrize("end", ["deadline", "close"])
async def test_cancelled_waiter_at_the_end(end: str) -> None:
    """A cancelled waiter is no trouble for the deadline of another one, or for the close."""
    ring = make_ring()
    deadline = asyncio.get_running_loop().time() + 0.02
    gone, other = ring.next(0, deadline), ring.next(0, deadline if end == "deadline" else soon())
    gone.cancel()
    if end == "close":
        ring.close()

    assert await other is None


async def test_ask_again_and_again() -> None:
    """A viewer that asks for the next frame whenever it was shown one gets each, in order, and None at the end."""
    ring = make_ring()

    def ask() -> None:
        if not ring.closed:
            ring.ask(viewer, viewer.shown[-1] or 0, soon())

    viewer = Viewer(ask)
    ring.ask(viewer, 0, soon())
    for seq in range(1, 6):
        ring.publish(FRAMES[seq])
        await turns()
    ring.close()

    assert viewer.shown == [1, 2, 3, 4, 5, None]


async def test_nobody_is_shown_within_ask() -> None:
    """A viewer is never shown a frame while it still asks, be there one, be the ring closed or the deadline past."""
    ring = make_ring()
    viewers = [Viewer() for _ in range(4)]
    ring.ask(viewers[0], 0, 0.0)
    ring.publish(FRAMES[1])
    ring.ask(viewers[1], 0, soon())
    await turns()
    ring.ask(viewers[2], 0, soon())
    ring.close()
    ring.ask(viewers[3], 0, soon())
    at_once = [len(viewer.shown) for viewer in viewers]
    await turns()

    assert at_once == [1, 1, 0, 0]
    assert [viewer.shown for viewer in viewers] == [[1], [1], [1], [None]]


async def test_leave() -> None:
    """Who left is shown nothing more, and learns whether it still waited."""
    ring = make_ring()
    viewer, other = Viewer(), Viewer()
    ring.ask(viewer, 0, soon())
    ring.ask(other, 0, soon())
    assert ring.leave(viewer)
    assert not ring.leave(viewer)
    ring.publish(FRAMES[1])
    await turns()
    ring.close()

    assert [viewer.shown, other.shown] == [[], [1]]


async def test_leave_while_others_are_shown() -> None:
    """A viewer may leave for another one's sake at the deadline; that one is then shown nothing."""
    ring = make_ring()
    second = Viewer()
    first = Viewer(lambda: ring.leave(second))
    for viewer in (first, second):
        ring.ask(viewer, 0, 0.0)
    await turns()

    assert [first.shown, second.shown] == [[None], []]


@pytest.mark.parametrize("end", ["frame", "deadline", "close"])
async def test_a_viewer_that_breaks_down(end: str, told: list[BaseException | None]) -> None:
    """A bug in one viewer costs no other one its frame, its deadline or its farewell, and is told to the loop."""
    ring = make_ring()
    deadline = 0.0 if end == "deadline" else soon()
    before, broken, after = Viewer(), Viewer(list[int]().pop), Viewer()
    for viewer in (before, broken, after):
        ring.ask(viewer, 0, deadline)
    if end == "frame":
        ring.publish(FRAMES[1])
    elif end == "close":
        ring.close()
    await turns()

    expected = [1] if end == "frame" else [None]
    assert [expected] * 3 == [before.shown, broken.shown, after.shown]
    assert [IndexError] == [type(error) for error in told]
    told.clear()


async def test_sending_is_measured() -> None:
    """From a frame's announcement, the time to the last waiter's having been shown it is measured."""
    ring = make_ring()
    viewers = [Viewer() for _ in range(3)]
    for viewer in viewers:
        ring.ask(viewer, 0, soon())
    made = frame(1)
    ring.publish(made)
    await turns()
    (measured,) = ring.send._samples

    assert 0 <= measured <= monotonic() - made.ready


async def test_memory_is_bounded() -> None:
    """No more frames are kept than there are slots, the newest ones."""
    ring = make_ring(slots=2)
    for seq in range(1, 6):
        ring.publish(FRAMES[seq])

    assert [kept.seq for kept in ring._slots] == [4, 5]
    assert FRAMES[5] is ring.newest


LAST = 20_000


async def test_tight_loop_of_a_thread() -> None:
    """While a thread publishes as fast as it can, no viewer goes back in time, waits in vain or misses the last one."""
    ring = make_ring()

    def publish_all() -> None:
        for seq in range(1, LAST + 1):
            ring.publish(renumbered(FRAMES[1], seq))

    thread = threading.Thread(target=publish_all)
    viewers = [asyncio.create_task(watch(ring, lazy=number % 3)) for number in range(20)]
    await asyncio.sleep(0)
    thread.start()
    seen = await asyncio.gather(*viewers)
    thread.join()

    for seqs in seen:
        assert seqs[-1] == LAST
        assert seqs == sorted(set(seqs))


async def watch(ring: Ring, lazy: int) -> list[int]:
    """The numbers of the frames that a viewer gets until the last; a lazy one lets the loop run in between."""
    seqs = [0]
    while seqs[-1] < LAST:
        newer = await ring.next(seqs[-1], soon())
        assert newer is not None, f"waited in vain after frame {seqs[-1]}"
        seqs.append(newer.seq)
        for _ in range(lazy):
            await asyncio.sleep(0)
    return seqs


def renumbered(original: Frame, seq: int) -> Frame:
    """The same picture with another number, for next to nothing."""
    views = original.jpeg, original.part, original.advance
    return Frame(seq, original.captured, original.taken, original.ready, 64, 48, *views)


async def test_ping_pong_with_a_thread() -> None:
    """A thread that publishes only after the viewer took the last frame never leaves it waiting: no wake-up is lost."""
    ring, taken = make_ring(), threading.Semaphore(0)
    stopped = threading.Event()

    def publish_when_taken() -> None:
        for seq in range(1, 2001):
            if not taken.acquire(timeout=30 * SECONDS) or stopped.is_set():
                return
            ring.publish(renumbered(FRAMES[1], seq))

    thread = threading.Thread(target=publish_when_taken)
    thread.start()
    seqs: list[int | None] = []
    for seq in range(2000):
        taken.release()
        seqs.append(seq_of(await ring.next(seq, soon())))
    stopped.set()
    thread.join()

    assert list(range(1, 2001)) == seqs


async def test_a_viewer_that_asks_again_does_not_delay_the_others() -> None:
    """A deadline is kept although somebody due before it asked anew, for much later."""
    ring, loop = make_ring(), asyncio.get_running_loop()
    viewer = Viewer(lambda: ring.ask(viewer, 0, soon()))
    began = loop.time()
    ring.ask(viewer, 0, began + 0.05)

    assert await asyncio.wait_for(ring.next(0, began + 0.1), 10 * SECONDS) is None
    assert viewer.shown == [None]


async def test_published_are_counted() -> None:
    """Every frame that was published is counted, shown to somebody or not, and none that came too late."""
    ring = make_ring()
    for seq in (1, 2, 5, 3, 5, 6):
        ring.publish(frame(seq))

    assert (ring.published, ring.position) == (4, 0)
    await ring.next(0, soon())
    assert (ring.published, ring.position) == (4, 4)


async def test_time_never_runs_backwards() -> None:
    """A frame that is published behind a later one is dropped."""
    ring = make_ring()
    ring.publish(FRAMES[2])
    ring.publish(FRAMES[1])

    assert seq_of(await ring.next(0, soon())) == 2


async def test_nor_past_what_was_forgotten() -> None:
    """So is one that comes behind a later one which has been forgotten since: somebody may have seen that."""
    ring = make_ring()
    ring.publish(FRAMES[2])
    ring.forget()
    ring.publish(FRAMES[1])

    assert ring.newest is None
    ring.publish(FRAMES[3])
    assert ring.newest is FRAMES[3]


async def test_forgotten(wakeups: list[Bell]) -> None:
    """Who comes after the frames were forgotten is shown none of them, and the next one when it is there."""
    ring = make_ring()
    ring.publish(FRAMES[1])
    assert FRAMES[1] is await ring.next(0, soon())
    ring.forget()
    assert ring.newest is None
    waiter = ring.next(0, soon())
    await turns()
    assert not waiter.done()
    ring.publish(FRAMES[2])

    assert FRAMES[2] is await waiter
    assert len(wakeups) == 1


async def test_forgotten_before_it_was_seen() -> None:
    """A frame that is forgotten while the loop is on its way to show it is shown to nobody; who waited waits on."""
    ring = make_ring()
    waiter = ring.next(0, soon())
    ring.publish(FRAMES[1])
    ring.forget()
    await turns()
    assert not waiter.done()
    ring.publish(FRAMES[2])

    assert FRAMES[2] is await waiter


async def test_who_waited_before_waits_on() -> None:
    """A waiter that has seen the last frame is not disturbed when it is forgotten, and is shown the next."""
    ring = make_ring()
    ring.publish(FRAMES[1])
    assert FRAMES[1] is await ring.next(0, soon())
    waiter = ring.next(1, soon())
    ring.forget()
    other = ring.next(0, soon())
    await turns()
    assert (waiter.done(), other.done()) == (False, False)
    ring.publish(FRAMES[2])

    assert [FRAMES[2]] * 2 == list(await asyncio.gather(waiter, other))


@pytest.mark.parametrize("patience", [0.0, 0.05])
async def test_deadline_of_who_comes_after(patience: float) -> None:
    """Who comes when the frames were forgotten is shown None at its deadline, and another one's stays its own."""
    ring, loop = make_ring(), asyncio.get_running_loop()
    ring.publish(FRAMES[1])
    assert FRAMES[1] is await ring.next(0, soon())
    before = ring.next(1, soon())
    ring.forget()
    deadline = loop.time() + patience
    async with asyncio.timeout(10 * SECONDS):
        assert await ring.next(0, deadline) is None

    assert loop.time() >= deadline - 0.001
    assert not before.done()


async def test_close_after_forgetting() -> None:
    """A ring that is closed when its frames are forgotten lets everybody go."""
    ring = make_ring()
    ring.publish(FRAMES[1])
    assert FRAMES[1] is await ring.next(0, soon())
    ring.forget()
    waiter = ring.next(0, soon())
    ring.close()

    assert await waiter is None
    assert await ring.next(0, soon()) is None
