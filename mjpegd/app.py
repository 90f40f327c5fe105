"""The daemon: its parts put together in reading order, started, and stopped in reverse."""

import asyncio
import gc
import os
import resource
import secrets
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from time import monotonic, monotonic_ns, time
from typing import Any

import uvloop

from mjpegd import __version__, log
from mjpegd.access import state
from mjpegd.access.guard import Guard
from mjpegd.access.shares import Shares
from mjpegd.access.throttle import Throttle
from mjpegd.access.tokens import Signer
from mjpegd.camera import Cameras
from mjpegd.config.schema import Config
from mjpegd.errors import ConfigError
from mjpegd.hosts import UNIX
from mjpegd.http.server import Server
from mjpegd.http.site import Reload, Site
from mjpegd.masking import mask
from mjpegd.pauses import Pauses
from mjpegd.supervisor import Supervisor
from mjpegd.systemd import Notifier, inherited_sockets, watchdog_interval

GOODBYE = 0.6
"""Seconds that viewers have for their closing part: the whole end is to take less than one."""
JOIN = 0.3
"""Seconds for all capture threads to end; one stuck in a library call is left behind, as a daemon thread."""
AT_RESTART = (
    ("server", "host"),
    ("server", "port"),
    ("server", "backlog"),
    ("server", "state"),
    ("limits", "encoders"),
    ("log", None),
)
"""What a reload cannot change: sections, or keys of them."""

Read = Callable[[], Config]
"""Reads the whole configuration from where it came from, checked; raises `ConfigError`."""


def run(read: Read, config: Config, flood: log.Flood, environment: Mapping[str, str]) -> None:
    """Serve until SIGINT or SIGTERM; `ConfigError` if it cannot listen."""
    _allow_many_files()
    threading.excepthook = _log_thread_death
    uvloop.run(App(read, config, flood, environment).serve())


class App:
    """One configured daemon."""

    def __init__(self, read: Read, config: Config, flood: log.Flood, environment: Mapping[str, str]) -> None:
        self._read, self._config = read, config
        self._flood = flood
        self._notifier = Notifier(environment)
        self._watchdog = watchdog_interval(environment, os.getpid())
        self._inherited = _inherited(environment)
        self._signer = Signer(_secret(config, environment))
        self._shares = Shares(_state(config, environment), self._signer)
        self._pauses = Pauses(_state(config, environment))
        self._log = log.get()

    async def serve(self) -> None:
        """From start to end."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(_log_loop_trouble)
        cameras = Cameras(self._config.camera, loop, self._config.limits, self._pauses.names)
        guard = Guard(self._config, self._shares, self._signer, Throttle(self._config))
        site = Site(cameras, self._config, guard, self._pauses)
        server = Server(site, self._inherited)
        stopping, reloading = _stop_on_signals(loop), _reload_on_signal(loop)
        await server.start()
        for camera in cameras.values():
            camera.start()
        self._greet(server, cameras)
        _calm_collector()
        chores = [
            loop.create_task(_report_floods(self._flood), name="flood-report"),
            loop.create_task(Supervisor(site, self._notifier, self._watchdog).run(), name="supervisor"),
            loop.create_task(self._reloads(reloading, site, server), name="reload"),
        ]
        for chore in chores:
            chore.add_done_callback(_log_chore_death)
        self._notifier.tell(READY=1)
        await stopping.wait()
        began = monotonic()
        self._notifier.tell(STOPPING=1, STATUS="stopping")
        for chore in chores:
            chore.cancel()
        await _stop(server, cameras)
        self._flood.report()
        self._log.info("stopped", seconds=round(monotonic() - began, 2))

    async def _reloads(self, wanted: asyncio.Event, site: Site, server: Server) -> None:
        while True:
            await wanted.wait()
            wanted.clear()
            self._notifier.tell(RELOADING=1, MONOTONIC_USEC=monotonic_ns() // 1000)
            try:
                site.reload = await self._reload(site, server)
            except Exception:  # noqa: BLE001  (a bug costs this reload, not the next)
                self._log.exception("the reload broke down: this is a bug in mjpegd")
                site.reload = Reload(time(), ("internal error, see the log",))
            self._notifier.tell(READY=1)

    async def _reload(self, site: Site, server: Server) -> Reload:
        """Read and try everything first, then change: a configuration counts whole or not at all."""
        try:
            config = await asyncio.to_thread(self._read)
            server.prepare(config)
        except ConfigError as error:
            for problem in error.problems:
                self._log.error("reload refused, nothing changed", problem=problem)
            return Reload(time(), tuple(error.problems))
        late = tuple(_late(self._config, config))
        await self._commit(config, site, server)
        self._log.info("configuration reloaded", cameras=len(config.camera), keys=len(config.key))
        if late:
            self._log.warning("some changes take effect at the next start", keys=" ".join(late))
        return Reload(time(), (), late)

    async def _commit(self, config: Config, site: Site, server: Server) -> None:
        server.renew_certificate(config)
        site.config = config
        site.guard = Guard(config, self._shares, self._signer, site.guard.throttle.adapt(config))
        await site.cameras.apply(config.camera, config.limits)

    def _greet(self, server: Server, cameras: Cameras) -> None:
        for base in server.addresses:
            pages = {"socket": base} if base.startswith(UNIX) else {"page": f"{base}/", "stream": f"{base}/stream"}
            self._log.info("mjpegd listens", version=__version__, **pages)
        for name, camera in cameras.items():
            self._log.info("opening camera", camera=name, source=mask(camera.config.source))


def _inherited(environment: Mapping[str, str]) -> list[socket.socket]:
    try:
        inherited = inherited_sockets(environment, os.getpid())
        listening = [each.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) for each in inherited]
    except OSError as error:
        raise ConfigError([f"socket activation: LISTEN_FDS names what is no socket: {error.strerror}"]) from None
    if not all(listening):
        raise ConfigError(["socket activation: one of the sockets does not listen: only ListenStream= is of use here"])
    return inherited


def _state(config: Config, environment: Mapping[str, str]) -> Path:
    return state.folder(config.server.state, environment, root=os.geteuid() == 0)


def _secret(config: Config, environment: Mapping[str, str]) -> bytes:
    """The secret of share links and logins; one for this run only where there is no place to keep it."""
    try:
        return state.secret(_state(config, environment))
    except ConfigError as error:
        log.get().warning("share links and logins end with this run", reason=str(error), hint="set server.state")
        return secrets.token_bytes(state.SECRET_BYTES)


def _late(before: Config, after: Config) -> Iterator[str]:
    """The keys that differ from those it was started with, and wait for a restart."""
    for section, key in AT_RESTART:
        old, new = getattr(before, section), getattr(after, section)
        if (old != new) if key is None else getattr(old, key) != getattr(new, key):
            yield section if key is None else f"{section}.{key}"
    if bool(before.tls.certificate) != bool(after.tls.certificate):
        yield "tls"


def _allow_many_files() -> None:
    """Every viewer is two open files: take as many as the hard limit lets us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _log_loop_trouble(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What asyncio would print by itself: into the log, masked like every line."""
    log.get().error(f"event loop: {context.get('message')}", exc_info=context.get("exception"))


def _log_chore_death(chore: asyncio.Task[None]) -> None:
    if not chore.cancelled() and (error := chore.exception()) is not None:
        log.get(chore=chore.get_name()).error("a chore ended by an error: this is a bug in mjpegd", exc_info=error)


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


def _reload_on_signal(loop: asyncio.AbstractEventLoop) -> asyncio.Event:
    """An event that SIGHUP sets; several that come while one is worked on are one."""
    wanted = asyncio.Event()
    loop.add_signal_handler(signal.SIGHUP, wanted.set)
    return wanted


async def _report_floods(flood: log.Flood) -> None:
    while True:
        await asyncio.sleep(flood.period)
        flood.report()


async def _stop(server: Server, cameras: Cameras) -> None:
    """Rings first, so that every viewer is told; then the server; then the threads, all within one deadline."""
    for camera in cameras.values():
        camera.stop()
    await server.stop(GOODBYE)
    cameras.close()
    deadline = monotonic() + JOIN
    for camera in cameras.values():
        if not camera.capture.join(max(0.0, deadline - monotonic())):
            log.get(camera=camera.name).warning("the source did not let go in time: left behind")
