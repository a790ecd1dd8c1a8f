"""A world in which the perfect denoiser is known: every clean latent picture is one Gaussian."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import torch

from webui.modules.sampling.catalogue import find_sampler
from webui.modules.sampling.samplers import SAMPLER_FUNCTIONS
from webui.modules.sampling.schedule import LCM_STRIDE, NoiseLevels, sigmas_for, timesteps_for
from webui.modules.sampling.walk import Walk
from webui.modules.types import SamplingPlan

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

ROOTS: Final = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float32)
ALPHAS: Final = torch.cumprod(1 - ROOTS**2, dim=0)
SHAPE: Final = (2, 4, 8, 8)

MEAN: Final = 0.7
SPREAD: Final = 0.5


class GaussianDenoiser:
    """Answers as a network does that has learned the Gaussian perfectly; keeps no secrets."""

    def __init__(self, levels: NoiseLevels) -> None:
        self._levels = levels
        self._unguided = torch.empty(0)

    @property
    def unguided(self) -> Tensor:
        return self._unguided

    def denoised(self, noisy: Tensor, sigma: Tensor) -> Tensor:
        """Return the mean of all clean pictures that this noisy one may come from."""
        share = SPREAD**2 / (SPREAD**2 + sigma**2)
        return MEAN + share * (noisy - MEAN)

    def epsilon(self, noisy: Tensor, time: Tensor) -> Tensor:
        alpha = self._levels.alphas_cumprod[time.long()]
        sigma = ((1 - alpha) / alpha) ** 0.5
        scaled = noisy / alpha.sqrt()
        self._unguided = (scaled - self.denoised(scaled, sigma)) / sigma
        return self._unguided


def noise_of(seed: int) -> Callable[[], Tensor]:
    """Return an endless supply of noise."""
    generator = torch.Generator().manual_seed(seed)
    return lambda: torch.randn(SHAPE, generator=generator)


def walk_of(sampler: str, *, steps: int, scheduler: str = "karras", **options: Any) -> Walk:
    """Return a walk from plain noise through the Gaussian world."""
    found, _ = find_sampler(sampler)
    levels = NoiseLevels.of(ALPHAS, stride=LCM_STRIDE if found.function == "lcm" else 1)
    plan = SamplingPlan(
        sampler=found.label, scheduler=scheduler, steps=steps, guidance=1.0, **options
    )
    sigmas, noise = sigmas_for(found, plan, levels), noise_of(2)
    return Walk(
        noisy=noise_of(1)() * (1.0 if found.timesteps else sigmas[0]),
        sigmas=sigmas,
        timesteps=timesteps_for(steps),
        levels=levels,
        plan=plan,
        denoiser=GaussianDenoiser(levels),
        noise=noise,
        brownian=lambda _sigma, _next: noise(),
        observe=lambda _number, _guess: None,
    )


def arrive(walk: Walk) -> Tensor:
    """Walk with the sampler that the walk's plan names."""
    found, _ = find_sampler(walk.plan.sampler)
    return SAMPLER_FUNCTIONS[found.function](walk)


def exact(noisy: Tensor, sigma: float) -> Tensor:
    """Return where the probability-flow equation leads from this level to no noise at all."""
    return MEAN + (noisy - MEAN) * SPREAD / (SPREAD**2 + sigma**2) ** 0.5
