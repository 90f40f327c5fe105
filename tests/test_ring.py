"""From a capture thread to whoever waits on the loop."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from mjpegd.frame import Frame
from mjpegd.ring import Ring
from tests.daemon import SECONDS
from tests.pictures import frame

FRAMES = {seq: frame(seq) for seq in range(1, 10)}


def make_ring(slots: int = 4) -> Ring:
    """A ring on the running loop."""
    return Ring(asyncio.get_running_loop(), slots)


def soon() -> float:
    """A deadline that no test is meant to reach."""
    return asyncio.get_running_loop().time() + 30 * SECONDS


def seq_of(result: Frame | None) -> int | None:
    """The number of a frame, None for none."""
    return None if result is None else result.seq


@pytest.fixture
async def wakeups(monkeypatch: pytest.MonkeyPatch) -> list[Callable[..., object]]:
    """Every `call_soon_threadsafe` of the running loop, which does what it always does."""
    loop, calls = asyncio.get_running_loop(), list[Callable[..., object]]()
    original = loop.call_soon_threadsafe

    def counted(callback: Callable[..., object], *arguments: object) -> asyncio.Handle:
        calls.append(callback)
        return original(callback, *arguments)

    monkeypatch.setattr(loop, "call_soon_threadsafe", counted)
    return calls


async def test_next_one_comes() -> None:
    """Whoever waits gets the frame that is published, and every waiter the same object."""
    ring = make_ring()
    waiters = [ring.next(0, soon()) for _ in range(3)]
    ring.publish(FRAMES[1])

    assert [FRAMES[1]] * 3 == await asyncio.gather(*waiters)


async def test_newest_at_once() -> None:
    """A newer frame that is there already is given at once, and only the newest of several."""
    ring = make_ring()
    for seq in (1, 2, 3):
        ring.publish(FRAMES[seq])
    waiter = ring.next(1, soon())

    assert waiter.done()
    assert FRAMES[3] is waiter.result()


async def test_same_frame_is_not_given_twice() -> None:
    """Who has the newest frame waits for the one after it."""
    ring = make_ring()
    ring.publish(FRAMES[1])
    assert FRAMES[1] is await ring.next(0, soon())
    waiter = ring.next(1, soon())
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


async def test_one_wakeup_a_frame(wakeups: list[Callable[..., object]]) -> None:
    """The loop is woken once a frame, however many wait for it."""
    ring = make_ring()
    for seq in (1, 2, 3):
        waiters = [ring.next(seq - 1, soon()) for _ in range(50)]
        ring.publish(FRAMES[seq])
        await asyncio.gather(*waiters)

    assert 3 == len(wakeups)


async def test_one_wakeup_for_a_burst(wakeups: list[Callable[..., object]]) -> None:
    """Frames published before the loop ran wake it once."""
    ring = make_ring()
    waiter = ring.next(0, soon())
    for seq in (1, 2, 3):
        ring.publish(FRAMES[seq])
    await waiter

    assert 1 == len(wakeups)


async def test_no_wakeup_while_nobody_waits(wakeups: list[Callable[..., object]]) -> None:
    """A camera that nobody looks at never wakes the loop."""
    ring = make_ring()
    for seq in (1, 2, 3):
        ring.publish(FRAMES[seq])
    await ring.next(0, soon())
    ring.publish(FRAMES[4])

    assert [] == wakeups


async def test_wakeup_is_measured() -> None:
    """The time from a frame's making to the loop's learning of it is measured once for each wake-up."""
    ring = make_ring()
    assert ring.wakeup.percentile(0.5) is None
    waiter = ring.next(0, soon())
    made = frame(1)
    ring.publish(made)
    await waiter

    assert ring.woken - made.ready == ring.wakeup.percentile(0.5)
    assert ring.woken >= made.ready


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


async def test_each_waiter_has_its_own_deadline() -> None:
    """A waiter with an early deadline, entered first or last, takes no other one's patience away."""
    ring, now = make_ring(), asyncio.get_running_loop().time()
    early, late, earlier = ring.next(0, now + 0.04), ring.next(0, soon()), ring.next(0, now + 0.02)

    assert await asyncio.gather(earlier, early) == [None, None]
    assert not late.done()
    ring.publish(FRAMES[1])
    assert FRAMES[1] is await late


async def test_close_lets_go() -> None:
    """When the ring is closed, everyone who waits gets None."""
    ring = make_ring()
    waiters = [ring.next(0, soon()) for _ in range(3)]
    ring.close()

    assert [None] * 3 == await asyncio.gather(*waiters)
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
    await asyncio.sleep(0)

    assert (ring.wakeup.percentile(0) or 0) >= 0


async def test_cancelled_waiter() -> None:
    """A waiter that is cancelled leaves the others unharmed."""
    ring = make_ring()
    first, gone, last = (ring.next(0, soon()) for _ in range(3))
    gone.cancel()
    ring.publish(FRAMES[1])

    assert [FRAMES[1]] * 2 == await asyncio.gather(first, last)
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


async def test_memory_is_bounded() -> None:
    """No more frames are kept than there are slots, the newest ones."""
    ring = make_ring(slots=2)
    for seq in range(1, 6):
        ring.publish(FRAMES[seq])

    assert [4, 5] == [kept.seq for kept in ring._slots]
    assert FRAMES[5] is ring.newest


LAST = 20_000


async def test_tight_loop_of_a_thread() -> None:
    """While a thread publishes as fast as it can, no viewer goes back in time, waits in vain, or misses the last frame."""
    ring = make_ring()
    still = FRAMES[1]
    thread = threading.Thread(target=lambda: [ring.publish(renumbered(still, seq)) for seq in range(1, LAST + 1)])
    viewers = [asyncio.create_task(watch(ring, lazy=number % 3)) for number in range(20)]
    await asyncio.sleep(0)
    thread.start()
    seen = await asyncio.gather(*viewers)
    thread.join()

    for seqs in seen:
        assert LAST == seqs[-1]
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
    return Frame(seq, original.captured, original.taken, original.ready, 64, 48, True, *views)  # noqa: FBT003


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
