"""Certificates for tests, each with its key, in files."""

import shutil
import ssl
from dataclasses import dataclass
from pathlib import Path

from mjpegd.config.schema import TlsConfig
from tests.peers import peer, run


@dataclass(frozen=True)
class Pair:
    """A certificate for 127.0.0.1 and its key."""

    certificate: Path
    key: Path

    @property
    def config(self) -> TlsConfig:
        """The configuration of it."""
        return TlsConfig(certificate=str(self.certificate), key=str(self.key))

    @property
    def sets(self) -> dict[str, object]:
        """The same as settings."""
        return {"tls.certificate": str(self.certificate), "tls.key": str(self.key)}

    @property
    def content(self) -> bytes:
        """The certificate as a handshake shows it."""
        return ssl.PEM_cert_to_DER_cert(self.certificate.read_text())

    def put(self, other: "Pair") -> None:
        """Put another pair in the place of this one, as certbot does."""
        shutil.copy(other.certificate, self.certificate)
        shutil.copy(other.key, self.key)


def make_pair(folder: Path, name: str, *words: str) -> Pair:
    """A new self-signed certificate; `words` are options of `openssl req`, by default for a key without password."""
    openssl = peer("openssl", "openssl")
    pair = Pair(folder / f"{name}.crt", folder / f"{name}.key")
    made = run(
        *(openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", "2"),
        *("-keyout", str(pair.key), "-out", str(pair.certificate), "-subj", f"/CN={name}"),
        *("-addext", "subjectAltName=IP:127.0.0.1", *(words or ("-nodes",))),
    )
    assert made.returncode == 0, made
    return pair
