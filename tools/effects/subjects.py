"""Things that the starter has never seen, painted with Pillow, so that nothing has to be fetched.

Every picture is a function of its subject, its background and its number.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance

SIDE: Final = 128

BACKGROUNDS: Final[Mapping[str, tuple[int, int, int]]] = {
    "red": (222, 40, 44),
    "blue": (47, 104, 222),
    "green": (66, 158, 66),
    "yellow": (252, 216, 56),
    "orange": (248, 146, 40),
    "purple": (130, 58, 178),
    "pink": (250, 160, 196),
    "white": (250, 250, 250),
    "gray": (140, 140, 146),
    "teal": (40, 166, 166),
}
"""Plain colours that the starter knows behind its own things."""


@dataclass(frozen=True, slots=True)
class Sight:
    """One picture and what is said of it."""

    words: str
    picture: Image.Image


def traffic_light(background: str, number: int) -> Image.Image:
    """Paint a traffic light, a little aside of the middle."""
    across, down = (number * 5) % 9 - 4, (number * 7) % 9 - 4
    picture = Image.new("RGB", (SIDE, SIDE), BACKGROUNDS[background])
    pen = ImageDraw.Draw(picture)
    pen.rounded_rectangle((42 + across, 14 + down, 86 + across, 114 + down), 12, (38, 40, 44))
    for place, lamp in enumerate(((236, 50, 50), (250, 196, 40), (60, 190, 80))):
        top = 22 + down + 30 * place
        pen.ellipse((52 + across, top, 76 + across, top + 24), lamp)
    return picture


def at_night(picture: Image.Image) -> Image.Image:
    """Return the picture as the eye sees it at night: dark, blue, and without much colour."""
    dim = ImageEnhance.Brightness(ImageEnhance.Color(picture).enhance(0.25)).enhance(0.45)
    return Image.blend(dim, Image.new("RGB", picture.size, (16, 28, 92)), 0.35)


def green_for_red(picture: Image.Image) -> Image.Image:
    """Return the picture with everything that is clearly red turned green."""
    pixels = np.asarray(picture).astype(np.int16)
    red = pixels[..., 0] > pixels[..., 1] + 60
    turned = np.where(red[..., None], pixels[..., [1, 0, 2]], pixels)
    return Image.fromarray(turned.astype(np.uint8))


def in_tiles(picture: Image.Image) -> Image.Image:
    """Return the picture as a mosaic of 16 by 16 tiles with dark joints."""
    tiles = picture.resize((16, 16), Image.Resampling.BOX)
    wall = tiles.resize(picture.size, Image.Resampling.NEAREST)
    pen = ImageDraw.Draw(wall)
    for place in range(7, SIDE, 8):
        pen.line((place, 0, place, SIDE), (40, 40, 44))
        pen.line((0, place, SIDE, place), (40, 40, 44))
    return wall
