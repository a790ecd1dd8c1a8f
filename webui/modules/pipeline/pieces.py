"""A picture cut into overlapping pieces, and pieces joined so that they fade into each other.

Where pieces lie and how they fade is A1111's: upscaling networks and SD upscale both need it.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

Enlarge = Callable[[Image.Image], Image.Image]
"""Returns a picture a whole number of times larger."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mesh:
    """Where the pieces of a picture lie.

    Attributes:
        size: Width and height of the picture.
        piece: Width and height of a piece.
        overlap: Pixels over which a piece fades in.
        tops: Upper edges of the rows.
        lefts: Left edges of the columns.
    """

    size: tuple[int, int]
    piece: tuple[int, int]
    overlap: int
    tops: tuple[int, ...]
    lefts: tuple[int, ...]

    @classmethod
    def of(cls, size: tuple[int, int], piece: tuple[int, int], overlap: int) -> "Mesh":
        """Spread pieces evenly so that they cover the picture and share at least ``overlap``.

        The overlap is at most half a piece. What a piece sees beyond a smaller picture is black.
        """
        overlap = min(overlap, min(piece) // 2)
        lefts, tops = (
            starts(length, side, overlap) for length, side in zip(size, piece, strict=True)
        )
        return cls(size=size, piece=piece, overlap=overlap, tops=tops, lefts=lefts)

    def cut(self, picture: Image.Image) -> list[Image.Image]:
        """Return the pieces of a picture row by row."""
        wide, high = self.piece
        return [picture.crop((x, y, x + wide, y + high)) for y in self.tops for x in self.lefts]

    def joined(self, pieces: Sequence[Image.Image], *, scale: int = 1) -> Image.Image:
        """Join pieces into rows and rows into a picture; each fades in over the one before.

        Args:
            pieces: Row by row.
            scale: How much larger they are than what was cut.
        """
        width, height = (side * scale for side in self.size)
        whole = Image.new("RGB", (width, height))
        for row, top in enumerate(self.tops):
            line = Image.new("RGB", (width, self.piece[1] * scale))
            for column, left in enumerate(self.lefts):
                piece = pieces[row * len(self.lefts) + column]
                fade = self.overlap * scale if left > 0 else 0
                _lay(piece, line, (left * scale, 0), across=fade)
            _lay(line, whole, (0, top * scale), down=self.overlap * scale if top > 0 else 0)
        return whole


def enlarged_in_pieces(
    picture: Image.Image, enlarge: Enlarge, *, side: int, overlap: int
) -> Image.Image:
    """Return a picture enlarged piece by piece, so that no network sees all of a large one.

    Args:
        picture: RGB.
        enlarge: What enlarges a piece.
        side: Pixels on a side of a piece; 0 enlarges the picture whole.
        overlap: Pixels that neighbouring pieces share.
    """
    if side <= 0:
        return enlarge(picture)
    mesh = Mesh.of(picture.size, (side, side), overlap)
    larger = [enlarge(piece) for piece in mesh.cut(picture)]
    return mesh.joined(larger, scale=larger[0].width // side)


def starts(length: int, side: int, overlap: int) -> tuple[int, ...]:
    """Return where pieces begin, evenly; the last one ends with the picture, so it may be below 0.

    Args:
        length: Pixels of the picture.
        side: Pixels of a piece.
        overlap: Pixels that neighbours share at least.
    """
    count = max(1, math.ceil((length - overlap) / (side - overlap)))
    step = (length - side) / (count - 1) if count > 1 else 0.0
    return (*(int(place * step) for place in range(count - 1)), length - side)


def _lay(
    piece: Image.Image,
    onto: Image.Image,
    corner: tuple[int, int],
    *,
    across: int = 0,
    down: int = 0,
) -> None:
    """Lay a piece onto a picture; so many pixels of its left or upper edge fade in."""
    wide, high = piece.size
    onto.paste(piece.crop((across, down, wide, high)), (corner[0] + across, corner[1] + down))
    if across:
        mask = Image.fromarray(np.tile(_fading(across), (high, 1)))
        onto.paste(piece.crop((0, 0, across, high)), corner, mask)
    if down:
        mask = Image.fromarray(np.tile(_fading(down)[:, None], (1, wide)))
        onto.paste(piece.crop((0, 0, wide, down)), corner, mask)


def _fading(overlap: int) -> np.ndarray:
    """Return how much of the newer piece is seen, from 0 to nearly 255."""
    return (np.arange(overlap, dtype=np.float32) * 255 / overlap).astype(np.uint8)
