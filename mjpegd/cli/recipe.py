"""`print-config`: configuration for the programs around us."""

import argparse
import sys
from pathlib import Path

from mjpegd.cli.common import OK, Commands, load_config
from mjpegd.recipes import RECIPES, fill


def add(commands: Commands, settings: argparse.ArgumentParser) -> None:
    """Add the command to the parser."""
    about = "print configuration that works as it stands for: " + ", ".join(recipe.name for recipe in RECIPES)
    command = commands.add_parser("print-config", help=about, description=about, parents=[settings])
    command.add_argument("program", choices=[recipe.name for recipe in RECIPES], metavar="PROGRAM", help="one of these")
    command.add_argument("--listen", type=int, default=80, metavar="PORT", help="the port that a proxy listens on (80)")
    command.set_defaults(command=_print)


def _print(options: argparse.Namespace) -> int:
    print(fill(options.program, load_config(options), listen=options.listen, program=_program()), end="")
    return OK


def _program() -> str:
    """How we were started, as a unit needs it: with the whole path."""
    started = Path(sys.argv[0]).absolute()
    return f"{sys.executable} -m mjpegd" if started.name == "__main__.py" else str(started)
