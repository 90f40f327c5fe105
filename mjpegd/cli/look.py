"""`probe` and `snapshot`: a look at cameras, without a daemon."""

import argparse
import sys
from pathlib import Path

from mjpegd import log
from mjpegd.cli.common import FOUND_WRONG, OK, Commands, load_config, log_as
from mjpegd.errors import ConfigError
from mjpegd.masking import mask


def add(commands: Commands, settings: argparse.ArgumentParser) -> None:
    """Add the commands to the parser."""
    _add_probe(commands)
    _add_snapshot(commands, settings)


def _add_probe(commands: Commands) -> None:
    about = "list the V4L2 cameras, or open a source and say what it gives"
    command = commands.add_parser("probe", help=about, description=about)
    command.add_argument("source", nargs="?", help="a URL, file or device; without it the cameras are listed")
    command.add_argument("--timeout", type=float, default=10.0, metavar="S", help="seconds to wait for it (10)")
    command.set_defaults(command=_probe)


def _add_snapshot(commands: Commands, settings: argparse.ArgumentParser) -> None:
    about = "save one picture of a configured camera, a source or a running mjpegd's snapshot URL"
    command = commands.add_parser("snapshot", help=about, description=about, parents=[settings], allow_abbrev=False)
    command.add_argument("source", metavar="URL|CAMERA", help="a camera's name in the configuration, a URL or a device")
    command.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE", help="where to; - is standard output"
    )
    command.add_argument("--timeout", type=float, default=10.0, metavar="S", help="seconds to wait for it (10)")
    command.set_defaults(command=_snapshot)


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

    config = load_config(options)
    log_as(config)
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
