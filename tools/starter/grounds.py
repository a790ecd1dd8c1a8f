"""What stands behind the things: a plain colour, or one of four painted places."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from tools.starter.vocabulary import Background, Ground, Rgb

PIXELS: Final = 128
"""Side of a picture."""

Picture = NDArray[np.uint8]
"""``[128, 128, 3]``, sRGB."""

Paint = NDArray[np.floating[Any]]
"""The same before it is rounded, 0 to 255."""


def paint(ground: Ground, random: Generator) -> Picture:
    """Fill a picture with a ground."""
    if isinstance(ground, Background):
        filled = plain(ground, random)
    else:
        filled = PAINTERS[ground.name](random)
    return filled.clip(0, 255).round().astype(np.uint8)


def plain(background: Background, random: Generator) -> Paint:
    """Fill the picture flatly, or (every other time) a little lighter above than below."""
    colour = np.array(background.rgb, dtype=np.float32) + random.uniform(-6.0, 6.0, 3)
    fall = random.uniform(4.0, 14.0) if random.random() < 0.5 else 0.0
    rows = np.linspace(fall, -fall, PIXELS, dtype=np.float32)[:, None, None]
    return np.broadcast_to(colour + rows, (PIXELS, PIXELS, 3))


def grass(random: Generator) -> Paint:
    """Paint a meadow under a light sky, its edge slightly round."""
    picture = fade((132, 198, 244), (206, 234, 250), random)
    hill = int(random.integers(68, 84)) - 8 * np.cos(np.linspace(-1.5, 1.5, PIXELS))
    meadow = fade((124, 196, 72), (66, 140, 48), random)
    return np.where((np.arange(PIXELS)[:, None] > hill)[..., None], meadow, picture)


def night(random: Generator) -> Paint:
    """Paint a dark sky with stars."""
    picture = fade((12, 16, 52), (40, 44, 96), random)
    across, down = random.integers(1, PIXELS - 1, (2, 28))
    picture[down, across] = 244
    picture[down[::3], across[::3] - 1] = 190
    picture[down[::3] - 1, across[::3]] = 190
    return picture


def beach(random: Generator) -> Paint:
    """Paint sky, sea and sand."""
    picture = fade((128, 204, 248), (190, 232, 252), random)
    shore = int(random.integers(84, 94))
    picture[56:shore] = fade((36, 132, 196), (70, 186, 206), random)[56:shore]
    picture[shore:] = fade((240, 214, 156), (226, 192, 128), random)[shore:]
    return picture


def snow(random: Generator) -> Paint:
    """Paint white ground under a pale sky, and falling flakes."""
    picture = fade((150, 178, 206), (198, 214, 230), random)
    picture[int(random.integers(80, 92)) :] = np.array((246, 249, 253), dtype=np.float32)
    across, down = random.integers(0, PIXELS - 1, (2, 36))
    for shift in (0, 1):
        picture[down, across + shift] = 252
        picture[down + 1, across + shift] = 252
    return picture


def fade(above: Rgb, below: Rgb, random: Generator) -> Paint:
    """Fill a picture from one colour to another, both a little by chance."""
    shade = random.uniform(-6.0, 6.0, 3).astype(np.float32)
    share = np.linspace(0, 1, PIXELS, dtype=np.float32)[:, None, None]
    top, bottom = np.array(above, dtype=np.float32), np.array(below, dtype=np.float32)
    rows = top * (1 - share) + bottom * share + shade
    return np.repeat(rows, PIXELS, axis=1)


PAINTERS: Final[Mapping[str, Callable[[Generator], Paint]]] = {
    "grass": grass,
    "night": night,
    "beach": beach,
    "snow": snow,
}
"""By the name of the setting."""
