"""The two meters."""

from time import monotonic

import pytest

from mjpegd.timing import WINDOW, Rate, Timing


def timing(*samples: float) -> Timing:
    """A meter with these samples."""
    meter = Timing()
    for sample in samples:
        meter.add(sample)
    return meter


def rate(*times: float) -> Rate:
    """A meter with events at these times."""
    meter = Rate()
    for time in times:
        meter.tick(time)
    return meter


def test_no_samples() -> None:
    """Before the first sample there is no percentile."""
    assert timing().percentile(0.5) is None


@pytest.mark.parametrize(("share", "expected"), [(0, 1), (0.25, 2), (0.5, 3), (0.95, 5), (1, 5)])
def test_percentile(share: float, expected: float) -> None:
    """A percentile is one of the samples, whatever order they came in."""
    assert expected == timing(5, 1, 4, 2, 3).percentile(share)


def test_only_the_last_samples_count() -> None:
    """Samples older than the window are forgotten."""
    meter = timing(*[100.0] * 10, *[1.0] * WINDOW)

    assert (meter.percentile(0), meter.percentile(1)) == (1, 1)


def test_reading_takes_nothing_away() -> None:
    """A percentile asked for twice is the same twice."""
    meter = timing(1, 2, 3)

    assert meter.percentile(1) == meter.percentile(1) == 3


@pytest.mark.parametrize(
    ("times", "now", "expected"),
    [
        ((), 100, 0),
        ((100,), 100, 0),
        ((100, 100), 100, 0),
        ((99, 99.5, 100), 100, 2),
        ((98, 99, 100), 102.5, 0),
        ((97, 98, 99.5), 100, 0.8),
        ((90, 99, 99.25, 99.5), 100, 4),
        ((90, 91, 92), 100, 0),
    ],
)
def test_rate(times: tuple[float, ...], now: float, expected: float) -> None:
    """The rate is the mean of the last three seconds; 0 when they hold fewer than two moments."""
    assert expected == rate(*times).per_second(now)


def test_rate_now() -> None:
    """Without a time the rate is that of now."""
    now = monotonic()

    assert pytest.approx(10) == rate(*(now + tenth / 10 for tenth in range(-5, 1))).per_second()
    assert rate(now - 100, now - 99).per_second() == 0


def test_rate_above_the_window() -> None:
    """A rate that fills the window before three seconds are over is right all the same."""
    assert pytest.approx(1000) == rate(*(99 + thousandth / 1000 for thousandth in range(1000))).per_second(100)
