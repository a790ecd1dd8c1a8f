"""What the starter has never seen, made with Pillow, so that nothing has to be fetched."""

from collections.abc import Mapping
from typing import Final

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

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

PAPER: Final = (24, 66, 150)
LINE: Final = (240, 246, 255)


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


def blueprint(picture: Image.Image) -> Image.Image:
    """Return the outlines of the picture as white lines on blue paper."""
    grey = picture.convert("L").filter(ImageFilter.GaussianBlur(1))
    lines = ImageChops.difference(
        grey.filter(ImageFilter.MaxFilter(3)), grey.filter(ImageFilter.MinFilter(3))
    )
    return ImageOps.colorize(ImageOps.autocontrast(lines, cutoff=(0, 3)), PAPER, LINE)


def crisp(picture: Image.Image) -> Image.Image:
    """Return the picture with its edges sharpened."""
    return picture.filter(ImageFilter.UnsharpMask(radius=2, percent=200, threshold=0))
