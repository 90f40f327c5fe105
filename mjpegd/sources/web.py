"""An `http://` or `https://` address: what it answers with says how it is read."""

import re
import threading
from collections.abc import Callable

from mjpegd.config.schema import CameraConfig
from mjpegd.errors import SourceError
from mjpegd.sources.base import Source
from mjpegd.sources.client.session import Answer, Session
from mjpegd.sources.poll import PollSource
from mjpegd.sources.relay import RelaySource
from mjpegd.wire.fields import media_type

ACCEPT = {"Accept": "multipart/x-mixed-replace, image/jpeg"}

Reader = Callable[[Session, Answer, CameraConfig, threading.Event], Source]


def open_source(spec: str, camera: CameraConfig, stop: threading.Event) -> Source:
    """Ask once, and read what is there in its own way; what is no picture is left to FFmpeg.

    To FFmpeg a token cannot be given: it would ask without, and be refused for a reason that nobody understands.
    """
    session = Session(spec, camera, stop)
    answer = session.open(ACCEPT)
    kind, _ = media_type(answer.head.fields.get("content-type", ""))
    try:
        reader = next((reader for pattern, reader in READERS if pattern.fullmatch(kind)), None)
        if reader is not None:
            return reader(session, answer, camera, stop)
    except BaseException:
        session.close()
        raise
    session.close()
    if camera.token:
        raise SourceError(f"answers {kind or 'something'}, which is left to FFmpeg, and FFmpeg cannot be given a token")
    from mjpegd.sources import ffmpeg

    return ffmpeg.open_source(spec, camera, stop)


def _relay(session: Session, answer: Answer, camera: CameraConfig, stop: threading.Event) -> Source:
    return RelaySource(session, answer, camera)


def _refuse(words: str) -> Reader:
    def reader(session: Session, answer: Answer, camera: CameraConfig, stop: threading.Event) -> Source:
        kind, _ = media_type(answer.head.fields.get("content-type", ""))
        raise SourceError(f"answers {words} ({kind}), not pictures")

    return reader


READERS: tuple[tuple[re.Pattern[str], Reader], ...] = (
    (re.compile(r"multipart/.+"), _relay),
    (re.compile(r"image/p?jpe?g"), PollSource),
    (re.compile(r"text/html|application/xhtml\+xml"), _refuse("a web page")),
    (re.compile(r"(application|text)/(.+\+)?json"), _refuse("data")),
    (re.compile(r"text/.+"), _refuse("text")),
)
"""Media types and what reads them; the first that matches wins."""
