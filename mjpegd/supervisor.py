"""Watches over the daemon while it serves, and tells the service manager how it is.

The watchdog is fed here and nowhere else: on the loop, and only while every capture thread makes progress. So a loop
that hangs and a thread that a driver never gives back both end in a restart.
"""

import asyncio
import os
import resource
from collections.abc import Collection
from itertools import count

from mjpegd import log
from mjpegd.http.site import Site
from mjpegd.systemd import Notifier

TICK = 1.0
"""Seconds between two looks."""
FILES_EVERY = 10
"""Ticks between two counts of the open files, which take as long as there are many."""
FULL = 0.95
"""Share of the file descriptors in use above which the operator is told: new viewers will soon be turned away."""


class Supervisor:
    """Looks at everything once a tick."""

    def __init__(self, site: Site, notifier: Notifier, watchdog: float | None) -> None:
        self._site, self._notifier = site, notifier
        self._tick = min(TICK, watchdog or TICK)
        self._watched = watchdog is not None
        self._said = ""
        self._stuck: frozenset[str] = frozenset()
        self._full = False

    async def run(self) -> None:
        """Look, tell, sleep, until cancelled."""
        for tick in count():
            if tick % FILES_EVERY == 0:
                self._look_at_files()
            await self._site.cameras.rescue()
            self._look_at_threads()
            self._look_at_viewers()
            self._tell()
            await asyncio.sleep(self._tick)

    def _look_at_threads(self) -> None:
        stuck = self._site.cameras.stuck()
        for name in stuck.keys() - self._stuck:
            consequence = "the watchdog is not fed any more" if self._watched else "only a restart helps"
            log.get(camera=name).error("capture thread stuck", seconds=round(stuck[name]), consequence=consequence)
        for name in self._stuck - stuck.keys():
            log.get(camera=name).warning("capture thread gets on again")
        self._stuck = frozenset(stuck)

    def _look_at_viewers(self) -> None:
        """Note their rates, and send those home who may watch no longer, or are to come again better informed."""
        for viewer in self._site.clients:
            viewer.mark()
            if viewer.is_misled():
                viewer.dismiss("told of other relays")
            if not self._site.guard.lasts(viewer.asked.principal, viewer.asked.camera.name):
                viewer.dismiss("not allowed any more")

    def _look_at_files(self) -> None:
        most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        try:
            used = len(os.listdir("/proc/self/fd"))  # noqa: PTH208  (names are enough)
        except OSError:  # not one is left to look with
            used = most
        was_full, self._full = self._full, used > FULL * most
        if self._full and not was_full:
            log.get().warning("file descriptors are running out", used=used, most=most, hint="raise LimitNOFILE=")

    def _tell(self) -> None:
        status = describe(self._site, self._stuck)
        if status != self._said:
            self._said = status
            self._notifier.tell(STATUS=status)
        if self._watched and not self._stuck:
            self._notifier.tell(WATCHDOG=1)


def describe(site: Site, stuck: Collection[str]) -> str:
    """How things are in one line, as `systemctl status` shows it."""
    cameras, viewers = site.cameras, len(site.clients)
    live = sum(camera.is_live for camera in cameras.values())
    words = [f"{live} of {len(cameras)} cameras live, {viewers} viewer{'' if viewers == 1 else 's'}"]
    words += [f"{name} is stuck" for name in sorted(stuck)]
    for name, camera in cameras.items():
        if not camera.is_live and name not in stuck:
            reason = camera.capture.status.reason
            words.append(f"{name} is {camera.capture.status.state}" + (f" ({reason})" if reason else ""))
    if site.reload is not None and site.reload.problems:
        words.append(f"reload refused: {site.reload.problems[0]}")
    return "; ".join(words)
