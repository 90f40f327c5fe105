"""`run`, `check` and `config`: the daemon, and its configuration looked at."""

import argparse
import os
from functools import partial

from mjpegd.cli.common import FOUND_WRONG, OK, Commands, load_config, log_as
from mjpegd.config.describe import effective, example
from mjpegd.config.load import find_file
from mjpegd.errors import SourceError


def add(commands: Commands, settings: argparse.ArgumentParser) -> None:
    """Add the commands to the parser."""
    for name, function, about in (
        ("run", _run, "serve until Ctrl-C (the default)"),
        ("check", _check, "check the configuration and try each camera"),
        ("config", _config, "print the configuration in force, secrets masked"),
    ):
        command = commands.add_parser(name, help=about, description=about, parents=[settings], allow_abbrev=False)
        command.set_defaults(command=function)
        if name == "config":
            command.add_argument(
                "--example", action="store_true", help="print every key with its default and a comment"
            )


def _run(options: argparse.Namespace) -> int:
    from mjpegd import app

    options.config = options.config or find_file()  # a file that is gone at a reload is an error, not a default
    read = partial(load_config, options, listening=True)
    config = read()
    app.run(read, config, log_as(config), os.environ)
    return OK


def _config(options: argparse.Namespace) -> int:
    print(example() if options.example else effective(load_config(options)), end="")
    return OK


def _check(options: argparse.Namespace) -> int:
    from mjpegd.http import tls
    from mjpegd.probe import trial

    config = load_config(options, listening=True)
    log_as(config)
    tls.context(config.tls)
    print("configuration: ok")
    failures = 0
    for name, camera in config.camera.items():
        try:
            print(f"camera {name}: {trial(camera).describe()}")
        except SourceError as error:
            failures += 1
            print(f"camera {name}: {error}")
    return FOUND_WRONG if failures else OK
