"""The daemon: its parts put together in reading order, started, and stopped in reverse."""

import asyncio
import gc
import resource
import signal
import threading
from time import monotonic
from typing import Any

import uvloop

from mjpegd import __version__, log
from mjpegd.camera import Cameras
from mjpegd.config.schema import Config
from mjpegd.http.server import Server
from mjpegd.http.site import Site
from mjpegd.masking import mask

GOODBYE = 0.6
"""Seconds that viewers have for their closing part: the whole end is to take less than one."""
JOIN = 0.3
"""Seconds for all capture threads to end; one stuck in a library call is left behind, as a daemon thread."""


def run(config: Config, flood: log.Flood) -> None:
    """Serve until SIGINT or SIGTERM; `ConfigError` if it cannot listen."""
    _allow_many_files()
    threading.excepthook = _log_thread_death
    uvloop.run(App(config, flood).serve())


class App:
    """One configured daemon."""

    def __init__(self, config: Config, flood: log.Flood) -> None:
        self._config = config
        self._flood = flood
        self._log = log.get()

    async def serve(self) -> None:
        """From start to end."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(_log_loop_trouble)
        cameras = Cameras(self._config.camera, loop)
        server = Server(Site(cameras, self._config.server))
        stopping = _stop_on_signals(loop)
        await server.start()
        reporter = loop.create_task(_report_floods(self._flood), name="flood-report")
        for camera in cameras.values():
            camera.start()
        self._greet(server, cameras)
        _calm_collector()
        await stopping.wait()
        began = monotonic()
        await _stop(server, cameras)
        reporter.cancel()
        self._flood.report()
        self._log.info("stopped", seconds=round(monotonic() - began, 2))

    def _greet(self, server: Server, cameras: Cameras) -> None:
        for host, port in server.addresses:
            base = f"http://{_clickable(host)}:{port}"
            self._log.info("mjpegd listens", version=__version__, page=f"{base}/", stream=f"{base}/stream")
        for name, camera in cameras.items():
            self._log.info("opening camera", camera=name, source=mask(camera.config.source))


def _allow_many_files() -> None:
    """Every viewer is an open file: take as many as the hard limit lets us."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _log_loop_trouble(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What asyncio would print by itself: into the log, masked like every line."""
    log.get().error(f"event loop: {context.get('message')}", exc_info=context.get("exception"))


def _log_thread_death(args: threading.ExceptHookArgs) -> None:
    log.get(thread=getattr(args.thread, "name", "")).error("a thread ended by an error", exc_info=args.exc_value)


def _calm_collector() -> None:
    """A crowd of viewers makes many short-lived objects, none of them in a cycle: look for cycles less often."""
    gc.freeze()  # what exists now stays
    gc.set_threshold(10_000, 20, 20)


def _stop_on_signals(loop: asyncio.AbstractEventLoop) -> asyncio.Event:
    """An event that SIGINT or SIGTERM sets; the second one finds the default handler and ends us at once."""
    stopping = asyncio.Event()

    def stop() -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)
        stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    return stopping


async def _report_floods(flood: log.Flood) -> None:
    while True:
        await asyncio.sleep(flood.period)
        flood.report()


async def _stop(server: Server, cameras: Cameras) -> None:
    """Rings first, so that every viewer is told; then the server; then the threads, all within one deadline."""
    for camera in cameras.values():
        camera.stop()
    await server.stop(GOODBYE)
    deadline = monotonic() + JOIN
    for camera in cameras.values():
        if not camera.capture.join(max(0.0, deadline - monotonic())):
            log.get(camera=camera.name).warning("the source did not let go in time: left behind")


def _clickable(host: str) -> str:
    """A host as a browser takes it: every-address becomes loopback, IPv6 gets its brackets."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"[{host}]" if ":" in host else host
