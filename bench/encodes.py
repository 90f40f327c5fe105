"""How many pictures mjpegd encodes for renditions, as it counts them, and how many that should be."""

import json
import time
import urllib.request
from dataclasses import dataclass

import metrics
from metrics import Reading
from setups import Setup, Video


@dataclass(frozen=True)
class Count:
    """Pictures encoded so far, at a moment in monotonic seconds."""

    moment: float
    pictures: int

    @classmethod
    def take(cls, server: str) -> "Count":
        """Ask the server at that address."""
        with urllib.request.urlopen(f"{server}/stats", timeout=5) as answer:  # noqa: S310  (an address made here)
            pictures = json.load(answer)["cameras"]["cam"]["encodes"]
        return cls(time.monotonic(), pictures)


def read(start: Count, end: Count, setup: Setup, video: Video) -> Reading:
    """The rate between two counts: as it is, by what is due to the renditions, and by what is due to their viewers."""
    rate = (end.pictures - start.pictures) / (end.moment - start.moment)
    due = sum(audience.pace(video) for audience in setup.renditions)
    sent = sum(audience.pace(video) * audience.size for audience in setup.renditions)
    return {metrics.ENCODES: rate, metrics.ENCODES_TO_DUE: rate / due, metrics.ENCODES_TO_SENT: rate / sent}
