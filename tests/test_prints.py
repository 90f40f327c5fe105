"""What is made of a camera's newest frame: each thing once."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from mjpegd.errors import BrokenPicture
from mjpegd.prints import Prints
from tests.daemon import SECONDS
from tests.pictures import frame


class Press:
    """Makes a thing, and counts how often; with `gate` shut it takes until that is opened."""

    def __init__(self, result: object = "print", *, shut: bool = False) -> None:
        self.result = result
        self.made = 0
        self.begun, self.gate = threading.Event(), threading.Event()
        if not shut:
            self.gate.set()

    def __call__(self) -> object:
        self.made += 1
        self.begun.set()
        assert self.gate.wait(10 * SECONDS)
        if isinstance(self.result, BaseException):
            raise self.result
        return self.result


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


def test_nothing_is_kept_for_nobody() -> None:
    """After `clear` everything is made anew, of the same frame too."""
    prints, press = Prints(), Press()
    prints.get(frame(1), "small", press)
    prints.clear()
    prints.get(frame(1), "small", press)

    assert press.made == 2


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
