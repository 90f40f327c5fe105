"""What is made of a camera's newest frame: each thing once."""

import gc
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import numpy
import pytest

from mjpegd.errors import BrokenPicture
from mjpegd.prints import MOST, Prints
from tests.daemon import SECONDS
from tests.pictures import frame


class Press:
    """Makes a thing, and counts how often; with `gate` shut it takes until that is opened."""

    def __init__(self, result: Any = "print", *, shut: bool = False) -> None:
        self.result = result
        self.made = 0
        self.begun, self.gate = threading.Event(), threading.Event()
        if not shut:
            self.gate.set()

    def __call__(self) -> Any:
        self.made += 1
        self.begun.set()
        assert self.gate.wait(10 * SECONDS)
        if isinstance(self.result, BaseException):
            raise self.result
        return self.result


@pytest.fixture
def uncollected() -> Iterator[None]:
    """No collector."""
    gc.disable()
    yield
    gc.enable()


def test_made_once() -> None:
    """Who asks for the same of the same frame gets the very thing that the first one had made."""
    prints, press, shown = Prints(), Press([1]), frame(1)

    assert prints.get(shown, "small", press) is prints.get(shown, "small", press)
    assert press.made == 1


def test_each_key_is_another_thing() -> None:
    """Another size or quality of the same frame is made beside it."""
    prints, shown = Prints(), frame(1)
    small, large = Press("small"), Press("large")
    got = [prints.get(shown, key, press) for key, press in (("s", small), ("l", large), ("s", small), ("l", large))]

    assert got == ["small", "large", "small", "large"]
    assert (small.made, large.made) == (1, 1)


def test_a_newer_frame_takes_the_place() -> None:
    """With the next frame what was made of the last one is kept no more."""
    prints, press = Prints(), Press()
    for seq in (1, 2, 2, 3):
        prints.get(frame(seq), "small", press)

    assert press.made == 3


def test_an_older_frame_does_not_evict() -> None:
    """What is asked for late, of a frame that is not the newest, is made for that one alone and costs nobody else."""
    prints, new, old = Prints(), Press("new"), Press("old")
    prints.get(frame(7), "small", new)
    late = [prints.get(frame(6), "small", old), prints.get(frame(6), "small", old)]

    assert late == ["old", "old"]
    assert prints.get(frame(7), "small", new) == "new"
    assert (new.made, old.made) == (1, 2)


def test_few_are_kept() -> None:
    """Of one frame only so many things are kept, the oldest goes for the next and is made again if need be."""
    prints, shown = Prints(), frame(1)
    presses = [Press(numpy.zeros(8)) for _ in range(100)]
    kept = [weakref.ref(prints.get(shown, number, press)) for number, press in enumerate(presses)]
    for press in presses:
        press.result = "again"

    assert [number for number, each in enumerate(kept) if each() is not None] == list(range(100 - MOST, 100))
    assert prints.get(shown, 99, presses[99]) is kept[99]()
    assert prints.get(shown, 0, presses[0]) == "again"
    assert (presses[99].made, presses[0].made) == (1, 2)


def test_what_is_being_made_is_kept() -> None:
    """However many others are asked for meanwhile, what is being made is made for all who wait for it."""
    prints, shown, slow = Prints(), frame(1), Press("slow", shut=True)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(prints.get, shown, "slow", slow)
        assert slow.begun.wait(10 * SECONDS)
        for number in range(100):
            prints.get(shown, number, Press())
        second = pool.submit(prints.get, shown, "slow", slow)
        slow.gate.set()

        assert first.result(10 * SECONDS) == second.result(10 * SECONDS) == "slow"
    assert slow.made == 1


def test_counted() -> None:
    """What was made is counted once, however often it is asked for; what could not be made is not."""
    prints = Prints()
    for seq, press in ((1, Press()), (1, Press()), (2, Press()), (1, Press())):
        prints.get(frame(seq), "small", press)
    with pytest.raises(BrokenPicture):
        prints.get(frame(3), "small", Press(BrokenPicture("torn")))

    assert prints.made == 3


def test_an_error_keeps_nothing_for_the_collector(uncollected: None) -> None:
    """What could not be made lets go of its frame as soon as there is another one, without the collector's help."""

    def fail() -> None:
        raise BrokenPicture("torn")

    prints, torn = Prints(), frame(1)
    picture = weakref.ref(torn.jpeg)
    for _ in range(2):
        with suppress(BrokenPicture):
            prints.get(torn, "small", fail)
    del torn
    prints.get(frame(2), "small", Press())

    assert picture() is None


def test_many_threads_at_once() -> None:
    """Threads that ask while it is being made wait for it, and all get the same."""
    prints, press, shown = Prints(), Press([1], shut=True), frame(1)
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(prints.get, shown, "small", press) for _ in range(8)]
        assert press.begun.wait(10 * SECONDS)
        press.gate.set()
        got = [each.result(10 * SECONDS) for each in asked]

    assert press.made == 1
    assert all(each is got[0] for each in got)


@pytest.mark.parametrize("error", [BrokenPicture("torn"), MemoryError(), SystemExit(1)])
def test_an_error_is_for_all(error: BaseException) -> None:
    """What cannot be made is not tried again for the next who asks: each is told why."""
    prints, press, shown = Prints(), Press(error, shut=True), frame(1)
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(prints.get, shown, "small", press) for _ in range(4)]
        assert press.begun.wait(10 * SECONDS)
        press.gate.set()
        told = [each.exception(10 * SECONDS) for each in asked]
    with pytest.raises(type(error)):
        prints.get(shown, "small", press)

    assert press.made == 1
    assert all(each is error for each in told)


def test_the_next_frame_after_an_error() -> None:
    """An error is one frame's: of the next one the same is made."""
    prints = Prints()
    with pytest.raises(BrokenPicture):
        prints.get(frame(1), "small", Press(BrokenPicture("torn")))

    assert prints.get(frame(2), "small", Press("well")) == "well"


def test_a_newer_frame_does_not_wait_for_an_older() -> None:
    """While a slow thing is made of one frame, the next frame's is made beside it, and the slow one gets its own."""
    prints, slow = Prints(), Press("old", shut=True)
    with ThreadPoolExecutor(1) as pool:
        old = pool.submit(prints.get, frame(1), "small", slow)
        assert slow.begun.wait(10 * SECONDS)
        new = prints.get(frame(2), "small", Press("new"))
        slow.gate.set()

        assert (new, old.result(10 * SECONDS)) == ("new", "old")
        assert prints.get(frame(2), "small", Press("again")) == "new"


def test_one_print_of_another() -> None:
    """A picture is made of pixels that are a print too: pictures of two qualities cost one decoding."""
    prints, shown, pixels = Prints(), frame(1), Press("pixels")
    pictures = [prints.get(shown, quality, lambda: prints.get(shown, "pixels", pixels)) for quality in (50, 80, 50)]

    assert pictures == ["pixels"] * 3
    assert pixels.made == 1
