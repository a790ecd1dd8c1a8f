"""A large picture drawn piece by piece: enlarged, cut, each piece drawn on, softly joined."""

import math
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from webui.modules.pipeline.canvas import flattened
from webui.modules.pipeline.img2img import img2img
from webui.modules.pipeline.pieces import Mesh
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
    before = mesh.cut(large)
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
