"""`run`, `check` and `config`: the daemon, and its configuration looked at."""

import argparse
import os
import re
import sys
from collections.abc import Container, Iterator, Sequence
from functools import partial
from itertools import zip_longest

from mjpegd.cli.common import FOUND_WRONG, OK, Commands, load_config, log_as
from mjpegd.config.describe import effective, example
from mjpegd.config.load import ENVIRONMENT_PREFIX
from mjpegd.errors import SourceError
from mjpegd.masking import mask

_SECRET = re.compile(r"\s*key\.[^.=]+\.secret\s*=")


def add(commands: Commands, settings: argparse.ArgumentParser) -> None:
    """Add the commands to the parser."""
    for name, function, about in (
        ("run", _run, "serve until Ctrl-C (the default)"),
        ("check", _check, "check the configuration and try each camera"),
        ("config", _config, "print the configuration in force, secrets masked"),
    ):
        command = commands.add_parser(name, help=about, description=about, parents=[settings])
        command.set_defaults(command=function)
        if name == "config":
            command.add_argument(
                "--example", action="store_true", help="print every key with its default and a comment"
            )


def _run(options: argparse.Namespace) -> int:
    from mjpegd import app

    config = load_config(options)
    _hide(options.sets)
    app.run(partial(load_config, options), config, log_as(config), os.environ)
    return OK


def _hide(sets: Sequence[str]) -> None:
    """What `--set` says, everybody can read in the list of processes: with a secret in it, start again without.

    The environment, which takes its place, is for the same user's eyes only (proc(5)).
    """
    secret = [item for item in sets if mask(item) != item or _SECRET.match(item)]
    if not secret:
        return
    moved = {}
    for item in secret:
        key, _, value = item.partition("=")
        moved[ENVIRONMENT_PREFIX + key.strip().replace(".", "__").upper()] = value.strip()
    os.execve(sys.executable, list(_without(sys.orig_argv, secret)), {**os.environ, **moved})  # noqa: S606  (ourselves)


def _without(words: Sequence[str], secret: Container[str]) -> Iterator[str]:
    """The command line without these settings, whether written `--set X` or `--set=X`."""
    for word, following in zip_longest(words, words[1:], fillvalue=""):
        settled = word in secret or word.removeprefix("--set=") in secret
        if not settled and not (word == "--set" and following in secret):
            yield word


def _config(options: argparse.Namespace) -> int:
    print(example() if options.example else effective(load_config(options)), end="")
    return OK


def _check(options: argparse.Namespace) -> int:
    from mjpegd.http import tls
    from mjpegd.probe import trial

    config = load_config(options)
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
