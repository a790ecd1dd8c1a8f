"""Samplers over noise levels, as pure functions; their formulas are those of k-diffusion.

Each takes a :class:`Walk` and returns the clean latent picture. ``d`` is the slope of the
probability-flow equation, ``(x - denoised) / sigma`` (arXiv:2206.00364, equation 1); ``t`` and
``h`` are times and steps in ``-log(sigma)`` (arXiv:2211.01095).
"""

import math
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Final

import numpy as np
import torch
from torch import Tensor

from webui.modules.sampling import dpm_solver, timesteps
from webui.modules.sampling.walk import Walk


def slope(noisy: Tensor, sigma: Tensor, denoised: Tensor) -> Tensor:
    """Return the direction in which the picture changes with sigma."""
    return (noisy - denoised) / sigma


def ancestral(sigma: Tensor, sigma_next: Tensor, eta: float) -> tuple[Tensor, Tensor]:
    """Split a step into one down to less noise than wanted, and fresh noise.

    Returns:
        The level to step down to, and the standard deviation of the noise to add.
    """
    if not eta:
        return sigma_next, torch.zeros_like(sigma_next)
    spread = (sigma_next**2 * (sigma**2 - sigma_next**2) / sigma**2) ** 0.5
    up = torch.minimum(sigma_next, eta * spread)
    return (sigma_next**2 - up**2) ** 0.5, up


def euler(walk: Walk) -> Tensor:
    """Follow the slope (arXiv:2206.00364, algorithm 2 without its second half)."""
    x = walk.noisy
    for number, (level, sigma_next) in enumerate(pairwise(walk.sigmas)):
        x, sigma = _churned(walk, x, level)
        denoised = walk.denoiser.denoised(x, sigma)
        walk.observe(number, denoised)
        x = x + slope(x, sigma, denoised) * (sigma_next - sigma)
    return x


def heun(walk: Walk) -> Tensor:
    """Follow the mean of the slopes at both ends of the step (arXiv:2206.00364, algorithm 2)."""
    x = walk.noisy
    for number, (level, sigma_next) in enumerate(pairwise(walk.sigmas)):
        x, sigma = _churned(walk, x, level)
        x = _heun_step(walk, x, (sigma, sigma_next), number)
    return x


def _heun_step(walk: Walk, x: Tensor, ends: tuple[Tensor, Tensor], number: int) -> Tensor:
    sigma, sigma_next = ends
    denoised = walk.denoiser.denoised(x, sigma)
    walk.observe(number, denoised)
    d = slope(x, sigma, denoised)
    if sigma_next == 0:
        return x + d * (sigma_next - sigma)
    tried = x + d * (sigma_next - sigma)
    d_next = slope(tried, sigma_next, walk.denoiser.denoised(tried, sigma_next))
    return x + (d + d_next) / 2 * (sigma_next - sigma)


def dpm_2(walk: Walk) -> Tensor:
    """Follow the slope at the logarithmic middle of the step."""
    x = walk.noisy
    for number, (level, sigma_next) in enumerate(pairwise(walk.sigmas)):
        x, sigma = _churned(walk, x, level)
        denoised = walk.denoiser.denoised(x, sigma)
        walk.observe(number, denoised)
        x = x + _middle_slope(walk, x, (sigma, sigma_next), denoised) * (sigma_next - sigma)
    return x


def dpm_2_ancestral(walk: Walk) -> Tensor:
    """The same, stepping below and adding fresh noise."""
    x = walk.noisy
    for number, (sigma, sigma_next) in enumerate(pairwise(walk.sigmas)):
        denoised = walk.denoiser.denoised(x, sigma)
        walk.observe(number, denoised)
        down, up = ancestral(sigma, sigma_next, walk.plan.eta)
        if down == 0:
            x = x + slope(x, sigma, denoised) * (down - sigma)
        else:
            x = x + _middle_slope(walk, x, (sigma, down), denoised) * (down - sigma)
            x = x + walk.noise() * walk.plan.s_noise * up
    return x


def _middle_slope(walk: Walk, x: Tensor, ends: tuple[Tensor, Tensor], denoised: Tensor) -> Tensor:
    sigma, sigma_next = ends
    d = slope(x, sigma, denoised)
    if sigma_next == 0:
        return d
    middle = sigma.log().lerp(sigma_next.log(), 0.5).exp()
    halfway = x + d * (middle - sigma)
    return slope(halfway, middle, walk.denoiser.denoised(halfway, middle))


def euler_ancestral(walk: Walk) -> Tensor:
    """Step below with Euler and add fresh noise; ``s_noise`` has no say here, as in A1111."""
    x = walk.noisy
    for number, (sigma, sigma_next) in enumerate(pairwise(walk.sigmas)):
        denoised = walk.denoiser.denoised(x, sigma)
        walk.observe(number, denoised)
        down, up = ancestral(sigma, sigma_next, walk.plan.eta)
        x = x + slope(x, sigma, denoised) * (down - sigma)
        if sigma_next > 0:
            x = x + walk.noise() * up
    return x


LMS_ORDER: Final = 4


def lms(walk: Walk) -> Tensor:
    """Follow the polynomial through the last four slopes (Adams and Bashforth)."""
    x, slopes = walk.noisy, list[Tensor]()
    levels = walk.sigmas.double().cpu().numpy()
    for number, sigma in enumerate(walk.sigmas[:-1]):
        denoised = walk.denoiser.denoised(x, sigma)
        walk.observe(number, denoised)
        slopes = [slope(x, sigma, denoised), *slopes][:LMS_ORDER]
        shares = _adams(levels, number, len(slopes))
        x = x + sum(share * d for share, d in zip(shares, slopes, strict=True))
    return x


def _adams(levels: np.ndarray, place: int, order: int) -> list[float]:
    """Integrate over the next step each Lagrange polynomial through the last levels."""
    shares: list[float] = []
    for this in range(order):
        others = [levels[place - other] for other in range(order) if other != this]
        basis = (
            np.polynomial.Polynomial.fromroots(others)
            if others
            else np.polynomial.Polynomial([1.0])
        )
        scale = math.prod(levels[place - this] - other for other in others)
        whole = basis.integ()
        shares.append(float((whole(levels[place + 1]) - whole(levels[place])) / scale))
    return shares


def dpmpp_2s_ancestral(walk: Walk) -> Tensor:
    """Single-step second order on the data prediction, with fresh noise."""
    x = walk.noisy
    for number, (sigma, sigma_next) in enumerate(pairwise(walk.sigmas)):
        denoised = walk.denoiser.denoised(x, sigma)
        walk.observe(number, denoised)
        down, up = ancestral(sigma, sigma_next, walk.plan.eta)
        if down == 0:
            x = x + slope(x, sigma, denoised) * (down - sigma)
        else:
            t, t_next = -sigma.log(), -down.log()
            h = t_next - t
            middle = (-(t + 0.5 * h)).exp()
            halfway = (middle / sigma) * x - (-h * 0.5).expm1() * denoised
            guess = walk.denoiser.denoised(halfway, middle)
            x = (down / sigma) * x - (-h).expm1() * guess
        if sigma_next > 0:
            x = x + walk.noise() * walk.plan.s_noise * up
    return x


def dpmpp_sde(walk: Walk) -> Tensor:
    """Two ancestral sub-steps with Brownian noise; the second corrects the first."""
    x, plan = walk.noisy, walk.plan
    for number, (sigma, sigma_next) in enumerate(pairwise(walk.sigmas)):
        denoised = walk.denoiser.denoised(x, sigma)
        walk.observe(number, denoised)
        if sigma_next == 0:
            x = x + slope(x, sigma, denoised) * (sigma_next - sigma)
            continue
        t, t_next = -sigma.log(), -sigma_next.log()
        middle = (-(t + (t_next - t) * 0.5)).exp()
        down, up = ancestral((-t).exp(), middle, plan.eta)
        halfway = (down / sigma) * x - (t - -down.log()).expm1() * denoised
        halfway = halfway + walk.brownian(sigma, middle) * plan.s_noise * up
        guess = walk.denoiser.denoised(halfway, middle)
        down, up = ancestral((-t).exp(), (-t_next).exp(), plan.eta)
        x = (down / sigma) * x - (t - -down.log()).expm1() * guess
        x = x + walk.brownian(sigma, sigma_next) * plan.s_noise * up
    return x


def dpmpp_2m(walk: Walk) -> Tensor:
    """Multistep second order on the data prediction (arXiv:2211.01095, algorithm 2)."""
    x, before, h_before = walk.noisy, None, torch.tensor(0.0)
    for number, (sigma, sigma_next) in enumerate(pairwise(walk.sigmas)):
        denoised = walk.denoiser.denoised(x, sigma)
        walk.observe(number, denoised)
        h = sigma.log() - sigma_next.log()
        guess = denoised
        if before is not None and sigma_next > 0:
            ratio = h_before / h
            guess = (1 + 1 / (2 * ratio)) * denoised - (1 / (2 * ratio)) * before
        x = (sigma_next / sigma) * x - (-h).expm1() * guess
        before, h_before = denoised, h
    return x


def dpmpp_2m_sde(walk: Walk) -> Tensor:
    """The same for the stochastic equation, with Brownian noise; midpoint correction."""
    return _dpmpp_2m_sde(walk, lambda h: 0.5 * -(-h).expm1())


def dpmpp_2m_sde_heun(walk: Walk) -> Tensor:
    """The same with Heun's correction."""
    return _dpmpp_2m_sde(walk, lambda h: -(-h).expm1() / -h + 1)


def _dpmpp_2m_sde(walk: Walk, share: Callable[[Tensor], Tensor]) -> Tensor:
    x, before, h_before = walk.noisy, None, torch.tensor(0.0)
    for number, (sigma, sigma_next) in enumerate(pairwise(walk.sigmas)):
        denoised = walk.denoiser.denoised(x, sigma)
        walk.observe(number, denoised)
        if sigma_next == 0:
            return denoised
        h = sigma.log() - sigma_next.log()
        noisy_h = walk.plan.eta * h
        x = sigma_next / sigma * (-noisy_h).exp() * x + -(-h - noisy_h).expm1() * denoised
        if before is not None:
            x = x + share(h + noisy_h) * (h / h_before) * (denoised - before)
        x = x + _sde_noise(walk, (sigma, sigma_next), noisy_h)
        before, h_before = denoised, h
    return x


def dpmpp_3m_sde(walk: Walk) -> Tensor:
    """Multistep third order for the stochastic equation, with Brownian noise."""
    x = walk.noisy
    guesses, widths = list[Tensor](), list[Tensor]()
    for number, (sigma, sigma_next) in enumerate(pairwise(walk.sigmas)):
        denoised = walk.denoiser.denoised(x, sigma)
        walk.observe(number, denoised)
        if sigma_next == 0:
            return denoised
        h = sigma.log() - sigma_next.log()
        whole = h * (walk.plan.eta + 1)
        x = (-whole).exp() * x + -(-whole).expm1() * denoised
        x = x + _third_order(denoised, guesses, [width / h for width in widths], whole)
        x = x + _sde_noise(walk, (sigma, sigma_next), h * walk.plan.eta)
        guesses, widths = [denoised, *guesses][:2], [h, *widths][:2]
    return x


def _third_order(
    denoised: Tensor, guesses: list[Tensor], ratios: list[Tensor], h: Tensor
) -> Tensor | float:
    """Return the corrections from one or two earlier guesses."""
    if not guesses:
        return 0.0
    second = (-h).expm1() / h + 1
    first_slope = (denoised - guesses[0]) / ratios[0]
    if len(guesses) == 1:
        return second * first_slope
    near, far = ratios
    older_slope = (guesses[0] - guesses[1]) / far
    bend = (first_slope - older_slope) / (near + far)
    return (
        second * (first_slope + (first_slope - older_slope) * near / (near + far))
        - (second / h - 0.5) * bend
    )


def _sde_noise(walk: Walk, ends: tuple[Tensor, Tensor], noisy_h: Tensor) -> Tensor | float:
    if not walk.plan.eta:
        return 0.0
    strength = ends[1] * (-(-2 * noisy_h).expm1()).sqrt() * walk.plan.s_noise
    return walk.brownian(*ends) * strength


def lcm(walk: Walk) -> Tensor:
    """Jump to the guess and put the next level's noise on it (arXiv:2310.04378, algorithm 3)."""
    x = walk.noisy
    for number, (sigma, sigma_next) in enumerate(pairwise(walk.sigmas)):
        x = walk.denoiser.denoised(x, sigma)
        walk.observe(number, x)
        if sigma_next > 0:
            x = x + sigma_next * walk.noise()
    return x


def restart(walk: Walk) -> Tensor:
    """Heun's steps, going back once or twice from sigma 0.1 to 2 (arXiv:2306.14878)."""
    x, last = walk.noisy, None
    for number, (sigma, sigma_next) in enumerate(_restart_steps(walk.sigmas)):
        if last is not None and last < sigma:
            x = x + walk.noise() * walk.plan.s_noise * (sigma**2 - last**2) ** 0.5
        x = _heun_step(walk, x, (sigma, sigma_next), number)
        last = sigma_next
    return x


_FEW_STEPS: Final = 20
_MANY_STEPS: Final = 36


def _restart_steps(sigmas: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Return the steps down and, from 20 steps on, the ways back up."""
    steps = len(sigmas) - 1
    if steps < _FEW_STEPS:
        return list(pairwise(sigmas))
    back, times = (steps // 4, 2) if steps >= _MANY_STEPS else (9, 1)
    lowest, highest = sigmas[-2], sigmas[0]
    sigmas = torch.cat([_karras(steps - back * times, lowest, highest), sigmas.new_zeros(1)])
    low = int((sigmas - 0.1).abs().argmin())
    high = int((sigmas - 2.0).abs().argmin())
    walk = list(pairwise(sigmas))
    if high >= low:
        return walk
    again = list(pairwise(_karras(back + 1, sigmas[low], sigmas[high])))
    return walk[:low] + again * times + walk[low:]


def _karras(steps: int, low: Tensor, high: Tensor) -> Tensor:
    ramp = torch.linspace(0, 1, steps)
    least, most = low.item() ** (1 / 7), high.item() ** (1 / 7)
    return (most + ramp * (least - most)) ** 7


def _churned(walk: Walk, x: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
    """Add a little noise before the step, as far as the options ask (same paper, lines 4 to 6).

    Noise is drawn at every level, also where none is added, as k-diffusion does.
    """
    plan = walk.plan
    if not plan.s_churn:
        return x, sigma
    noise = walk.noise()
    if not plan.s_tmin <= sigma <= plan.s_tmax:
        return x, sigma
    raised = sigma * (1 + min(plan.s_churn / (len(walk.sigmas) - 1), 2**0.5 - 1))
    return x + noise * plan.s_noise * (raised**2 - sigma**2) ** 0.5, raised


SAMPLER_FUNCTIONS: Final[Mapping[str, Callable[[Walk], Tensor]]] = {
    "euler": euler,
    "euler_ancestral": euler_ancestral,
    "heun": heun,
    "lms": lms,
    "dpm_2": dpm_2,
    "dpm_2_ancestral": dpm_2_ancestral,
    "dpmpp_2s_ancestral": dpmpp_2s_ancestral,
    "dpmpp_sde": dpmpp_sde,
    "dpmpp_2m": dpmpp_2m,
    "dpmpp_2m_sde": dpmpp_2m_sde,
    "dpmpp_2m_sde_heun": dpmpp_2m_sde_heun,
    "dpmpp_3m_sde": dpmpp_3m_sde,
    "lcm": lcm,
    "restart": restart,
    "dpm_fast": dpm_solver.fast,
    "dpm_adaptive": dpm_solver.adaptive,
    "ddim": timesteps.ddim,
    "ddim_cfgpp": timesteps.ddim_cfgpp,
    "plms": timesteps.plms,
    "unipc": timesteps.unipc,
}
"""The rule behind each name of the catalogue."""
