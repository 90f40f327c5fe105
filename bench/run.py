"""The benchmark's command line: `python bench/run.py [PROGRAMME] [--quick] [--only SCENARIO ...]`.

Exit status: 0 when every server that is installed was measured, whatever the targets say; 1 when one could not be.
"""

import argparse
import json
import logging
import os
import platform
import resource
import signal
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import load
from artifacts import prepare
from measure import measure
from report import Report
from rounds import FOREIGN_MOST, REPEATS, Entrant, play
from scenarios import PROGRAMMES, SCENARIOS, Scenario
from servers import SERVERS
from usage import CORES, LOAD_CORE, SERVER_CORE

from mjpegd.http.tcp import NOTSENT_LOWAT

CAPTION = """# mjpegd bench

{system}, Python {python}, {cores} cores. Medians of {rounds} x {seconds:g} s, rows in turn; server on core \
{server_core}, viewers (mjload) on core {load_core}, over loopback; where a row says both cores, the server may use \
the viewers' too, and they go first there. Runs in which other programs used more than {foreign:g} % of a core are \
dropped. `limit` is rawlimit, a C program without a camera, with TCP_NOTSENT_LOWAT \
{lowat}, which mjpegd sets too. Latency is from capture to the viewer's last byte of the frame; CPU and memory are \
those of the server's process tree, the fake camera in it included."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return the exit status."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    if not set(CORES) <= os.sched_getaffinity(0):
        sys.exit(f"bench: needs the cores {CORES}, one for the server and one for its viewers")
    rounds, seconds = (options.rounds or 1, 2.0) if options.quick else (options.rounds or 3, 5.0)
    chosen = options.only or PROGRAMMES[options.programme]
    scenarios = [scenario for scenario in SCENARIOS if scenario.name in chosen]
    _settle_in(scenarios)
    print(_caption(rounds, seconds), flush=True)
    reports = {}
    for scenario in scenarios:
        entrants = _entrants(scenario, options.servers, seconds)
        results = play(scenario.name, entrants, rounds, repeats=options.repeats)
        reports[scenario.name] = report = Report(scenario, results)
        print(f"\n{report.markdown()}", flush=True)
    if options.json:
        options.json.write_text(json.dumps({name: report.data() for name, report in reports.items()}, indent=1) + "\n")
    return int(any(report.failed for report in reports.values()))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench/run.py", description="Measure mjpegd against the limit and its peers.")
    scenarios, servers = [row.name for row in SCENARIOS], [row.name for row in SERVERS]
    parser.add_argument("programme", nargs="?", choices=PROGRAMMES, default="servers", help="servers, unless said")
    parser.add_argument("--quick", action="store_true", help="one round of 2 s: a look, not a result")
    for option, names, default in ("--only", scenarios, None), ("--servers", servers, servers):
        parser.add_argument(option, nargs="+", choices=names, default=default, metavar="NAME", help=", ".join(names))
    parser.add_argument("--rounds", type=int, help="3, or 1 with --quick")
    parser.add_argument("--repeats", type=int, default=REPEATS, help=f"of a disturbed run: {REPEATS}, unless said")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every run's figures there too")
    return parser


def _settle_in(scenarios: Sequence[Scenario]) -> None:
    """Build what is needed, and take the viewers' core and enough descriptors: children inherit both."""
    # Unwind on SIGTERM as on Ctrl-C, so that no server is left behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    prepare({scenario.video.frames for scenario in scenarios if scenario.video.frames})
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    os.sched_setaffinity(0, {LOAD_CORE})


def _entrants(scenario: Scenario, names: Sequence[str], seconds: float) -> list[Entrant]:
    servers = {server.name: server for server in SERVERS if server.name in names}
    return [
        Entrant(setup.name, partial(measure, server, scenario, setup, seconds), server.missing() or load.missing(setup))
        for setup in scenario.setups
        if (server := servers.get(setup.server))
    ]


def _caption(rounds: int, seconds: float) -> str:
    return CAPTION.format(
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        cores=os.cpu_count(),
        rounds=rounds,
        seconds=seconds,
        server_core=SERVER_CORE,
        load_core=LOAD_CORE,
        lowat=NOTSENT_LOWAT,
        foreign=FOREIGN_MOST,
    )


if __name__ == "__main__":
    sys.exit(main())
