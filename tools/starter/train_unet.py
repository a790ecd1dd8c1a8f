"""Trains U-Net and text encoder together on the cached latents; resumes exactly.

As in ``train_vae``, all that is random in step ``n`` depends on the seed and ``n`` alone.
"""

import argparse
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.random import Generator, default_rng
from torch import Tensor

from tools.starter.cache_latents import COMBINATIONS
from tools.starter.captions import caption
from tools.starter.diffusion import TIMES, alphas_cumprod
from tools.starter.painter import Painter
from tools.starter.state import Average, finished, load_state, save_state
from tools.starter.words import framed, strangers, token_ids

log = logging.getLogger(__name__)

BATCH: Final = 32
LEARNING_RATE: Final = 1.5e-3
WARM_UP_STEPS: Final = 100
CONSTANT_SHARE: Final = 0.6
LAST_RATE: Final = 0.02
DROPPED_CAPTIONS: Final = 0.1
CAPTIONS_WITH_STRANGERS: Final = 0.2
SNR_LIMIT: Final = 5.0
AVERAGE_EVERY: Final = 2
AVERAGE_DECAY: Final = 0.98


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """One step's input: noisy latents, times, token ids, the wanted v, and its weight."""

    noisy: Tensor
    times: Tensor
    ids: Tensor
    wanted: Tensor
    weights: Tensor


def prompt_ids(scene_number: int, random: Generator) -> list[int]:
    """Return the token ids of a caption, sometimes dropped, sometimes among unknown words."""
    if random.random() < DROPPED_CAPTIONS:
        return framed(() if random.random() < 0.5 else strangers(random, 8))
    ids = token_ids(caption(COMBINATIONS[scene_number % len(COMBINATIONS)], random))
    if random.random() < CAPTIONS_WITH_STRANGERS:
        others = strangers(random, 5)
        ids = ids + others if random.random() < 0.75 else others + ids
    return framed(ids)


def min_snr_weights() -> Tensor:
    """Return the loss weight of each time, mean 1 (Hang et al. 2023, arXiv:2303.09556)."""
    kept = alphas_cumprod()
    snr = kept / (1 - kept)
    weights = snr.clamp(max=SNR_LIMIT) / (snr + 1)
    return weights / weights.mean()


def make_batch(mean: Tensor, deviation: Tensor, seed: int, step: int) -> Batch:
    """Draw the step's scenes, captions, stratified times and noise."""
    random = default_rng((seed, step))
    torch_random = torch.Generator().manual_seed(seed * 1_000_003 + step)
    picked = random.integers(0, len(mean), BATCH)
    rows = torch.from_numpy(picked)
    ids = torch.tensor([prompt_ids(int(number), random) for number in picked])
    strata = (np.arange(BATCH) + random.random(BATCH)) / BATCH
    times = torch.from_numpy((strata * TIMES).astype(np.int64)).clamp(max=TIMES - 1)
    shape = mean[rows].shape
    clean = mean[rows] + deviation[rows] * torch.randn(shape, generator=torch_random)
    noise = torch.randn(shape, generator=torch_random)
    kept = alphas_cumprod()[times][:, None, None, None]
    signal, blur = kept.sqrt(), (1 - kept).sqrt()
    return Batch(
        noisy=(signal * clean + blur * noise).contiguous(memory_format=torch.channels_last),
        times=times,
        ids=ids,
        wanted=signal * noise - blur * clean,
        weights=min_snr_weights()[times],
    )


def learning_rate(step: int, steps: int) -> float:
    """Warm up, hold, then fall linearly to ``LAST_RATE`` of the peak."""
    warm = min(1.0, (step + 1) / WARM_UP_STEPS)
    fall = max(0.0, (step / steps - CONSTANT_SHARE) / (1 - CONSTANT_SHARE))
    return LEARNING_RATE * warm * (1 - (1 - LAST_RATE) * fall)


def train(work: Path, *, steps: int, seed: int, save_every: int) -> None:
    """Run, or continue, the training; writes ``work/painter.pt`` every ``save_every`` steps."""
    latents = finished(work, "latents")
    mean, deviation = latents["mean"], latents["deviation"]
    torch.manual_seed(seed)
    painter = Painter()
    average = Average(painter, AVERAGE_DECAY)
    optimiser = torch.optim.AdamW(
        painter.parameters(), betas=(0.9, 0.98), weight_decay=0.01, fused=True
    )
    first, cpu_before = 0, 0.0
    saved = load_state(work / "painter.pt")
    if saved is not None:
        painter.load_state_dict(saved["net"])
        average.load(saved["average"])
        optimiser.load_state_dict(saved["optimiser"])
        first, cpu_before = saved["step"], saved["cpu_seconds"]
    started = time.process_time()
    losses: list[float] = []
    for step in range(first, steps):
        batch = make_batch(mean, deviation, seed, step)
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, steps)
        error = painter(batch.noisy, batch.times, batch.ids) - batch.wanted
        loss = (batch.weights * error.square().mean(dim=(1, 2, 3))).mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(painter.parameters(), 1.0)
        optimiser.step()
        done = step + 1
        if done % AVERAGE_EVERY == 0:
            average.follow(painter)
        losses.append(loss.item())
        if done % save_every == 0 or done == steps:
            cpu_seconds = cpu_before + time.process_time() - started
            loss_mean = sum(losses) / len(losses)
            log.info("step %d loss %.4f cpu %.0f s", done, loss_mean, cpu_seconds)
            losses.clear()
            state = {"net": painter.state_dict(), "average": average.weights, "step": done}
            state |= {"optimiser": optimiser.state_dict(), "cpu_seconds": cpu_seconds}
            save_state(work / "painter.pt", state)


def main() -> None:
    """Run ``python -m tools.starter.train_unet --work DIR``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=3300)
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--save-every", type=int, default=50)
    asked = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    train(asked.work, steps=asked.steps, seed=asked.seed, save_every=asked.save_every)


if __name__ == "__main__":
    main()
