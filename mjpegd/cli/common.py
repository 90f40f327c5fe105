"""What every command starts from."""

import argparse
import os
from typing import TypeAlias

from mjpegd import log
from mjpegd.config.load import find_file, load
from mjpegd.config.schema import Config

OK, FOUND_WRONG, UNUSABLE, INTERRUPTED = 0, 1, 2, 130

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001  (has no other name)


def load_config(options: argparse.Namespace) -> Config:
    """The configuration that the options ask for."""
    return load(options.config or find_file(), os.environ, options.sets)


def log_as(config: Config) -> log.Flood:
    """Log as configured."""
    return log.setup(config.log.level, config.log.format, config.log.flood_period)
