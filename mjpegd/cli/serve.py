"""`run`, `check` and `config`: the daemon, and its configuration looked at."""

import argparse
import json
import os
import re
import sys
from collections.abc import Sequence
from functools import partial
from typing import NoReturn

from mjpegd.cli.common import FOUND_WRONG, OK, Commands, load_config, log_as
from mjpegd.config.describe import effective, example
from mjpegd.errors import SourceError
from mjpegd.masking import mask

HIDDEN = "_MJPEGD_SETS"
"""The variable that hands `--set`s over to ourselves, started again."""
_SECRET = re.compile(r"\s*key\.[^.=]+\.secret\s*=")


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

    hidden = os.environ.pop(HIDDEN, None)
    if hidden is not None:
        options.sets = json.loads(hidden)
    read = partial(load_config, options, listening=True)
    config = read()
    if hidden is None and any(mask(item) != item or _SECRET.match(item) for item in options.sets):
        _start_again(options.sets)
    app.run(read, config, log_as(config), os.environ)
    return OK


def _start_again(sets: Sequence[str]) -> NoReturn:
    """Go on as the same process without any `--set` in its title, which everybody can read in the list of processes.

    They go through the environment instead, which is for the same user's eyes only (proc(5)).
    """
    following = zip(sys.orig_argv, ["", *sys.orig_argv], strict=False)
    words = [word for word, before in following if before != "--set" and not word.startswith("--set")]
    os.execve(sys.executable, words, {**os.environ, HIDDEN: json.dumps(sets)})  # noqa: S606  (ourselves)


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
