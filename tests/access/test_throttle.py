"""What hurrying and guessing cost an address, on a clock that the test moves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mjpegd.access import throttle
from mjpegd.access.throttle import Buckets, Failures, Throttle, Turns
from mjpegd.config.schema import AuthConfig, Config, LimitsConfig
from tests.clock import Clock, stop_clocks

HERE, THERE = "192.0.2.7", "192.0.2.8"


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The monotonic clock."""
    return stop_clocks(monkeypatch, "mjpegd.access.throttle.monotonic")


def test_burst() -> None:
    """So many requests as `burst` says are let through at once, and no more."""
    buckets = Buckets(10, 5)

    assert [buckets.take(HERE) for _ in range(5)] == [0.0] * 5
    assert buckets.take(HERE) == pytest.approx(0.1)


def test_rate(clock: Clock) -> None:
    """Behind the burst, `rate` requests a second are let through, lasting."""
    buckets = Buckets(10, 5)
    passed = 0
    for _ in range(1000):
        passed += not buckets.take(HERE)
        clock.forward(0.01)

    assert passed == pytest.approx(5 + 10 * 10, abs=1)


@given(st.floats(0.01, 1000), st.integers(1, 50))
def test_the_wait_is_what_it_takes(rate: float, burst: int) -> None:
    """Who waits for as long as it is told is let through, who comes much earlier is not."""
    with pytest.MonkeyPatch.context() as patch:
        clock = stop_clocks(patch, "mjpegd.access.throttle.monotonic")
        clock.now = 1000.0
        buckets = Buckets(rate, burst)
        while not (wait := buckets.take(HERE)):
            pass
        clock.forward(wait / 2)
        assert buckets.take(HERE) > 0
        clock.forward(wait / 2 + 1e-6 / rate + 1e-9)
        assert buckets.take(HERE) == 0.0


def test_silence_earns_no_more_than_the_burst(clock: Clock) -> None:
    """However long an address was silent, it has one burst."""
    buckets = Buckets(10, 3)
    buckets.take(HERE)
    clock.forward(86_400)

    assert [bool(buckets.take(HERE)) for _ in range(4)] == [False, False, False, True]


def test_a_refusal_costs_nothing(clock: Clock) -> None:
    """To be refused makes the wait no longer."""
    buckets = Buckets(1, 1)
    buckets.take(HERE)

    assert [buckets.take(HERE) for _ in range(100)] == [1.0] * 100
    clock.forward(1)
    assert buckets.take(HERE) == 0.0


def test_no_rate() -> None:
    """A rate of 0 lets everything through."""
    buckets = Buckets(0, 1)

    assert not any(buckets.take(HERE) for _ in range(1000))


def test_addresses_are_apart() -> None:
    """One address's hurry is no other's, but all of an IPv6 /64 are one."""
    buckets = Buckets(1, 1)

    assert [buckets.take(address) for address in (HERE, HERE, THERE)] == [0.0, 1.0, 0.0]
    assert [buckets.take(f"2001:db8::{number}") for number in (1, 2)] == [0.0, 1.0]


def test_a_bounded_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only so many addresses are remembered, and whoever was seen longest ago is forgotten first."""
    monkeypatch.setattr(throttle, "ADDRESSES", 3)
    buckets = Buckets(1, 1)
    for address in ("a", "b", "c", "a", "d"):
        buckets.take(address)

    assert len(buckets._levels) == 3
    assert buckets.take("a") == 1.0
    assert buckets.take("b") == 0.0


def test_delays_grow() -> None:
    """Each wrong key is answered later than the one before, to a longest."""
    failures = Failures(10, 60)

    assert [failures.note(HERE) for _ in range(9)] == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 2.0, 2.0]
    assert failures.locked(HERE) == 0.0


def test_lock_out(clock: Clock) -> None:
    """The last wrong key that is allowed locks the address out, for as long as configured and not longer."""
    failures = Failures(3, 60)
    for _ in range(3):
        assert failures.locked(HERE) == 0.0
        failures.note(HERE)

    assert failures.locked(HERE) == 60.0
    assert failures.locked(THERE) == 0.0
    clock.forward(59.5)
    assert failures.locked(HERE) == 0.5
    clock.forward(0.5)
    assert failures.locked(HERE) == 0.0


def lock_out(failures: Failures, clock: Clock) -> float:
    """Fail until locked out, and sit it out; how long that was."""
    while not (locked := failures.locked(HERE)):
        failures.note(HERE)
    clock.forward(locked)
    return locked


def test_lock_outs_double(clock: Clock) -> None:
    """Each further lock-out is twice as long, to an hour."""
    failures = Failures(2, 60)

    assert [lock_out(failures, clock) for _ in range(9)] == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]


def test_one_failure_is_enough_where_one_is_allowed() -> None:
    """With one wrong key allowed, the first one locks out."""
    failures = Failures(1, 60)
    failures.note(HERE)

    assert failures.locked(HERE) == 60.0


def test_forgiven(clock: Clock) -> None:
    """A quarter of an hour behind the last failure or lock-out an address is as good as new, and not before."""
    failures = Failures(2, 60)
    lock_out(failures, clock)
    clock.forward(throttle.FORGIVEN_AFTER - 1)
    assert lock_out(failures, clock) == 120
    clock.forward(throttle.FORGIVEN_AFTER + 1)

    assert lock_out(failures, clock) == 60


def test_failures_of_a_network() -> None:
    """Whoever changes the address within its IPv6 /64 is known again."""
    failures = Failures(3, 60)
    for number in range(3):
        failures.note(f"2001:db8:1:2::{number}")

    assert failures.locked("2001:db8:1:2:ffff::") == 60.0
    assert failures.locked("2001:db8:1:3::1") == 0.0


def test_a_bounded_table_of_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only so many addresses that failed are remembered, the last ones."""
    monkeypatch.setattr(throttle, "ADDRESSES", 3)
    failures = Failures(1, 60)
    for address in ("a", "b", "c", "d"):
        failures.note(address)

    assert [bool(failures.locked(address)) for address in ("a", "b", "c", "d")] == [False, True, True, True]
    assert len(failures._records) == 3


def test_looking_is_not_remembered() -> None:
    """To ask whether an address is locked out takes no place in the table."""
    failures = Failures(1, 60)
    for number in range(10):
        failures.locked(f"192.0.2.{number}")

    assert not failures._records


def test_turns(clock: Clock) -> None:
    """Those who share a name have their turns one gap behind the other, and the first at once."""
    turns = Turns()

    assert [turns.wait("link", 0.5, 10.0) for _ in range(3)] == [0.0, 0.5, 1.0]
    assert turns.wait("another", 0.5, 10.0) == 0.0
    clock.forward(1.25)
    assert turns.wait("link", 0.5, 10.0) == 0.25
    clock.forward(100)
    assert [turns.wait("link", 0.5, 10.0) for _ in range(2)] == [0.0, 0.5]


def test_a_turn_that_is_too_far(clock: Clock) -> None:
    """Who would wait for too long has no turn, and takes none from those who come later."""
    turns = Turns()

    assert [turns.wait("link", 1.0, 1.5) for _ in range(4)] == [0.0, 1.0, None, None]
    clock.forward(1.0)
    assert turns.wait("link", 1.0, 1.5) == 1.0


def test_a_bounded_table_of_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only so many names are remembered."""
    monkeypatch.setattr(throttle, "ADDRESSES", 3)
    turns = Turns()
    for number in range(10):
        turns.wait(str(number), 1.0, 10.0)

    assert len(turns._next) == 3


def limits(rate: float, burst: int, failures: int, lockout: float) -> Config:
    """A configuration of these."""
    return Config(
        limits=LimitsConfig(requests_per_second=rate, burst=burst),
        auth=AuthConfig(failures=failures, lockout=lockout),
    )


def test_a_reload_is_no_amnesty() -> None:
    """With new limits the address goes on where it was: locked out stays so, and the burst that was spent is spent."""
    both = Throttle(limits(1, 2, 1, 60))
    both.failures.note(HERE)
    assert [both.requests.take(HERE) for _ in range(3)] == [0.0, 0.0, 1.0]
    after = both.adapt(limits(2, 100, 5, 10))

    assert after.failures.locked(HERE) == 60.0
    assert after.requests.take(HERE) == 0.5


def test_a_reload_counts_from_then_on(clock: Clock) -> None:
    """New limits hold from the reload on, a smaller burst for those too who had more left."""
    both = Throttle(limits(1, 100, 10, 60))
    both.requests.take(HERE)
    both.adapt(limits(1, 2, 1, 30))
    both.failures.note(HERE)

    assert both.failures.locked(HERE) == 30.0
    clock.forward(1000)
    assert [bool(both.requests.take(HERE)) for _ in range(3)] == [False, False, True]
