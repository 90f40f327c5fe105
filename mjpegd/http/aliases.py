"""Other programs' URLs, translated into ours, so that a tool set up for one of them finds what it expects.

Pure: a path, a query and the cameras' names in; a path out. What a row stands for is in docs/clients.md.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_WEBCAM = re.compile(r"/webcam(?P<number>[1-9]?)(?P<rest>/.*|)")
"""The prefix of OctoPi, Mainsail and crowsnest: /webcam/ is the first camera, /webcam2/ the second."""
_ACTION = re.compile(r"(?P<verb>stream|snapshot)(?:_(?P<index>[0-9]{1,4}))?")
"""mjpg-streamer's `?action=stream_1`; inputs count from 0."""
_SUFFIX = re.compile(r"\.(?:mjpg|jpg)$")
_NUMBER = re.compile(r"[0-9]{1,4}")


@dataclass(frozen=True, slots=True)
class Alias:
    """A foreign path, our path, the query parameter that chooses the camera there, and what its numbers count from."""

    path: str
    ours: str
    parameter: str = ""
    first: int | None = None


ALIASES = (
    Alias("/video", "/stream"),  # Android IP Webcam, WebGear
    Alias("/shot.jpg", "/snapshot"),
    Alias("/capture", "/snapshot"),  # ESP32-CAM
    Alias("/api/stream.mjpeg", "/stream", "src"),  # go2rtc
    Alias("/api/frame.jpeg", "/snapshot", "src"),
    Alias("/axis-cgi/mjpg/video.cgi", "/stream", "camera", first=1),  # Axis VAPIX
    Alias("/axis-cgi/jpg/image.cgi", "/snapshot", "camera", first=1),
    Alias("/mjpg/video.mjpg", "/stream", "camera", first=1),
    Alias("/jpg/image.jpg", "/snapshot", "camera", first=1),
)
_BY_PATH = {alias.path: alias for alias in ALIASES}


def translate(path: str, query: Mapping[str, str], names: Sequence[str]) -> str:
    """The path of ours that a foreign one means; any other path as it is."""
    webcam = _WEBCAM.fullmatch(path)
    if webcam is None:
        return _resolve(path, query, names)
    ours = _resolve(webcam["rest"] or "/", query, names)
    verb = _SUFFIX.sub("", ours)
    return verb + _numbered(int(webcam["number"] or 1) - 1, names) if verb in ("/stream", "/snapshot") else ours


def _resolve(path: str, query: Mapping[str, str], names: Sequence[str]) -> str:
    if path == "/" and (action := _ACTION.fullmatch(query.get("action", ""))):
        return f"/{action['verb']}" + (_numbered(int(action["index"]), names) if action["index"] else "")
    alias = _BY_PATH.get(path)
    return path if alias is None else alias.ours + _chosen(alias, query, names)


def _chosen(alias: Alias, query: Mapping[str, str], names: Sequence[str]) -> str:
    value = query.get(alias.parameter, "")
    if not value:
        return ""
    if alias.first is not None and _NUMBER.fullmatch(value):
        return _numbered(int(value) - alias.first, names)
    return f"/{value}"


def _numbered(index: int, names: Sequence[str]) -> str:
    """`/NAME` of a camera by its position; a position that does not exist stays a number, which names no camera."""
    return f"/{names[index]}" if 0 <= index < len(names) else f"/{index}"
