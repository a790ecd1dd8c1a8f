"""How pictures can be enlarged, by name, and the size that they get. No torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from webui.modules.types import PIXELS_PER_LATENT

LATENT_MODES: Final[Mapping[str, tuple[str, bool]]] = {
    "Latent": ("bilinear", False),
    "Latent (antialiased)": ("bilinear", True),
    "Latent (bicubic)": ("bicubic", False),
    "Latent (bicubic antialiased)": ("bicubic", True),
    "Latent (nearest)": ("nearest", False),
    "Latent (nearest-exact)": ("nearest-exact", False),
}
"""Ways to enlarge latents without looking at pixels: torch's mode, and whether it is smoothed."""

PLAIN_WAYS: Final = ("None", "Lanczos", "Nearest")
"""Ways to enlarge pixels without a network; "None" is Lanczos in one step, as in A1111."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Enlargement:
    """The size to which a picture is enlarged, and what is then cut off around it.

    Attributes:
        width: Pixels of the whole enlarged picture.
        height: Pixels of the whole enlarged picture.
        cut: Latent columns and rows that are cut off, half on either side.
    """

    width: int
    height: int
    cut: tuple[int, int] = (0, 0)

    @property
    def final(self) -> tuple[int, int]:
        """Width and height in pixels of what is left, in whole latent cells."""
        columns = self.width // PIXELS_PER_LATENT - self.cut[0]
        rows = self.height // PIXELS_PER_LATENT - self.cut[1]
        return columns * PIXELS_PER_LATENT, rows * PIXELS_PER_LATENT

    @property
    def kept(self) -> tuple[slice, slice]:
        """The rows and columns of latents that are left; an odd one is cut off at the end."""
        columns, rows = self.cut
        whole_columns, whole_rows = (
            side // PIXELS_PER_LATENT for side in (self.width, self.height)
        )
        return (
            slice(rows // 2, whole_rows - (rows + 1) // 2),
            slice(columns // 2, whole_columns - (columns + 1) // 2),
        )


def enlargement(width: int, height: int, *, scale: float, resize: tuple[int, int]) -> Enlargement:
    """Return the size that hires fix gives a picture; A1111's rules.

    Args:
        width: Pixels before.
        height: Pixels before.
        scale: Factor on both sides; used if ``resize`` is (0, 0).
        resize: Wanted width and height; 0 for a side that follows from the other. With both, the
            picture is enlarged until it covers them, and cut.
    """
    wide, high = resize
    if not wide and not high:
        return Enlargement(width=int(width * scale), height=int(height * scale))
    by_width = not high or (wide > 0 and width / height < wide / high)
    covering = (wide, wide * height // width) if by_width else (high * width // height, high)
    if not wide or not high:
        return Enlargement(width=covering[0], height=covering[1])
    over = ((covering[0] - wide) // PIXELS_PER_LATENT, (covering[1] - high) // PIXELS_PER_LATENT)
    return Enlargement(width=covering[0], height=covering[1], cut=over)


SQUARE: Final = 512
STEP: Final = 64
"""Before hires fix could be told a size, it drew about 512 x 512 pixels in steps of 64 first."""


def first_size(width: int, height: int) -> tuple[int, int]:
    """Return the size of the first pass as A1111 chose it before 1.0 from the final size."""
    scale = (SQUARE * SQUARE / (width * height)) ** 0.5
    return _stepped(scale * width), _stepped(scale * height)


def _stepped(pixels: float) -> int:
    return -int(-pixels // STEP) * STEP
