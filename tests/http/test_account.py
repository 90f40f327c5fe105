"""What a viewer was sent, by itself and with others, as it is reported."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from mjpegd.camera import Tally
from mjpegd.frame import Frame
from mjpegd.http.account import AGES, Account
from mjpegd.http.fanout import Fanout, Kind
from mjpegd.ring import Ring
from mjpegd.wire.multipart import DEFAULT
from tests.pictures import frame

KIND = Kind(DEFAULT.view, (64, 48), 60.0)


class Clock:
    """The time in the modules under test; it stands still unless it is set."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """The time."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A minute past the moment in which frames are taken."""
    clock = Clock()
    clock.now = frame().taken + 60.0
    for module in ("account", "fanout"):
        monkeypatch.setattr(f"mjpegd.http.{module}.monotonic", clock)
    return clock


class Others:
    """A fan-out that somebody else is in."""

    def __init__(self, first: Frame) -> None:
        self.ring = Ring(asyncio.get_running_loop())
        self.ring.publish(first)
        self.ring.position = 1
        self.fanout = Fanout(self.ring, KIND, first)
        self.send: Callable[[memoryview], int] = len
        self.fanout.join(self.send, self, first)

    def show(self, frame: Frame | None) -> None:
        """Nobody falls behind here."""
        raise AssertionError

    def fall_behind(self, rest: memoryview) -> None:
        """Nor so."""
        raise AssertionError

    def go_on(self, seq: int, position: int) -> Frame:
        """All of them are sent another frame."""
        self.ring.position = position
        newest = frame(seq)
        self.fanout.show(newest)
        return newest


def counted(account: Account) -> tuple[Any, ...]:
    """Frames, skipped ones and bytes, as they are shown."""
    report = account.report()
    return report["frames"], report["skipped"], report["bytes"]


def test_by_itself(clock: Clock) -> None:
    """Frames and bytes are counted, and as skipped what lay between two positions of the ring."""
    account, length = Account(thorough=False), len(frame().part)
    seen = [counted(account)]
    for seq, position in ((3, 7), (4, 8), (6, 11)):
        account.note(frame(seq), position, length)
        seen.append(counted(account))
    account.note_repeat(10)
    seen.append(counted(account))

    assert seen == [(0, 0, 0), (1, 0, length), (2, 0, 2 * length), (3, 2, 3 * length), (3, 2, 3 * length + 10)]
    assert [account.passing(published) for published in (11, 12, 14)] == [0, 0, 2]


def test_nothing_passes_one_that_was_sent_nothing() -> None:
    """Who has been sent nothing of a ring has missed nothing of it."""
    assert Account(thorough=False).passing(100) == 0


async def test_with_others(clock: Clock) -> None:
    """What is reported is exact at every moment: with others, after each look, and by itself again."""
    account, first = Account(thorough=False), frame(1)
    others, length = Others(first), len(first.part)
    account.note(first, 1, length)
    account.follow(others.fanout)
    seen = [counted(account)]
    others.go_on(2, 2)
    seen += [counted(account), counted(account)]
    others.go_on(5, 5)
    account.mark(behind=False)
    seen.append(counted(account))
    newest = others.go_on(6, 7)
    account.follow(None)
    others.go_on(8, 8)
    seen.append(counted(account))

    assert seen == [(count, skipped, count * length) for count, skipped in ((1, 0), (2, 0), (2, 0), (3, 2), (4, 3))]
    assert (account.frame, account.seq, account.position) == (newest, 6, 7)
    assert account.tally == Tally(4, 3, 4 * length)


async def test_what_passes_with_others() -> None:
    """What a viewer misses is counted from the frame that all were sent last, not from the last of its own."""
    account, first = Account(thorough=False), frame(1)
    others = Others(first)
    account.note(first, 1, 10)
    account.follow(others.fanout)
    others.go_on(4, 4)
    account.settle()

    assert [account.passing(published) for published in (4, 5, 8)] == [0, 0, 3]


async def test_rate(clock: Clock) -> None:
    """The rate is that between the last two looks, with others and across the moment it joined and left them."""
    account, first = Account(thorough=False), frame(1)
    others, rates = Others(first), []

    def leave() -> None:
        others.go_on(6, 6)
        account.follow(None)
        others.go_on(7, 7)

    steps: list[Callable[[], object]] = [
        lambda: account.note(first, 1, 10),
        lambda: account.follow(others.fanout),
        lambda: [others.go_on(seq, seq) for seq in (2, 3, 4, 5)],
        leave,
        lambda: account.note(frame(8), 8, 10),
        lambda: None,
    ]
    for step in steps:
        step()
        clock.now += 2.0
        account.mark(behind=False)
        rates.append(account.report()["fps"])

    assert rates == [0.5, 0.0, 2.0, 0.5, 0.5, 0.0]


async def test_when_it_was_sent(clock: Clock) -> None:
    """A frame is as old as it was when it left for this viewer: what others had earlier is no younger here."""
    first = frame(1)
    others, account = Others(first), Account(thorough=False)
    clock.now += 3.0
    account.note(first, 1, 10)
    account.follow(others.fanout)
    late, is_late = account.report()["latency"], clock.now - first.taken
    clock.now += 1.0
    second = others.go_on(2, 2)
    later, is_later = account.report()["latency"], clock.now - second.taken
    clock.now += 5.0

    assert (late, later) == (round(is_late * 1000, 1), round(is_later * 1000, 1))
    assert clock.now - account.wrote == pytest.approx(5.0)


@pytest.mark.parametrize(("behind", "age"), [(False, 60.0), (True, 61.0)])
def test_age_at_a_mark(clock: Clock, age: float, *, behind: bool) -> None:
    """One frame between two looks is enough: as old as when it had left, or as it is while it has not."""
    account, sent = Account(thorough=False), frame(1)
    clock.now = sent.taken + 60.0
    account.mark(behind=behind)
    account.note(sent, 1, 10)
    clock.now += 1.0
    account.mark(behind=behind)

    assert account.report()["age"] == {"p50": age * 1000, "p95": age * 1000}


async def test_age_with_others(clock: Clock) -> None:
    """With others it is that of the frame that all were sent last, when the last of them had been."""
    account, first = Account(thorough=False), frame(1)
    others = Others(first)
    account.note(first, 1, 10)
    account.follow(others.fanout)
    clock.now += 4.0
    second = others.go_on(2, 2)
    age = clock.now - second.taken
    clock.now += 1.0
    account.mark(behind=False)

    assert account.report()["age"]["p50"] == pytest.approx(age * 1000, abs=0.001)


def test_age_of_every_frame(clock: Clock) -> None:
    """Where it is looked at thoroughly each new frame's age is kept, until it had left; of a repeat nothing is."""
    account, ages = Account(thorough=True), []
    for seq, delay in enumerate((1.0, 2.0, 3.0), 1):
        sent = frame(seq)
        clock.now = sent.taken + 1.0
        account.note(sent, seq, 10)
        clock.now = sent.taken + delay
        account.note_gone()
        ages.append(list(account._ages))
    clock.now += 1.0
    account.note_repeat(10)
    clock.now += 1.0
    account.note_gone()
    account.mark(behind=True)

    assert ages == [pytest.approx([1.0, 2.0, 3.0][:count]) for count in (1, 2, 3)]
    assert list(account._ages) == ages[-1]
    assert account.sent == clock.now


def test_few_ages_are_kept(clock: Clock) -> None:
    """However long somebody watches, only the last ages are kept."""
    account = Account(thorough=True)
    for seq in range(1, AGES + 10):
        account.note(frame(seq), seq, 10)

    assert len(account._ages) == AGES


def test_nothing_to_report(clock: Clock) -> None:
    """A viewer that has been sent nothing has no age, also after its head has left."""
    account = Account(thorough=True)
    account.note_gone()
    account.mark(behind=True)
    clock.now += 2.0

    assert account.report() == {
        "connected": pytest.approx(2.0, abs=0.1),
        "fps": 0.0,
        "frames": 0,
        "skipped": 0,
        "bytes": 0,
        "latency": None,
        "age": {"p50": None, "p95": None},
    }
