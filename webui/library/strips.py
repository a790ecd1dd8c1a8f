"""Rows of labelled pictures, each with a map of what has changed and numbers, as one picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from PIL import Image, ImageDraw

from webui.library.grids import MAX_PIXELS, centred, font_of, wrapped
from webui.modules.errors import PictureError

NARROWEST: Final = 224
"""Pixels: smaller pictures are enlarged a whole number of times, so that words fit below them."""

WIDEST: Final = 640
"""Pixels: larger pictures are made smaller; the single ones are kept as they are."""

_EDGE: Final = 24
_GAP: Final = 16
_SPACE: Final = 8
_LETTERS: Final = 16
_HEADING: Final = 20
_INK: Final = (31, 28, 26)
_QUIET: Final = (111, 103, 96)
_PAPER: Final = (255, 255, 255)
_FAINT: Final = (239, 236, 231)


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """One picture of a strip.

    Attributes:
        title: Above it.
        picture: None if it was not drawn.
        map: Where it differs; None for the one that the others are held against.
        lines: Below it.
    """

    title: str
    picture: Image.Image | None
    map: Image.Image | None = None
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class StripRow:
    """Pictures that stand beside each other, and what they show together."""

    title: str
    cells: tuple[Cell, ...]


def compose_strip(rows: Sequence[StripRow], *, foot: str) -> Image.Image:
    """Return one picture of all.

    Args:
        rows: From the top.
        foot: Below them.

    Raises:
        PictureError: If it would be larger than any program opens.
    """
    wide, high = _side(rows)
    heights = [_height(row, wide, high) for row in rows]
    most = max(len(row.cells) for row in rows)
    foot_lines = wrapped(foot, font_of(_LETTERS), most * (wide + _GAP) - _GAP)
    size = (
        2 * _EDGE + most * (wide + _GAP) - _GAP,
        2 * _EDGE + sum(heights) + _line(_LETTERS) * len(foot_lines),
    )
    if size[0] * size[1] > MAX_PIXELS:
        message = f"the strip would have {size[0]} x {size[1]} pixels"
        hint = "The single pictures are kept; compare fewer add-ons at once."
        raise PictureError(message, hint=hint, value=f"{size[0]}x{size[1]}")
    sheet = Image.new("RGB", size, _PAPER)
    top = _EDGE
    for row, height in zip(rows, heights, strict=True):
        _draw_row(sheet, row, top, (wide, high))
        top += height
    pen = ImageDraw.Draw(sheet)
    for place, line in enumerate(foot_lines):
        spot = (_EDGE, top + place * _line(_LETTERS))
        pen.text(spot, line, fill=_QUIET, font=font_of(_LETTERS))
    return sheet


def _side(rows: Sequence[StripRow]) -> tuple[int, int]:
    """Return the size in which every picture is shown."""
    shown = [cell.picture.size for row in rows for cell in row.cells if cell.picture]
    wide = max((size[0] for size in shown), default=NARROWEST)
    high = max((size[1] for size in shown), default=NARROWEST)
    if wide < NARROWEST:
        times = -(-NARROWEST // wide)
        return wide * times, high * times
    if wide > WIDEST:
        return WIDEST, max(1, round(high * WIDEST / wide))
    return wide, high


def _height(row: StripRow, wide: int, high: int) -> int:
    maps = any(cell.map for cell in row.cells)
    words = _line(_LETTERS) * max(len(cell.lines) for cell in row.cells)
    return _line(_HEADING) + _titles(row, wide) + (high + _SPACE) * (1 + maps) + words + _EDGE


def _titles(row: StripRow, wide: int) -> int:
    font = font_of(_LETTERS)
    lines = max(len(wrapped(cell.title, font, wide)) for cell in row.cells)
    return _line(_LETTERS) * lines + 2 * _SPACE


def _line(letters: int) -> int:
    return letters + 6


def _draw_row(sheet: Image.Image, row: StripRow, top: int, side: tuple[int, int]) -> None:
    wide, high = side
    pen, small = ImageDraw.Draw(sheet), font_of(_LETTERS)
    pen.text((_EDGE, top), row.title, fill=_QUIET, font=font_of(_HEADING))
    pictures = top + _line(_HEADING) + _titles(row, wide)
    for column, cell in enumerate(row.cells):
        left = _EDGE + column * (wide + _GAP)
        heading = wrapped(cell.title, small, wide)
        above = pictures - _SPACE - _line(_LETTERS) * len(heading)
        centred(pen, heading, (left, above, left + wide, pictures - _SPACE), small)
        _paste(sheet, cell.picture, (left, pictures), side)
        below = pictures + high + _SPACE
        if cell.map:
            _paste(sheet, cell.map, (left, below), side)
            below += high + _SPACE
        end = below + _line(_LETTERS) * len(cell.lines)
        centred(pen, cell.lines, (left, below, left + wide, end), small)


def _paste(
    sheet: Image.Image, picture: Image.Image | None, corner: tuple[int, int], side: tuple[int, int]
) -> None:
    """Put a picture into its place: enlarged as it is, or made smaller smoothly."""
    if picture is None:
        empty = (*corner, corner[0] + side[0] - 1, corner[1] + side[1] - 1)
        ImageDraw.Draw(sheet).rectangle(empty, fill=_FAINT)
        return
    times = min(side[0] / picture.width, side[1] / picture.height)
    size = (round(picture.width * times), round(picture.height * times))
    how = Image.Resampling.NEAREST if times >= 1 else Image.Resampling.LANCZOS
    shift = ((side[0] - size[0]) // 2, (side[1] - size[1]) // 2)
    sheet.paste(picture.resize(size, how), (corner[0] + shift[0], corner[1] + shift[1]))
