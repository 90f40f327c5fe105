"""A real Chromium looks at mjpegd: at its page, at its stream in somebody else's page, at a camera that stops."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import sleep

import cv2
import pytest

from tests.chromium import Chromium
from tests.daemon import Daemon, pattern, wait_for
from tests.peers import nginx_in_front
from tests.system.client import decode, wait_viewers
from tests.system.fakecam import HEIGHT, WIDTH, Camera

FPS = 5
"""Pictures a second of the camera that stops."""
PIXELS = """(image => {
    const canvas = Object.assign(document.createElement("canvas"), {width: 64, height: 48});
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0, 64, 48);
    return context.getImageData(0, 0, 64, 48).data.join();
})(document.querySelector("img"))"""
"""What the first image of a page shows now, small, as text."""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """One browser for all."""
    with Chromium(tmp_path_factory.mktemp("chromium")) as running:
        yield running


@pytest.fixture
def daemon(browser: Chromium) -> Iterator[Daemon]:
    """A daemon with a pattern; at its end the browser lets it go."""
    with Daemon(pattern()) as running:
        running.wait_state("live")
        yield running
        browser.open("about:blank")


@contextmanager
def embedding(url: str) -> Iterator[str]:
    """The address of a page of another origin whose only content is an `<img>` of that URL.

    The page is of the strictest kind: it takes from elsewhere only what says that it may be taken.
    """
    page = f"<!doctype html><body style='margin:0'><img src='{url}'>".encode()

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(page)))
            self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
            self.end_headers()
            self.wfile.write(page)

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()


def wait_image(browser: Chromium) -> None:
    """Wait until the first image of the page has a size, and so a picture."""
    size = "document.querySelector('img')?.naturalWidth ?? 0"
    wait_for(lambda: browser.evaluate(size) > 0, 10, "the page to show a picture")


def assert_moving(browser: Chromium) -> None:
    """The first image of the page shows one new picture after the other."""
    wait_image(browser)
    seen: set[str] = set()

    def look() -> bool:
        seen.add(browser.evaluate(PIXELS))
        return len(seen) >= 5

    wait_for(look, 3, "the picture to move")


def test_the_page_shows_a_moving_picture(browser: Chromium, daemon: Daemon) -> None:
    """On `/` the picture moves, by the browser profile, and leaving the page is noticed."""
    browser.open(f"{daemon.url}/")
    assert_moving(browser)
    assert wait_viewers(daemon, 1) < 1
    browser.open("about:blank")
    wait_viewers(daemon, 0)
    left = daemon.wait_log("viewer left")
    assert "Chrome" in left["agent"]
    assert left["profile"] == "browser"


def test_the_page_works_behind_a_location_of_nginx(browser: Chromium, daemon: Daemon, tmp_path: Path) -> None:
    """Under `/cams/` of an nginx with its defaults the page finds everything, and its picture moves."""
    with nginx_in_front(tmp_path, daemon.port) as nginx:
        browser.open(f"{nginx.url}/cams/")
        assert_moving(browser)
        browser.open("about:blank")


def test_the_stream_is_a_page_of_its_own(browser: Chromium, daemon: Daemon) -> None:
    """The bare URL in the address bar shows the moving picture."""
    browser.open(f"{daemon.url}/stream")
    assert_moving(browser)


def test_the_stream_moves_in_a_foreign_page(browser: Chromium, daemon: Daemon) -> None:
    """An `<img>` in a page of another origin, as dashboards have it, shows new pictures all the time."""
    with embedding(f"{daemon.url}/stream") as page:
        browser.open(page)
        wait_image(browser)
        seen: set[bytes] = set()

        def look() -> bool:
            seen.add(browser.screenshot(320, 240))
            return len(seen) >= 5

        wait_for(look, 5, "the picture to move")


def test_a_script_gets_lengths(browser: Chromium, daemon: Daemon) -> None:
    """`fetch` is no image loader: a player in JavaScript reads parts with Content-Length."""
    browser.open(f"{daemon.url}/")
    head = browser.evaluate(
        """fetch("/stream").then(async response => {
            const reader = response.body.getReader(), text = new TextDecoder("latin1");
            let read = "";
            while (!read.includes("\\r\\n\\r\\n")) read += text.decode((await reader.read()).value);
            await reader.cancel();
            return read;
        })"""
    )
    assert head.startswith("--mjpegdframe\r\nContent-Type: image/jpeg\r\nContent-Length: ")


def test_a_snapshot_is_fetched_only_once(browser: Chromium, still: Daemon) -> None:
    """Chromium keeps a snapshot, asks again, and a 304 is all that comes over the wire the second time."""
    browser.open(f"{still.url}/health")
    first, second = browser.evaluate(
        """(async () => {
            const sizes = [];
            for (let n = 0; n < 2; n++) {
                await (await fetch("/snapshot")).blob();
                sizes.push(performance.getEntriesByName(`${location.origin}/snapshot`).at(-1).transferSize);
            }
            return sizes;
        })()"""
    )
    assert first > len(still.get("/snapshot")[1])
    assert second < 1000


def test_the_last_picture_before_a_stop_is_shown(browser: Chromium, camera: Camera) -> None:
    """When a camera stops, its newest picture is on the screen within a second, though no other follows it."""
    sets = {"camera.cam.stale_after": 600, "server.heartbeat": 60}
    with camera.daemon(sets, fps=FPS) as daemon, embedding(f"{daemon.url}/stream") as page:
        daemon.wait_state("live")
        browser.open(page)
        wait_image(browser)
        shown = ball(browser.screenshot(WIDTH, HEIGHT))
        wait_for(lambda: ball(browser.screenshot(WIDTH, HEIGHT)) != shown, 5, "the ball to move")
        with camera.doing("stall"):
            sleep(2 / FPS)  # one more may be on its way
            last = ball(daemon.get("/snapshot")[1])
            wait_for(lambda: ball(browser.screenshot(WIDTH, HEIGHT)) == last, 1, "the last picture to be shown")
        browser.open("about:blank")


def ball(picture: bytes) -> int:
    """Which of the camera's ten pictures this is: by the column of its ball."""
    bright = cv2.threshold(decode(picture)[:, :, 2], 200, 1, cv2.THRESH_BINARY)[1]
    return round((float(cv2.moments(bright)["m10"] / cv2.moments(bright)["m00"]) - 60) / 50)
