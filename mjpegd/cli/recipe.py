"""`print-config`: configuration for the programs around us."""

import argparse
import sys
from pathlib import Path

from mjpegd.cli.common import OK, Commands, bounded, load_config
from mjpegd.recipes import RECIPES, fill


def add(commands: Commands, settings: argparse.ArgumentParser) -> None:
    """Add the command to the parser."""
    about = "print configuration that works as it stands for: " + ", ".join(recipe.name for recipe in RECIPES)
    command = commands.add_parser("print-config", help=about, description=about, parents=[settings], allow_abbrev=False)
    places = ", ".join(f"{recipe.name} ({recipe.goes_to})" for recipe in RECIPES)
    names = [recipe.name for recipe in RECIPES]
    command.add_argument("program", choices=names, metavar="PROGRAM", help=f"and where it goes: {places}")
    command.add_argument(
        "--listen", type=bounded(1, 65535), default=80, metavar="PORT", help="the port that a proxy listens on (80)"
    )
    command.set_defaults(command=_print)


def _print(options: argparse.Namespace) -> int:
    text = fill(
        options.program,
        load_config(options),
        listen=options.listen,
        program=_program(),
        arguments=_arguments(options),
    )
    print(text, end="")
    return OK


def _program() -> str:
    """How we were started, as a unit needs it: with the whole path."""
    started = Path(sys.argv[0]).absolute()
    return f"{sys.executable} -m mjpegd" if started.name == "__main__.py" else str(started)


def _arguments(options: argparse.Namespace) -> str:
    """The file that was named, as a unit takes it (systemd.service(5)); what `--set` says belongs into that file."""
    if options.config is None:
        return ""
    escaped = str(options.config.absolute()).replace("%", "%%").replace("$", "$$")
    return f' --config "{escaped}"' if " " in escaped else f" --config {escaped}"
