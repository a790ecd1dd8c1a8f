"""DPM-Solver on the noise prediction (arXiv:2206.00927), in fixed or in adaptive steps.

``t`` is ``-log(sigma)``, so that a picture walks from small t to large.
"""

import math
from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor

from webui.modules.sampling.walk import Walk

RELATIVE: Final = 0.05
ABSOLUTE: Final = 0.0078
FIRST_STEP: Final = 0.05
ACCEPTED: Final = 0.81
"""How exact the adaptive walk is, how it begins, and which step it takes."""


def fast(walk: Walk) -> Tensor:
    """Spend about ``steps`` calls of the network on steps of third order and a rest."""
    x, plan = walk.noisy, walk.plan
    start, end = _ends(walk)
    calls = len(walk.sigmas) - 1 if walk.partial else plan.steps
    count = calls // 3 + 1
    orders = [3] * (count - 2) + [2, 1] if calls % 3 == 0 else [3] * (count - 1) + [calls % 3]
    times = torch.linspace(float(start), float(end), count + 1)
    for number, order in enumerate(orders):
        t, t_next = times[number], times[number + 1]
        down, up = _ancestral(walk, (t, t_next), end)
        ask = _Slope(walk)
        walk.observe(number, x - _sigma(t) * ask(x, t))
        x = _STEPS[order](ask, x, t, down)
        x = x + up * plan.s_noise * walk.noise()
    return x


def adaptive(walk: Walk) -> Tensor:
    """Take steps as long as two orders agree well enough (same paper, appendix C)."""
    x, plan = walk.noisy, walk.plan
    start, end = _ends(walk)
    before, t = x, start
    width, order, number = FIRST_STEP, 1.5 if plan.eta else 3, 0
    while t < end - 1e-5:
        t_next = torch.minimum(end, t + width)
        down, up = _ancestral(walk, (t, t_next), end)
        ask = _Slope(walk)
        walk.observe(number, x - _sigma(t) * ask(x, t))
        low = second(ask, x, t, down, part=1 / 3)
        high = third(ask, x, t, down)
        allowed = (RELATIVE * torch.maximum(low.abs(), before.abs())).clamp(min=ABSOLUTE)
        error = float((((low - high) / allowed) ** 2).mean().sqrt())
        factor = 1 + math.atan((1 / (error + 1e-8)) ** (1 / order) - 1)
        if factor >= ACCEPTED:
            before, t = low, t_next
            x = high + up * plan.s_noise * walk.noise()
        width *= factor
        number += 1
    return x


class _Slope:
    """The noise prediction, each point asked once per step."""

    def __init__(self, walk: Walk) -> None:
        self._walk = walk
        self._known: dict[float, Tensor] = {}

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        """Return the noise in x at time t."""
        key = float(t)
        if key not in self._known:
            sigma = _sigma(t)
            self._known[key] = (x - self._walk.denoiser.denoised(x, sigma)) / sigma
        return self._known[key]


def first(ask: _Slope, x: Tensor, t: Tensor, t_next: Tensor) -> Tensor:
    """Take a step of first order."""
    return x - _sigma(t_next) * (t_next - t).expm1() * ask(x, t)


def second(ask: _Slope, x: Tensor, t: Tensor, t_next: Tensor, *, part: float = 0.5) -> Tensor:
    """Take a step of second order through a point at this part of the way."""
    h = t_next - t
    noise = ask(x, t)
    middle = t + part * h
    bent = ask(x - _sigma(middle) * (part * h).expm1() * noise, middle) - noise
    straight = x - _sigma(t_next) * h.expm1() * noise
    return straight - _sigma(t_next) / (2 * part) * h.expm1() * bent


def third(ask: _Slope, x: Tensor, t: Tensor, t_next: Tensor) -> Tensor:
    """Take a step of third order through points at one and two thirds of the way."""
    h = t_next - t
    noise = ask(x, t)
    near, far = t + h / 3, t + h * 2 / 3
    bent = ask(x - _sigma(near) * (h / 3).expm1() * noise, near) - noise
    part = h * 2 / 3
    between = x - _sigma(far) * part.expm1() * noise
    between = between - _sigma(far) * 2 * (part.expm1() / part - 1) * bent
    turned = ask(between, far) - noise
    straight = x - _sigma(t_next) * h.expm1() * noise
    return straight - _sigma(t_next) / (2 / 3) * (h.expm1() / h - 1) * turned


_STEPS: Final[dict[int, Callable[[_Slope, Tensor, Tensor, Tensor], Tensor]]] = {
    1: first,
    2: second,
    3: third,
}


def _ends(walk: Walk) -> tuple[Tensor, Tensor]:
    """Return the first and last time; a whole walk covers all trained levels."""
    if not walk.partial:
        return -walk.levels.sigmas[-1].log(), -walk.levels.sigmas[0].log()
    return -walk.sigmas[0].log(), -walk.sigmas[-2].log()


def _sigma(t: Tensor) -> Tensor:
    return (-t).exp()


def _ancestral(
    walk: Walk, ends: tuple[Tensor, Tensor], last: Tensor
) -> tuple[Tensor, Tensor | float]:
    """Return the time to step to and the noise to add, so that the level is as wanted."""
    t, t_next = ends
    if not walk.plan.eta:
        return t_next, 0.0
    sigma, sigma_next = _sigma(t), _sigma(t_next)
    spread = (sigma_next**2 * (sigma**2 - sigma_next**2) / sigma**2) ** 0.5
    up = torch.minimum(sigma_next, walk.plan.eta * spread)
    down = torch.minimum(last, -((sigma_next**2 - up**2) ** 0.5).log())
    return down, (sigma_next**2 - _sigma(down) ** 2) ** 0.5
