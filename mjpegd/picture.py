"""What a source gave, as a JPEG."""

from time import monotonic

from mjpegd import jpeg
from mjpegd.sources.base import JPEG, Grab


def to_picture(grab: Grab, examiner: jpeg.Examiner, quality: int) -> tuple[jpeg.Picture, float]:
    """A grab as a JPEG, and the seconds that encoding it, in that quality, took: 0 for the camera's own.

    Raises `BrokenPicture` where that cannot be.
    """
    if grab.format == JPEG:
        return examiner.examine(grab.data), 0.0
    from mjpegd import pixels

    began = monotonic()
    picture = jpeg.Picture((pixels.encode(pixels.to_bgr(grab), quality),), grab.width, grab.height)
    return picture, monotonic() - began
