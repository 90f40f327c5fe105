"""HTTPS: versions, certificates that change while people watch, and what does not speak it."""

import os
import shutil
import socket
import ssl
import statistics
import time
import warnings
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path

import pytest

from tests.certificates import Pair
from tests.daemon import SECONDS, Daemon, cli, join, pattern, trusting_everybody, wait_for, write_config
from tests.peers import peer, run
from tests.system.client import Client, events, last_picture, request, size, wait_viewers
from tests.system.fakecam import Camera
from tests.system.test_isolation import FULL, read_slowly

KEY = "wall-3f9c1e77"


@pytest.fixture
def pair(pairs: Mapping[str, Pair], tmp_path: Path) -> Pair:
    """The old certificate in files that a test may change."""
    copy = Pair(tmp_path / "tls.crt", tmp_path / "tls.key")
    copy.put(pairs["old"])
    return copy


@pytest.fixture(scope="module")
def daemon(pairs: Mapping[str, Pair]) -> Iterator[Daemon]:
    """A daemon with the old certificate."""
    with Daemon(join(pattern(), pairs["old"].sets)) as running:
        running.wait_state("live")
        yield running


def shown(daemon: Daemon) -> bytes:
    """The certificate that a new connection is shown."""
    with Client(daemon, tls=trusting_everybody()) as client:
        assert isinstance(client.socket, ssl.SSLSocket)
        return client.socket.getpeercert(binary_form=True) or b""


def speaking(version: ssl.TLSVersion) -> ssl.SSLContext:
    """A client that knows one version only, even those that OpenSSL holds for too weak."""
    context = trusting_everybody()
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version, context.maximum_version = version, version
    return context


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_versions_that_are_spoken(daemon: Daemon, version: ssl.TLSVersion) -> None:
    """TLS 1.2 and 1.3 play the stream."""
    with Client(daemon, tls=speaking(version)) as client:
        client.open_stream()
        assert size(client.part().jpeg) == (320, 240)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_versions_that_are_refused(daemon: Daemon, version: ssl.TLSVersion) -> None:
    """A client that knows only TLS 1.0 or 1.1 is turned away by the daemon."""
    with pytest.raises(ssl.SSLError) as refused, Client(daemon, tls=speaking(version)):
        pass
    by_the_other_side = {"TLSV1_ALERT_PROTOCOL_VERSION", "UNEXPECTED_EOF_WHILE_READING"}
    assert refused.value.reason in by_the_other_side


def test_curl_checks_the_certificate(daemon: Daemon, pairs: Mapping[str, Pair]) -> None:
    """Curl trusts the certificate that was configured, and no other, and takes a picture."""
    curl = peer("curl", "curl")
    done = run(curl, "-sf", "--cacert", str(pairs["old"].certificate), f"{daemon.url}/snapshot")
    assert (done.returncode, size(done.stdout)) == (0, (320, 240))
    assert run(curl, "-sf", "--cacert", str(pairs["new"].certificate), f"{daemon.url}/snapshot").returncode == 60


def test_ffmpeg_plays_over_https(daemon: Daemon, pairs: Mapping[str, Pair]) -> None:
    """Ffmpeg plays, with the certificate verified."""
    ffmpeg = peer("ffmpeg", "ffmpeg")
    options = ("-tls_verify", "1", "-ca_file", str(pairs["old"].certificate), "-i", f"{daemon.url}/stream")
    done = run(ffmpeg, "-loglevel", "error", *options, "-frames:v", "10", "-f", "framecrc", "-")
    assert done.returncode == 0, done
    assert len([line for line in done.stdout.splitlines() if not line.startswith(b"#")]) == 10


def test_the_log_names_the_https_address(daemon: Daemon) -> None:
    """The address to click begins with https."""
    assert daemon.wait_log("mjpegd listens")["page"] == f"https://127.0.0.1:{daemon.port}/"


def test_a_login_over_https_is_for_https_only(pairs: Mapping[str, Pair]) -> None:
    """The cookie is marked Secure."""
    with Daemon(join(pattern(), pairs["old"].sets, {"key.wall.secret": KEY})) as daemon:
        body = f"key={KEY}".encode()
        with Client(daemon, tls=trusting_everybody()) as client:
            client.get("/login", {"Content-Length": str(len(body))}, method="POST").send(body)
            assert client.answer()["set-cookie"].endswith("; HttpOnly; SameSite=Lax; Secure")


def test_a_share_link_of_an_https_daemon_is_https(pairs: Mapping[str, Pair], tmp_path: Path) -> None:
    """`mjpegd share` prints an https address where a certificate is configured."""
    file = write_config(tmp_path / "mjpegd.toml", pairs["old"].sets, {"server.state": str(tmp_path / "state")})
    assert cli("share", "cam", "--config", file).stdout.startswith("https://127.0.0.1:8080/s/")


def test_a_new_certificate_is_used_at_once_and_streams_go_on(pair: Pair, pairs: Mapping[str, Pair]) -> None:
    """After SIGHUP new connections see the new certificate; a stream that was open loses no frame."""
    with Daemon(join(pattern(), pair.sets)) as daemon, Client(daemon, tls=trusting_everybody()) as client:
        daemon.wait_state("live")
        client.open_stream()
        parts = [client.part() for _ in range(10)]
        assert shown(daemon) == pairs["old"].content
        pair.put(pairs["new"])
        assert daemon.reload()["event"] == "configuration reloaded"
        assert shown(daemon) == pairs["new"].content
        parts += [client.part() for _ in range(20)]
    assert all(later.id == sooner.id + 1 for sooner, later in pairwise(parts))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        ("mismatch", "the key is not that of the certificate"),
        ("garbage", "not PEM"),
        ("locked", "password"),
        ("missing", "tls.key"),
    ],
)
def test_a_bad_certificate_changes_nothing(pair: Pair, pairs: Mapping[str, Pair], spoil: str, words: str) -> None:
    """A reload with files that cannot be used is refused whole: the log and `/stats` say why, the old pair serves."""
    with Daemon(join(pattern(), pair.sets)) as daemon, Client(daemon, tls=trusting_everybody()) as client:
        client.open_stream()
        if spoil == "mismatch":
            shutil.copy(pairs["new"].key, pair.key)
        elif spoil == "garbage":
            pair.certificate.write_text("this is no certificate")
        elif spoil == "locked":
            pair.put(pairs["locked"])
        else:
            pair.key.unlink()
        line = daemon.reload()
        assert (line["event"], line["level"]) == ("reload refused, nothing changed", "error")
        assert words in line["problem"]
        assert shown(daemon) == pairs["old"].content
        told = daemon.json("/stats")["reload"]
        assert told["ok"] is False
        assert words in told["problems"][0]
        client.part()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        ("missing", "cannot be read"),
        ("alone", "tls.key is missing"),
        ("mismatch", "the key is not that of the certificate"),
        ("garbage", "not PEM"),
        ("locked", "password"),
    ],
)
@pytest.mark.parametrize("command", ["run", "check"])
def test_it_does_not_start_with_a_bad_certificate(
    pair: Pair, pairs: Mapping[str, Pair], command: str, spoil: str, words: str
) -> None:
    """A certificate that is missing, without its key, or no good is one line and exit code 2."""
    sets = pair.sets
    if spoil == "missing":
        pair.certificate.unlink()
    elif spoil == "alone":
        sets = {"tls.certificate": sets["tls.certificate"]}
    elif spoil == "mismatch":
        shutil.copy(pairs["new"].key, pair.key)
    elif spoil == "garbage":
        pair.certificate.write_text("this is no certificate")
    else:
        pair.put(pairs["locked"])
    words_of_sets = [word for key, value in sets.items() for word in ("--set", f"{key}={value}")]
    ended = cli(command, "--config", os.devnull, "--set", "server.port=0", *words_of_sets)
    assert (ended.returncode, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    assert words in line


def test_what_does_not_speak_tls_does_no_harm(pairs: Mapping[str, Pair]) -> None:
    """Plain HTTP, noise, half a handshake and clients that distrust us leave no trace of trouble in the log."""
    with Daemon(join(pattern(), pairs["old"].sets)) as daemon:
        for data in (
            request("/stream"),
            b"\x00" * 50,
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"",
            os.urandom(99),
        ):
            for _ in range(5):
                with socket.create_connection(("127.0.0.1", daemon.port), 5 * SECONDS) as plain:
                    plain.sendall(data)
                    plain.shutdown(socket.SHUT_WR)
                    while plain.recv(4096):
                        pass
        distrusting = trusting_everybody()
        distrusting.verify_mode = ssl.CERT_REQUIRED
        with pytest.raises(ssl.SSLCertVerificationError), Client(daemon, tls=distrusting):
            pass
        with Client(daemon, tls=trusting_everybody()) as leaving:
            leaving.open_stream()
            leaving.part()
            leaving.reset()
        with socket.create_connection(("127.0.0.1", daemon.port), 5 * SECONDS) as silent:
            assert daemon.get("/health")[0].status == 200
            silent.close()
        wait_viewers(daemon, 0)
        seconds = daemon.stop()
    assert seconds < SECONDS
    assert not [line for line in daemon.log if line["level"] in {"error", "warning"}]
    assert len(daemon.log) < 12, daemon.log


def test_viewers_over_tls_are_sent_home_in_order(pairs: Mapping[str, Pair]) -> None:
    """At the end a viewer gets a whole last picture, the closing part and TLS's own goodbye, within a second."""
    with Daemon(join(pattern(), pairs["old"].sets)) as daemon, Client(daemon, tls=trusting_everybody()) as client:
        daemon.wait_state("live")
        client.open_stream()
        client.part()
        assert daemon.stop() < SECONDS
        assert last_picture(client.read_all())


def test_a_viewer_over_tls_that_keeps_up_is_ended_in_order(pairs: Mapping[str, Pair]) -> None:
    """Whenever an operator ends it, in whatever moment between two frames, the closing part comes, and no cut."""
    with Daemon(join(pattern(), pairs["old"].sets, {"auth.anonymous": "view,admin"})) as daemon:
        daemon.wait_state("live")
        for number in range(6):
            with Client(daemon, tls=trusting_everybody()) as client:
                client.open_stream()
                for _ in range(5 + number):
                    client.part()
                (row,) = daemon.json("/clients")["clients"]
                assert daemon.get(f"/clients/{row['id']}", method="DELETE")[0].status == 204
                assert last_picture(client.read_all())
            wait_viewers(daemon, 0)


@pytest.mark.parametrize("scale", [1, 8])
def test_a_slow_viewer_over_tls_sees_the_present(
    camera: Camera, pairs: Mapping[str, Pair], small_frames: Path, scale: int
) -> None:
    """At a third of the rate needed, with large and small pictures, a viewer skips, and sees what is fresh."""
    folder = camera.frames if scale == 1 else small_frames
    sets = join(pairs["old"].sets, {"camera.cam.width": 640 // scale, "camera.cam.height": 480 // scale})
    with camera.daemon(sets, dir=folder) as daemon:
        daemon.wait_state("live")
        with Client(daemon, receive_buffer=65536 // scale, tls=trusting_everybody()) as client:
            client.open_stream()
            rate = len(client.part().jpeg) * 30 // 3
            read_slowly(client, 1.5, rate)
            parts = read_slowly(client, 3, rate)
    ids = [part.id for part, _ in parts]
    assert len(parts) >= 10
    assert ids[-1] - ids[0] > 2 * len(ids)
    assert statistics.median(age for _, age in parts) < 0.6 * SECONDS


def test_a_stalled_viewer_over_tls_is_cut(camera: Camera, pairs: Mapping[str, Pair]) -> None:
    """A viewer that never reads is cut after `limits.stall_timeout`, and another one loses no frame by it."""
    with camera.daemon(join(pairs["old"].sets, {"limits.stall_timeout": 1})) as daemon:
        daemon.wait_state("live")
        with (
            Client(daemon, tls=trusting_everybody()) as fast,
            Client(daemon, receive_buffer=4096, tls=trusting_everybody()) as client,
        ):
            fast.open_stream()
            client.get("/stream")
            began = time.monotonic()
            parts = [fast.part()]
            while daemon.camera()["viewers"] == 2 or len(parts) < 10:
                assert time.monotonic() - began < 6 * SECONDS, "the stalled viewer is still there"
                parts.append(fast.part())
        wait_for(lambda: bool(events(daemon, "viewer stalled")), 5, "the line in the log")
    assert len(parts) / (parts[-1].id - parts[0].id + 1) > FULL
