"""A small independent classifier that names subject and background of a drawn picture.

It learns from painted scenes alone, never from the starter's pictures. It reads colour more than
form and so overrates blobs: look at the grid as well.
"""

import argparse
import logging
import sys
from itertools import pairwise, product
from pathlib import Path
from typing import Final

import torch
from numpy.random import default_rng
from torch import Tensor, nn
from torch.nn import functional

from tools.starter.cache_latents import COMBINATIONS
from tools.starter.captions import article
from tools.starter.grid import paint
from tools.starter.pictograms import PictogramShelf
from tools.starter.scenes import draw
from tools.starter.state import load_state, save_state
from tools.starter.vocabulary import BACKGROUNDS, SUBJECTS

log = logging.getLogger(__name__)

SIDE: Final = 64
BATCH: Final = 32


class Judge(nn.Module):
    """Returns one score for each subject, followed by one for each background."""

    def __init__(self) -> None:
        """Build four halving convolutions and a linear reader."""
        super().__init__()
        widths = (3, 16, 32, 64, 96)
        layers: list[nn.Module] = []
        for narrow, wide in pairwise(widths):
            layers += [
                nn.Conv2d(narrow, wide, 3, stride=2, padding=1),
                nn.BatchNorm2d(wide),
                nn.ReLU(),
            ]
        self.look = nn.Sequential(*layers)
        self.read = nn.Linear(widths[-1] * 16, len(SUBJECTS) + len(BACKGROUNDS))

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Score pictures ``[batch, 3, side, side]`` in 0..1 of any side."""
        seen = functional.interpolate(pictures, size=(SIDE, SIDE), mode="area") - 0.5
        scores = self.read(self.look(seen).flatten(1))
        return scores[:, : len(SUBJECTS)], scores[:, len(SUBJECTS) :]


def truth(numbers: list[int]) -> tuple[Tensor, Tensor]:
    """Return subject and background indices of scenes."""
    scenes = [COMBINATIONS[number % len(COMBINATIONS)] for number in numbers]
    subjects = torch.tensor([SUBJECTS.index(scene.subject) for scene in scenes])
    backgrounds = torch.tensor([BACKGROUNDS.index(scene.background) for scene in scenes])
    return subjects, backgrounds


def scenes_batch(shelf: PictogramShelf, seed: int, step: int) -> tuple[Tensor, list[int]]:
    """Paint a batch of scenes, slightly noisy, and return their numbers too."""
    random = default_rng((seed, step))
    numbers = [int(number) for number in random.integers(0, len(COMBINATIONS), BATCH)]
    painted = [torch.from_numpy(draw(shelf, COMBINATIONS[n], random).copy()) for n in numbers]
    pixels = torch.stack(painted).permute(0, 3, 1, 2).float() / 255
    noise = torch.randn(pixels.shape, generator=torch.Generator().manual_seed(step)) * 0.03
    return (pixels + noise).clamp(0, 1), numbers


def train(work: Path, *, steps: int, seed: int) -> Judge:
    """Return a trained judge, kept in ``work/judge.pt``."""
    torch.manual_seed(seed)
    judge = Judge()
    saved = load_state(work / "judge.pt")
    if saved is None:
        shelf = PictogramShelf(work / "packages")
        optimiser = torch.optim.AdamW(judge.parameters(), lr=2e-3)
        plan = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
        for step in range(steps):
            pixels, numbers = scenes_batch(shelf, seed, step)
            wanted = truth(numbers)
            scores = judge(pixels)
            loss = sum(map(functional.cross_entropy, scores, wanted), start=torch.tensor(0.0))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            plan.step()
        judge.eval()
        pixels, numbers = scenes_batch(shelf, seed + 1, 0)
        shares = list(map(share_right, judge(pixels), truth(numbers)))
        log.info("right on unseen painted scenes: subject, background %s", shares)
        save_state(work / "judge.pt", judge.state_dict())
        return judge
    judge.load_state_dict(saved)
    return judge.eval()


def questions(rounds: int) -> tuple[list[int], list[str]]:
    """Return scene numbers and prompts: every subject ``rounds`` times, on moving backgrounds."""
    numbers: list[int] = []
    texts: list[str] = []
    for turn, place in product(range(rounds), range(len(SUBJECTS))):
        colour_place = (5 * place + 7 * turn) % len(BACKGROUNDS)
        numbers.append(len(BACKGROUNDS) * place + colour_place)
        name, colour = SUBJECTS[place].names[0], BACKGROUNDS[colour_place].names[0]
        texts.append(f"{article(name)} {name} on {article(colour)} {colour} background")
    return numbers, texts


def share_right(scores: Tensor, wanted: Tensor) -> float:
    """Return the share of rows whose best score is the wanted one."""
    return float((scores.argmax(dim=1) == wanted).float().mean())


def main() -> None:
    """Run ``python -m tools.starter.judge --work DIR``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=4, help="pictures for each subject")
    parser.add_argument("--seed", type=int, default=5000)
    parser.add_argument("--guidance", type=float, default=3.0)
    asked = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)
    judge = train(asked.work, steps=500, seed=7)
    numbers, texts = questions(asked.rounds)
    pictures = paint(asked.work, texts, seed=asked.seed, steps=20, guidance=asked.guidance)
    with torch.no_grad():
        scores = judge(pictures)
    wanted = truth(numbers)
    for kind, score, right in zip(("subject", "background"), scores, wanted, strict=True):
        sys.stdout.write(f"{kind}: {share_right(score, right):.1%} of {len(texts)}\n")
    for text, guess, right in zip(texts, scores[0].argmax(dim=1), wanted[0], strict=True):
        if guess != right:
            sys.stdout.write(f"{text}: taken for {SUBJECTS[int(guess)].names[0]}\n")


if __name__ == "__main__":
    main()
