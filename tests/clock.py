"""A clock that stands still until a test moves it."""

import pytest


class Clock:
    """What is called in place of `time` or `monotonic`."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def forward(self, seconds: float) -> None:
        """Let that much time go by."""
        self.now += seconds


def stop_clocks(monkeypatch: pytest.MonkeyPatch, *names: str) -> Clock:
    """One clock for all these, each the dotted name of a `time` or `monotonic` that a module imported."""
    clock = Clock()
    for name in names:
        monkeypatch.setattr(name, clock)
    return clock
