"""What every command starts from."""

import argparse
import os
from collections.abc import Callable
from typing import TypeAlias

from mjpegd import log
from mjpegd.config.load import find_file, load
from mjpegd.config.schema import Config

OK, FOUND_WRONG, UNUSABLE, INTERRUPTED = 0, 1, 2, 130

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001  (has no other name)


def load_config(options: argparse.Namespace, *, listening: bool = False) -> Config:
    """The configuration that the options ask for; checked for `listening` where a daemon is to have it."""
    return load(options.config or find_file(), os.environ, options.sets, listening=listening)


def log_as(config: Config) -> log.Flood:
    """Log as configured."""
    return log.setup(config.log.level, config.log.format, config.log.flood_period)


def bounded(low: int, high: int) -> Callable[[str], int]:
    """Reads a whole number from `low` to `high`, for argparse."""

    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) < 10 and low <= int(text) <= high):
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {low} to {high}")
        return int(text)

    return read
