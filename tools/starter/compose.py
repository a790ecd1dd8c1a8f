"""Paints a stage's scenes into a folder, each with its caption beside it, as trainers read them.

Picture and caption ``n`` of a stage are functions of the seed and ``n``: what is there already is
left as it is, and a folder that holds the stages 1 and 2 only needs 3 added.
"""

import argparse
import logging
from pathlib import Path
from typing import Final

from numpy.random import default_rng
from PIL import Image

from tools.starter.captions import caption
from tools.starter.menu import COUNTS, scene
from tools.starter.pictograms import PictogramShelf
from tools.starter.scenes import draw
from tools.starter.strangers import among_strangers

log = logging.getLogger(__name__)

SEED: Final = 5
TOLD_EVERY: Final = 1000


def compose(shelf: PictogramShelf, folder: Path, *, stage: int, seed: int) -> None:
    """Write what is missing of a stage: ``STAGE-NUMBER.png`` and ``.txt``, the picture last."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(COUNTS[stage]):
        picture = folder / f"{stage}-{number:05d}.png"
        if picture.exists():
            continue
        shown = scene(stage, number, seed)
        random = default_rng((seed, stage, number, 1))
        pixels = draw(shelf, shown, random)
        said = among_strangers(caption(shown, random), random)
        picture.with_suffix(".txt").write_text(said + "\n", encoding="utf-8")
        partial = picture.with_suffix(".partial")
        Image.fromarray(pixels).save(partial, format="PNG")
        partial.replace(picture)
        if number % TOLD_EVERY == 0:
            log.info("stage %d: %d of %d", stage, number, COUNTS[stage])


def main() -> None:
    """Run ``python -m tools.starter.compose --work DIR --stage N``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--stage", type=int, choices=COUNTS, required=True)
    parser.add_argument("--seed", type=int, default=SEED)
    asked = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    shelf = PictogramShelf(asked.work / "packages")
    compose(shelf, asked.work / "scenes", stage=asked.stage, seed=asked.seed)


if __name__ == "__main__":
    main()
