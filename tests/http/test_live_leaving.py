"""How viewers who are served together leave, one by one: the others notice nothing, and nothing of them stays."""

import socket
import struct
import weakref

import pytest

from mjpegd.config.schema import LimitsConfig
from mjpegd.http import live
from tests.daemon import descriptors
from tests.http.test_live import Place, part, play
from tests.http.test_live_together import LARGE, counts, publish, together, until, viewers, watching


def test_one_that_never_comes_back() -> None:
    """One that takes nothing at all is cut off in the end, and leaves neither a fan-out nor a descriptor behind."""

    async def scene(place: Place) -> None:
        before = descriptors()
        async with watching(place, "", "") as (first, slow):
            slow.writer.transport.pause_reading()  # type: ignore[attr-defined]
            while together(place) != [1]:
                await first.has(publish(place, LARGE).seq)
            await place.viewers(1)
            await first.has(place.publish().seq)
        place.writers.pop().transport.abort()
        place.writers.pop().transport.abort()
        await place.viewers(0)
        await until(lambda: descriptors() == before)
        assert together(place) == []

    play(scene, LimitsConfig(stall_timeout=0.5))


def test_sent_home() -> None:
    """One that is ended by an operator gets its last frame once more and the end; the others notice nothing."""

    async def scene(place: Place) -> None:
        async with watching(place, "", "", "") as clients:
            seq = place.publish().seq
            for client in clients:
                await client.has(seq)
            viewers(place)[1].dismiss("ended")
            seq = place.publish().seq
            await clients[1].end()
            await clients[0].has(seq)
            await clients[2].has(seq)

            assert clients[1].numbers in ([1, 2, -2], [1, 2, 3, -3])
            assert together(place) == [2]
            assert len(place.site.clients) == 2

    play(scene)


def test_all_sent_home() -> None:
    """When the camera is taken away everybody gets the last frame once more and the end."""

    async def scene(place: Place) -> None:
        async with watching(place, "", "", "") as clients:
            await clients[0].has(place.publish().seq)
            place.camera.stop()
            for client in clients:
                await client.end()
                assert client.numbers == [1, 2, -2]
            await place.viewers(0)
            assert together(place) == []

    play(scene)


def test_one_resets() -> None:
    """One whose connection breaks is gone with what it had; the others get each frame."""

    async def scene(place: Place) -> None:
        before = descriptors()
        async with watching(place, "", "", "") as clients:
            gone = clients[1]
            await gone.leave()
            linger = struct.pack("ii", 1, 0)
            gone.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            gone.writer.transport.abort()
            for _ in range(5):
                seq = place.publish().seq
                await clients[0].has(seq)
                await clients[2].has(seq)
            await place.viewers(2)

            assert together(place) == [2]
            assert clients[0].numbers == clients[2].numbers == [1, 2, 3, 4, 5, 6]
            assert descriptors() == before + 6  # theirs, ours, and our own

    play(scene)


def test_one_half_closes() -> None:
    """One that closes its sending side goes on looking: what tells it from one that left are frames shown again."""

    async def scene(place: Place) -> None:
        async with watching(place, "", "") as (first, half):
            half.writer.write_eof()
            await half.has(-1)
            await until(lambda: half.numbers == [1, -1, -1])
            for _ in range(3):
                seq = place.publish().seq
                await first.has(seq)
                await half.has(seq)

            assert (first.numbers, half.numbers) == ([1, 2, 3, 4], [1, -1, -1, 2, 3, 4])
            assert counts(place) == [(4, 0, first.bytes), (4, 0, half.bytes)]
            await half.leave()
            half.writer.transport.abort()
            while len(place.site.clients) > 1:
                await first.has(place.publish().seq)
            assert together(place) == [1]

    play(scene)


def test_while_it_is_not_known_whether_it_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """One whose FIN came is served by itself until it was shown enough frames again."""
    monkeypatch.setattr(live, "PROBE_AFTER", 30.0)

    async def scene(place: Place) -> None:
        async with watching(place, "", "") as (first, half):
            half.writer.write_eof()
            await half.has(-1)
            for seq in (2, 3):
                place.publish()
                await first.has(seq)
                await half.has(seq)
                assert together(place) == [1]

    play(scene)


def test_one_that_may_have_left_is_ended() -> None:
    """One whose FIN came is cut off when it is to go, and gone from the others before the next frame."""

    async def scene(place: Place) -> None:
        async with watching(place, "", "") as (first, half):
            half.writer.write_eof()
            await until(lambda: half.numbers == [1, -1, -1])
            seq = place.publish().seq
            await first.has(seq)
            await half.has(seq)
            assert together(place) == [2]
            viewers(place)[1].dismiss("ended")
            await place.viewers(1)
            assert together(place) == [1]
            assert place.camera.audience.total().frames == 4

    play(scene)


@pytest.mark.usefixtures("uncollected")
def test_nothing_stays() -> None:
    """When all have left there is no fan-out, no descriptor and no frame of theirs, and no collector is needed."""

    async def scene(place: Place) -> None:
        before = descriptors()
        place.publish()
        streams = [await place.watch("") for _ in range(3)]
        kept = []
        for _ in range(3):
            for reader, _ in streams:
                await part(reader)
            assert together(place) == [3]
            kept.append(weakref.ref(place.publish().jpeg))
        for _, writer in streams:
            writer.close()
        await place.viewers(0)
        assert together(place) == []
        await until(lambda: descriptors() == before)
        place.camera.ring.forget()
        place.camera.ring._announced = None
        await until(lambda: [each() for each in kept] == [None] * 3)

    play(scene)
