"""A small independent classifier that says what a picture shows.

It learns from painted scenes alone, the held-out combinations among them, and never from the
starter's own pictures. It reads colour more than form: look at the pictures as well.
"""

import argparse
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

import torch
from numpy.random import Generator, default_rng
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from tools.starter.menu import ALL, COMBINATIONS, any_of, one_thing, two_things
from tools.starter.pictograms import PictogramShelf
from tools.starter.scenes import Scene, Thing, draw
from tools.starter.vocabulary import GROUNDS, STYLES, SUBJECTS, TINTS

log = logging.getLogger(__name__)

SIDE: Final = 64
BATCH: Final = 64
MOST_THINGS: Final = 2
NOT_ASKED: Final = -100
"""The class that torch's cross entropy passes over."""

SCENES: Final = 24_000
"""So many are painted to learn from."""

HALVES: Final = ((slice(32, 96), slice(6, 70)), (slice(32, 96), slice(58, 122)))
"""Rows and columns, of 128 pixels, where the left and the right one of two things stand."""

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
    return Truth(
        subjects=tuple(SUBJECTS.index(thing.subject) for thing in scene.things),
        ground=GROUNDS.index(scene.ground),
        style=STYLES.index(first.style),
        colour=_colour(first) if alone else NOT_ASKED,
    )


def _colour(thing: Thing) -> int:
    return 0 if thing.tint is None else 1 + TINTS.index(thing.tint)


class Judge(nn.Module):
    """Returns scores for everything in ``HEADS``."""

    def __init__(self) -> None:
        """Build five halving convolutions and one linear reader for all heads."""
        super().__init__()
        widths = (3, 32, 64, 128, 192, 256)
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


def verdicts(judge: Judge, pictures: Tensor, truths: list[Truth]) -> dict[str, list[bool]]:
    """Tell for each picture and head whether what the judge sees is what was wanted.

    Each of two things is looked at on its own side; which of them is where does not count. Of what
    is not asked nothing is told.

    Args:
        judge: Who looks.
        pictures: ``[batch, 3, 128, 128]`` in 0..1.
        truths: What each should show.
    """
    whole, sides = judge(pictures), [judge(pictures[:, :, *half]) for half in HALVES]
    found: dict[str, list[bool]] = {head: [] for head in HEADS}
    for row, told in enumerate(truths):
        looks = [whole] if len(told.subjects) == 1 else sides
        seen = [int(scores["subject"][row].argmax()) for scores in looks]
        found["subject"].append(sorted(seen) == sorted(told.subjects))
        for head in ("ground", "style", "colour", "count"):
            wanted: int = getattr(told, head)
            if wanted != NOT_ASKED:
                found[head].append(int(whole[head][row].argmax()) == wanted)
    return found


def any_scene(random: Generator) -> Scene:
    """Return a scene of any kind that the vocabulary allows."""
    kind = random.random()
    if kind < 0.35:
        return any_of(COMBINATIONS, random)
    return one_thing(ALL, random) if kind < 0.75 else two_things(ALL, random)


def painted(shelf: PictogramShelf, scene: Scene, random: Generator) -> Tensor:
    """Paint a scene, ``[3, 128, 128]`` bytes."""
    return torch.from_numpy(draw(shelf, scene, random).copy()).permute(2, 0, 1)


def looks(shelf: PictogramShelf, seed: int, number: int) -> Iterator[tuple[Tensor, list[int]]]:
    """Paint a scene; yield it, and each of two things from near, ``[3, 64, 64]`` bytes.

    With each comes a class for every head, ``NOT_ASKED`` where none can be told.
    """
    random = default_rng((seed, number))
    scene = any_scene(random)
    pixels = painted(shelf, scene, random)
    told = truth(scene)
    alone = len(scene.things) == 1
    subject = told.subjects[0] if alone else NOT_ASKED
    small = functional.interpolate(pixels[None].float(), size=(SIDE, SIDE), mode="area")[0]
    yield small.round().byte(), [subject, told.ground, told.style, told.colour, told.count]
    if not alone:
        for half, subject, thing in zip(HALVES, told.subjects, scene.things, strict=True):
            classes = [subject, told.ground, told.style, _colour(thing), NOT_ASKED]
            yield pixels[:, *half].clone(), classes


def softened(pictures: Tensor, seed: int, step: int) -> Tensor:
    """Return pictures somewhat soft, noisy and shifted, as the starter draws them; in 0..1."""
    random = default_rng((seed, step))
    side, across, down = (
        int(random.integers(low, high)) for low, high in ((40, 65), (0, 5), (0, 5))
    )
    values = pictures.float() / 255
    soft = functional.interpolate(values, size=(side, side), mode="area")
    soft = functional.interpolate(soft, size=(SIDE, SIDE), mode="bilinear")
    padded = functional.pad(soft, (2, 2, 2, 2), mode="replicate")
    moved = padded[:, :, down : down + SIDE, across : across + SIDE]
    noise = torch.randn(moved.shape, generator=torch.Generator().manual_seed(step)) * 0.02
    return (moved + noise).clamp(0, 1)


def read_judge(file: Path) -> Judge:
    """Return the judge kept in a file."""
    judge = Judge()
    judge.load_state_dict(load_file(file))
    return judge.eval()


def trained(work: Path, *, steps: int, seed: int) -> Judge:
    """Return the judge kept in ``work/judge.safetensors``; train it if there is none."""
    file = work / "judge.safetensors"
    if file.exists():
        return read_judge(file)
    torch.manual_seed(seed)
    judge = Judge()
    shelf = PictogramShelf(work / "packages")
    seen = [look for number in range(SCENES) for look in looks(shelf, seed, number)]
    pictures = torch.stack([picture for picture, _ in seen])
    classes = torch.tensor([told for _, told in seen])
    log.info("%d looks at %d scenes", len(seen), SCENES)
    optimiser = torch.optim.AdamW(judge.parameters(), lr=3e-3, weight_decay=0.05)
    plan = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for step in range(steps):
        chosen = torch.from_numpy(default_rng((seed, step)).integers(len(seen), size=BATCH))
        scores = judge(softened(pictures[chosen], seed, step))
        wrong = [
            functional.cross_entropy(scores[head], classes[chosen, place])
            for place, head in enumerate(HEADS)
        ]
        loss = torch.stack(wrong).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        plan.step()
        if step % 500 == 0:
            log.info("step %d of %d: loss %.3f", step, steps, loss.item())
    partial = file.with_suffix(".partial")
    save_file(judge.half().state_dict(), partial)
    partial.replace(file)
    return read_judge(file)


@torch.no_grad()
def share_right(
    judge: Judge, shelf: PictogramShelf, *, scenes: int, seed: int
) -> dict[str, dict[str, float]]:
    """Return for one and for two things how often each head is right on new painted scenes."""
    shown: dict[str, list[tuple[Tensor, Truth]]] = {"one thing": [], "two things": []}
    for number in range(scenes):
        random = default_rng((seed, number))
        scene = any_scene(random)
        kind = "one thing" if len(scene.things) == 1 else "two things"
        shown[kind].append((painted(shelf, scene, random).float() / 255, truth(scene)))
    found: dict[str, dict[str, float]] = {}
    for kind, pairs in shown.items():
        pictures, truths = zip(*pairs, strict=True)
        told = verdicts(judge, torch.stack(pictures), list(truths))
        found[kind] = {head: sum(right) / len(right) for head, right in told.items() if right}
    return found


def main() -> None:
    """Run ``python -m tools.starter.judge --work DIR``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=7)
    asked = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    judge = trained(asked.work, steps=asked.steps, seed=asked.seed)
    shelf = PictogramShelf(asked.work / "packages")
    for kind, shares in share_right(judge, shelf, scenes=1000, seed=asked.seed + 1).items():
        log.info("%s: %s", kind, {head: f"{share:.1%}" for head, share in shares.items()})


if __name__ == "__main__":
    main()
