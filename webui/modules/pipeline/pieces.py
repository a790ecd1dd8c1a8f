"""A picture enlarged in overlapping pieces that fade into each other, as A1111 does it."""

import math
from collections.abc import Callable

import numpy as np
from PIL import Image

Enlarge = Callable[[Image.Image], Image.Image]
"""Returns a picture a whole number of times larger."""


def enlarged_in_pieces(
    picture: Image.Image, enlarge: Enlarge, *, side: int, overlap: int
) -> Image.Image:
    """Return a picture enlarged piece by piece; memory does not grow with the picture.

    Args:
        picture: RGB.
        enlarge: What enlarges a piece.
        side: Pixels on a side of a piece; 0 enlarges the picture whole. What a piece sees beyond a
            picture smaller than it is black.
        overlap: Pixels that neighbouring pieces share, less than half a piece.
    """
    if side <= 0:
        return enlarge(picture)
    overlap = min(overlap, side // 2)
    rows: list[tuple[int, Image.Image]] = []
    scale = 1
    for top in starts(picture.height, side, overlap):
        pieces: list[tuple[int, Image.Image]] = []
        for left in starts(picture.width, side, overlap):
            piece = enlarge(picture.crop((left, top, left + side, top + side)))
            scale = piece.width // side
            pieces.append((left * scale, piece))
        rows.append((top * scale, _side_by_side(pieces, picture.width * scale, overlap * scale)))
    return _below_each_other(rows, picture.height * scale, overlap * scale)


def starts(length: int, side: int, overlap: int) -> list[int]:
    """Return where pieces begin, evenly; the last one ends with the picture, so it may be below 0.

    Args:
        length: Pixels of the picture.
        side: Pixels of a piece.
        overlap: Pixels that neighbours share at least.
    """
    count = max(1, math.ceil((length - overlap) / (side - overlap)))
    step = (length - side) / (count - 1) if count > 1 else 0.0
    return [*(int(place * step) for place in range(count - 1)), length - side]


def _side_by_side(pieces: list[tuple[int, Image.Image]], width: int, overlap: int) -> Image.Image:
    """Lay pieces into a row; each fades in over its left neighbour."""
    high = pieces[0][1].height
    row = Image.new("RGB", (width, high))
    fade = Image.fromarray(np.tile(_fading(overlap), (high, 1)))
    for left, piece in pieces:
        if left <= 0 or not overlap:
            row.paste(piece, (left, 0))
            continue
        row.paste(piece.crop((0, 0, overlap, high)), (left, 0), mask=fade)
        row.paste(piece.crop((overlap, 0, piece.width, high)), (left + overlap, 0))
    return row


def _below_each_other(
    rows: list[tuple[int, Image.Image]], height: int, overlap: int
) -> Image.Image:
    """Lay rows into a picture; each fades in over the one above."""
    width = rows[0][1].width
    whole = Image.new("RGB", (width, height))
    fade = Image.fromarray(np.tile(_fading(overlap)[:, None], (1, width)))
    for top, row in rows:
        if top <= 0 or not overlap:
            whole.paste(row, (0, top))
            continue
        whole.paste(row.crop((0, 0, width, overlap)), (0, top), mask=fade)
        whole.paste(row.crop((0, overlap, width, row.height)), (0, top + overlap))
    return whole


def _fading(overlap: int) -> np.ndarray:
    """Return how much of the newer piece is seen, from 0 to nearly 255."""
    return (np.arange(overlap, dtype=np.float32) * 255 / max(1, overlap)).astype(np.uint8)
