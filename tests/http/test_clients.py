"""Who watches now, and the limits on it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mjpegd.access.principal import Principal
from mjpegd.access.shares import Share
from mjpegd.config.schema import CameraConfig, Config, LimitsConfig
from mjpegd.errors import RETRY_AFTER, HttpError
from mjpegd.http.clients import LIMITS, STUCK, Clients
from mjpegd.http.response import Play
from mjpegd.http.site import Site
from tests.http.requests import site
from tests.http.viewers import Watching, enter, play

CAMERAS = {name: CameraConfig(source="pattern") for name in ("porch", "attic")}
WALL, LAPSE = Principal("wall", ("view",), proof=b"1"), Principal("lapse", ("view",), proof=b"2")


def limited(**limits: int) -> Site:
    """A site with these limits, and none beside them."""
    none = {"viewers": 0, "viewers_per_camera": 0, "viewers_per_address": 0, "viewers_per_key": 0}
    return site(config=Config(camera=CAMERAS, limits=LimitsConfig(**{**none, **limits})))


def full(place: Site, asked: Play) -> HttpError:
    """The error for somebody who finds no room."""
    with pytest.raises(HttpError) as caught:
        enter(place, asked)
    return caught.value


async def test_entering_and_leaving() -> None:
    """Who watches stands in the table under a number of its own, and no more once it left; numbers come once."""
    place = limited()
    first, second = enter(place, play(place.cameras["porch"])), enter(place, play(place.cameras["attic"]))
    assert (list(place.clients), len(place.clients)) == ([first, second], 2)
    assert place.clients.find(str(second.number)) is second
    place.clients.leave(first)
    assert place.clients.find(str(first.number)) is None
    third = enter(place, play(place.cameras["porch"]))

    assert len({first.number, second.number, third.number}) == 3
    assert list(place.clients) == [second, third]


@pytest.mark.parametrize("number", ["", "0", "-1", "2", "1.0", "one", " 1", "\u0661", "\u00b2", "9" * 5000])
async def test_no_such_number(number: str) -> None:
    """What is the number of nobody finds nobody, whatever it looks like."""
    place = limited()
    enter(place, play(place.cameras["porch"]))

    assert place.clients.find(number) is None


@given(st.text())
def test_any_text_is_no_number(text: str) -> None:
    """Whatever stands where a number should is no error."""
    assert Clients().find(text) is None


ROOMS = [
    ("viewers", 503),
    ("viewers_per_camera", 503),
    ("viewers_per_address", 429),
    ("viewers_per_key", 429),
]


@pytest.mark.parametrize(("key", "status"), ROOMS)
async def test_limits(key: str, status: int) -> None:
    """At a limit one more is refused with what the limit is and when to come again; who leaves makes room."""
    place = limited(**{key: 2})
    first, _ = [enter(place, play(place.cameras["porch"], WALL)) for _ in range(2)]
    error = full(place, play(place.cameras["porch"], WALL))

    assert (error.status, error.facts, error.headers) == (
        status,
        {"limit": key, "most": 2},
        {"Retry-After": str(RETRY_AFTER)},
    )
    assert len(place.clients) == 2
    place.clients.leave(first)
    enter(place, play(place.cameras["porch"], WALL))
    assert len(place.clients) == 2


def test_every_limit_is_tested() -> None:
    """The limits that are tested here are those there are."""
    assert [key for key, _ in ROOMS] == [limit.key for limit in LIMITS]


@pytest.mark.parametrize(
    ("key", "open_to"),
    [
        ("viewers", set()),
        ("viewers_per_camera", {"camera"}),
        ("viewers_per_address", {"address"}),
        ("viewers_per_key", {"key"}),
    ],
)
async def test_limits_count_their_own(key: str, open_to: set[str]) -> None:
    """A limit on a camera, an address or a key holds for that one, and leaves room for the others."""
    place = limited(**{key: 1})
    enter(place, play(place.cameras["porch"], WALL))
    others = {
        "camera": play(place.cameras["attic"], WALL),
        "address": play(place.cameras["porch"], WALL, address="192.0.2.8"),
        "key": play(place.cameras["porch"], LAPSE),
    }

    for what, asked in others.items():
        if what in open_to:
            place.clients.leave(enter(place, asked))
        else:
            assert full(place, asked).facts["limit"] == key


async def test_no_limit() -> None:
    """0 is no limit."""
    place = limited()
    for _ in range(100):
        enter(place, play(place.cameras["porch"], WALL))

    assert len(place.clients) == 100


async def test_addresses_of_a_network() -> None:
    """The addresses of one IPv6 /64 count as one."""
    place = limited(viewers_per_address=1)
    enter(place, play(place.cameras["porch"], address="2001:db8::1"))

    assert full(place, play(place.cameras["porch"], address="2001:db8::2")).status == 429
    enter(place, play(place.cameras["porch"], address="2001:db8:0:1::1"))


async def test_nobody_is_one_key() -> None:
    """`viewers_per_key` is for keys: those who come without one do not share a place."""
    place = limited(viewers_per_key=1)
    for number in range(3):
        enter(place, play(place.cameras["porch"], address=f"192.0.2.{number}"))

    assert len(place.clients) == 3


def guest(viewers: int, identity: str = "4fe1a2b3") -> Principal:
    """Who comes with a share link."""
    share = Share(identity, "porch", 2**40, viewers=viewers)
    return Principal(f"share {identity}", ("view",), ("porch",), share=share)


async def test_a_link_brings_its_own_limit() -> None:
    """A share link lets in as many at a time as it says, whoever else watches; one that says nothing has no limit."""
    place = limited()
    enter(place, play(place.cameras["porch"], WALL))
    first, _ = [enter(place, play(place.cameras["porch"], guest(2))) for _ in range(2)]
    assert full(place, play(place.cameras["porch"], guest(2))).status == 429
    enter(place, play(place.cameras["porch"], guest(1, "other")))
    for _ in range(5):
        enter(place, play(place.cameras["porch"], guest(0, "free")))
    place.clients.leave(first)

    assert enter(place, play(place.cameras["porch"], guest(2))).number


async def test_leaving_twice() -> None:
    """Who left leaves no more: the counts stay right."""
    place = limited(viewers=2)
    first, _ = [enter(place, play(place.cameras["porch"])) for _ in range(2)]
    for _ in range(3):
        place.clients.leave(first)
    enter(place, play(place.cameras["porch"]))

    assert full(place, play(place.cameras["porch"])).status == 503


async def test_who_was_refused_is_not_counted() -> None:
    """Somebody who found no room takes none, and may leave as if it had."""
    place = limited(viewers_per_camera=1)
    stays = enter(place, play(place.cameras["porch"]))
    refused = Watching(play(place.cameras["porch"]))
    with pytest.raises(HttpError):
        place.clients.enter(refused, place.config.limits)
    place.clients.leave(refused)
    place.clients.leave(stays)

    assert enter(place, play(place.cameras["porch"])).number
    assert len(place.clients) == 1


async def test_counts_do_not_grow() -> None:
    """Nothing is kept of those who left."""
    place = limited()
    for number in range(20):
        place.clients.leave(enter(place, play(place.cameras["porch"], address=f"192.0.2.{number}", tab=str(number))))

    assert (len(place.clients), len(place.clients._counts), len(place.clients._tabs)) == (0, 0, 0)


async def test_a_tab_replaces_its_stream() -> None:
    """The stream that the same tab had before is ended, also where there is no limit; another tab's is not."""
    place = limited()
    before, other = (enter(place, play(place.cameras["porch"], tab=tab)) for tab in ("one", "two"))
    after = enter(place, play(place.cameras["attic"], tab="one"))

    assert (before.dismissed, other.dismissed, after.dismissed) == (["replaced"], [], [])
    assert list(place.clients) == [other, after]
    place.clients.leave(before)
    enter(place, play(place.cameras["porch"], tab="one"))
    assert after.dismissed == ["replaced"]


async def test_a_tab_elsewhere() -> None:
    """A tab of the same name at another address is another one: nobody ends a stranger's stream."""
    place = limited()
    mine = enter(place, play(place.cameras["porch"], tab="one"))
    enter(place, play(place.cameras["porch"], tab="one", address="192.0.2.8"))

    assert mine.dismissed == []


async def test_whether_a_tab_watches() -> None:
    """A page may ask whether its own stream is still on, by its tab; its address may be another one each time."""
    place = limited()
    viewer = enter(place, play(place.cameras["porch"], tab="one", address="2001:db8::1"))
    assert place.clients.has("one")
    assert not place.clients.has("two")
    assert not place.clients.has("")
    place.clients.leave(viewer)

    assert not place.clients.has("one")


async def test_a_tab_makes_its_own_room() -> None:
    """A tab that is reloaded finds the place that it had, though all are taken."""
    place = limited(viewers=1)
    before = enter(place, play(place.cameras["porch"], tab="one"))
    after = enter(place, play(place.cameras["porch"], tab="one"))

    assert (before.dismissed, list(place.clients)) == (["replaced"], [after])


@pytest.mark.parametrize("key", [key for key, _ in ROOMS])
async def test_a_stream_that_nobody_reads_makes_room(key: str) -> None:
    """At a limit a stream to the same place and program that nobody has read for a while is ended for the new one."""
    place = limited(**{key: 1})
    left_open = enter(place, play(place.cameras["porch"], WALL), waits=STUCK + 0.1)
    after = enter(place, play(place.cameras["porch"], WALL))

    assert (left_open.dismissed, list(place.clients)) == (["replaced"], [after])


@pytest.mark.parametrize(
    ("address", "agent", "name", "principal", "waits"),
    [
        ("192.0.2.8", "vlc", "porch", WALL, 60.0),
        ("192.0.2.7", "mpv", "porch", WALL, 60.0),
        ("192.0.2.7", "vlc", "attic", WALL, 60.0),
        ("192.0.2.7", "vlc", "porch", LAPSE, 60.0),
        ("192.0.2.7", "vlc", "porch", WALL, STUCK),
        ("192.0.2.7", "vlc", "porch", WALL, 0.0),
    ],
)
async def test_who_does_not_make_room(address: str, agent: str, name: str, principal: Principal, waits: float) -> None:
    """Somebody else's stream, or one that is read, is never ended for a new one."""
    place = limited(viewers=1)
    stays = enter(place, play(place.cameras[name], principal, address=address, agent=agent), waits=waits)

    assert full(place, play(place.cameras["porch"], WALL)).status == 503
    assert stays.dismissed == []


async def test_without_a_limit_nobody_has_to_make_room() -> None:
    """Below every limit streams that nobody reads are left alone."""
    place = limited(viewers=5)
    stays = enter(place, play(place.cameras["porch"]), waits=60.0)
    enter(place, play(place.cameras["porch"]))

    assert stays.dismissed == []
