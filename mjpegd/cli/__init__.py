"""The command line: the only room that prints or chooses an exit code.

Exit codes: 0 well, 1 something was found wrong (a camera that gives nothing), 2 it cannot be used as asked
(configuration, arguments, a busy port), 130 interrupted.
"""

import argparse
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from mjpegd import __version__
from mjpegd.cli import access, look, recipe, serve
from mjpegd.cli.common import FOUND_WRONG, INTERRUPTED, UNUSABLE
from mjpegd.config.load import SEARCH_PATH
from mjpegd.errors import ConfigError, SourceError
from mjpegd.masking import mask

_EPILOG = f"""\
Without --config the first of {" and ".join(map(str, SEARCH_PATH))} is read; without any file every
key has its default. A secrets.toml beside it, or the service's credentials, the environment
(MJPEGD_SERVER__PORT=9090) and --set server.port=9090 win over the file, in that order.
`mjpegd config --example` prints every key."""

HIDDEN = "_MJPEGD_WORDS"
"""The variable that hands our words over to ourselves, started again; the unit separator stands between them."""
_SECRET = re.compile(r"(?:--set=)?\s*key\.[^.=]+\.secret\s*=")

SHELVES = (serve, look, access, recipe)
"""Each adds its commands, in the order of the help."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    words = _own_words() if arguments is None else list(arguments)
    options = _parser().parse_args(_with_command(words))
    try:
        code: int = options.command(options)
    except ConfigError as error:
        for problem in error.problems:
            print(f"mjpegd: {problem}", file=sys.stderr)
        return UNUSABLE
    except SourceError as error:
        print(f"mjpegd: {mask(options.source)}: {error}", file=sys.stderr)
        return FOUND_WRONG
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def _own_words() -> list[str]:
    """The words after our name. Everybody can read them in the list of processes, so with a secret among them we start
    again as the same process, and they come through the environment, which is for the same user's eyes only (proc(5)).
    """
    hidden = os.environ.pop(HIDDEN, None)
    if hidden is not None:
        return hidden.split("\x1f")
    words = sys.argv[1:]
    if any(mask(word) != word or _SECRET.match(word) for word in words):
        program = sys.orig_argv[: len(sys.orig_argv) - len(words)]
        shown = [word for word in words[:1] if not word.startswith("-")]
        os.execve(sys.executable, [*program, *shown], {**os.environ, HIDDEN: "\x1f".join(words)})  # noqa: S606  (us)
    return words


def _with_command(words: list[str]) -> list[str]:
    """`run` is what is meant where no command is named."""
    asks = {"-h", "--help", "--version"}
    return words if words and (not words[0].startswith("-") or words[0] in asks) else ["run", *words]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mjpegd",
        description="Owns cameras and shows their pictures to any number of viewers.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"mjpegd {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    settings = _settings_parser()
    for shelf in SHELVES:
        shelf.add(commands, settings)
    return parser


def _settings_parser() -> argparse.ArgumentParser:
    settings = argparse.ArgumentParser(add_help=False)
    settings.add_argument("--config", type=Path, metavar="FILE", help="the configuration file")
    settings.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="sets",
        help="one key, as in server.port=9090 or camera.porch.source=pattern; may be repeated",
    )
    return settings
