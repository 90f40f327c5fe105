"""How pictures are to be: the key by which equal viewers share one rendition."""

from dataclasses import dataclass, field, replace
from typing import TypeVar

Size = tuple[int, int]
"""Width and height in pixels."""
MIN_SIDE, MAX_SIDE = 16, 7680
MIN_FPS, MAX_FPS = 0.1, 240.0
"""Pixels of width and height, and frames a second, that may be asked for."""
PASSTHROUGH = "passthrough"
"""The name of the look in which pictures are as the camera gives them."""
Number = TypeVar("Number", int, float)


@dataclass(frozen=True, slots=True)
class Look:
    """What somebody wants of a camera's pictures; 0 means as the camera gives it.

    `width` and `height` are a box that a picture is made to fit into, in its proportions and never larger than it is.
    `quality` is 1 to 100, `fps` frames a second. `exact` fills the box with black bars, and scales up if need be: for
    viewers whose decoder takes one size only. `configured` says that the configuration has it so, and no numbers of a
    viewer: there are few of these, so none is refused. It makes no look another one.
    """

    width: int = 0
    height: int = 0
    quality: int = 0
    fps: float = 0.0
    exact: bool = False
    configured: bool = field(default=False, compare=False)

    @property
    def name(self) -> str:
        """`passthrough`, `w640`, `640x480 q70 15fps`."""
        words = [self._box()] * bool(self.width or self.height)
        words += [f"q{self.quality}"] * bool(self.quality) + [f"{self.fps:g}fps"] * bool(self.fps)
        return " ".join(words) or PASSTHROUGH

    def _box(self) -> str:
        if self.width and self.height:
            return f"{self.width}x{self.height}" + "!" * self.exact
        return f"w{self.width}" if self.width else f"h{self.height}"

    @property
    def encodes(self) -> bool:
        """Whether pictures may have to be made for it, and not only left out."""
        return bool(self.width or self.height or self.quality)

    def fitted(self, width: int, height: int) -> Size:
        """The size that a picture of that size has in this look."""
        if self.exact:
            return self.width, self.height
        share = min(1.0, (self.width or width) / width, (self.height or height) / height)
        return max(1, round(width * share)), max(1, round(height * share))

    def of_size(self, width: int, height: int) -> "Look":
        """The same look in exactly that size."""
        return replace(self, width=width, height=height, exact=True)

    def within(self, bound: "Look") -> "Look":
        """This look where it is below the bound, else the bound, value by value."""
        return replace(
            self,
            width=_least(self.width, bound.width),
            height=_least(self.height, bound.height),
            quality=_least(self.quality, bound.quality),
            fps=_least(self.fps, bound.fps),
        )


def _least(one: Number, other: Number) -> Number:
    """The smaller of two bounds, of which 0 is none."""
    return min(one, other) if one and other else one or other
