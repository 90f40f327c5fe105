"""What a source gave, as a JPEG."""

from time import monotonic

from mjpegd import jpeg
from mjpegd.config.schema import CameraConfig
from mjpegd.sources.base import JPEG, Grab


def to_picture(grab: Grab, config: CameraConfig) -> tuple[jpeg.Picture, float]:
    """A grab as a JPEG, and the seconds that encoding it took: 0 for the camera's own.

    Raises `BrokenPicture` where that cannot be.
    """
    if grab.format == JPEG:
        return jpeg.examine(grab.data, complete=config.complete_only), 0.0
    from mjpegd import pixels

    began = monotonic()
    picture = jpeg.Picture((pixels.encode(pixels.to_bgr(grab), config.quality),), grab.width, grab.height)
    return picture, monotonic() - began
