"""Paints the training scenes once and stores their latents, normalised per channel."""

import argparse
import logging
from itertools import product
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.random import default_rng

from tools.starter.pictograms import PictogramShelf
from tools.starter.scenes import Scene, Thing, draw
from tools.starter.shapes import build_vae
from tools.starter.state import finished, save_state
from tools.starter.vocabulary import BACKGROUNDS, FIRST

log = logging.getLogger(__name__)

COMBINATIONS: Final = tuple(
    Scene((Thing(subject=subject),), background)
    for subject, background in product(FIRST, BACKGROUNDS)
)
"""One size only: every size more needs its own share of the samples."""
BATCH: Final = 16


@torch.no_grad()
def cache(work: Path, *, variants: int, seed: int) -> None:
    """Encode ``variants`` pictures of every combination into ``work/latents.pt``.

    The file holds the posterior's mean and deviation ``[variants * combinations, 4, 16, 16]``,
    both already normalised with the means' per-channel statistics, which it also holds.
    """
    shelf = PictogramShelf(work / "packages")
    saved = finished(work, "vae")
    vae = build_vae().to(memory_format=torch.channels_last)
    vae.load_state_dict(saved["average"])
    total = variants * len(COMBINATIONS)
    means, deviations = [], []
    for first in range(0, total, BATCH):
        drawn = [
            draw(shelf, COMBINATIONS[number % len(COMBINATIONS)], default_rng((seed, number)))
            for number in range(first, min(first + BATCH, total))
        ]
        pixels = torch.from_numpy(np.stack(drawn)).permute(0, 3, 1, 2).float() / 127.5 - 1
        posterior = vae.encode(pixels.contiguous(memory_format=torch.channels_last)).latent_dist
        means.append(posterior.mean)
        deviations.append(posterior.std)
        if first % (BATCH * 20) == 0:
            log.info("%d of %d", first, total)
    mean, deviation = torch.cat(means), torch.cat(deviations)
    centre = mean.mean(dim=(0, 2, 3))
    spread = mean.std(dim=(0, 2, 3))
    shaped = spread[:, None, None]
    log.info("centre %s spread %s", centre.tolist(), spread.tolist())
    log.info("posterior deviation %.4f of the spread", float((deviation / shaped).mean()))
    latents = {"mean": (mean - centre[:, None, None]) / shaped, "deviation": deviation / shaped}
    save_state(work / "latents.pt", latents | {"centre": centre, "spread": spread})


def main() -> None:
    """Run ``python -m tools.starter.cache_latents --work DIR``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--variants", type=int, default=5)
    parser.add_argument("--seed", type=int, default=2)
    asked = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)
    cache(asked.work, variants=asked.variants, seed=asked.seed)


if __name__ == "__main__":
    main()
