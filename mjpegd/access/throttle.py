"""What an address may do in a time: requests by a token bucket, wrong keys by growing delays and lock-outs.

Tables have a bound: the address that was seen longest ago is forgotten first.
"""

from collections import OrderedDict
from dataclasses import dataclass
from time import monotonic
from typing import TypeVar

from mjpegd.access.address import group
from mjpegd.config.schema import Config

Value = TypeVar("Value")

ADDRESSES = 10_000
"""Addresses remembered."""
FIRST_DELAY, LONGEST_DELAY = 0.1, 2.0
"""Seconds before a wrong key is answered: doubled with each further one."""
LONGEST_LOCKOUT = 3600.0
FORGIVEN_AFTER = 900.0
"""Seconds without a wrong key after which an address is as good as new."""


class Buckets:
    """Requests: `burst` at once, `rate` a second lasting; a rate of 0 lets everything through."""

    def __init__(self, rate: float, burst: int) -> None:
        self.rate, self.burst = rate, burst
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, address: str) -> float:
        """0 if one more request is within the limit, else the seconds until one would be."""
        if not self.rate:
            return 0.0
        address, now = group(address), monotonic()
        level, since = self._levels.pop(address, (float(self.burst), now))
        level = min(self.burst, level + (now - since) * self.rate)
        allowed = level >= 1
        _remember(self._levels, address, (level - 1 if allowed else level, now))
        return 0.0 if allowed else (1 - level) / self.rate


@dataclass(slots=True)
class _Record:
    count: int = 0
    lockouts: int = 0
    last: float = 0.0
    until: float = 0.0


class Failures:
    """Wrong keys: with each the answer takes longer, and the `limit`th locks the address out for `lockout` seconds."""

    def __init__(self, limit: int, lockout: float) -> None:
        self.limit, self.lockout = limit, lockout
        self._records: OrderedDict[str, _Record] = OrderedDict()

    def locked(self, address: str) -> float:
        """Seconds for which an address is still locked out; 0 if it is not."""
        record = self._records.get(group(address))
        return max(0.0, record.until - monotonic()) if record is not None else 0.0

    def note(self, address: str) -> float:
        """Count a wrong key; returns the seconds to wait before saying so."""
        address, now = group(address), monotonic()
        record = self._records.pop(address, _Record())
        if now - max(record.last, record.until) > FORGIVEN_AFTER:
            record = _Record()
        record.count, record.last = record.count + 1, now
        _remember(self._records, address, record)
        if record.count < self.limit:
            return float(min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** (record.count - 1)))
        record.until = now + min(LONGEST_LOCKOUT, self.lockout * 2.0 ** min(record.lockouts, 16))
        record.count, record.lockouts = 0, record.lockouts + 1
        return 0.0


class Turns:
    """Evenly spaced turns for all who share a name, each a `gap` of seconds behind the one before."""

    def __init__(self) -> None:
        self._next: OrderedDict[str, float] = OrderedDict()

    def wait(self, name: str, gap: float, longest: float) -> float | None:
        """Seconds until the next turn, which is taken; None, and none is taken, where that is more than `longest`."""
        now = monotonic()
        at = max(now, self._next.get(name, 0.0))
        if at - now > longest:
            return None
        self._next.pop(name, None)
        _remember(self._next, name, at + gap)
        return at - now


def _remember(table: OrderedDict[str, Value], address: str, value: Value) -> None:
    table[address] = value
    if len(table) > ADDRESSES:
        table.popitem(last=False)


class Throttle:
    """All of them. They outlive a reload: a new limit is no amnesty."""

    def __init__(self, config: Config) -> None:
        self.requests = Buckets(config.limits.requests_per_second, config.limits.burst)
        self.failures = Failures(config.auth.failures, config.auth.lockout)
        self.turns = Turns()

    def adapt(self, config: Config) -> "Throttle":
        """Go on with the limits of another configuration."""
        self.requests.rate, self.requests.burst = config.limits.requests_per_second, config.limits.burst
        self.failures.limit, self.failures.lockout = config.auth.failures, config.auth.lockout
        return self
