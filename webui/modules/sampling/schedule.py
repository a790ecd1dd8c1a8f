"""Noise levels: the thousand a model was trained on, and the few that a picture walks down."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from scipy.special import betaincinv  # pyright: ignore[reportMissingTypeStubs] - scipy ships no types
from torch import Tensor

from webui.modules.sampling.catalogue import Sampler, find_scheduler
from webui.modules.types import SamplingPlan

LCM_STRIDE: Final = 20
"""Latent consistency models know every twentieth level (arXiv:2310.04378, section 4.3)."""


@dataclass(frozen=True, slots=True)
class NoiseLevels:
    """The trained noise levels of a model.

    Attributes:
        alphas_cumprod: ``[levels]``; the share of the picture's variance left, falling.
        sigmas: ``[levels]``; noise over picture in standard deviations, rising.
        stride: How many timesteps lie between two levels.
    """

    alphas_cumprod: Tensor
    sigmas: Tensor
    stride: int = 1

    @classmethod
    def of(cls, alphas_cumprod: Tensor, *, stride: int = 1) -> "NoiseLevels":
        """Return the levels of this schedule (arXiv:2206.00364, table 1, variance preserving).

        Args:
            alphas_cumprod: ``[timesteps]``, one for each trained timestep.
            stride: Keep every so-manieth, the last one included.
        """
        kept = alphas_cumprod[stride - 1 :: stride]
        return cls(kept, ((1 - kept) / kept) ** 0.5, stride)

    @property
    def lowest(self) -> float:
        """The smallest sigma."""
        return float(self.sigmas[0])

    @property
    def highest(self) -> float:
        """The largest sigma."""
        return float(self.sigmas[-1])

    def sigma(self, time: Tensor) -> Tensor:
        """Return the sigma at a timestep that may lie between two levels, evenly in its log."""
        logs = self.sigmas.log()
        place = ((time - (self.stride - 1)) / self.stride).clamp(0, len(logs) - 1)
        low, high, part = place.floor().long(), place.ceil().long(), place.frac()
        return ((1 - part) * logs[low] + part * logs[high]).exp()

    def time(self, sigma: Tensor, *, quantize: bool = False) -> Tensor:
        """Return the timestep at which noise has this sigma; of a whole level if quantized."""
        logs = self.sigmas.log()
        distances = sigma.log() - logs[:, None]
        if quantize or self.stride > 1:
            nearest = distances.abs().argmin(dim=0).view(sigma.shape)
            return nearest * self.stride + (self.stride - 1)
        low = distances.ge(0).cumsum(dim=0).argmax(dim=0).clamp(max=len(logs) - 2)
        part = ((logs[low] - sigma.log()) / (logs[low] - logs[low + 1])).clamp(0, 1)
        return ((1 - part) * low + part * (low + 1)).view(sigma.shape)


LAST_ALPHA: Final = 4.8973451890853435e-08
"""What stands for "no picture left", since sigma could not be infinite."""


def trained_alphas(alphas_cumprod: Tensor, plan: SamplingPlan) -> Tensor:
    """Return the trained levels as the plan wants them.

    Zero terminal SNR shifts and stretches the square roots (arXiv:2305.08891, algorithm 1).
    """
    alphas = alphas_cumprod.half().float() if plan.downcast_levels else alphas_cumprod
    if not plan.zero_terminal_snr:
        return alphas
    roots = alphas.sqrt()
    first, last = roots[0].clone(), roots[-1].clone()
    stretched = ((roots - last) * (first / (first - last))) ** 2
    stretched[-1] = LAST_ALPHA
    return stretched


@dataclass(frozen=True, kw_only=True, slots=True)
class _Span:
    """What a schedule needs to know."""

    steps: int
    low: float
    high: float
    levels: NoiseLevels
    rho: float
    plan: SamplingPlan


def sigmas_for(sampler: Sampler, plan: SamplingPlan, levels: NoiseLevels) -> Tensor:
    """Return the noise levels that a picture walks down.

    Returns:
        Float tensor of falling sigmas, as a rule ``[steps + 1]`` and the last one 0; the schedules
        "DDIM" and "KL Optimal" keep A1111's odd lengths and ends.
    """
    discard = sampler.discards_last or plan.discard_next_to_last_sigma
    scheduler = find_scheduler(plan.scheduler)
    span = _Span(
        steps=plan.steps + discard,
        low=plan.sigma_min or levels.lowest,
        high=plan.sigma_max or levels.highest,
        levels=levels,
        rho=(plan.rho if scheduler.default_rho > 0 else 0) or scheduler.default_rho,
        plan=plan,
    )
    sigmas = SCHEDULES[scheduler.name](span)
    return torch.cat([sigmas[:-2], sigmas[-1:]]) if discard else sigmas


def timesteps_for(steps: int) -> Tensor:
    """Return the rising timesteps of the DDIM family, 1 to at most 999, every ``1000 // steps``."""
    return torch.clip(torch.arange(0, 1000, max(1, 1000 // steps)) + 1, 0, 999)


def uniform(span: _Span) -> Tensor:
    """Even in time over all trained levels."""
    first = span.levels.stride - 1
    last = len(span.levels.sigmas) * span.levels.stride - 1
    return _ended(span.levels.sigma(torch.linspace(last, first, span.steps)))


def karras(span: _Span) -> Tensor:
    """Even in ``sigma ** (1 / rho)`` (arXiv:2206.00364, equation 5)."""
    ramp = torch.linspace(0, 1, span.steps)
    low, high = span.low ** (1 / span.rho), span.high ** (1 / span.rho)
    return _ended((high + ramp * (low - high)) ** span.rho)


def exponential(span: _Span) -> Tensor:
    """Even in the logarithm."""
    return _ended(torch.linspace(math.log(span.high), math.log(span.low), span.steps).exp())


def polyexponential(span: _Span) -> Tensor:
    """A power of an even ramp in the logarithm."""
    ramp = torch.linspace(1, 0, span.steps) ** span.rho
    return _ended((ramp * (math.log(span.high) - math.log(span.low)) + math.log(span.low)).exp())


def sgm_uniform(span: _Span) -> Tensor:
    """Even in time with the last step left out, as Stability's generative-models code does."""
    start, end = _times(span)
    return _ended(span.levels.sigma(torch.linspace(start, end, span.steps + 1)[:-1]))


def normal(span: _Span) -> Tensor:
    """Even in time between the two ends."""
    start, end = _times(span)
    return _ended(span.levels.sigma(torch.linspace(start, end, span.steps)))


def simple(span: _Span) -> Tensor:
    """Every so-manieth trained level, from the highest."""
    levels = span.levels.sigmas
    stride = len(levels) / span.steps
    return _ended(levels[[-(1 + int(place * stride)) for place in range(span.steps)]])


def ddim(span: _Span) -> Tensor:
    """Every so-manieth trained level, from the lowest; may be one longer than asked."""
    levels = span.levels.sigmas
    stride = max(len(levels) // span.steps, 1)
    return _ended(levels[1::stride].flip(0))


def kl_optimal(span: _Span) -> Tensor:
    """Even in the angle (arXiv:2404.14507, section 3); ends at the lowest level, not at 0."""
    ramp = torch.arange(span.steps + 1) / span.steps
    return torch.tan(ramp * math.atan(span.low) + (1 - ramp) * math.atan(span.high))


ALIGN_YOUR_STEPS: Final = (
    14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029,
)  # fmt: skip
"""Optimised for SD 1 (arXiv:2404.14507, table 2)."""


def align_your_steps(span: _Span) -> Tensor:
    """Eleven optimised levels, evenly filled up in the logarithm."""
    known = np.array(ALIGN_YOUR_STEPS)
    if span.steps != len(known):
        places = np.linspace(0, 1, span.steps)
        logs = np.interp(places, np.linspace(0, 1, len(known)), np.log(known[::-1]))
        known = np.exp(logs)[::-1].copy()
    return _ended(torch.tensor(known, dtype=torch.float32))


def beta(span: _Span) -> Tensor:
    """Quantiles of the beta distribution (arXiv:2407.12173)."""
    places = 1 - np.linspace(0, 1, span.steps)
    quantiles = betaincinv(span.plan.beta_alpha, span.plan.beta_beta, places)
    return _ended(torch.tensor(span.low + quantiles * (span.high - span.low), dtype=torch.float32))


SCHEDULES: Final[Mapping[str, Callable[[_Span], Tensor]]] = {
    "automatic": uniform,
    "uniform": uniform,
    "karras": karras,
    "exponential": exponential,
    "polyexponential": polyexponential,
    "sgm_uniform": sgm_uniform,
    "kl_optimal": kl_optimal,
    "align_your_steps": align_your_steps,
    "simple": simple,
    "normal": normal,
    "ddim": ddim,
    "beta": beta,
}
"""The rule behind each name of the catalogue."""


def _times(span: _Span) -> tuple[float, float]:
    ends = span.levels.time(torch.tensor([span.high, span.low]))
    return float(ends[0]), float(ends[1])


def _ended(sigmas: Tensor) -> Tensor:
    """Add the last level, no noise at all."""
    return torch.cat([sigmas, sigmas.new_zeros(1)])
