"""Other programs' URLs."""

from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mjpegd.http.aliases import ALIASES, translate

NAMES = ("porch", "attic", "cellar")


def ours(url: str, names: tuple[str, ...] = NAMES) -> str:
    """What a foreign URL means here."""
    parts = urlsplit(url)
    return translate(parts.path, dict(parse_qsl(parts.query, keep_blank_values=True)), names)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        # mjpg-streamer
        ("/?action=stream", "/stream"),
        ("/?action=snapshot", "/snapshot"),
        ("/?action=stream_0", "/stream/porch"),
        ("/?action=stream_1", "/stream/attic"),
        ("/?action=snapshot_2", "/snapshot/cellar"),
        ("/?action=stream&n=123", "/stream"),
        ("/?action=stream_3", "/stream/3"),
        # OctoPi, Mainsail, crowsnest
        ("/webcam/?action=stream", "/stream/porch"),
        ("/webcam?action=stream", "/stream/porch"),
        ("/webcam1/?action=snapshot", "/snapshot/porch"),
        ("/webcam2/?action=stream", "/stream/attic"),
        ("/webcam2/?action=stream_0", "/stream/porch"),
        ("/webcam4/?action=stream", "/stream/3"),
        ("/webcam/stream", "/stream/porch"),
        ("/webcam3/snapshot", "/snapshot/cellar"),
        ("/webcam/", "/"),
        ("/webcam", "/"),
        ("/webcam/stats", "/stats"),
        ("/webcam/stream/attic", "/stream/attic"),
        ("/webcam2/shot.jpg", "/snapshot/attic"),
        ("/webcam2/stream.mjpg", "/stream/attic"),
        ("/webcam2/api/stream.mjpeg?src=porch", "/stream/porch"),
        ("/webcam3/video", "/stream/cellar"),
        # Android IP Webcam, WebGear, ESP32-CAM
        ("/video", "/stream"),
        ("/shot.jpg", "/snapshot"),
        ("/shot.jpg?rnd=123", "/snapshot"),
        ("/capture", "/snapshot"),
        # go2rtc
        ("/api/stream.mjpeg", "/stream"),
        ("/api/stream.mjpeg?src=attic", "/stream/attic"),
        ("/api/frame.jpeg?src=cellar", "/snapshot/cellar"),
        ("/api/frame.jpeg?src=2", "/snapshot/2"),
        ("/api/stream.mjpeg?src=", "/stream"),
        # Axis
        ("/axis-cgi/mjpg/video.cgi", "/stream"),
        ("/axis-cgi/mjpg/video.cgi?camera=1&resolution=640x480", "/stream/porch"),
        ("/axis-cgi/mjpg/video.cgi?camera=3", "/stream/cellar"),
        ("/axis-cgi/jpg/image.cgi?camera=2", "/snapshot/attic"),
        ("/axis-cgi/jpg/image.cgi?camera=attic", "/snapshot/attic"),
        ("/mjpg/video.mjpg?camera=2", "/stream/attic"),
        ("/jpg/image.jpg?camera=4", "/snapshot/3"),
    ],
)
def test_foreign(url: str, expected: str) -> None:
    """What these programs' clients ask for is our path for the same camera; a camera there is not stays a number."""
    assert expected == ours(url)


@pytest.mark.parametrize(
    "url",
    [
        *("/", "/stream", "/stream/attic", "/snapshot/attic.jpg", "/stats", "/nothing", "", "*", "//"),
        *(
            "/?action=command",
            "/?action=",
            "/?action=streams",
            "/?action=stream_",
            "/?action=stream_x",
            "/?action=stream_-1",
        ),
        *("/stream?action=snapshot", "/webcamera", "/webcam0/", "/webcam10/", "/xwebcam/", "/video/", "/api/streams"),
    ],
)
def test_ours_and_unknown(url: str) -> None:
    """Any other path stays as it is."""
    assert urlsplit(url).path == ours(url)


@pytest.mark.parametrize("camera", ["0", "99"])
def test_numbers_out_of_range(camera: str) -> None:
    """A number below the first or above the last camera names none of them."""
    path = ours(f"/axis-cgi/jpg/image.cgi?camera={camera}")

    assert path.removeprefix("/snapshot/") not in NAMES
    assert path.startswith("/snapshot/")


@pytest.mark.parametrize(
    "url", ["/?action=stream_", "/axis-cgi/jpg/image.cgi?camera=", "/api/frame.jpeg?src=", "/mjpg/video.mjpg?camera="]
)
def test_endless_number(url: str) -> None:
    """A number too long for Python to read names no camera, and is no error of ours."""
    assert ours(url + "1" * 5000).removeprefix("/").partition("/")[2] not in NAMES


@pytest.mark.parametrize("alias", ALIASES, ids=lambda alias: alias.path)
def test_every_alias(alias: object) -> None:
    """Each row means a stream or a snapshot, and is not one of our own paths."""
    path = getattr(alias, "path", "")

    assert ours(path) in ("/stream", "/snapshot")
    assert not path.startswith(("/stream", "/snapshot"))


PATHS = st.one_of(st.text(max_size=30), st.sampled_from(["/", "/webcam2/", *(alias.path for alias in ALIASES)]))
QUERIES = st.dictionaries(
    st.sampled_from(["action", "camera", "src"]), st.one_of(st.text(max_size=12), st.just("stream_²"))
)


@given(PATHS, QUERIES)
def test_whatever_is_asked_for(path: str, query: dict[str, str]) -> None:
    """Whatever path and query come, a path comes out."""
    translated = translate(path, query, NAMES)

    assert translated == path or translated.startswith("/")
