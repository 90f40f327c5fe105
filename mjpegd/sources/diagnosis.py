"""Why FFmpeg could not open an address: OpenCV keeps that to itself, so whoever listens there is asked once more."""

import socket
from urllib.parse import SplitResult, urlsplit, urlunsplit

from mjpegd.sources.client import target
from mjpegd.sources.client.connection import explain
from mjpegd.wire.via import PRODUCT

PORTS = {"rtsp": 554, "rtsps": 322, "rtmp": 1935, **target.PORTS}
"""Of schemes that run over TCP."""
TIMEOUT = 2.0
"""Seconds for the connection, and for the answer."""
UNKNOWN = "cannot be reached, or sends no video"
NO_VIDEO = "answers, but sends no video that can be decoded"

ANSWERS = {
    "200": NO_VIDEO,
    "403": "answers 403: forbidden",
    "404": "answers 404: it has no stream at that path",
    "453": "answers 453: it has too many viewers",
}
"""RTSP's status codes (RFC 2326 11), in words that say what to do."""


def reason(spec: str) -> str:
    """A reason fit for a card. Takes a few seconds at most, but for a name server that is down."""
    try:
        parts = urlsplit(spec)
        port = parts.port or PORTS.get(parts.scheme)
        if parts.scheme not in PORTS or not parts.hostname or port is None:
            return UNKNOWN
        with socket.create_connection((parts.hostname, port), TIMEOUT) as connection:
            return _asked(connection, parts) if parts.scheme == "rtsp" else NO_VIDEO
    except TimeoutError:
        return "cannot be reached: no answer"
    except OSError as error:
        return explain(error)
    except ValueError:  # a port that is none, or brackets that do not match
        return "that is no address: write rtsp://user:password@host:port/path, with % codes for @ : / in a password"


def _asked(connection: socket.socket, parts: SplitResult) -> str:
    """What a camera answers to DESCRIBE without a password."""
    address = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment=""))
    connection.settimeout(TIMEOUT)
    connection.sendall(
        f"DESCRIBE {address} RTSP/1.0\r\nCSeq: 1\r\nUser-Agent: {PRODUCT}\r\nAccept: application/sdp\r\n\r\n".encode()
    )
    protocol, _, rest = connection.recv(256).decode("latin-1").partition(" ")
    status = rest[:3]
    if not protocol.startswith("RTSP/"):
        return "answers, but does not speak RTSP"
    if status == "401":
        return (
            "does not accept the password" if "@" in parts.netloc else "asks for a password: rtsp://user:password@..."
        )
    return ANSWERS.get(status, f"answers {status}")
