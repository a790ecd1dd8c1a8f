"""Samplers over whole timesteps: DDIM and its kin, PLMS and UniPC, in variance-preserving latents.

``alpha`` is the share of the picture's variance (the papers' bar-alpha). The walk starts from plain
noise. As in A1111, DDIM and PLMS take one step fewer than there are timesteps.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import torch
from torch import Tensor

from webui.modules.errors import RangeError
from webui.modules.sampling.walk import Walk


@dataclass(frozen=True, slots=True)
class _Level:
    """One step: its timestep, and the alphas before and after it."""

    time: Tensor
    alpha: Tensor
    alpha_next: Tensor

    def noise(self, eta: float) -> Tensor:
        """Return the standard deviation of fresh noise (arXiv:2010.02502, equation 16)."""
        ratio = (1 - self.alpha_next) / (1 - self.alpha)
        return eta * (ratio * (1 - self.alpha / self.alpha_next)).sqrt()


def _levels(walk: Walk) -> list[_Level]:
    """Return the steps from the noisiest down; the first timestep is only stepped to."""
    alphas = walk.levels.alphas_cumprod.double()
    times = walk.timesteps
    return [
        _Level(times[place], alphas[times[place]], alphas[times[place - 1]])
        for place in range(len(times) - 1, 0, -1)
    ]


def _guess(x: Tensor, noise: Tensor, alpha: Tensor) -> Tensor:
    return (x - (1 - alpha).sqrt() * noise) / alpha.sqrt()


def ddim(walk: Walk) -> Tensor:
    """Step along the guess (arXiv:2010.02502, equation 12)."""
    return _ddim(walk, lambda noise: noise)


def ddim_cfgpp(walk: Walk) -> Tensor:
    """The same, going on with the negative prompt's noise (arXiv:2406.08070, algorithm 2)."""
    return _ddim(walk, lambda _: walk.denoiser.unguided)


def _ddim(walk: Walk, onward: Callable[[Tensor], Tensor]) -> Tensor:
    x = walk.noisy
    for number, level in enumerate(_levels(walk)):
        noise = walk.denoiser.epsilon(x, level.time)
        guess = _guess(x, noise, level.alpha.to(x.dtype))
        walk.observe(number, guess)
        fresh = level.noise(walk.plan.eta_ddim).to(x.dtype)
        direction = (1 - level.alpha_next - fresh**2).sqrt().to(x.dtype) * onward(noise)
        x = level.alpha_next.sqrt().to(x.dtype) * guess + direction + fresh * walk.noise()
    return x


_BASHFORTH: Final = ((1.0,), (3 / 2, -1 / 2), (23 / 12, -16 / 12, 5 / 12),
                     (55 / 24, -59 / 24, 37 / 24, -9 / 24))  # fmt: skip


def plms(walk: Walk) -> Tensor:
    """Step along a polynomial through the last noises (arXiv:2202.09778, algorithm 2)."""
    x, known, levels = walk.noisy, list[Tensor](), _levels(walk)
    for number, level in enumerate(levels):
        noise = walk.denoiser.epsilon(x, level.time)
        walk.observe(number, _guess(x, noise, level.alpha.to(x.dtype)))
        known = [noise, *known][:4]
        if number == 0:
            tried = _plms_step(x, noise, level)
            after = levels[min(1, len(levels) - 1)].time if len(levels) > 1 else walk.timesteps[0]
            onward = (noise + walk.denoiser.epsilon(tried, after)) / 2
        else:
            shares = _BASHFORTH[len(known) - 1]
            onward = torch.stack(
                [share * one for share, one in zip(shares, known, strict=True)]
            ).sum(0)
        x = _plms_step(x, onward, level)
    return x


def _plms_step(x: Tensor, noise: Tensor, level: _Level) -> Tensor:
    guess = _guess(x, noise, level.alpha.to(x.dtype))
    alpha = level.alpha_next.to(x.dtype)
    return alpha.sqrt() * guess + (1 - alpha).sqrt() * noise


# UniPC -------------------------------------------------------------------------------------------


def unipc(walk: Walk) -> Tensor:
    """Predict and correct with one polynomial (arXiv:2302.04867, algorithm 5 on data prediction).

    Raises:
        RangeError: If there are fewer steps than the order.
    """
    plan, steps = walk.plan, len(walk.timesteps)
    if steps < plan.unipc_order:
        message = f"UniPC of order {plan.unipc_order} cannot walk in {steps} steps"
        raise RangeError(message, hint="Use more steps or a lower order.", value=steps)
    solver = _UniPC(walk)
    times = _unipc_times(walk)
    x = walk.noisy
    solver.remember(solver.guess(x, times[0]), times[0])
    for step in range(1, steps + 1):
        order = min(step, plan.unipc_order)
        if plan.unipc_lower_order_final and step >= plan.unipc_order:
            order = min(order, steps + 1 - step)
        x, guess = solver.step(x, times[step], order=order, correct=step != steps)
        if guess is not None:
            solver.remember(guess, times[step])
    return x


def _unipc_times(walk: Walk) -> list[float]:
    """Return one more time than steps, from 1 down to 1/1000."""
    steps, kind = len(walk.timesteps), walk.plan.unipc_skip_type
    start = float(walk.timesteps[-1] + 1) / 1000 if walk.partial else 1.0
    end = 1 / 1000
    if kind == "time_quadratic":
        roots = torch.linspace(start**0.5, end**0.5, steps + 1, dtype=torch.float64)
        return [float(root) ** 2 for root in roots]
    if kind == "logSNR":
        schedule = _Continuous.of(walk.levels.alphas_cumprod)
        ratios = torch.linspace(
            schedule.ratio(start), schedule.ratio(end), steps + 1, dtype=torch.float64
        )
        return [schedule.time(float(ratio)) for ratio in ratios]
    return [float(time) for time in torch.linspace(start, end, steps + 1, dtype=torch.float64)]


@dataclass(frozen=True, slots=True)
class _Continuous:
    """The trained levels as functions of a time between 0 and 1."""

    times: np.ndarray
    logs: np.ndarray

    @classmethod
    def of(cls, alphas_cumprod: Tensor) -> "_Continuous":
        logs = 0.5 * np.log(alphas_cumprod.double().cpu().numpy())
        return cls(np.linspace(0, 1, len(logs) + 1)[1:], logs)

    def log_alpha(self, time: float) -> float:
        """Return the logarithm of the picture's share."""
        return float(np.interp(time, self.times, self.logs))

    def alpha(self, time: float) -> float:
        """Return the picture's share."""
        return float(np.exp(self.log_alpha(time)))

    def sigma(self, time: float) -> float:
        """Return the noise's share."""
        return float(np.sqrt(1 - np.exp(2 * self.log_alpha(time))))

    def ratio(self, time: float) -> float:
        """Return the logarithm of picture over noise."""
        return self.log_alpha(time) - float(np.log(self.sigma(time)))

    def time(self, ratio: float) -> float:
        """Return the time of this ratio."""
        log_alpha = -0.5 * math.log1p(math.exp(-2.0 * ratio))
        return float(np.interp(log_alpha, self.logs[::-1], self.times[::-1]))


@dataclass(slots=True)
class _UniPC:
    """The last guesses, and one step from them."""

    walk: Walk
    guesses: list[Tensor] = field(default_factory=list[Tensor])
    times: list[float] = field(default_factory=list[float])
    asked: int = 0

    @property
    def schedule(self) -> _Continuous:
        return _Continuous.of(self.walk.levels.alphas_cumprod)

    def guess(self, x: Tensor, time: float) -> Tensor:
        """Ask the network for the clean picture."""
        noise = self.walk.denoiser.epsilon(x, torch.tensor((time - 1 / 1000) * 1000))
        schedule = self.schedule
        guess = (x - schedule.sigma(time) * noise) / schedule.alpha(time)
        self.walk.observe(self.asked, guess)
        self.asked += 1
        return guess

    def remember(self, guess: Tensor, time: float) -> None:
        """Keep the newest guess first, as many as the order needs."""
        self.guesses = [guess, *self.guesses][: self.walk.plan.unipc_order]
        self.times = [time, *self.times][: self.walk.plan.unipc_order]

    def step(
        self, x: Tensor, time: float, *, order: int, correct: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Return the picture at ``time``, and the guess there if it was asked for to correct."""
        schedule = self.schedule
        now = schedule.ratio(self.times[0])
        h = schedule.ratio(time) - now
        ratios = [(schedule.ratio(self.times[place]) - now) / h for place in range(1, order)]
        slopes = [
            (self.guesses[place + 1] - self.guesses[0]) / ratio
            for place, ratio in enumerate(ratios)
        ]
        grow = float(np.expm1(-h))
        alpha = schedule.alpha(time)
        straight = schedule.sigma(time) / schedule.sigma(self.times[0]) * x
        straight = straight - alpha * grow * self.guesses[0]
        weights = _Weights(np.array([*ratios, 1.0]), -h, self.walk.plan.unipc_variant)
        x = straight - alpha * _mixed(weights.predict(), slopes)
        if not correct:
            return x, None
        guess = self.guess(x, time)
        bent = [*slopes, guess - self.guesses[0]]
        return straight - alpha * _mixed(weights.correct(), bent), guess


def _mixed(weights: list[float], slopes: list[Tensor]) -> Tensor | float:
    return sum((weight * one for weight, one in zip(weights, slopes, strict=True)), start=0.0)


@dataclass(frozen=True, slots=True)
class _Weights:
    """What each slope counts; ``h`` is negative, as in the paper's data prediction."""

    ratios: np.ndarray
    h: float
    variant: str

    def predict(self) -> list[float]:
        """Return the weights of the known slopes."""
        known = len(self.ratios) - 1
        if not known:
            return []
        if self.variant == "vary_coeff":
            rows = _inverse(self.ratios[:-1])
            return list(np.array(self._phis(known)) @ rows)
        if known == 1:
            return [0.5 * self._scale]
        return list(
            self._scale * np.linalg.solve(self._powers[:known, :known], self._moments[:known])
        )

    def correct(self) -> list[float]:
        """Return the weights of the known slopes and of the one at the end of the step."""
        count = len(self.ratios)
        if self.variant == "vary_coeff":
            return self._correct_varying(count)
        if count == 1:
            return [0.5 * self._scale]
        return list(self._scale * np.linalg.solve(self._powers, self._moments))

    def _correct_varying(self, count: int) -> list[float]:
        """Weigh the last slope with the row before its own, as the reference code does."""
        rows, phis = _inverse(self.ratios), np.array(self._phis(count))
        known = phis[: count - 1] @ rows[: count - 1, :-1]
        return [*known, phis[-1] * rows[max(0, count - 2), -1]]

    def _phis(self, count: int) -> list[float]:
        """Return phi_2 h, phi_3 h, ... of the exponential integrator."""
        phi, factorial, phis = float(np.expm1(self.h)), 1, list[float]()
        for power in range(1, count + 1):
            phi = phi / self.h - 1 / factorial
            factorial *= power + 1
            phis.append(phi)
        return phis

    @property
    def _scale(self) -> float:
        return self.h if self.variant == "bh1" else float(np.expm1(self.h))

    @property
    def _powers(self) -> np.ndarray:
        return np.stack([self.ratios**power for power in range(len(self.ratios))])

    @property
    def _moments(self) -> np.ndarray:
        phis = self._phis(len(self.ratios))
        factors = np.cumprod(range(1, len(phis) + 1))
        return np.array(phis) * factors / self._scale


def _inverse(ratios: np.ndarray) -> np.ndarray:
    """Invert the matrix of powers over factorials, one row for each slope."""
    count = len(ratios)
    factorials = np.cumprod(range(1, count + 1))
    return np.linalg.inv(np.stack([ratios**power / factorials[power] for power in range(count)], 1))
