"""A large picture drawn piece by piece: enlarged, cut, each piece drawn on, softly joined."""

import math
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from webui.modules.pipeline.canvas import flattened
from webui.modules.pipeline.img2img import img2img
from webui.modules.pipeline.studio import Studio
from webui.modules.pipeline.upscale import enlarger, upscale
from webui.modules.types import (
    GenerationPlan,
    InputPicture,
    Observer,
    Picture,
    Start,
    Step,
    StopDrawing,
    Tiles,
)


def draw_in_tiles(
    plan: GenerationPlan, start: Start, tiles: Tiles, studio: Studio, observe: Observer
) -> Iterator[Picture]:
    """Draw the pictures of a plan whose start is cut into pieces.

    Args:
        plan: What to draw; its size is that of a piece.
        start: The plan's start.
        tiles: How it is enlarged, cut and joined.
        studio: What to draw with.
        observe: As in :func:`webui.modules.pipeline.txt2img.txt2img`.

    Yields:
        Each whole picture as soon as it is done.
    """
    # 1. The given picture, enlarged and cut.
    large = _enlarged(start, tiles, studio)
    mesh = Mesh.of(large.size, (plan.width, plan.height), tiles.overlap)
    before = [large.crop(box) for box in mesh.boxes()]
    with tempfile.TemporaryDirectory(prefix="atelier-") as folder:
        pieces = _kept(before, Path(folder))
        for index in range(len(plan.seeds)):
            # 2. Every piece drawn on, a few together.
            rounds = _Rounds(plan, start, index, pieces, tiles.together)
            drawn, stopped = rounds.drawn(studio, observe)
            # 3. All pieces joined; what was not reached stays as it was.
            whole = mesh.joined([*drawn, *before[len(drawn) :]])
            yield Picture(
                index=index,
                width=whole.width,
                height=whole.height,
                rgb=whole.tobytes(),
                finished=not stopped,
                notes=studio.laid.notes,
            )
            if stopped:
                return


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
        """Spread pieces evenly so that they cover the picture and share at least ``overlap``."""
        lefts, tops = (
            _corners(length, side, overlap) for length, side in zip(size, piece, strict=True)
        )
        return cls(size=size, piece=piece, overlap=overlap, tops=tops, lefts=lefts)

    def boxes(self) -> list[tuple[int, int, int, int]]:
        """Return the pieces row by row as left, top, right, bottom."""
        wide, high = self.piece
        return [(x, y, x + wide, y + high) for y in self.tops for x in self.lefts]

    def joined(self, pieces: Sequence[Image.Image]) -> Image.Image:
        """Join pieces into rows and rows into a picture; each fades in over the one before."""
        whole = Image.new("RGB", self.size)
        for row, top in enumerate(self.tops):
            line = Image.new("RGB", (self.size[0], self.piece[1]))
            for column, left in enumerate(self.lefts):
                piece = pieces[row * len(self.lefts) + column]
                _lay(piece, line, (left, 0), across=self.overlap if left else 0)
            _lay(line, whole, (0, top), down=self.overlap if top else 0)
        return whole


def _corners(length: int, side: int, overlap: int) -> tuple[int, ...]:
    if length <= side:
        return (0,)
    count = max(2, math.ceil((length - overlap) / (side - overlap)))
    step = (length - side) / (count - 1)
    return (*(int(number * step) for number in range(count - 1)), length - side)


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
        ramp = (np.arange(across) * 255 / across).astype(np.uint8)
        mask = Image.fromarray(np.tile(ramp, (high, 1)))
        onto.paste(piece.crop((0, 0, across, high)), corner, mask)
    if down:
        ramp = (np.arange(down) * 255 / down).astype(np.uint8)
        mask = Image.fromarray(np.tile(ramp[:, None], (1, wide)))
        onto.paste(piece.crop((0, 0, wide, down)), corner, mask)


def _enlarged(start: Start, tiles: Tiles, studio: Studio) -> Image.Image:
    given = flattened(start.pictures[0], start.background)
    if tiles.upscaler == "None":
        return given
    width, height = (int(side * tiles.scale) for side in given.size)
    return upscale(given, width, height, enlarger(tiles, studio.device))


def _kept(pieces: Sequence[Image.Image], folder: Path) -> list[InputPicture]:
    """Write pieces down for as long as the job lasts."""
    kept: list[InputPicture] = []
    for number, piece in enumerate(pieces):
        path = folder / f"{number}.png"
        piece.save(path, compress_level=1)
        kept.append(InputPicture(path=path, sha256="", width=piece.width, height=piece.height))
    return kept


@dataclass(frozen=True, slots=True)
class _Rounds:
    """The pieces of one whole picture, a few drawn together in each round."""

    plan: GenerationPlan
    start: Start
    index: int
    pieces: Sequence[InputPicture]
    together: int

    def drawn(self, studio: Studio, observe: Observer) -> tuple[list[Image.Image], bool]:
        """Return the pieces that were drawn, and whether the person stopped before the last."""
        count = math.ceil(len(self.pieces) / self.together)
        done: list[Image.Image] = []
        for number in range(count):
            some = tuple(self.pieces[number * self.together : (number + 1) * self.together])
            told = _Told(observe, self.index * count + number, count * len(self.plan.seeds))
            start = replace(self.start, pictures=some, tiles=None, resize="Just resize")
            for picture in img2img(self._plan_of(start, number), start, studio, told):
                size = (picture.width, picture.height)
                done.append(Image.frombytes("RGB", size, picture.rgb))
            if told.stopped:
                return done, True
        return done, False

    def _plan_of(self, start: Start, number: int) -> GenerationPlan:
        """Return the plan of a round; as in A1111 each counts the seed up by one."""
        plan, index, count = self.plan, self.index, len(start.pictures)
        first = plan.seeds[index] + number
        return replace(
            plan,
            prompts=(plan.prompts[index],) * count,
            negative_prompts=(plan.negative_prompts[index],) * count,
            seeds=tuple(first + place for place in range(count)),
            variation_seeds=(plan.variation_seeds[index],) * count,
            batch_size=count,
            start=start,
        )


class _Told:
    """Tells the steps of one round as those of the whole job, and notes a wish to stop."""

    def __init__(self, observe: Observer, batch: int, batches: int) -> None:
        self._observe = observe
        self._batch = batch
        self._batches = batches
        self.stopped = False

    def __call__(self, step: Step) -> None:
        """Tell of a step."""
        try:
            self._observe(replace(step, batch=self._batch, batches=self._batches))
        except StopDrawing:
            self.stopped = True
            raise
