"""Share links: made by the command, opened by anybody, ended by time or word."""

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from time import monotonic, time

import pytest

from tests.daemon import SECONDS, Daemon, cli, join, pattern, wait_for, write_config
from tests.peers import peer, run
from tests.system.client import Client, fetch, last_picture, size

WALL = "wall-3f9c1e77"
WIDTH, HEIGHT = 640, 480


@dataclass(frozen=True)
class Link:
    """A link as the command printed it."""

    stream: str
    id: str

    @property
    def picture(self) -> str:
        return self.stream.removesuffix(".mjpg") + ".jpg"

    @property
    def token(self) -> str:
        return self.stream.removeprefix("/s/").removesuffix(".mjpg")


@dataclass(frozen=True)
class Shop:
    """A daemon that wants keys, and the command that shares its cameras."""

    daemon: Daemon
    config: Path

    def share(self, *words: str, camera: str = "cam") -> Link:
        """Make a link; it must look as the manual says."""
        made = cli("share", camera, *words, "--url", self.daemon.url, "--config", self.config)
        assert (made.returncode, made.stderr) == (0, "")
        url, hint = made.stdout.splitlines()
        match = re.fullmatch(r"# .*mjpegd share --revoke ([0-9a-f]{8})", hint)
        assert match
        assert url.startswith(f"{self.daemon.url}/s/")
        assert url.endswith(".mjpg")
        return Link(url.removeprefix(self.daemon.url), match[1])

    def tell(self, *words: str) -> str:
        """Another `mjpegd share` command, which must succeed."""
        done = cli("share", *words, "--config", self.config)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Two cameras behind one key."""
    folder = tmp_path_factory.mktemp("share")
    yard = {"camera.yard.source": "pattern", "camera.yard.width": 160, "camera.yard.height": 120}
    places = {"server.state": str(folder / "state"), "key.wall.secret": WALL}
    file = write_config(folder / "mjpegd.toml", pattern(WIDTH, HEIGHT), yard, places)
    with Daemon(config=file, key=WALL) as daemon:
        daemon.wait_state("live", "cam")
        daemon.wait_state("live", "yard")
        yield Shop(daemon, file)


def test_a_link_opens_stream_and_picture_without_a_key(shop: Shop) -> None:
    """The link plays, with `.jpg` it is a picture, and without it the same daemon says 401."""
    link = shop.share()
    with Client(shop.daemon) as client:
        client.open_stream(link.stream)
        assert size(client.part().jpeg) == (WIDTH, HEIGHT)
    with Client(shop.daemon) as client:
        client.open_stream(f"/s/{link.token}")
    picture = fetch(shop.daemon, link.picture)
    assert (picture.status, size(picture.body)) == (200, (WIDTH, HEIGHT))
    assert fetch(shop.daemon, "/stream").status == 401
    assert fetch(shop.daemon, "/snapshot").status == 401


def test_a_link_opens_its_camera_and_nothing_else(shop: Shop) -> None:
    """Of two cameras the link shows its own, and its token is no key, no cookie and no way to anything else."""
    link = shop.share(camera="yard")
    assert size(fetch(shop.daemon, link.picture).body) == (160, 120)
    assert size(fetch(shop.daemon, f"{link.picture}?camera=cam").body) == (160, 120)
    for source, (path, headers) in enumerate(
        (
            (f"/stats?key={link.token}", {}),
            ("/stats", {"Cookie": f"mjpegd={link.token}"}),
            ("/stats", {"Authorization": f"Bearer {link.token}"}),
            ("/snapshot/cam", {"Referer": shop.daemon.url + link.stream}),
        )
    ):
        assert fetch(shop.daemon, path, headers, source=f"127.0.5.{source + 1}").status == 401
    for path in (f"/s/{link.token}/cam.mjpg", f"/s/{link.token}/../../stats", f"/s/{link.token}.json"):
        assert fetch(shop.daemon, path).status in {401, 403, 404}


def test_ffmpeg_plays_a_link(shop: Shop) -> None:
    """Ffmpeg takes the link as it was printed."""
    ffmpeg = peer("ffmpeg", "ffmpeg")
    url = shop.daemon.url + shop.share().stream
    done = run(ffmpeg, "-loglevel", "warning", "-i", url, "-frames:v", "10", "-f", "framecrc", "-")
    assert (done.returncode, done.stderr) == (0, b"")
    assert len([line for line in done.stdout.splitlines() if not line.startswith(b"#")]) == 10


def test_a_link_can_be_slower(shop: Shop) -> None:
    """`--fps 5` gives five fresh frames a second of a camera with thirty, evenly."""
    link = shop.share("--fps", "5")
    with Client(shop.daemon) as client:
        client.open_stream(link.stream)
        client.part()
        began = monotonic()
        parts = [client.part() for _ in range(15)]
        ages = [time() - part.timestamp for part in parts[-1:]]
    assert monotonic() - began == pytest.approx(3, rel=0.2)
    steps = [later.timestamp - sooner.timestamp for sooner, later in pairwise(parts)]
    assert all(0.1 < step < 0.35 for step in steps), steps
    assert max(ages) < 0.3 * SECONDS


def test_a_link_can_be_smaller(shop: Shop) -> None:
    """`--width 160` gives stream and picture 160 wide in the same shape; nothing is ever made wider."""
    link = shop.share("--width", "160")
    with Client(shop.daemon) as client:
        client.open_stream(link.stream)
        assert {size(client.part().jpeg) for _ in range(5)} == {(160, 120)}
    assert size(fetch(shop.daemon, link.picture).body) == (160, 120)
    wide = shop.share("--width", "1920")
    assert size(fetch(shop.daemon, wide.picture).body) == (WIDTH, HEIGHT)
    with Client(shop.daemon) as client:
        client.open_stream(wide.stream)
        assert size(client.part().jpeg) == (WIDTH, HEIGHT)


def test_links_of_one_look_share_its_work(shop: Shop) -> None:
    """Two links of the same size and pace show the same frames, byte for byte; when all have left, no more are made."""
    one, other = (shop.share("--width", "320", "--fps", "10") for _ in range(2))
    with Client(shop.daemon) as first, Client(shop.daemon) as second:
        first.open_stream(one.stream)
        second.open_stream(other.stream)
        frames = [{part.id: part.jpeg for part in (client.part() for _ in range(8))} for client in (first, second)]
    common = frames[0].keys() & frames[1].keys()
    assert len(common) >= 5
    assert all(frames[0][number] == frames[1][number] for number in common)


def test_a_link_has_room_for_so_many(shop: Shop) -> None:
    """`--viewers 1` refuses the second with 429, whatever its address, until the first has left."""
    link, other = shop.share("--viewers", "1"), shop.share("--viewers", "1")
    with Client(shop.daemon) as first:
        first.open_stream(link.stream)
        answer = fetch(shop.daemon, link.stream, source="127.0.0.2")
        assert answer.status == 429
        assert int(answer["retry-after"]) > 0
        assert answer.json()["most"] == 1
        with Client(shop.daemon) as elsewhere:
            elsewhere.open_stream(other.stream)
        assert fetch(shop.daemon, link.picture).status == 200
        first.part()

    def let_in() -> bool:
        with Client(shop.daemon) as client:
            return client.get(link.stream).head().status == 200

    wait_for(let_in, 5, "room again")


def test_a_link_ends_by_itself(shop: Shop) -> None:
    """When its time is over the stream ends in order within two seconds, and stream and picture are 403."""
    link = shop.share("--ttl", "3s", "--fps", "10")
    began = monotonic()
    with Client(shop.daemon) as client:
        client.open_stream(link.stream)
        assert last_picture(client.read_all())
    assert 1 < monotonic() - began < 3 + 2 * SECONDS
    for path in (link.stream, link.picture):
        answer = fetch(shop.daemon, path)
        assert answer.status == 403
        assert "expired" in answer.json()["error"]


def test_a_link_can_be_taken_back(shop: Shop) -> None:
    """`--revoke` ends its stream in order within two seconds and voids it; another link of the camera goes on."""
    link, other = shop.share(), shop.share()
    with Client(shop.daemon) as client, Client(shop.daemon) as neighbour:
        client.open_stream(link.stream)
        neighbour.open_stream(other.stream)
        assert shop.tell("--revoke", link.id) == f"{link.id}: revoked\n"
        began = monotonic()
        assert last_picture(client.read_all())
        assert monotonic() - began < 2 * SECONDS
        neighbour.part()
        assert neighbour.part().jpeg
    assert fetch(shop.daemon, link.stream).status == 403
    assert fetch(shop.daemon, link.picture).status == 403
    assert fetch(shop.daemon, other.picture).status == 200
    listed = {line.split()[0]: line for line in shop.tell("--list").splitlines()}
    assert listed[link.id].endswith("revoked")
    assert not listed[other.id].endswith("revoked")


def test_what_cannot_be_shared_or_taken_back() -> None:
    """A camera that is none is exit code 2, an id that is none 1, each with one line."""
    unknown = cli("share", "nope", "--set", "camera.cam.source=pattern")
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert len(unknown.stderr.splitlines()) == 1
    revoked = cli("share", "--revoke", "12345678")
    assert (revoked.returncode, revoked.stdout) == (1, "12345678: there is no such link\n")


def sealed(token: str) -> tuple[bytes, str]:
    """What a token says, and its signature."""
    body, _, signature = token.partition(".")
    return base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)), signature


def unsealed(body: bytes, signature: str) -> str:
    return f"{base64.urlsafe_b64encode(body).rstrip(b'=').decode()}.{signature}"


def test_a_link_that_was_changed_is_void(shop: Shop) -> None:
    """Another camera, a later end, a wrong, short or missing signature, and garbage are all 403."""
    body, signature = sealed(shop.share().token)
    other = ("B" if signature[0] == "A" else "A") + signature[1:]
    assert fetch(shop.daemon, f"/s/{unsealed(body, signature)}.jpg").status == 200
    for token in (
        unsealed(body.replace(b'"cam"', b'"yard"'), signature),
        unsealed(re.sub(rb"\d{10}", b"9999999999", body), signature),
        unsealed(body, other),
        unsealed(body, signature[:-4]),
        unsealed(body, ""),
        unsealed(body, "").rstrip("."),
        unsealed(b"[" * 300, signature),
        unsealed(b'{"a":1}', signature),
        "x" * 600,
        "%00%ff%F0%9F%98%80",
    ):
        assert fetch(shop.daemon, f"/s/{token}.mjpg").status == 403, token
        assert fetch(shop.daemon, f"/s/{token}.jpg").status == 403, token


def test_a_link_outlives_a_restart_and_knows_no_other_daemon(tmp_path: Path) -> None:
    """After a restart with the same state the link works, revoked ones stay so, and another state knows neither."""
    places = {"key.wall.secret": WALL, "server.state": str(tmp_path / "state")}
    file = write_config(tmp_path / "mjpegd.toml", pattern(), places)
    with Daemon(config=file) as daemon:
        link, void = Shop(daemon, file).share(), Shop(daemon, file).share()
        Shop(daemon, file).tell("--revoke", void.id)
    with Daemon(config=file, key=WALL) as daemon:
        daemon.wait_state("live")
        assert fetch(daemon, link.picture).status == 200
        assert fetch(daemon, void.picture).status == 403
    with Daemon(join({"server.state": tmp_path / "other"}), config=file) as daemon:
        assert fetch(daemon, link.picture).status == 403


def test_a_link_is_shown_as_what_it_is(tmp_path: Path) -> None:
    """`/clients` names the link and its look, and neither there nor in the log stands its token."""
    boss = {"key.boss.secret": WALL, "key.boss.scopes": ["admin"], "server.state": str(tmp_path / "state")}
    file = write_config(tmp_path / "mjpegd.toml", pattern(), boss)
    with Daemon(config=file, key=WALL) as daemon:
        daemon.wait_state("live")
        link = Shop(daemon, file).share("--width", "160", "--fps", "5")
        with Client(daemon) as client:
            client.open_stream(link.stream)
            client.part()
            listed = daemon.get("/clients")[1].decode()
            (row,) = daemon.json("/clients")["clients"]
        daemon.wait_log("viewer left")
    assert (row["key"], row["rendition"], row["camera"]) == (f"share {link.id}", "w160 5fps", "cam")
    signature = link.token.partition(".")[2]
    assert signature not in listed + "".join(daemon.raw_log)


def test_the_link_is_printed_as_people_reach_it(tmp_path: Path) -> None:
    """`server.public_url` and `server.base_path` are in front of the link; without them the address listened on."""
    state = {"server.state": str(tmp_path / "state"), "server.port": 4321}
    public = {"server.public_url": "https://cam.example.org", "server.base_path": "/cams"}
    near = cli("share", "cam", "--config", write_config(tmp_path / "near.toml", state))
    far = cli("share", "cam", "--config", write_config(tmp_path / "far.toml", state, public))
    assert near.stdout.startswith("http://127.0.0.1:4321/s/")
    assert far.stdout.startswith("https://cam.example.org/cams/s/")
