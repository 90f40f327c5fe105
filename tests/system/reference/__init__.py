"""Small parsers, each after the rules of one client that mjpegd must please."""

from tests.system.reference.android import Android
from tests.system.reference.base import GaveUp, Parser, Picture
from tests.system.reference.chromium import Chromium
from tests.system.reference.ffmpeg import Ffmpeg
from tests.system.reference.firefox import Firefox
from tests.system.reference.go2rtc import Go2rtc
from tests.system.reference.gstreamer import GStreamer
from tests.system.reference.homeassistant import HomeAssistant
from tests.system.reference.mainsail import Mainsail
from tests.system.reference.motioneye import MotionEye
from tests.system.reference.vlc import Vlc

__all__ = [
    "Android",
    "Chromium",
    "Ffmpeg",
    "Firefox",
    "GStreamer",
    "GaveUp",
    "Go2rtc",
    "HomeAssistant",
    "Mainsail",
    "MotionEye",
    "Parser",
    "Picture",
    "Vlc",
]
