"""How long is waited before the next try."""

from mjpegd.backoff import Backoff


def test_doubles() -> None:
    """Pauses double from the shortest to the longest, each shortened by up to a quarter."""
    backoff = Backoff(1, 30)

    for full in (1, 2, 4, 8, 16, 30, 30):
        assert 0.75 * full <= backoff.pause() <= full


def test_random() -> None:
    """Cameras lost together do not retry in step."""
    assert len({Backoff(1, 30).pause() for _ in range(20)}) > 1


def test_reset() -> None:
    """After a reset the next pause is the shortest again."""
    backoff = Backoff(1, 30)
    for _ in range(5):
        backoff.pause()
    backoff.reset()

    assert backoff.pause() <= 1


def test_for_ever() -> None:
    """A camera that is lost for years does not overflow its pause."""
    backoff = Backoff(1, 30)

    assert max(backoff.pause() for _ in range(5000)) <= 30
