"""Many pictures as one: rows and columns with what tells them apart written beside them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, cast

from PIL import Image, ImageDraw, ImageFont

from webui.modules.errors import PictureError

MAX_PIXELS: Final = 200_000_000
"""A larger grid is not made; A1111's ``img_max_size_mp``."""

FONTS: Final = (
    "NotoSansCJK-Regular.ttc",
    "NotoSansSC-Regular.otf",
    "msyh.ttc",
    "PingFang.ttc",
    "wqy-microhei.ttc",
)
"""Fonts with Chinese letters that systems have under these names."""

_INK: Final = (20, 20, 20)
_PAPER: Final = (255, 255, 255)
_FAINT: Final = (225, 225, 225)


@dataclass(frozen=True, kw_only=True, slots=True)
class Legend:
    """What is written around a block of pictures; empty texts for nothing.

    Attributes:
        columns: Above each column.
        rows: Before each row.
        title: Above the block.
    """

    columns: tuple[str, ...]
    rows: tuple[str, ...]
    title: str = ""


def compose(pictures: Sequence[Image.Image | None], legend: Legend, *, margin: int) -> Image.Image:
    """Return one picture of all, row by row; a place without a picture stays blank.

    Args:
        pictures: One for each row and column; smaller ones stand in the middle of their place.
        legend: What is written around them; its columns and rows say how many there are.
        margin: Pixels between pictures.

    Raises:
        PictureError: If the grid would be larger than any program opens.
    """
    wide = max((picture.width for picture in pictures if picture), default=64)
    high = max((picture.height for picture in pictures if picture), default=64)
    columns, rows = len(legend.columns), len(legend.rows)
    font = font_of(max(12, min(wide, high) // 16))
    left = _room(legend.rows, font, widest=max(wide, 96)) if any(legend.rows) else 0
    letter = int(font.size) + 6
    heads = [wrapped(text, font, wide) for text in legend.columns]
    top = (letter * max(map(len, heads)) + 8) if any(legend.columns) else 0
    title = letter + 8 if legend.title else 0
    size = (
        left + columns * wide + (columns - 1) * margin,
        title + top + rows * high + (rows - 1) * margin,
    )
    if size[0] * size[1] > MAX_PIXELS:
        message = f"the grid would have {size[0]} x {size[1]} pixels"
        hint = "The single pictures are kept; use fewer values for a grid."
        raise PictureError(message, hint=hint, value=f"{size[0]}x{size[1]}")
    sheet = Image.new("RGB", size, _PAPER)
    pen = ImageDraw.Draw(sheet)
    if legend.title:
        centred(pen, [legend.title], (left, 0, size[0], title), font)
    for column, lines in enumerate(heads):
        start = left + column * (wide + margin)
        centred(pen, lines, (start, title, start + wide, title + top), font)
    for row, text in enumerate(legend.rows):
        start = title + top + row * (high + margin)
        centred(pen, wrapped(text, font, left), (0, start, left, start + high), font)
    for place, picture in enumerate(pictures):
        row, column = divmod(place, columns)
        corner = (left + column * (wide + margin), title + top + row * (high + margin))
        if picture is None:
            pen.rectangle((*corner, corner[0] + wide - 1, corner[1] + high - 1), fill=_FAINT)
        else:
            shift = ((wide - picture.width) // 2, (high - picture.height) // 2)
            sheet.paste(picture, (corner[0] + shift[0], corner[1] + shift[1]))
    return sheet


def side_by_side(blocks: Sequence[Image.Image], *, margin: int) -> Image.Image:
    """Return blocks in a row.

    Raises:
        PictureError: If the row would be larger than any program opens.
    """
    legend = Legend(columns=("",) * len(blocks), rows=("",))
    return compose(blocks, legend, margin=margin)


@cache
def font_of(size: int) -> ImageFont.FreeTypeFont:
    """Return a font of this size in pixels, with Chinese letters if the system has such a one."""
    for name in FONTS:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    # Pillow gives its own scalable font when it is asked for a size.
    return cast("ImageFont.FreeTypeFont", ImageFont.load_default(size))


def _room(texts: Sequence[str], font: ImageFont.FreeTypeFont, *, widest: int) -> int:
    """Return how wide the column of row labels is."""
    return min(widest, int(max(map(font.getlength, texts), default=0)) + 16)


def wrapped(text: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """Break a text into lines that fit; a long word is broken where it must be."""
    lines = [""]
    for letter in text[:400]:
        line = lines[-1]
        if letter == "\n" or font.getlength(line + letter) > width - 8:
            head, space, tail = line.rpartition(" ")
            if letter not in "\n " and space and head:
                lines[-1] = head
                lines.append(tail + letter)
            else:
                lines.append("" if letter.isspace() else letter)
        else:
            lines[-1] += letter
    return lines[:8]


def centred(
    pen: ImageDraw.ImageDraw,
    lines: Sequence[str],
    box: tuple[int, int, int, int],
    font: ImageFont.FreeTypeFont,
) -> None:
    """Write lines in the middle of a box: left, top, right and bottom in pixels."""
    letter = int(font.size) + 6
    y = box[1] + (box[3] - box[1] - letter * len(lines)) / 2 + 2
    for line in lines:
        x = box[0] + (box[2] - box[0] - font.getlength(line)) / 2
        pen.text((max(x, box[0] + 4), y), line, fill=_INK, font=font)
        y += letter
