"""FFmpeg's options for one opening, through a variable that all threads share."""

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from time import monotonic

import pytest

from mjpegd.sources import ffoptions
from mjpegd.sources.ffoptions import VARIABLE, options
from tests.daemon import SECONDS

LONG = 30 * SECONDS


class Opener:
    """A thread that opens with these options; `read` is what it found, `entered` how long it had to wait."""

    def __init__(self, text: str) -> None:
        self.read: list[str] = []
        self.entered = 0.0
        self.is_in, self.leave = threading.Event(), threading.Event()
        self._began = monotonic()
        self._thread = threading.Thread(target=self._open, args=(text,), daemon=True)
        self._thread.start()

    def _open(self, text: str) -> None:
        with options(text):
            self.entered = monotonic() - self._began
            self.read.append(os.environ[VARIABLE])
            self.is_in.set()
            self.leave.wait(LONG)
            self.read.append(os.environ[VARIABLE])

    def end(self) -> None:
        """Be done with the opening."""
        self.leave.set()
        self._thread.join(LONG)
        assert not self._thread.is_alive()


@pytest.fixture
def openers() -> Iterator[ExitStack]:
    """Ends every opener at the end of the test."""
    with ExitStack() as stack:
        yield stack


def begin(openers: ExitStack, text: str) -> Opener:
    """An opener that ends with the test."""
    opener = Opener(text)
    openers.callback(opener.end)
    return opener


@pytest.fixture
def slow_readers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Openings that may take for ever to read the variable."""
    monkeypatch.setattr(ffoptions, "READ_WITHIN", LONG)


def test_what_is_read() -> None:
    """Within, the variable has the options."""
    with options("rtsp_transport;tcp|a;b"):
        assert os.environ[VARIABLE] == "rtsp_transport;tcp|a;b"


@pytest.mark.usefixtures("slow_readers")
def test_the_same_side_by_side(openers: ExitStack) -> None:
    """Any number of cameras with the same options open at the same time."""
    several = [begin(openers, "a;b") for _ in range(5)]

    assert all(opener.is_in.wait(LONG / 2) for opener in several)
    assert [opener.read for opener in several] == [["a;b"]] * 5


@pytest.mark.usefixtures("slow_readers")
def test_others_wait_until_it_is_open(openers: ExitStack) -> None:
    """Who wants other options waits until the opening is over; the options of the first are not touched before."""
    first = begin(openers, "a;b")
    assert first.is_in.wait(LONG / 2)
    second = begin(openers, "c;d")
    assert not second.is_in.wait(0.1)
    first.end()
    assert second.is_in.wait(LONG / 2)

    assert (first.read, second.read) == (["a;b", "a;b"], ["c;d"])


def test_others_wait_no_longer_than_the_reading(openers: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """An opening that takes long holds up others only for as long as it may take to read the variable."""
    monkeypatch.setattr(ffoptions, "READ_WITHIN", 0.2)
    first = begin(openers, "a;b")
    assert first.is_in.wait(LONG / 2)
    second, third = begin(openers, "c;d"), begin(openers, "c;d")
    assert second.is_in.wait(LONG / 2)
    assert third.is_in.wait(LONG / 2)

    assert 0.1 < second.entered < LONG / 2
    assert second.read == third.read == ["c;d"]


def test_an_opening_that_fails(openers: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who fails to open holds up nobody."""
    monkeypatch.setattr(ffoptions, "READ_WITHIN", LONG)
    with pytest.raises(ZeroDivisionError), options("a;b"):
        raise ZeroDivisionError

    assert begin(openers, "c;d").is_in.wait(LONG / 2)
