"""Viewers on a real connection, of cameras whose frames a test publishes itself."""

import asyncio
import contextlib
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from time import monotonic

import pytest
import uvloop

from mjpegd.camera import Camera
from mjpegd.config.schema import AuthConfig, CameraConfig, Config, LimitsConfig, ServerConfig
from mjpegd.frame import Frame
from mjpegd.hosts import UNIX
from mjpegd.http import tcp
from mjpegd.http.live import Viewer
from mjpegd.http.server import Server
from mjpegd.http.site import Site
from mjpegd.look import Look
from mjpegd.wire import multipart
from tests.daemon import SECONDS
from tests.http.requests import site
from tests.pictures import jpeg

PATIENCE = 5.0 * SECONDS


Scene = Callable[["Place"], Awaitable[None]]


class Place:
    """A server whose cameras nobody drives."""

    def __init__(self, served: Site) -> None:
        self.site, self.server = served, Server(served)
        self.seq = 0
        self.writers: list[asyncio.StreamWriter] = []

    @property
    def camera(self) -> Camera:
        """Its only camera."""
        return self.site.cameras["porch"]

    def publish(self, width: int = 64, height: int = 48) -> Frame:
        """The camera's next picture."""
        self.seq += 1
        now = monotonic()
        frame = multipart.assemble(
            (jpeg(width, height),), seq=self.seq, captured=now, taken=now, width=width, height=height
        )
        self.camera.ring.publish(frame)
        return frame

    async def watch(self, query: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """An open stream; its response head is still to be read."""
        address = next(self.server.addresses)
        if address.startswith(UNIX):
            reader, writer = await asyncio.open_unix_connection(address.removeprefix(UNIX))
        else:
            reader, writer = await asyncio.open_connection("127.0.0.1", int(address.rsplit(":", 1)[1]))
        self.writers.append(writer)
        writer.write(f"GET /stream?{query} HTTP/1.1\r\nHost: camera\r\n\r\n".encode())
        return reader, writer

    async def viewers(self, number: int) -> None:
        """Wait until so many watch."""
        async with asyncio.timeout(PATIENCE):
            while len(self.site.clients) != number:  # noqa: ASYNC110  (nobody tells)
                await asyncio.sleep(0.01)


@asynccontextmanager
async def serving(limits: LimitsConfig, server: ServerConfig) -> AsyncIterator[Place]:
    """A server where it is to be."""
    served = Place(
        site(
            config=Config(
                camera={"porch": CameraConfig(source="pattern")},
                server=server,
                auth=AuthConfig(anonymous=("view", "snapshot", "admin")),
                limits=limits,
            )
        )
    )
    await served.server.start()
    try:
        yield served
    finally:
        for writer in served.writers:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
        served.camera.stop()
        await served.server.stop(1.0)
        served.site.cameras.close()


def play(scene: Scene, limits: LimitsConfig | None = None, server: ServerConfig | None = None) -> None:
    """Play a scene on the daemon's own loop: asyncio's keeps the traceback of a failed write, and what was written."""

    async def run() -> None:
        async with serving(limits or LimitsConfig(), server or ServerConfig(port=0)) as place:
            await scene(place)

    uvloop.run(run())


async def part(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Head and picture of the next part of the default profile."""
    async with asyncio.timeout(PATIENCE):
        head = await reader.readuntil(b"X-Frame-Id")
        head += await reader.readuntil(b"\r\n\r\n")
        length = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
        return head, await reader.readexactly(length)


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("query", ["", "adapt=1", "max_latency=500", "extra_headers=1", "fps=20", "width=32"])
def test_a_frame_goes_with_its_viewer(query: str) -> None:
    """When a viewer has left, nothing of it keeps its last frame, and no collector is needed for that."""

    async def scene(place: Place) -> None:
        kept = weakref.ref(place.publish().jpeg)  # a frame itself takes no reference of this kind
        reader, writer = await place.watch(query)
        assert b"X-Frame-Id: 1" in (await part(reader))[0]
        writer.close()
        await place.viewers(0)
        place.camera.ring.forget()
        place.camera.ring._announced = None
        async with asyncio.timeout(PATIENCE):
            while kept() is not None:  # noqa: ASYNC110  (nobody tells)
                await asyncio.sleep(0.01)

    play(scene)


def test_a_refused_stream_ends_no_other() -> None:
    """A page whose next stream is one rendition too many keeps the one it has."""

    async def scene(place: Place) -> None:
        place.publish()
        await place.watch("width=32")
        await place.viewers(1)
        mine, _ = await place.watch("viewer=me")
        await part(mine)
        refused, _ = await place.watch("viewer=me&width=16")
        async with asyncio.timeout(PATIENCE):
            assert b" 503 " in await refused.readline()
        place.publish()
        assert b"X-Frame-Id: 2" in (await part(mine))[0]
        assert len(place.site.clients) == 2

    play(scene, LimitsConfig(renditions_per_camera=1))


def test_a_slow_look_is_not_sent_twice() -> None:
    """A browser's early repeat is for what came last: not where the look's next frame is not even due."""

    async def scene(place: Place) -> None:
        place.publish()
        reader, _ = await place.watch("profile=browser&fps=2")
        got, began = bytearray(), monotonic()
        while monotonic() - began < 0.6:  # the repeat would be after 0.1 s; the next frame is due after 0.5 s
            try:
                async with asyncio.timeout(0.05):
                    got += await reader.read(65536)
            except TimeoutError:
                continue
        assert got.count(b"\xff\xd9\r\n--") == 1

    play(scene)


def test_the_last_of_a_rendition_may_have_another() -> None:
    """Where a camera makes as many renditions as it may, a viewer who leaves one with nobody can go to another."""

    async def scene(place: Place) -> None:
        place.publish()
        await place.watch("width=32")
        await place.viewers(1)
        (viewer,) = place.site.clients
        assert isinstance(viewer, Viewer)
        assert viewer.move(Look(width=24))
        assert [each.look for each in place.camera.renditions] == [Look(width=24)]
        await place.watch("width=24")
        await place.viewers(2)
        assert not viewer.move(Look(width=16))  # the other goes on with that one
        assert [(each.look, each.watchers) for each in place.camera.renditions] == [(Look(width=24), 2)]

    play(scene, LimitsConfig(renditions_per_camera=1))


def test_a_look_at_a_viewer_that_has_just_gone() -> None:
    """A governor whose timer comes between a connection's end and its viewer's finds nothing, and breaks nothing."""

    async def scene(place: Place) -> None:
        place.publish()
        reader, _ = await place.watch("adapt=1")
        await part(reader)
        (viewer,) = place.site.clients
        assert isinstance(viewer, Viewer)
        writer, governor = viewer._writer, viewer._governor
        assert governor is not None
        writer.transport.abort()
        await place.viewers(0)
        async with asyncio.timeout(PATIENCE):
            while writer.get_extra_info("socket").fileno() >= 0:  # noqa: ASYNC110  (nobody tells)
                await asyncio.sleep(0.01)
        assert (tcp.told(writer).queued, tcp.backlog(writer)) == (0, 0)
        governor.tick()
        governor.stop()

    play(scene)
