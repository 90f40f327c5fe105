"""Viewers that are served together, on a real ring; what their connections take is written down."""

import asyncio
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

import pytest

from mjpegd.camera import Tally
from mjpegd.frame import Frame
from mjpegd.http.fanout import Fanout, Fanouts, Kind
from mjpegd.ring import Ring
from mjpegd.wire import multipart
from mjpegd.wire.multipart import BROWSER, DEFAULT
from tests.daemon import SECONDS
from tests.pictures import frame

pytestmark = pytest.mark.usefixtures("told")

KIND = Kind(DEFAULT.view, (64, 48), 30 * SECONDS)
LENGTH = len(frame().part)
FULL = -1
"""What a connection takes that has no room, or is gone."""


class BrokenError(Exception):
    """A bug in a viewer."""


@dataclass(eq=False)
class Place:
    """A ring, and those who are served together."""

    ring: Ring
    fanouts: Fanouts = field(default_factory=Fanouts)
    seq: int = 0

    def publish(self, *, width: int = 64) -> Frame:
        """The next frame."""
        self.seq += 1
        made = multipart.assemble((b"\xff\xd8", b"\xff\xd9"), seq=self.seq, captured=0, taken=0, width=width, height=48)
        self.ring.publish(made)
        return made

    async def settle(self) -> None:
        """Let everybody be shown what was published."""
        async with asyncio.timeout(5 * SECONDS):
            while self.ring._waiters and self.ring.newest is not self.ring._announced:  # noqa: ASYNC110  (nobody tells)
                await asyncio.sleep(0)
        for _ in range(3):
            await asyncio.sleep(0)

    async def show(self, *, width: int = 64) -> Frame:
        """The next frame, when everybody was shown it."""
        made = self.publish(width=width)
        await self.settle()
        return made

    def waits(self, waiter: object) -> bool:
        """Whether the ring knows it."""
        return waiter in self.ring._waiters


@dataclass(eq=False)
class Member:
    """A viewer. `takes` is how many bytes its connection takes each time, and then always all."""

    place: Place
    takes: list[int] = field(default_factory=list)
    kind: Kind = KIND
    then: Callable[[], object] = lambda: None
    sent: list[int] = field(default_factory=list)
    """The number of each frame that was put into its connection, whole or not."""
    alone: list[int | None] = field(default_factory=list)
    """What it was to show by itself."""
    rests: list[bytes] = field(default_factory=list)
    fanout: Fanout | None = None

    def send(self, part: memoryview) -> int:
        """Take it, or not."""
        self.sent.append(int(bytes(part).split(b"X-Frame-Id: ")[1].split(b"\r\n")[0]))
        take = self.takes.pop(0) if self.takes else len(part)
        if take == FULL:
            raise BlockingIOError
        return take

    def show(self, frame: Frame | None) -> None:
        """Go on by itself."""
        self.leave()
        self.alone.append(None if frame is None else frame.seq)
        self.then()

    def fall_behind(self, rest: memoryview) -> None:
        """Send that later."""
        self.leave()
        self.rests.append(bytes(rest))
        self.then()

    def join(self, frame: Frame) -> bool:
        """Be served with others, having been sent that frame by itself."""
        self.fanout = self.place.fanouts.join(self.place.ring, self.kind, self.send, self, frame)
        return self.fanout is not None

    def leave(self) -> None:
        """Be served by itself."""
        if self.fanout is not None:
            self.place.fanouts.leave(self.fanout, self.send)
            self.fanout = None


@dataclass(eq=False)
class Waiter:
    """One that waits at the ring by itself, and does something when it is shown a frame."""

    then: Callable[[Frame], object]

    def show(self, frame: Frame | None) -> None:
        """Do it."""
        assert frame is not None
        self.then(frame)


@pytest.fixture
async def place() -> Place:
    """One that has shown a frame."""
    place = Place(Ring(asyncio.get_running_loop()))
    waiter = Waiter(lambda _: None)
    place.ring.ask(waiter, 0, asyncio.get_running_loop().time() + 60)
    await place.show()
    return place


def joined(place: Place, *takes: Iterable[int]) -> list[Member]:
    """Members whose connections take that, at the newest frame."""
    members = [Member(place, list(each)) for each in takes]
    assert place.ring.newest is not None
    assert all(member.join(place.ring.newest) for member in members)
    return members


def only(place: Place) -> Fanout:
    """The only fan-out that there is."""
    (fanout,) = place.fanouts._fanouts.values()
    return fanout


async def test_each_frame_once(place: Place) -> None:
    """Everybody is sent each frame that comes after the one it joined with, once and in order, by one waiter."""
    members = joined(place, [], [], [])
    for _ in range(4):
        await place.show()
    members[1].leave()
    await place.show()

    assert [member.sent for member in members] == [[2, 3, 4, 5, 6], [2, 3, 4, 5], [2, 3, 4, 5, 6]]
    assert (len(place.fanouts), len(only(place)), len(place.ring._waiters)) == (1, 2, 1)
    assert [(member.alone, member.rests) for member in members] == [([], [])] * 3


async def test_counts(place: Place) -> None:
    """Frames and bytes are counted once for all, and as skipped those that came and went before the loop looked."""
    joined(place, [], [FULL])
    await place.show()
    sums = [replace(only(place).tally)]
    for _ in range(3):
        place.publish()
    newest = await place.show()
    sums.append(replace(only(place).tally))
    length = len(newest.part)

    assert sums == [Tally(1, 0, length), Tally(2, 3, 2 * length)]
    assert (only(place).frame, only(place).position) == (newest, 6)


@pytest.mark.parametrize("taken", [FULL, 0, 1, 20])
async def test_one_falls_behind(taken: int, place: Place) -> None:
    """Who did not take all is handed exactly what is left of the frame, and is served by itself; the others go on."""
    first, slow, last = joined(place, [], [30000, taken], [])
    slow.takes = [taken]
    newest = await place.show()
    await place.show()

    assert slow.rests == [bytes(newest.part[max(0, taken) :])]
    assert (first.sent, slow.sent, last.sent) == ([2, 3], [2], [2, 3])
    assert (first.rests, last.rests, slow.alone) == ([], [], [])
    assert len(only(place)) == 2


async def test_it_comes_back(place: Place) -> None:
    """Who fell behind may join again, with the frame that it was sent then."""
    first, slow = joined(place, [], [5])
    await place.show()
    assert slow.fanout is None
    newest = await place.show()
    assert slow.join(newest)
    await place.show()

    assert (first.sent, slow.sent) == ([2, 3, 4], [2, 4])
    assert slow.fanout is first.fanout


async def test_all_fall_behind(place: Place) -> None:
    """When nobody is left nothing is: no fan-out, and nothing that waits at the ring."""
    members = joined(place, [FULL], [3], [0])
    fanout = only(place)
    await place.show()
    await place.show()

    assert [member.sent for member in members] == [[2], [2], [2]]
    assert len(place.fanouts) == len(fanout) == 0
    assert not place.waits(fanout)


async def test_all_leave(place: Place) -> None:
    """The same when they leave; to leave twice is nothing."""
    members = joined(place, [], [])
    fanout = only(place)
    members[0].leave()
    assert place.waits(fanout)
    members[1].leave()
    fanout.leave(members[1].send)
    place.fanouts.leave(fanout, members[1].send)

    assert len(place.fanouts) == 0
    assert not place.ring.leave(fanout)


async def test_another_of_its_kind(place: Place) -> None:
    """Who leaves late a fan-out that was given up takes nothing away from the one in its place."""
    (late,) = joined(place, [])
    before = only(place)
    late.leave()
    (early,) = joined(place, [])
    place.fanouts.leave(before, late.send)
    await place.show()

    assert only(place) is early.fanout is not before
    assert early.sent == [2]


async def test_another_size(place: Place) -> None:
    """A frame of another size is sent to nobody: each looks at it by itself, and may join others of its size."""
    members = joined(place, [], [])
    newest = place.publish(width=32)
    for member in members:
        member.then = lambda member=member: member.join(newest)  # type: ignore[misc]
        member.kind = replace(KIND, size=(32, 48))
    await place.settle()
    await place.show(width=32)

    assert [(member.alone, member.sent) for member in members] == [([2], [3])] * 2
    assert only(place).kind.size == (32, 48)
    assert len(only(place)) == 2


async def test_no_frame_in_time(place: Place) -> None:
    """When none comes in time each is to show its last one once more by itself."""
    newest = place.ring.newest
    assert newest is not None
    members = [Member(place, kind=replace(KIND, interval=0.05)) for _ in range(2)]
    began = asyncio.get_running_loop().time()
    assert all(member.join(newest) for member in members)
    async with asyncio.timeout(5 * SECONDS):
        while not members[1].alone:  # noqa: ASYNC110  (nobody tells)
            await asyncio.sleep(0.005)

    assert asyncio.get_running_loop().time() - began >= 0.045
    assert [(member.alone, member.sent) for member in members] == [([None], [])] * 2
    assert len(place.fanouts) == len(place.ring._waiters) == 0


async def test_who_joins_postpones_nothing(place: Place) -> None:
    """The last frame is repeated when it is due to those who were there first; after a new one it is due anew."""
    (first,) = joined(place, [])
    fanout = only(place)
    due = place.ring._waiters[fanout]
    await asyncio.sleep(0.01)
    joined(place, [])
    assert place.ring._waiters[fanout] == due
    await place.show()

    assert place.ring._waiters[fanout] > due
    assert first.alone == []


async def test_the_ring_is_closed(place: Place) -> None:
    """At the end everybody is told, and nobody is sent anything."""
    members = joined(place, [], [])
    fanout = only(place)
    place.publish()
    place.ring.close()
    await place.settle()

    assert [(member.alone, member.sent) for member in members] == [([None], [])] * 2
    assert len(place.fanouts) == len(fanout) == 0


async def test_a_frame_that_a_closed_ring_shows(place: Place) -> None:
    """Even a frame is not sent any more then."""
    (member,) = joined(place, [])
    fanout = only(place)
    place.ring.leave(fanout)
    place.ring.close()
    fanout.show(frame(2))

    assert (member.sent, member.alone) == ([], [2])


async def test_the_newcomer_comes_first(place: Place) -> None:
    """Who is shown a frame before the others, and joins, has them sent it: nobody misses it or gets it twice."""
    late = Member(place)
    waiter = Waiter(late.join)
    place.ring.ask(waiter, 1, asyncio.get_running_loop().time() + 60)
    members = joined(place, [], [1])
    await place.show()
    waiter.then = lambda _: None
    await place.show()

    assert [member.sent for member in (*members, late)] == [[2, 3], [2], [3]]
    assert len(only(place)) == 2
    assert only(place).tally.frames == 2
    assert place.waits(only(place))


async def test_the_newcomer_is_the_last(place: Place) -> None:
    """If none of the others takes the frame to which it brings them, it goes on without them."""
    late = Member(place)
    place.ring.ask(Waiter(late.join), 1, asyncio.get_running_loop().time() + 60)
    members = joined(place, [FULL], [2])
    await place.show()
    await place.show()

    assert [member.sent for member in (*members, late)] == [[2], [2], [3]]
    assert only(place) is late.fanout
    assert len(only(place)) == 1


async def test_the_newcomer_is_behind(place: Place) -> None:
    """Who has an older frame than the others waits for the next one by itself."""
    (member,) = joined(place, [])
    await place.show()
    late = Member(place)

    assert not late.join(frame(1))
    assert (len(only(place)), member.sent) == (1, [2])


async def test_kinds(place: Place) -> None:
    """Together are only those of one ring who want the same bytes, of the same size, and repeats at the same time."""
    newest, other = place.ring.newest, Place(Ring(asyncio.get_running_loop()), place.fanouts)
    assert newest is not None
    kinds = [KIND, replace(KIND, view=BROWSER.view), replace(KIND, size=(32, 48)), replace(KIND, interval=60.0)]
    members = [Member(at, kind=kind) for at in (place, other) for kind in kinds]
    assert all(member.join(newest) for member in members)
    assert len({member.fanout for member in members}) == len(place.fanouts) == 8
    more = [Member(member.place, kind=replace(member.kind)) for member in members]
    assert all(member.join(newest) for member in more)

    assert [member.fanout for member in members] == [member.fanout for member in more]
    for member in (*members, *more):
        member.leave()
    assert len(place.fanouts) == 0


@pytest.mark.parametrize("takes", [[FULL], []])
async def test_a_bug_in_one(takes: list[int], place: Place, told: list[BaseException | None]) -> None:
    """Whoever breaks down when it goes on by itself is told of, and costs no other one anything."""

    def fail() -> None:
        raise BrokenError

    first, bad, last = joined(place, takes, takes, takes)
    bad.then = fail
    await place.show(width=64 if takes else 32)

    assert [type(error) for error in told] == [BrokenError]
    assert [len(member.rests) + len(member.alone) for member in (first, bad, last)] == [1, 1, 1]
    assert len(place.fanouts) == 0
    told.clear()


async def test_a_late_frame(place: Place) -> None:
    """A card behind what was sent, which comes when that is forgotten, is sent to nobody; the next frame is."""
    (member,) = joined(place, [])
    await place.show()
    place.ring.forget()
    place.seq = 0
    place.publish()
    place.seq = 2
    await place.show()

    assert (member.sent, member.alone) == ([2, 3], [])


async def test_what_they_have(place: Place) -> None:
    """A fan-out that is shown what its members were sent sends it to nobody again, and waits for the next."""
    (member,) = joined(place, [])
    shown = await place.show()
    fanout = only(place)
    place.ring.leave(fanout)
    fanout.show(shown)
    assert place.waits(fanout)
    await place.show()

    assert (member.sent, member.alone) == ([2, 3], [])


async def test_nobody_left_in_the_middle_of_a_round(place: Place) -> None:
    """A fan-out that the last one leaves before its turn in a round asks for no further frame."""
    members = joined(place, [])
    fanout = only(place)
    place.ring.leave(fanout)
    leaving = Waiter(lambda _: members[0].leave())
    for waiter in (leaving, fanout):
        place.ring.ask(waiter, 1, asyncio.get_running_loop().time() + 60)
    await place.show()

    assert members[0].sent == []
    assert fanout.tally == Tally()
    assert not place.waits(fanout)


@pytest.mark.usefixtures("uncollected")
async def test_nothing_is_kept(place: Place) -> None:
    """A fan-out goes with its last member, and the frame with it, without a collector."""
    members = joined(place, [], [])
    sent = weakref.ref((await place.show()).jpeg)
    fanout, member = weakref.ref(only(place)), weakref.ref(members[0])
    while members:
        members.pop().leave()
    place.ring.forget()
    place.ring._announced = None

    assert (sent(), fanout(), member()) == (None, None, None)
