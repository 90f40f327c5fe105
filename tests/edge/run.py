#!/usr/bin/env python3
"""Boots a real Debian with systemd and emulated USB cameras, installs mjpegd there, and goes through the steps.

Exit status: 0 if every step passed. Needs root; see README.md beside this file.
"""

import argparse
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.edge.machine import Guest  # noqa: E402  (found by the line above)
from tests.edge.scene import Finding  # noqa: E402
from tests.edge.steps import PACKAGE, STEPS, Step, install  # noqa: E402
from tests.edge.viewer import Failed  # noqa: E402


def main(arguments: Sequence[str] | None = None) -> int:
    """Play the steps and return the exit status."""
    options = _parser().parse_args(arguments)
    if options.list:
        say("\n".join(f"{step.name:10} {step.about}" for step in STEPS))
        return 0
    signal.signal(signal.SIGALRM, _give_up)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    guest, began = Guest(), time.time()
    try:
        _prepare(guest, options.deb)
        failed = [step.name for step in _chosen(guest, options.only) if not play(step, guest)]
    finally:
        if options.keep:
            say(f"the guest is kept: 127.0.0.1:{guest.port}, and EDGE_NAME={guest.name} for the scripts in guest/")
        elif guest.runs:
            guest.cut()
    verdict = f"{len(failed)} failed: {', '.join(failed)}" if failed else "all passed"
    say(f"{verdict}, in {time.time() - began:.0f} s")
    return int(bool(failed))


def say(text: str) -> None:
    """Print at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def play(step: Step, guest: Guest) -> bool:
    """Play one step; say how it went, and what the box looks like where it went wrong."""
    findings: list[Finding] = []
    trouble = ""
    began = time.time()
    signal.alarm(step.deadline)
    try:
        findings.extend(step.play(guest))  # keeps those that came before an error
    except (Failed, subprocess.TimeoutExpired, OSError, ValueError, KeyError) as error:
        trouble = f"{type(error).__name__}: {error}"
    finally:
        signal.alarm(0)
    passed = not trouble and all(finding.ok for finding in findings)
    say(f"{'ok' if passed else 'FAILED':6} {time.time() - began:6.1f} s  {step.name}: {step.about}")
    for finding in findings:
        say(f"{'' if finding.ok else 'FAILED':18}{finding.text}")
    if trouble:
        say(f"{'FAILED':18}{trouble}")
    if not passed:
        say("\n".join(f"    | {line}" for line in guest.evidence().splitlines()))
    return passed


def _prepare(guest: Guest, package: Path | None) -> None:
    """A running guest with the package lying in it."""
    if guest.runs:
        say(f"using the guest that runs, 127.0.0.1:{guest.port}")
        return
    package = package or _build_package()
    say(f"booting a guest for {package.name}, 127.0.0.1:{guest.port}")
    guest.build()
    guest.boot()
    guest.run("mkdir -p /var/log/journal && systemctl restart systemd-journald")  # one that outlives a boot
    guest.push(package, "/root")
    guest.run(f"mv /root/{package.name} {PACKAGE}")


def _build_package() -> Path:
    say("make deb")
    subprocess.run(["make", "--quiet", "deb"], cwd=ROOT, check=True)
    return max(ROOT.glob("dist/*.deb"), key=lambda path: path.stat().st_mtime)


def _chosen(guest: Guest, names: Sequence[str] | None) -> list[Step]:
    """The steps asked for, all by default, and the installation where it was not done yet."""
    installed = bool(guest.run("dpkg-query -W mjpegd 2>/dev/null", check=False))
    return [
        step for step in STEPS if (step.name in names if names else True) or (step.play is install and not installed)
    ]


def _give_up(number: int, frame: FrameType | None) -> NoReturn:
    raise Failed("it did not end")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deb", type=Path, metavar="FILE", help="the package; by default `make deb` builds it")
    names = [step.name for step in STEPS]
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=f"some steps: {', '.join(names)}")
    parser.add_argument("--keep", action="store_true", help="leave the guest running; the next call uses it")
    parser.add_argument("--list", action="store_true", help="say what the steps are")
    return parser


if __name__ == "__main__":
    sys.exit(main())
