"""How the pictures are to be that a request asks for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mjpegd.access.principal import Principal, anybody
from mjpegd.access.shares import Share
from mjpegd.config.presets import renditions
from mjpegd.config.schema import CameraConfig, Config, RenditionConfig
from mjpegd.errors import HttpError
from mjpegd.http import looks
from mjpegd.http.visit import Visit
from mjpegd.look import MAX_FPS, MAX_SIDE, MIN_FPS, MIN_SIDE, Look
from tests.http.requests import CALLER, request, site

PLAIN = CameraConfig(source="pattern")
TABLED = CameraConfig(source="pattern", stream_width=640, stream_height=480, stream_quality=70, stream_fps=15)
MOBILE = RenditionConfig(480, quality=60, fps=10)
NAMED = {"mobile": MOBILE, "fast": RenditionConfig(fps=60), "lan": RenditionConfig(1920)}
DEFAULT = Look(640, 480, 70, 15)


async def nothing() -> bytes:
    """No body."""
    return b""


def visit(query: str, camera: CameraConfig = PLAIN, share: Share | None = None) -> Visit:
    """A request for that camera's pictures."""
    principal = Principal("share", ("view",), share=share) if share else anybody(("view",))
    place = site(config=Config(camera={"porch": camera}, rendition=NAMED))
    return Visit(place, request(f"/stream?{query}"), {"camera": "porch"}, CALLER, principal, nothing)


def refused(query: str) -> HttpError:
    """The error that answers it, be it for a stream or a single picture."""
    errors = []
    for look in (looks.for_stream, looks.for_snapshot):
        with pytest.raises(HttpError) as caught:
            look(visit(query))
        errors.append(caught.value)
    assert str(errors[0]) == str(errors[1])
    return errors[0]


NUMBERS = [
    ("", Look()),
    ("width=320", Look(320)),
    ("height=240", Look(height=240)),
    ("width=320&height=240", Look(320, 240)),
    ("quality=50", Look(quality=50)),
    ("w=320", Look(320)),
    ("h=240", Look(height=240)),
    ("q=50", Look(quality=50)),
    ("w=320&h=240&q=50", Look(320, 240, 50)),
    ("w=320&width=640", Look(640)),
    ("quality=70&q=50", Look(quality=70)),
    ("width=16&height=7680&quality=1", Look(16, 7680, 1)),
    ("resolution=640x480", Look(640, 480)),
    ("resolution=640x480&compression=30", Look(640, 480, 70)),
    ("compression=0", Look(quality=100)),
    ("compression=99", Look(quality=1)),
    ("compression=100", Look(quality=1)),
    ("compression=30&quality=50", Look(quality=50)),
    ("resolution=640x480&width=320", Look(320, 480)),
    ("resolution=640x480&height=240", Look(640, 240)),
    ("resolution=640x480&w=320", Look(320, 480)),
    ("rendition=mobile", Look(480, quality=60)),
    ("rendition=mobile&quality=80", Look(480, quality=80)),
    ("rendition=mobile&height=360", Look(height=360, quality=60)),
    ("rendition=passthrough", Look()),
    ("rendition=passthrough&width=320", Look(320)),
    ("rendition=cloudflare", Look(640, 480, 70)),
    ("rendition=low-bandwidth", Look(480, 360, 60)),
    ("rendition=low-latency&w=320", Look(320, quality=90)),
    ("rendition=lan", Look(1920)),
    ("other=1&profile=default", Look()),
]
"""Queries, and the look of a picture that each asks for."""


@pytest.mark.parametrize(("query", "look"), NUMBERS)
async def test_snapshot(query: str, look: Look) -> None:
    """A single picture is as it is asked for, by numbers, in Axis's words or by a name, and else the camera's own."""
    assert looks.for_snapshot(visit(query)) == look


@pytest.mark.parametrize(("query", "look"), NUMBERS)
async def test_a_cameras_keys_are_for_streams(query: str, look: Look) -> None:
    """What a camera's keys say of streams counts for no single picture."""
    assert looks.for_snapshot(visit(query, TABLED)) == look


@pytest.mark.parametrize(
    ("query", "look"),
    [
        ("", Look()),
        ("fps=5", Look(fps=5)),
        ("fps=0.5", Look(fps=0.5)),
        ("fps=0", Look()),
        ("resolution=CIF&fps=0", Look(352, 288)),
        ("resolution=4cif", Look(704, 576)),
        ("fps=7.5&width=320", Look(320, fps=7.5)),
        ("fps=12.4", Look(fps=12)),
        ("fps=29.97", Look(fps=30)),
        ("fps=10.3", Look(fps=10)),
        ("fps=9.8", Look(fps=10)),
        ("fps=9.7", Look(fps=9.5)),
        ("fps=1.2", Look(fps=1)),
        ("fps=0.96", Look(fps=1)),
        ("fps=0.34", Look(fps=0.3)),
        ("fps=0.1", Look(fps=0.1)),
        ("fps=240", Look(fps=240)),
        ("rendition=mobile", Look(480, quality=60, fps=10)),
        ("rendition=mobile&fps=20", Look(480, quality=60, fps=20)),
        ("rendition=fast", Look(fps=60)),
        ("rendition=cloudflare", Look(640, 480, 70, 15)),
        ("rendition=cloudflare&width=320&fps=5", Look(320, 0, 70, 5)),
        ("rendition=passthrough&fps=5", Look(fps=5)),
    ],
)
async def test_stream(query: str, look: Look) -> None:
    """A stream is as it is asked for: the numbers of the query win over those of the rendition that it names."""
    assert looks.for_stream(visit(query)) == look


@pytest.mark.parametrize(
    ("query", "look"),
    [
        ("", DEFAULT),
        ("fps=14.3", Look(640, 480, 70, 14)),
        ("width=320", Look(320, 0, 70, 15)),
        ("height=240", Look(0, 240, 70, 15)),
        ("quality=90", Look(640, 480, 90, 15)),
        ("compression=50", Look(640, 480, 50, 15)),
        ("fps=5", Look(640, 480, 70, 5)),
        ("width=1920&quality=95", Look(1920, 0, 95, 15)),
        ("rendition=mobile", Look(480, 0, 60, 10)),
        ("rendition=mobile&quality=80", Look(480, 0, 80, 10)),
        ("rendition=passthrough", Look(fps=15)),
        ("rendition=passthrough&quality=80", Look(quality=80, fps=15)),
    ],
)
async def test_stream_of_a_camera_with_keys(query: str, look: Look) -> None:
    """What a query does not say is as its rendition says, or as the camera's keys say where it names none."""
    assert looks.for_stream(visit(query, TABLED)) == look


@pytest.mark.parametrize(
    ("query", "configured"),
    [
        ("", True),
        ("rendition=mobile", True),
        ("rendition=cloudflare", True),
        ("rendition=passthrough", True),
        ("rendition=mobile&adapt=1&profile=default", True),
        *((f"rendition=mobile&{number}", False) for number in ("w=320", "height=240", "q=50", "compression=50")),
        *((number, False) for number in ("width=320", "h=240", "quality=50", "fps=5", "resolution=CIF")),
    ],
)
async def test_of_the_configuration(query: str, configured: bool) -> None:  # noqa: FBT001  (a row)
    """A look by a name, or by none, is the configuration's; one with a number of the viewer's own is the viewer's."""
    for camera in (PLAIN, TABLED):
        for share in (None, Share("s", "porch", 2**40, fps=5, width=640)):
            assert looks.for_stream(visit(query, camera, share)).configured is configured
            assert looks.for_snapshot(visit(query, camera, share)).configured is configured


@given(st.floats(MIN_FPS, MAX_FPS))
def test_few_paces(fps: float) -> None:
    """Whatever pace is asked for, the one that is made is near to it, in the range, and one of a few hundred."""
    made = looks._completed({"fps": f"{fps:.6f}"}, Look()).fps

    assert made == pytest.approx(fps, rel=0.5)
    assert made == pytest.approx(fps, abs=0.51)
    assert MIN_FPS <= made <= MAX_FPS
    assert made in {n / 10 for n in range(1, 10)} | {n / 2 for n in range(2, 20)} | set(range(10, 241))


@pytest.mark.parametrize("query", ["fps=60", "rendition=fast", "fps=15", "rendition=passthrough", "rendition=lan", ""])
async def test_the_cameras_pace_is_the_most(query: str) -> None:
    """No viewer gets more frames a second than the camera's key allows, whatever it asks for."""
    assert looks.for_stream(visit(query, TABLED)).fps == 15


@pytest.mark.parametrize(
    ("share", "query", "camera", "look"),
    [
        (Share("s", "porch", 2**40), "", PLAIN, Look()),
        (Share("s", "porch", 2**40), "width=1920&fps=60", PLAIN, Look(1920, fps=60)),
        (Share("s", "porch", 2**40, fps=5, width=640), "", PLAIN, Look(640, fps=5)),
        (Share("s", "porch", 2**40, fps=5, width=640), "width=320&fps=2", PLAIN, Look(320, fps=2)),
        (Share("s", "porch", 2**40, fps=5, width=640), "width=1920&fps=60", PLAIN, Look(640, fps=5)),
        (Share("s", "porch", 2**40, fps=5, width=640), "height=480", PLAIN, Look(640, 480, fps=5)),
        (Share("s", "porch", 2**40, fps=5, width=640), "rendition=passthrough", PLAIN, Look(640, fps=5)),
        (Share("s", "porch", 2**40, fps=5, width=640), "rendition=lan", PLAIN, Look(640, fps=5)),
        (Share("s", "porch", 2**40, fps=5, width=640), "quality=90", PLAIN, Look(640, 0, 90, 5)),
        (Share("s", "porch", 2**40, fps=20, width=320), "", TABLED, Look(320, 480, 70, 15)),
        (Share("s", "porch", 2**40, fps=5), "", TABLED, Look(640, 480, 70, 5)),
    ],
)
async def test_a_share_link(share: Share, query: str, camera: CameraConfig, look: Look) -> None:
    """A link's width and pace are the most that is given through it; less may be asked for."""
    assert looks.for_stream(visit(query, camera, share)) == look


async def test_a_share_links_picture() -> None:
    """So it is with a link's single pictures, of which the pace is no matter."""
    share = Share("s", "porch", 2**40, fps=5, width=640)

    assert looks.for_snapshot(visit("", TABLED, share)) == Look(640)
    assert looks.for_snapshot(visit("width=1920&quality=50", TABLED, share)) == Look(640, quality=50)
    assert looks.for_snapshot(visit("width=320", TABLED, share)) == Look(320)


NAMES = f"rendition must be one of {', '.join(renditions(Config(rendition=NAMED)))}, passthrough"
RESOLUTION = "resolution must be WIDTHxHEIGHT, as 640x480, each from 16 to 7680, or one of QCIF, CIF, 4CIF, D1"
SIDES = f"a whole number from {MIN_SIDE} to {MAX_SIDE}"


@pytest.mark.parametrize(
    ("name", "range_"),
    [
        ("width", SIDES),
        ("height", SIDES),
        ("w", SIDES),
        ("h", SIDES),
        ("quality", "a whole number from 1 to 100"),
        ("q", "a whole number from 1 to 100"),
        ("compression", "a whole number from 0 to 100"),
        ("fps", f"a number from {MIN_FPS:g} to {MAX_FPS:g}"),
    ],
)
@pytest.mark.parametrize(
    "value", ["", "-1", "7681", "1e2", "x", "%C2%B2", "%2050", "+50", "0x20", "nan", "inf", "9" * 5000, "50;", "1,5"]
)
async def test_out_of_range(name: str, range_: str, value: str) -> None:
    """A value that is out of its range, or no number, is 400 that names the parameter and the range."""
    error = refused(f"{name}={value}")

    assert (error.status, str(error)) == (400, f"{name} must be {range_}")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("width=15", f"width must be {SIDES}"),
        ("width=0", f"width must be {SIDES}"),
        ("height=7681", f"height must be {SIDES}"),
        ("quality=0", "quality must be a whole number from 1 to 100"),
        ("quality=101", "quality must be a whole number from 1 to 100"),
        ("quality=70.5", "quality must be a whole number from 1 to 100"),
        ("compression=101", "compression must be a whole number from 0 to 100"),
        ("fps=0.05", "fps must be a number from 0.1 to 240"),
        ("fps=240.5", "fps must be a number from 0.1 to 240"),
        ("fps=.5", "fps must be a number from 0.1 to 240"),
        ("resolution=640", RESOLUTION),
        ("resolution=", RESOLUTION),
        ("resolution=8x480", RESOLUTION),
        ("resolution=640x9", RESOLUTION),
        ("resolution=640x7681", RESOLUTION),
        ("resolution=640x", RESOLUTION),
        ("resolution=640x480x2", RESOLUTION),
        ("resolution=640x-480", RESOLUTION),
        ("resolution=%C2%B2x480", RESOLUTION),
        ("resolution=640x480%0A", RESOLUTION),
        ("resolution=8x480&width=320", RESOLUTION),
        ("rendition=", NAMES),
        ("rendition=Mobile", NAMES),
        ("rendition=none", NAMES),
        ("rendition=mobile&width=5", f"width must be {SIDES}"),
    ],
)
async def test_refused(query: str, message: str) -> None:
    """Just outside of a range is outside, and of a name there is not it is told which there are."""
    error = refused(query)

    assert (error.status, str(error)) == (400, message)


async def test_every_rendition() -> None:
    """Each name that there is gives what its table says, in full for a stream and but for the pace for a picture."""
    for name, table in renditions(Config(rendition=NAMED)).items():
        look = Look(table.width, table.height, table.quality, table.fps)

        assert looks.for_stream(visit(f"rendition={name}")) == look
        assert looks.for_snapshot(visit(f"rendition={name}")) == Look(table.width, table.height, table.quality)


@given(st.dictionaries(st.sampled_from(["width", "height", "w", "h", "quality", "q", "fps", "resolution"]), st.text()))
def test_whatever_is_asked(parameters: dict[str, str]) -> None:
    """Whatever stands in a query, it is answered 400 or is a look within all ranges."""
    status, look = 400, Look()
    try:
        look = looks._completed(parameters, look)
    except HttpError as error:
        status = error.status

    assert status == 400
    assert all(side == 0 or MIN_SIDE <= side <= MAX_SIDE for side in (look.width, look.height))
    assert 0 <= look.quality <= 100
    assert look.fps == 0 or MIN_FPS <= look.fps <= MAX_FPS
