"""A small independent classifier that says what a picture shows.

It learns from painted scenes alone, the held-out combinations among them, and never from the
starter's own pictures. It reads colour more than form: look at the pictures as well.
"""

import argparse
import logging
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.random import Generator, default_rng
from torch import Tensor, nn
from torch.nn import functional

from tools.starter.menu import ALL, COMBINATIONS, any_of, one_thing, two_things
from tools.starter.pictograms import PictogramShelf
from tools.starter.scenes import Scene, draw
from tools.starter.state import load_state, save_state
from tools.starter.vocabulary import GROUNDS, STYLES, SUBJECTS, TINTS

log = logging.getLogger(__name__)

SIDE: Final = 64
BATCH: Final = 32
MOST_THINGS: Final = 2
NOT_ASKED: Final = -100
"""The class that torch's cross entropy passes over."""

HEADS: Final = {
    "subject": len(SUBJECTS),
    "ground": len(GROUNDS),
    "style": len(STYLES),
    "colour": 1 + len(TINTS),
    "count": MOST_THINGS,
}
"""What is told, and among how many; the first colour is the thing's own."""

Scores = dict[str, Tensor]
"""By what is told: ``[batch, classes]``."""


@dataclass(frozen=True, slots=True)
class Truth:
    """What a scene shows, as places in the vocabulary; of several things no one colour is told."""

    subjects: tuple[int, ...]
    ground: int
    style: int
    colour: int

    @property
    def count(self) -> int:
        """The class of the number of things."""
        return len(self.subjects) - 1


def truth(scene: Scene) -> Truth:
    """Return what a scene shows."""
    first, alone = scene.things[0], len(scene.things) == 1
    own = 0 if first.tint is None else 1 + TINTS.index(first.tint)
    return Truth(
        subjects=tuple(SUBJECTS.index(thing.subject) for thing in scene.things),
        ground=GROUNDS.index(scene.ground),
        style=STYLES.index(first.style),
        colour=own if alone else NOT_ASKED,
    )


class Judge(nn.Module):
    """Returns scores for everything in ``HEADS``."""

    def __init__(self) -> None:
        """Build five halving convolutions and one linear reader a head."""
        super().__init__()
        widths = (3, 24, 48, 96, 128, 160)
        layers: list[nn.Module] = []
        for narrow, wide in pairwise(widths):
            layers += [
                nn.Conv2d(narrow, wide, 3, stride=2, padding=1),
                nn.BatchNorm2d(wide),
                nn.ReLU(),
            ]
        self.look = nn.Sequential(*layers)
        self.read = nn.Linear(widths[-1] * (SIDE // 2**5) ** 2, sum(HEADS.values()))

    def forward(self, pictures: Tensor) -> Scores:
        """Score pictures ``[batch, 3, side, side]`` in 0..1 of any side."""
        seen = functional.interpolate(pictures, size=(SIDE, SIDE), mode="area") - 0.5
        parts = self.read(self.look(seen).flatten(1)).split(list(HEADS.values()), dim=1)
        return dict(zip(HEADS, parts, strict=True))


def wrong(scores: Scores, truths: list[Truth]) -> Tensor:
    """Return how wrong the scores are, all heads together."""
    shares = torch.zeros_like(scores["subject"])
    for row, told in enumerate(truths):
        shares[row, list(told.subjects)] = 1 / len(told.subjects)
    total = functional.cross_entropy(scores["subject"], shares)
    for head in ("ground", "style", "colour", "count"):
        wanted = torch.tensor([getattr(told, head) for told in truths])
        total = total + functional.cross_entropy(scores[head], wanted)
    return total


def verdicts(scores: Scores, truths: list[Truth]) -> dict[str, list[bool]]:
    """Tell for each picture and head whether the best scores are the wanted ones.

    Of several things all must be among as many best ones.
    """
    found: dict[str, list[bool]] = {head: [] for head in HEADS}
    for row, told in enumerate(truths):
        best = scores["subject"][row].topk(len(told.subjects)).indices.tolist()
        found["subject"].append(set(best) == set(told.subjects))
        for head in ("ground", "style", "colour", "count"):
            found[head].append(int(scores[head][row].argmax()) == getattr(told, head))
    return found


def any_scene(random: Generator) -> Scene:
    """Return a scene of any kind that the vocabulary allows."""
    kind = random.random()
    if kind < 0.4:
        return any_of(COMBINATIONS, random)
    return one_thing(ALL, random) if kind < 0.7 else two_things(ALL, random)


def batch(shelf: PictogramShelf, seed: int, step: int) -> tuple[Tensor, list[Truth]]:
    """Paint a batch of scenes, somewhat soft and noisy as the starter draws them."""
    random = default_rng((seed, step))
    scenes = [any_scene(random) for _ in range(BATCH)]
    pixels = np.stack([draw(shelf, scene, random) for scene in scenes])
    pictures = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    side = int(random.integers(SIDE // 2, SIDE + 1))
    pictures = functional.interpolate(pictures, size=(side, side), mode="area")
    noise = torch.randn(pictures.shape, generator=torch.Generator().manual_seed(step)) * 0.03
    return (pictures + noise).clamp(0, 1), [truth(scene) for scene in scenes]


def trained(work: Path, *, steps: int, seed: int) -> Judge:
    """Return the judge kept in ``work/judge.pt``; train it if there is none."""
    torch.manual_seed(seed)
    judge = Judge()
    saved = load_state(work / "judge.pt")
    if saved is not None:
        judge.load_state_dict(saved)
        return judge.eval()
    shelf = PictogramShelf(work / "packages")
    optimiser = torch.optim.AdamW(judge.parameters(), lr=2e-3)
    plan = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for step in range(steps):
        pictures, truths = batch(shelf, seed, step)
        loss = wrong(judge(pictures), truths)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        plan.step()
        if step % 200 == 0:
            log.info("step %d of %d: loss %.3f", step, steps, loss.item())
    save_state(work / "judge.pt", judge.half().state_dict())
    judge.float()
    return judge.eval()


@torch.no_grad()
def share_right(
    judge: Judge, shelf: PictogramShelf, *, batches: int, seed: int
) -> dict[str, float]:
    """Return for each head how often the judge is right on painted scenes it has not seen."""
    found: dict[str, list[bool]] = {head: [] for head in HEADS}
    for step in range(batches):
        pictures, truths = batch(shelf, seed, step)
        for head, right in verdicts(judge(pictures), truths).items():
            asked = (told.colour != NOT_ASKED or head != "colour" for told in truths)
            found[head] += [each for each, counts in zip(right, asked, strict=True) if counts]
    return {head: sum(right) / len(right) for head, right in found.items()}


def main() -> None:
    """Run ``python -m tools.starter.judge --work DIR``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=7)
    asked = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    judge = trained(asked.work, steps=asked.steps, seed=asked.seed)
    shelf = PictogramShelf(asked.work / "packages")
    for head, share in share_right(judge, shelf, batches=30, seed=asked.seed + 1).items():
        log.info("%s: %.1f %% right on unseen painted scenes", head, 100 * share)


if __name__ == "__main__":
    main()
