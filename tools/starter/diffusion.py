"""The noise schedule, and DPM-Solver++(2M) with evenly spaced times, for v-prediction."""

from collections.abc import Callable
from itertools import pairwise
from typing import Final

import torch
from torch import Tensor

TIMES: Final = 1000
FIRST_BETA: Final = 0.00085
LAST_BETA: Final = 0.012

Denoise = Callable[[Tensor, float], Tensor]
"""Returns the clean latents guessed from noisy ones at a noise level."""


def alphas_cumprod() -> Tensor:
    """Return the share of signal energy left after each of the 1000 times, ``[1000]``, fp32."""
    betas = torch.linspace(FIRST_BETA**0.5, LAST_BETA**0.5, TIMES, dtype=torch.float64) ** 2
    return torch.cumprod(1 - betas, dim=0).float()


def trailing_sigmas(steps: int) -> Tensor:
    """Return ``[steps + 1]`` falling noise levels, evenly spaced in time, the last one 0."""
    kept = alphas_cumprod().double()
    every = ((1 - kept) / kept).sqrt().log()
    times = torch.linspace(TIMES - 1, 0, steps + 1, dtype=torch.float64)[:-1]
    low = times.floor().long()
    high = times.ceil().long()
    part = times - low
    return torch.cat([torch.lerp(every[low], every[high], part).exp(), torch.zeros(1)]).float()


def time_of(sigma: float) -> float:
    """Return the (fractional) time whose noise level is ``sigma``."""
    kept = alphas_cumprod().double()
    every = ((1 - kept) / kept).sqrt().log()
    level = torch.tensor(sigma).double().log()
    high = int(torch.searchsorted(every, level).clamp(1, TIMES - 1))
    low = high - 1
    return low + float(((level - every[low]) / (every[high] - every[low])).clamp(0, 1))


def clean_from_v(noisy: Tensor, v: Tensor, sigma: float) -> Tensor:
    """Turn a v-prediction into clean latents (Salimans & Ho 2022, arXiv:2202.00512)."""
    return noisy / (sigma**2 + 1) - v * sigma / (sigma**2 + 1) ** 0.5


def dpmpp_2m(denoise: Denoise, noise: Tensor, steps: int) -> Tensor:
    """Turn unit noise into latents (Lu et al. 2022, arXiv:2211.01095, algorithm 2)."""
    sigmas = trailing_sigmas(steps)
    latents = noise * sigmas[0]
    before: tuple[Tensor, Tensor] | None = None
    for sigma, following in pairwise(sigmas):
        guess = denoise(latents, float(sigma))
        if following == 0:
            return guess
        stride = (sigma / following).log()
        towards = guess
        if before is not None:
            earlier_guess, earlier_stride = before
            ratio = earlier_stride / stride
            towards = (1 + 1 / (2 * ratio)) * guess - earlier_guess / (2 * ratio)
        latents = (following / sigma) * latents - torch.expm1(-stride) * towards
        before = (guess, stride)
    return latents
