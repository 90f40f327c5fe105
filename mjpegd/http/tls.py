"""The certificate: loaded, checked, and loaded anew into the context that the listeners use."""

import ssl
from pathlib import Path

from mjpegd.config.schema import TlsConfig
from mjpegd.errors import ConfigError


def context(settings: TlsConfig) -> ssl.SSLContext | None:
    """A context for servers, TLS 1.2 or later; None where HTTPS is not wanted. `ConfigError` says what is wrong."""
    if not settings.certificate:
        return None
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.set_alpn_protocols(["http/1.1"])
    load(made, settings)
    return made


def load(made: ssl.SSLContext, settings: TlsConfig) -> None:
    """Use the certificate as it is in the files now for every handshake to come; `ConfigError` says what is wrong."""
    try:
        made.load_cert_chain(settings.certificate, settings.key, _no_password)
    except ssl.SSLError as error:
        raise ConfigError([f"tls.certificate and tls.key cannot be used: {_reason(error, settings)}"]) from None
    except (OSError, ValueError) as error:
        raise ConfigError([f"tls.certificate or tls.key cannot be read: {error}"]) from None


def _no_password() -> str:
    """Asked for by OpenSSL, which would else ask on the terminal."""
    return ""


def _reason(error: ssl.SSLError, settings: TlsConfig) -> str:
    """OpenSSL's reason in words. It has only one, PEM_LIB, for all that is wrong inside a file."""
    if error.reason == "KEY_VALUES_MISMATCH":
        return "the key is not that of the certificate"
    if b"ENCRYPTED" in Path(settings.key).read_bytes():
        return "the key is protected by a password; one for a service must not be"
    return "one of them is not PEM, or is damaged"
