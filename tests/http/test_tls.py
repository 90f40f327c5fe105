"""The certificate: what is refused with which words, and a new one that the next handshake shows."""

import ssl
from pathlib import Path

import pytest

from mjpegd.config.schema import Config, TlsConfig
from mjpegd.errors import ConfigError
from mjpegd.http.server import Server
from mjpegd.http.tls import context, load
from tests.certificates import Pair
from tests.http.requests import site


def shaken(server: ssl.SSLContext, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> tuple[bytes, str, str]:
    """The certificate, the TLS version and the protocol that a client gets, without any network."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    client.set_alpn_protocols(["h2", "http/1.1"])
    client.maximum_version = newest
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(back, there), server.wrap_bio(there, back, server_side=True)]
    for _ in range(3):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return ends[0].getpeercert(binary_form=True) or b"", ends[0].version() or "", ends[0].selected_alpn_protocol() or ""


def loaded(settings: TlsConfig) -> ssl.SSLContext:
    """The context of a configuration that wants HTTPS."""
    made = context(settings)
    assert made is not None
    return made


def problem(settings: TlsConfig) -> str:
    """What is wrong with a configuration."""
    with pytest.raises(ConfigError) as caught:
        context(settings)
    (said,) = caught.value.problems
    return said


def test_without() -> None:
    """Without a certificate there is no HTTPS."""
    assert context(TlsConfig()) is None


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2])
def test_handshake(newest: ssl.TLSVersion, pairs: dict[str, Pair]) -> None:
    """A client gets the certificate, over TLS 1.2 or 1.3, and HTTP/1.1 though it could more."""
    certificate, version, protocol = shaken(loaded(pairs["old"].config), newest)

    assert certificate == pairs["old"].content
    assert (version.replace(".", "_"), protocol) == (newest.name, "http/1.1")


def test_nothing_older(pairs: dict[str, Pair]) -> None:
    """TLS 1.1 and what came before is not spoken."""
    assert loaded(pairs["old"].config).minimum_version == ssl.TLSVersion.TLSv1_2


def test_renew(pairs: dict[str, Pair]) -> None:
    """A new certificate is shown from the next handshake on, by the context that is in use."""
    made = loaded(pairs["old"].config)
    load(made, pairs["new"].config)

    assert shaken(made)[0] == pairs["new"].content


def test_renewed_in_place(pairs: dict[str, Pair], tmp_path: Path) -> None:
    """The files are read again though their names are the same."""
    here = Pair(tmp_path / "crt", tmp_path / "key")
    made = None
    for name in ("old", "new"):
        here.put(pairs[name])
        if made is None:
            made = loaded(here.config)
        else:
            load(made, here.config)
    assert made is not None

    assert shaken(made)[0] == pairs["new"].content


BAD = [("new", "old"), ("old", "new"), ("new", "locked"), ("new", "nothing")]


@pytest.mark.parametrize(("certificate", "key"), BAD)
async def test_a_bad_one_is_refused_before_anything_changes(
    certificate: str, key: str, pairs: dict[str, Pair], tmp_path: Path
) -> None:
    """A certificate that cannot be used is refused when a reload is prepared, before any part of it counts."""
    files = {**pairs, "nothing": Pair(tmp_path / "nothing", tmp_path / "nothing")}
    server = Server(site())
    server.prepare(Config(tls=pairs["old"].config))

    with pytest.raises(ConfigError):
        server.prepare(Config(tls=Pair(files[certificate].certificate, files[key].key).config))


def test_words_for_what_is_wrong(pairs: dict[str, Pair], tmp_path: Path) -> None:
    """Why a certificate cannot be used is said in words, one line, and nobody is asked for a password."""
    torn = tmp_path / "torn"
    torn.write_text(pairs["old"].key.read_text()[:100])
    empty = tmp_path / "empty"
    empty.touch()
    old, new, locked = (pairs[name] for name in ("old", "new", "locked"))

    unusable = "tls.certificate and tls.key cannot be used: "
    assert problem(Pair(old.certificate, new.key).config) == unusable + "the key is not that of the certificate"
    assert problem(locked.config).startswith(unusable + "the key is protected by a password")
    for pair in (Pair(old.certificate, torn), Pair(empty, old.key), Pair(old.certificate, empty)):
        assert problem(pair.config) == unusable + "one of them is not PEM, or is damaged"
    assert problem(Pair(old.key, old.certificate).config).startswith(unusable)


def test_words_for_what_cannot_be_read(pairs: dict[str, Pair], tmp_path: Path) -> None:
    """A file that is not there, or that is none, is told with the system's reason."""
    for pair in (Pair(tmp_path / "no", pairs["old"].key), Pair(pairs["old"].certificate, tmp_path / "no")):
        assert problem(pair.config).startswith("tls.certificate or tls.key cannot be read: ")
        assert "No such file or directory" in problem(pair.config)
    assert problem(Pair(tmp_path, tmp_path).config).startswith("tls.certificate ")


def test_no_word_of_the_key(pairs: dict[str, Pair], tmp_path: Path) -> None:
    """Nothing of a private key or its password is in what is said."""
    torn = tmp_path / "torn"
    torn.write_text(pairs["old"].key.read_text().replace("MIG", "MAG"))
    inside = pairs["old"].key.read_text().splitlines()[1][10:30]

    assert inside not in problem(Pair(pairs["old"].certificate, torn).config)
    assert "hunter2" not in problem(pairs["locked"].config)
