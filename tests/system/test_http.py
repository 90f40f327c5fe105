"""HTTP/1.1 over bare sockets: routes, methods, errors, connections, and other programs' URLs."""

import json
import socket
import time
from collections.abc import Iterator

import h11
import pytest

from tests.daemon import SECONDS, Daemon, join, pattern, wait_for
from tests.system.client import OPENING, Client, decode, events, fetch, request, size

FRONT, BACK = (320, 240), (160, 120)
HEAD_TIMEOUT, IDLE_TIMEOUT = 0.5, 1.5
ALLOW = "GET, HEAD, OPTIONS"

FINITE = {
    "/": "text/html; charset=utf-8",
    "/snapshot": "image/jpeg",
    "/snapshot.jpg": "image/jpeg",
    "/snapshot/back": "image/jpeg",
    "/snapshot/back.jpg": "image/jpeg",
    "/cameras": "application/json",
    "/stats": "application/json",
    "/health": "application/json",
    "/health/front": "application/json",
    "/state": "application/json",
    "/favicon.ico": "image/svg+xml",
}
STREAMS = ("/stream", "/stream.mjpg", "/stream/front", "/stream/back.mjpg")


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    """Two cameras that can be told apart by size, and short patience with clients."""
    back = {f"camera.back.{key.rpartition('.')[2]}": value for key, value in pattern(*BACK, fps=10).items()}
    front = {f"camera.front.{key.rpartition('.')[2]}": value for key, value in pattern(*FRONT, fps=10).items()}
    settings = {"limits.head_timeout": HEAD_TIMEOUT, "limits.idle_timeout": IDLE_TIMEOUT, "log.flood_period": 0.2}
    with Daemon(join(front, back, settings)) as daemon:
        daemon.wait_state("live", "front")
        daemon.wait_state("live", "back")
        yield daemon


def shown(daemon: Daemon, path: str) -> tuple[int, int]:
    """The size of the picture at a path, be it a snapshot or a stream."""
    with Client(daemon) as client:
        answer = client.get(path).head()
        assert answer.status == 200, path
        if answer["content-type"] == "image/jpeg":
            return size(client.read(int(answer["content-length"])))
        assert client.read(len(OPENING)) == OPENING
        return size(client.part().jpeg)


@pytest.mark.parametrize("path", FINITE)
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_every_finite_route_answers_get_and_head_alike(daemon: Daemon, path: str, version: str) -> None:
    """Each finite route answers 200 with its type; HEAD has the same fields and no body."""
    with Client(daemon) as client:
        alive = {"Connection": "keep-alive"}
        whole = client.get(path, alive, version=version).answer()
        head = client.get(path, alive, method="HEAD", version=version).answer("HEAD")
        assert client.get(path, alive, version=version).answer().status == 200
    assert whole.status == head.status == 200
    assert whole.body
    assert whole["content-type"] == head["content-type"] == FINITE[path]
    assert whole.fields.keys() == head.fields.keys()
    assert {"date", "server", "content-length", "x-content-type-options"} <= whole.fields.keys()


@pytest.mark.parametrize("path", [*FINITE, *STREAMS])
def test_every_route_answers_options_and_refuses_the_rest(daemon: Daemon, path: str) -> None:
    """OPTIONS is 204 with Allow on every route; POST, PUT, DELETE and the like are 405 with it."""
    with Client(daemon) as client:
        options = client.get(path, method="OPTIONS").answer()
        assert (options.status, options["allow"]) == (204, ALLOW)
        assert "content-length" not in options.fields
        for method in ("POST", "PUT", "DELETE", "PATCH", "TRACE"):
            refused = client.get(path, method=method).answer()
            assert (refused.status, refused["allow"]) == (405, ALLOW)
            assert refused.json()["error"]


def test_options_asterisk_asks_about_the_server(daemon: Daemon) -> None:
    """`OPTIONS *` is 204 with Allow."""
    answer = fetch(daemon, "*", method="OPTIONS")
    assert (answer.status, answer["allow"]) == (204, ALLOW)


@pytest.mark.parametrize("method", ["BREW", "get", "PROPFIND", "M-SEARCH", "X"])
def test_an_unknown_method_is_501(daemon: Daemon, method: str) -> None:
    """A method nobody knows, lower-case `get` included, is 501 and names those that are answered."""
    with Client(daemon) as client:
        answer = client.get("/", method=method).answer()
        assert (answer.status, answer["allow"]) == (501, ALLOW)
        assert client.get("/health").answer().status == 200


@pytest.mark.parametrize(
    "path",
    ["/nothing", "/streams", "/stream/front/x", "/snapshot.png", "/../etc/passwd", "/%2e%2e/", "/stats/", "//", "/%00"],
)
def test_an_unknown_path_is_404_that_names_what_exists(daemon: Daemon, path: str) -> None:
    """A path that leads nowhere is 404 with every route and every camera in its JSON."""
    answer = fetch(daemon, path)
    assert answer.status == 404
    said = answer.json()
    assert said["cameras"] == ["front", "back"]
    assert "/stream[/{camera}][.mjpg]" in said["routes"]
    assert len(said["routes"]) >= 9


@pytest.mark.parametrize("path", ["/stream/nobody", "/snapshot/nobody.jpg", "/health/nobody", "/stream/FRONT"])
def test_an_unknown_camera_is_404_that_names_those_there_are(daemon: Daemon, path: str) -> None:
    """A camera that does not exist is 404 with the names of those that do."""
    answer = fetch(daemon, path)
    assert answer.status == 404
    assert answer.json()["cameras"] == ["front", "back"]


BAD = {
    "TLS hello": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200) + b"\n", 400),
    "garbage": (b"\x00\xff\xfe garbage \x80\r\n\r\n", 400),
    "HTTP/0.9": (b"GET /\r\n\r\n", 400),
    "bare LF": (b"GET / HTTP/1.1\nHost: x\n\n", 400),
    "bare CR": (b"GET / HTTP/1.1\r\nHost: x\rA: b\r\n\r\n", 400),
    "two spaces": (b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "lower-case http": (b"GET / http/1.1\r\nHost: x\r\n\r\n", 400),
    "space before colon": (b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400),
    "obs-fold": (b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n", 400),
    "empty name": (b"GET / HTTP/1.1\r\nHost: x\r\n: b\r\n\r\n", 400),
    "no colon": (b"GET / HTTP/1.1\r\nHost: x\r\nnonsense\r\n\r\n", 400),
    "NUL in a value": (b"GET / HTTP/1.1\r\nHost: x\r\nA: b\x00c\r\n\r\n", 400),
    "no Host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "empty Host": (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", 400),
    "two Hosts": (b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
    "bad Host": (b"GET / HTTP/1.1\r\nHost: x y\r\n\r\n", 400),
    "relative target": (b"GET stream HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "asterisk with GET": (b"GET * HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "raw umlaut": ("GET /ü HTTP/1.1\r\nHost: x\r\n\r\n".encode(), 400),
    "length and coding": (
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        400,
    ),
    "coding on 1.0": (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    "negative length": (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
    "two lengths": (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
    "unknown coding": (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
    "long target": (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
    "endless target": (b"GET /" + b"a" * 20000, 414),
    "long field": (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 17000 + b"\r\n\r\n", 431),
    "many fields": (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 200 + b"\r\n", 431),
    "HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "HTTP/2.0": (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505),
    "HTTP/3.1": (b"GET / HTTP/3.1\r\nHost: x\r\n\r\n", 505),
}


@pytest.mark.parametrize(("wire", "status"), BAD.values(), ids=BAD)
def test_a_broken_request_is_answered_and_the_connection_closed(daemon: Daemon, wire: bytes, status: int) -> None:
    """What is no request gets the status RFC 9112 gives it, with words, and nothing after it is believed."""
    with Client(daemon) as client:
        client.send(wire + request("/stats"))
        answer = client.answer()
        assert answer.status == status
        assert answer["connection"] == "close"
        assert answer.json()["error"]
        assert client.at_end()


@pytest.mark.parametrize(
    "wire",
    [
        b"GET /health HTTP/1.0\r\n\r\n",
        b"\r\nGET /health HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /health HTTP/1.1\r\nhOST: x:8080\r\n\r\n",
        b"GET /health HTTP/1.9\r\nHost: x\r\n\r\n",
        b"GET http://elsewhere.example/health?x=y HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: [::1]:8080\r\nCookie: a=\xfcber\r\n\r\n",
        b"GET /%68ealth?a=1&a=2;&&%zz HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_an_unusual_request_is_still_one(daemon: Daemon, wire: bytes) -> None:
    """What RFC 9112 allows is answered, however rare it is, and with nothing before the answer."""
    with Client(daemon) as client:
        client.send(wire)
        assert client.answer().status == 200


def test_a_request_may_come_byte_by_byte(daemon: Daemon) -> None:
    """A request in pieces of one byte, each in a segment of its own, is answered as one."""
    with Client(daemon) as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in request("/health"):
            client.send(bytes([byte]))
        assert client.answer().status == 200
        for byte in request("/snapshot"):
            client.send(bytes([byte]))
        assert client.answer()["content-type"] == "image/jpeg"


@pytest.mark.parametrize("count", [2, 3, 50])
def test_pipelined_requests_are_answered_in_order(daemon: Daemon, count: int) -> None:
    """Requests that come in one segment are all answered, in their order, errors in between included."""
    paths = (["/health/front", "/nothing", "/health/back", "/favicon.ico", "/snapshot"] * count)[:count]
    with Client(daemon) as client:
        client.send(b"".join(map(request, paths)))
        answers = [client.answer() for _ in paths]
        assert client.get("/health").answer().status == 200
    assert [answer.status for answer in answers] == [404 if path == "/nothing" else 200 for path in paths]
    assert answers[0].json()["camera"] == "front"
    for path, answer in zip(paths, answers, strict=True):
        assert answer["content-type"] == FINITE.get(path, "application/json")


def test_a_pipelined_request_cut_in_two_is_waited_for(daemon: Daemon) -> None:
    """One request and a half in a segment: the first is answered at once, the second when it is complete."""
    second = request("/health/back")
    with Client(daemon) as client:
        client.send(request("/health/front") + second[:15])
        assert client.answer().json()["camera"] == "front"
        client.send(second[15:])
        assert client.answer().json()["camera"] == "back"


def test_a_kept_connection_serves_many_requests(daemon: Daemon) -> None:
    """One connection serves request after request, 404 and 304 included."""
    with Client(daemon) as client:
        for _ in range(20):
            answer = client.get("/favicon.ico").answer()
            assert (answer.status, answer["connection"]) == (200, "keep-alive")
            assert client.get("/nothing").answer()["connection"] == "keep-alive"
            assert client.get("/snapshot", {"If-None-Match": "*"}).answer().status == 304


@pytest.mark.parametrize(
    ("version", "connection", "kept"),
    [
        ("1.1", None, True),
        ("1.1", "close", False),
        ("1.1", "Upgrade, CLOSE", False),
        ("1.0", None, False),
        ("1.0", "keep-alive", True),
        ("1.0", "Keep-Alive, Upgrade", True),
        ("1.0", "close", False),
    ],
)
def test_the_connection_is_kept_as_http_says(daemon: Daemon, version: str, connection: str | None, kept: bool) -> None:  # noqa: FBT001
    """1.1 keeps the connection unless told to close it, 1.0 closes it unless asked to keep it."""
    headers = {"Connection": connection} if connection else {}
    with Client(daemon) as client:
        answer = client.get("/health", headers, version=version).answer()
        assert answer["connection"] == ("keep-alive" if kept else "close")
        if kept:
            assert client.get("/health").answer().status == 200
        else:
            assert client.at_end()


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("length", [1, 100_000, 3_000_000])
def test_a_request_with_a_body_is_answered_and_the_connection_closed(daemon: Daemon, method: str, length: int) -> None:
    """A body nobody reads does not cost the client its answer: no RST comes before the end."""
    with Client(daemon) as client:
        client.send(request("/health", {"Content-Length": str(length)}, method=method))
        client.send(bytes(length))
        answer = client.answer(method)
        assert answer.status == (405 if method == "POST" else 200)
        assert answer["connection"] == "close"
        assert client.at_end()


def test_a_chunked_body_is_not_taken_for_a_request(daemon: Daemon) -> None:
    """A request smuggled in a chunked body is not answered."""
    with Client(daemon) as client:
        smuggled = request("/stats")
        client.send(request("/health", {"Transfer-Encoding": "chunked"}, method="POST"))
        client.send(b"%x\r\n%s\r\n0\r\n\r\n" % (len(smuggled), smuggled))
        assert client.answer("POST").status == 405
        assert client.at_end()


def test_a_slow_head_is_408(daemon: Daemon) -> None:
    """A client that does not finish its request within `head_timeout` gets 408 and the end of the connection."""
    with Client(daemon) as client:
        began = time.monotonic()
        client.send(request("/health")[:-3])
        answer = client.answer()
        took = time.monotonic() - began
        assert (answer.status, answer["connection"]) == (408, "close")
        assert client.at_end()
    assert 0.8 * HEAD_TIMEOUT < took < HEAD_TIMEOUT + SECONDS


def test_a_head_that_drips_is_408_too(daemon: Daemon) -> None:
    """One byte now and then does not extend the time for a head (slowloris)."""
    with Client(daemon) as client:
        client.socket.settimeout(0.1)
        began = time.monotonic()
        client.send(b"GET /health HTTP/1.1\r\nHost: x\r\nA: ")
        while not client.buffer:
            assert time.monotonic() - began < HEAD_TIMEOUT + 2 * SECONDS
            client.send(b"a")
            try:
                client.buffer += client.socket.recv(4096)
            except TimeoutError:
                continue
        assert client.answer().status == 408


@pytest.mark.parametrize("first", [b"", request("/health")])
def test_an_idle_connection_is_closed_without_a_word(daemon: Daemon, first: bytes) -> None:
    """A connection without a request, from the start or after one, ends after `idle_timeout`, and not before."""
    with Client(daemon) as client:
        client.send(first)
        if first:
            client.answer()
        began = time.monotonic()
        assert client.at_end()
        took = time.monotonic() - began
    assert 0.8 * IDLE_TIMEOUT < took < IDLE_TIMEOUT + SECONDS


INJECTIONS = (
    "/%0d%0aX-Evil:%20yes",
    "/stream/%0d%0aX-Evil:%20yes",
    "/snapshot/a%0aX-Evil:%20yes.jpg",
    "/%0d%0a%0d%0a<script>X-Evil</script>",
    "/stream?profile=%0d%0aX-Evil:%20yes",
    "/snapshot?after=%0d%0aX-Evil:%20yes",
    "/api/stream.mjpeg?src=%0d%0aX-Evil:%20yes",
    "/axis-cgi/jpg/image.cgi?camera=%0d%0aX-Evil",
    "/webcam/%0d%0aX-Evil:%20yes",
)


@pytest.mark.parametrize("path", INJECTIONS)
def test_nothing_of_a_request_is_repeated_raw(daemon: Daemon, path: str) -> None:
    """Line breaks that a client encodes into its path or query are neither in the head, nor in the body, nor lines."""
    with Client(daemon) as client:
        answer = client.get(path, {"Connection": "close"}).answer()
        assert client.at_end()
    assert answer.status in {400, 404}
    assert b"Evil" not in answer.head
    assert b"\nX-Evil" not in answer.body
    assert b"<script>" not in answer.body
    answer.json()


def test_a_header_of_a_viewer_cannot_forge_log_lines(daemon: Daemon) -> None:
    """A User-Agent with escapes in it is one value of one line of the log, cut to a bearable length."""
    agent = '"}\\n{"event": "forged"} \x80' + "x" * 500
    with Client(daemon) as client:
        client.send(b"GET /stream HTTP/1.1\r\nHost: x\r\nUser-Agent: " + agent.encode("latin-1") + b"\r\n\r\n")
        client.head()
        name = client.name
    wait_for(lambda: bool(events(daemon, "viewer left", viewer=name)), 5, "the line in the log")
    lines = events(daemon, "viewer left", viewer=name)
    assert [line["agent"] for line in lines] == [agent[:120]]
    assert not events(daemon, "forged")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/?action=stream", FRONT),
        ("/?action=stream_0", FRONT),
        ("/?action=stream_1", BACK),
        ("/?action=stream&1732109400123", FRONT),
        ("/?action=snapshot", FRONT),
        ("/?action=snapshot_1&n=5", BACK),
        ("/?_=1&action=snapshot", FRONT),
        ("/webcam/?action=stream", FRONT),
        ("/webcam?action=snapshot", FRONT),
        ("/webcam/?action=snapshot&bypassCache=1", FRONT),
        ("/webcam1/?action=snapshot", FRONT),
        ("/webcam2/?action=stream", BACK),
        ("/webcam2/?action=snapshot", BACK),
        ("/webcam2/stream", BACK),
        ("/webcam2/snapshot", BACK),
        ("/api/stream.mjpeg?src=back", BACK),
        ("/api/stream.mjpeg", FRONT),
        ("/api/frame.jpeg?src=back", BACK),
        ("/api/frame.jpeg?src=front&w=100", (100, 75)),
        ("/axis-cgi/mjpg/video.cgi", FRONT),
        ("/axis-cgi/mjpg/video.cgi?camera=2&resolution=640x480&fps=5", BACK),
        ("/axis-cgi/jpg/image.cgi?camera=1", FRONT),
        ("/axis-cgi/jpg/image.cgi?camera=2", BACK),
        ("/axis-cgi/jpg/image.cgi?camera=1&resolution=200x100&compression=50", (133, 100)),
        ("/mjpg/video.mjpg?camera=2", BACK),
        ("/jpg/image.jpg", FRONT),
        ("/video", FRONT),
        ("/shot.jpg", FRONT),
        ("/shot.jpg?rnd=12345", FRONT),
        ("/capture", FRONT),
    ],
)
def test_other_programs_addresses_work(daemon: Daemon, path: str, expected: tuple[int, int]) -> None:
    """The addresses of mjpg-streamer, OctoPi, go2rtc, Axis, IP Webcam and ESP32 give the picture they mean."""
    assert shown(daemon, path) == expected


@pytest.mark.parametrize(
    "path",
    [
        "/?action=stream_2",
        "/?action=snapshot_9",
        "/webcam3/?action=stream",
        "/api/frame.jpeg?src=nobody",
        "/axis-cgi/jpg/image.cgi?camera=3",
        "/axis-cgi/jpg/image.cgi?camera=0",
    ],
)
def test_other_programs_addresses_of_no_camera_are_404(daemon: Daemon, path: str) -> None:
    """An alias that means a camera there is not says so, with the names there are."""
    answer = fetch(daemon, path)
    assert answer.status == 404
    assert answer.json()["cameras"] == ["front", "back"]


@pytest.mark.parametrize("path", ["/?action=command&id=1", "/?action=", "/webcam/", "/?action=streams"])
def test_an_action_that_is_none_is_the_page(daemon: Daemon, path: str) -> None:
    """What looks like mjpg-streamer and is not stream or snapshot gives the page."""
    assert fetch(daemon, path)["content-type"] == FINITE["/"]


def test_state_has_ustreamers_shape(daemon: Daemon) -> None:
    """`/state` is what uStreamer's readers expect, with our numbers in it."""
    state = fetch(daemon, "/state").json()
    assert state["ok"] is True
    result = state["result"]
    assert result.keys() == {"instance_id", "encoder", "source", "stream"}
    assert result["encoder"].keys() == {"type", "quality"}
    assert result["source"]["resolution"] == {"width": 320, "height": 240}
    assert result["source"]["online"] is True
    assert result["source"]["desired_fps"] == 10
    assert isinstance(result["source"]["captured_fps"], int)
    assert result["stream"].keys() == {"queued_fps", "clients", "clients_stat"}
    assert isinstance(result["stream"]["clients"], int)


def test_the_page_shows_every_camera_without_help_from_elsewhere(daemon: Daemon) -> None:
    """The page is one self-contained document: nothing is loaded from another host."""
    page = fetch(daemon, "/").body.decode()
    assert page.lstrip().lower().startswith("<!doctype html>")
    assert "stream" in page
    for elsewhere in ('src="http', 'href="http', "url(http", "@import", "//cdn"):
        assert elsewhere not in page


def test_a_whole_dialogue_satisfies_h11(daemon: Daemon) -> None:
    """A strict client library follows a dialogue of many requests on one connection without a complaint."""
    peer = h11.Connection(h11.CLIENT)
    with Client(daemon) as client:
        for path in ("/", "/stats", "/nothing", "/snapshot", "/health/front"):
            wire = peer.send(h11.Request(method="GET", target=path, headers=[("Host", "x")]))
            wire_end = peer.send(h11.EndOfMessage())
            assert wire is not None
            client.send(wire + (wire_end or b""))
            body = b""
            while not isinstance(event := peer.next_event(), h11.EndOfMessage):
                if event is h11.NEED_DATA:
                    peer.receive_data(client.socket.recv(65536))
                elif isinstance(event, h11.Data):
                    body += event.data
            assert body
            if path == "/snapshot":
                assert decode(body).shape == (240, 320, 3)
            elif path != "/":
                assert json.loads(body)
            peer.start_next_cycle()


def test_many_connections_at_once_are_all_answered(daemon: Daemon) -> None:
    """Two hundred connections opened before any of them asks are all served."""
    clients = [Client(daemon) for _ in range(200)]
    for client in clients:
        client.get("/health", {"Connection": "close"})
    statuses = {client.answer().status for client in clients}
    for client in clients:
        client.socket.close()
    assert statuses == {200}


def test_a_client_that_goes_away_before_its_answer_leaves_no_trace(daemon: Daemon) -> None:
    """A client that resets the connection right after its request is not in the log, and the next one is served."""
    names = set()
    for _ in range(20):
        with Client(daemon) as client:
            names.add(client.name)
            client.get("/snapshot?fresh=1")
            client.reset()
    assert fetch(daemon, "/snapshot?fresh=1").status == 200
    assert not [line for line in daemon.log if line.get("viewer") in names]
