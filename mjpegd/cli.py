"""The command line: the only file that prints or chooses an exit code.

Exit codes: 0 well, 1 something was found wrong (a camera that gives nothing), 2 it cannot be used as asked
(configuration, arguments, a busy port), 130 interrupted.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from mjpegd import __version__, log
from mjpegd.config.describe import effective, example
from mjpegd.config.load import SEARCH_PATH, find_file, load
from mjpegd.config.schema import Config
from mjpegd.errors import ConfigError, SourceError
from mjpegd.masking import mask

OK, FOUND_WRONG, UNUSABLE, INTERRUPTED = 0, 1, 2, 130

_EPILOG = f"""\
Without --config the first of {" and ".join(map(str, SEARCH_PATH))} is read; without any file every
key has its default. The environment (MJPEGD_SERVER__PORT=9090) and --set server.port=9090 win over the file.
`mjpegd config --example` prints every key."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(_with_command(sys.argv[1:] if arguments is None else list(arguments)))
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
    )
    parser.add_argument("--version", action="version", version=f"mjpegd {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    settings = _settings_parser()
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
    _add_probe(commands)
    _add_snapshot(commands, settings)
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


def _add_probe(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    about = "list the V4L2 cameras, or open a source and say what it gives"
    command = commands.add_parser("probe", help=about, description=about)
    command.add_argument("source", nargs="?", help="a URL, file or device; without it the cameras are listed")
    command.add_argument("--timeout", type=float, default=10.0, metavar="S", help="seconds to wait for it (10)")
    command.set_defaults(command=_probe)


def _add_snapshot(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", settings: argparse.ArgumentParser
) -> None:
    about = "save one picture of a configured camera, a source or a running mjpegd's snapshot URL"
    command = commands.add_parser("snapshot", help=about, description=about, parents=[settings])
    command.add_argument("source", metavar="URL|CAMERA", help="a camera's name in the configuration, a URL or a device")
    command.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE", help="where to; - is standard output"
    )
    command.add_argument("--timeout", type=float, default=10.0, metavar="S", help="seconds to wait for it (10)")
    command.set_defaults(command=_snapshot)


def _load(options: argparse.Namespace) -> Config:
    """The configuration that the options ask for."""
    return load(options.config or find_file(), os.environ, options.sets)


def _log_as(config: Config) -> log.Flood:
    return log.setup(config.log.level, config.log.format, config.log.flood_period)


def _run(options: argparse.Namespace) -> int:
    from mjpegd import app

    config = _load(options)
    app.run(config, _log_as(config))
    return OK


def _config(options: argparse.Namespace) -> int:
    print(example() if options.example else effective(_load(options)), end="")
    return OK


def _check(options: argparse.Namespace) -> int:
    from mjpegd.probe import trial

    config = _load(options)
    _log_as(config)
    print("configuration: ok")
    failures = 0
    for name, camera in config.camera.items():
        try:
            print(f"camera {name}: {trial(camera).describe()}")
        except SourceError as error:
            failures += 1
            print(f"camera {name}: {error}")
    return FOUND_WRONG if failures else OK


def _probe(options: argparse.Namespace) -> int:
    from mjpegd import probe
    from mjpegd.config.schema import CameraConfig

    log.setup("error", "console")
    if options.source:
        camera = CameraConfig(source=options.source, open_timeout=options.timeout, stale_after=options.timeout)
        print(f"{mask(options.source)}: {probe.trial(camera).describe()}")
        return OK
    found = probe.cameras()
    print("\n\n".join(camera.describe() for camera in found) or "no V4L2 cameras found")
    return OK if found else FOUND_WRONG


def _snapshot(options: argparse.Namespace) -> int:
    from mjpegd import probe

    config = _load(options)
    _log_as(config)
    picture = probe.picture(options.source, config.camera, options.timeout)
    if str(options.output) == "-":
        sys.stdout.buffer.write(picture)
    else:
        try:
            options.output.write_bytes(picture)
        except OSError as error:
            raise ConfigError([f"cannot write {options.output}: {error.strerror}"]) from None
        print(f"{options.output}: {len(picture)} bytes")
    return OK
