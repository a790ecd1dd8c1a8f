"""Trains the autoencoder on pictograms; a stopped run goes on exactly where it was.

First both halves learn on crops. Then the encoder rests, so that latents may be cached, and the
decoder learns on whole pictures to overlook the small faults that a sampled latent has.
Scene, crop and noise of step ``n`` depend on the seed and ``n`` alone, so the saved state is the
weights, the optimiser, the average and one counter.
"""

import argparse
import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.random import default_rng
from torch import Tensor
from torch.nn import functional

from tools.starter.grounds import PIXELS
from tools.starter.pictograms import PictogramShelf
from tools.starter.scenes import SIZES, Scene, Thing, draw, draw_anything
from tools.starter.shapes import LibraryNet, build_vae
from tools.starter.state import Average, load_state, save_state
from tools.starter.vocabulary import BACKGROUNDS, FIRST

log = logging.getLogger(__name__)

LEARNING_RATE: Final = 1.5e-3
WARM_UP_STEPS: Final = 200
OWN_FIRST_SHARE: Final = 0.7
"""Share of pictures from the starter's own vocabulary; the rest is any pictogram."""
KL_WEIGHT: Final = 1e-3
KL_RAMP_STEPS: Final = 3000
HELD_OUT_SEED: Final = 987_654_321


@dataclass(frozen=True, kw_only=True, slots=True)
class Diet:
    """How large the pictures of a step are: first crops, which are more varied, then wholes."""

    side: int
    batch: int


CROPS: Final = Diet(side=64, batch=4)
WHOLES: Final = Diet(side=128, batch=2)
TOGETHER_SHARE: Final = 5 / 6
MOST_LATENT_NOISE: Final = 0.2
"""In units of the latents' deviation."""


def pictures(shelf: PictogramShelf, files: list[Path], seed: int, step: int, diet: Diet) -> Tensor:
    """Return the step's pictures, ``[batch, 3, side, side]`` in -1..1."""
    random = default_rng((seed, step))
    batch = []
    for _ in range(diet.batch):
        if random.random() < OWN_FIRST_SHARE:
            subject = FIRST[random.integers(len(FIRST))]
            background = BACKGROUNDS[random.integers(len(BACKGROUNDS))]
            thing = Thing(subject=subject, size=str(random.choice(list(SIZES))))
            scene = Scene((thing,), background)
            picture = draw(shelf, scene, random)
        else:
            picture = draw_anything(files, random)
        top, left = random.integers(0, PIXELS - diet.side + 1, 2)
        batch.append(picture[top : top + diet.side, left : left + diet.side])
    pixels = torch.from_numpy(np.stack(batch)).permute(0, 3, 1, 2).float()
    return (pixels / 127.5 - 1).contiguous(memory_format=torch.channels_last)


def reconstruction_loss(made: Tensor, wanted: Tensor) -> Tensor:
    """Weigh values, edges, and the mean colour of larger patches."""
    error = made - wanted
    across = error[..., 1:] - error[..., :-1]
    down = error[..., 1:, :] - error[..., :-1, :]
    edges = across.abs().mean() + down.abs().mean()
    patches = functional.avg_pool2d(error, 8).abs().mean()
    return error.abs().mean() + error.square().mean() + edges + 0.5 * patches


def loss_of(vae: LibraryNet, batch: Tensor, *, seed: int, step: int) -> tuple[Tensor, float]:
    """Return the step's loss, and the information in a latent number, in nats."""
    random = torch.Generator().manual_seed(seed * 1_000_003 + step)
    posterior = vae.encode(batch).latent_dist
    sample = posterior.sample(generator=random)
    if not sample.requires_grad:
        levels = torch.rand((len(sample), 1, 1, 1), generator=random) * MOST_LATENT_NOISE
        spread = sample.std(dim=(0, 2, 3))[:, None, None]
        sample = sample + levels * spread * torch.randn(sample.shape, generator=random)
    nats = (posterior.kl() / sample[0].numel()).mean()
    kl_weight = KL_WEIGHT * min(1.0, (step + 1) / KL_RAMP_STEPS)
    loss = reconstruction_loss(vae.decode(sample).sample, batch) + kl_weight * nats
    return loss, nats.item()


@torch.no_grad()
def rest_encoder(vae: LibraryNet, average: Average) -> None:
    """Fix the encoder at its averaged weights."""
    for name, weight in vae.named_parameters():
        if name.startswith(("encoder.", "quant_conv.")):
            weight.copy_(average.weights[name])
            weight.requires_grad_(False)  # noqa: FBT003 - torch takes it by position only


def learning_rate(step: int, steps: int) -> float:
    """Warm up, then fall along a cosine to 3 %."""
    warm = min(1.0, (step + 1) / WARM_UP_STEPS)
    return LEARNING_RATE * warm * (0.03 + 0.97 * 0.5 * (1 + math.cos(math.pi * step / steps)))


@torch.no_grad()
def held_out_psnr(vae: LibraryNet, held_out: Tensor) -> float:
    """Return the mean peak signal-to-noise ratio over pictures, in dB."""
    made = vae.decode(vae.encode(held_out).latent_dist.mode()).sample.clamp(-1, 1)
    error = ((made - held_out) / 2).square().mean(dim=(1, 2, 3))
    return float((-10 * error.log10()).mean())


def train(work: Path, *, steps: int, stop: int, seed: int, save_every: int) -> None:
    """Run, or continue, to step ``stop``; writes ``work/vae.pt`` every ``save_every`` steps."""
    shelf = PictogramShelf(work / "packages")
    files = shelf.everything()
    torch.manual_seed(seed)
    vae = build_vae().to(memory_format=torch.channels_last)
    average = Average(vae, 0.998)
    optimiser = torch.optim.AdamW(vae.parameters(), betas=(0.9, 0.99), weight_decay=1e-4)
    first, cpu_before = 0, 0.0
    saved = load_state(work / "vae.pt")
    if saved is not None:
        vae.load_state_dict(saved["net"])
        average.load(saved["average"])
        optimiser.load_state_dict(saved["optimiser"])
        first, cpu_before = saved["step"], saved["cpu_seconds"]
    held_out = pictures(shelf, files, HELD_OUT_SEED, 0, Diet(side=128, batch=48))
    judge = build_vae().to(memory_format=torch.channels_last)
    started = time.process_time()
    losses: list[float] = []
    for step in range(first, stop):
        together = step < TOGETHER_SHARE * steps
        diet = CROPS if together else WHOLES
        if not together and vae.quant_conv.weight.requires_grad:
            rest_encoder(vae, average)
        batch = pictures(shelf, files, seed, step, diet)
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, steps)
        loss, nats = loss_of(vae, batch, seed=seed, step=step)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimiser.step()
        average.follow(vae)
        losses.append(loss.item())
        done = step + 1
        if done % save_every == 0 or done == stop:
            cpu_seconds = cpu_before + time.process_time() - started
            judge.load_state_dict(average.weights)
            log.info(
                "step %d loss %.4f nats %.2f psnr %.2f dB cpu %.0f s",
                done,
                sum(losses) / len(losses),
                nats,
                held_out_psnr(judge, held_out),
                cpu_seconds,
            )
            losses.clear()
            state = {"net": vae.state_dict(), "average": average.weights, "step": done}
            state |= {"optimiser": optimiser.state_dict(), "cpu_seconds": cpu_seconds}
            save_state(work / "vae.pt", state)


def main() -> None:
    """Run ``python -m tools.starter.train_vae --work DIR``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=4_200)
    parser.add_argument("--stop", type=int, help="pause after this step of them")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save-every", type=int, default=250)
    asked = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    train(
        asked.work,
        steps=asked.steps,
        stop=asked.stop or asked.steps,
        seed=asked.seed,
        save_every=asked.save_every,
    )


if __name__ == "__main__":
    main()
