"""What is made of a camera's newest frame: each thing once."""

import asyncio
import gc
import weakref
from asyncio import Future
from functools import partial
from typing import Any

import pytest

from mjpegd.errors import BrokenPicture, EncoderLost
from mjpegd.prints import MOST, Prints


class Press:
    """Begins things, counts them, and ends each when it is told."""

    def __init__(self) -> None:
        self.making: list[Future[Any]] = []

    def __call__(self) -> Future[Any]:
        self.making.append(asyncio.get_running_loop().create_future())
        return self.making[-1]

    @property
    def begun(self) -> int:
        """How many things it began."""
        return len(self.making)


class Thing:
    """What is made."""


def done(result: object = "print") -> Future[Any]:
    """What was made at once, or the error that it was not."""
    future: Future[Any] = asyncio.get_running_loop().create_future()
    if isinstance(result, BaseException):
        future.set_exception(result)
    else:
        future.set_result(result)
    return future


@pytest.fixture
def prints() -> Prints[Any]:
    """A camera's."""
    return Prints()


async def test_made_once(prints: Prints[Any]) -> None:
    """Who asks for the same of the same frame gets the very thing that the first one has made, or is having made."""
    press = Press()
    first, second = prints.get(1, "small", press), prints.get(1, "small", press)
    press.making[0].set_result(thing := Thing())
    third = prints.get(1, "small", press)

    assert [await each for each in (first, second, third)] == [thing, thing, thing]
    assert press.begun == 1


async def test_each_key_is_another_thing(prints: Prints[Any]) -> None:
    """Another size or quality of the same frame is made beside it."""
    small, large = Press(), Press()
    asked = [prints.get(1, key, press) for key, press in (("s", small), ("l", large), ("s", small), ("l", large))]
    small.making[0].set_result("small")
    large.making[0].set_result("large")

    assert await asyncio.gather(*asked) == ["small", "large", "small", "large"]
    assert (small.begun, large.begun) == (1, 1)


async def test_a_newer_frame_takes_the_place(prints: Prints[Any], uncollected: None) -> None:
    """With the next frame what was made of the last one is kept no more."""
    first, press = weakref.ref(await prints.get(1, "small", lambda: done(Thing()))), Press()
    await asyncio.sleep(0)
    assert first() is not None
    for seq in (2, 2, 3):
        prints.get(seq, "small", press)

    assert first() is None
    assert press.begun == 2


async def test_a_newer_frame_does_not_wait_for_an_older(prints: Prints[Any]) -> None:
    """While a slow thing is made of one frame, the next frame's is made beside it, and the slow one gets its own."""
    slow = Press()
    old = prints.get(1, "small", slow)

    assert await prints.get(2, "small", partial(done, "new")) == "new"
    slow.making[0].set_result("old")
    assert await old == "old"
    assert await prints.get(2, "small", partial(done, "again")) == "new"


async def test_an_older_frame_does_not_evict(prints: Prints[Any]) -> None:
    """What is asked for late, of a frame that is not the newest, is made for that one alone and costs nobody else."""
    new, old = Press(), Press()
    first = prints.get(7, "small", new)
    late = [prints.get(6, "small", old), prints.get(6, "small", old)]

    assert late == old.making
    assert len(late) == 2
    assert prints.get(7, "small", new) is first
    assert new.begun == 1


async def test_few_are_kept(prints: Prints[Any], uncollected: None) -> None:
    """Of one frame only so many things are kept, the oldest goes for the next and is made again if need be."""
    kept = []
    for number in range(100):
        kept.append(weakref.ref(await prints.get(1, number, lambda: done(Thing()))))
        await asyncio.sleep(0)

    assert [number for number, each in enumerate(kept) if each() is not None] == list(range(100 - MOST, 100))
    assert await prints.get(1, 99, partial(done, "again")) is kept[99]()
    assert await prints.get(1, 0, partial(done, "again")) == "again"


async def test_what_is_being_made_is_kept(prints: Prints[Any]) -> None:
    """However many others are asked for meanwhile, what is being made is made for all who wait for it."""
    slow = Press()
    first = prints.get(1, "slow", slow)
    for number in range(100):
        await prints.get(1, number, done)

    assert prints.get(1, "slow", slow) is first
    assert slow.begun == 1


async def test_many_are_being_made(prints: Prints[Any]) -> None:
    """Where all that are kept are being made, one more is made for who asked, and none of them goes for it."""
    press = Press()
    asked = [prints.get(1, number, press) for number in range(MOST + 1)]

    assert [prints.get(1, number, press) for number in range(MOST)] == asked[:MOST]
    assert press.begun == MOST + 1


async def test_counted(prints: Prints[Any]) -> None:
    """What was made is counted once it is, however often it is asked for and of whichever frame."""
    press = Press()
    for seq in (1, 1, 2, 1):
        prints.get(seq, "small", press)
    await asyncio.sleep(0)
    assert (press.begun, prints.made) == (3, 0)
    for number, each in enumerate(press.making, 1):
        each.set_result("print")
        await asyncio.sleep(0)
        assert prints.made == number


@pytest.mark.parametrize("error", [BrokenPicture("torn"), EncoderLost("gone"), RuntimeError("a bug")])
async def test_what_could_not_be_made_is_not_counted(error: Exception, prints: Prints[Any]) -> None:
    """An error is nothing that was made, and an error that nobody looks at is no complaint of the loop's."""
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    prints.get(1, "small", partial(done, error))
    prints.get(1, "large", done)
    await asyncio.sleep(0)
    prints.get(2, "small", done)
    gc.collect()
    await asyncio.sleep(0)

    assert prints.made == 2
    assert complaints == []


async def test_what_was_cancelled_is_not_counted(prints: Prints[Any]) -> None:
    """What was called off is neither counted nor given to the next who asks: it is made anew."""
    first = prints.get(1, "small", Press())
    first.cancel()
    await asyncio.sleep(0)
    assert prints.made == 0

    assert await prints.get(1, "small", partial(done, "again")) == "again"
    await asyncio.sleep(0)
    assert prints.made == 1


@pytest.mark.parametrize("error", [BrokenPicture("torn"), MemoryError(), RuntimeError("a bug")])
async def test_an_error_is_for_all(error: Exception, prints: Prints[Any]) -> None:
    """What cannot be made is not tried again for the next who asks: each is told why."""
    press = Press()
    asked = [prints.get(1, "small", press) for _ in range(3)]
    press.making[0].set_exception(error)
    asked.append(prints.get(1, "small", press))
    await asyncio.sleep(0)
    asked.append(prints.get(1, "small", press))

    assert await asyncio.gather(*asked, return_exceptions=True) == [error] * 5
    assert press.begun == 1


async def test_what_was_lost_is_tried_again(prints: Prints[Any]) -> None:
    """What came to nothing through no fault of the frame's, the next who asks has made, and that is for all again."""
    press = Press()
    lost = prints.get(1, "small", press)
    press.making[0].set_exception(EncoderLost("gone"))
    again = [prints.get(1, "small", press) for _ in range(3)]
    press.making[1].set_result("print")

    with pytest.raises(EncoderLost):
        await lost
    assert await asyncio.gather(*again) == ["print"] * 3
    assert press.begun == 2


async def test_the_next_frame_after_an_error(prints: Prints[Any]) -> None:
    """An error is one frame's: of the next one the same is made."""
    with pytest.raises(BrokenPicture):
        await prints.get(1, "small", partial(done, BrokenPicture("torn")))

    assert await prints.get(2, "small", partial(done, "well")) == "well"


async def test_how_it_is_made_is_not_kept(prints: Prints[Any], uncollected: None) -> None:
    """Who asked, and the frame that it was made of, are let go as soon as it is begun."""

    def make(_frame: Thing) -> Future[Any]:
        return done()

    frame = Thing()
    kept = weakref.ref(frame)
    prints.get(1, "small", partial(make, frame))
    del frame

    assert kept() is None
