"""Noise levels: how much noise, what the network should answer, and how much each level counts."""

from dataclasses import dataclass

import torch
from torch import Tensor

from webui.modules.errors import UnsupportedError
from webui.modules.training.chance import Chance
from webui.modules.training.plan import NoisePlan
from webui.modules.weights.architecture import Prediction


@dataclass(frozen=True, kw_only=True, slots=True)
class Levels:
    """The noise levels of a training.

    Attributes:
        kept: Share of the picture's energy that is left at each level, ``[1000]``.
        prediction: What the network answers: the noise, or the velocity.
        weights: How much each level counts, ``[1000]``.
    """

    kept: Tensor
    prediction: Prediction
    weights: Tensor

    def noised(self, clean: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        """Return latents with noise (Ho et al. 2020, arXiv:2006.11239, equation 4).

        Args:
            clean: ``[batch, 4, height, width]``.
            noise: The same.
            times: ``[batch]``, levels.
        """
        signal, blur = self._shares(times)
        return signal * clean + blur * noise

    def truth(self, clean: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        """Return what the network should answer, shaped like ``clean``.

        The velocity is that of Salimans & Ho 2022, arXiv:2202.00512, appendix D.
        """
        if self.prediction == "epsilon":
            return noise
        signal, blur = self._shares(times)
        return signal * noise - blur * clean

    def _shares(self, times: Tensor) -> tuple[Tensor, Tensor]:
        kept = self.kept[times][:, None, None, None]
        return kept.sqrt(), (1 - kept).sqrt()


def levels(kept: Tensor, prediction: Prediction, plan: NoisePlan) -> Levels:
    """Return the levels of a checkpoint under a plan.

    Raises:
        UnsupportedError: If the plan wants a last level without signal and the network predicts
            noise, which says nothing of the picture there.
    """
    kept = kept.double().cpu()
    if plan.zero_terminal:
        if prediction == "epsilon":
            message = "zero terminal SNR needs a checkpoint that predicts velocity"
            raise UnsupportedError(message, hint="Switch it off, or choose a v-prediction model.")
        kept = zero_terminal(kept)
    return Levels(
        kept=kept.float(),
        prediction=prediction,
        weights=snr_weights(kept, prediction, plan.min_snr),
    )


def zero_terminal(kept: Tensor) -> Tensor:
    """Return the schedule shifted and scaled so that its last level is pure noise.

    Lin et al. 2023, arXiv:2305.08891, algorithm 1, on ``sqrt(alphas_cumprod)``.
    """
    roots = kept.sqrt()
    return ((roots - roots[-1]) * roots[0] / (roots[0] - roots[-1])) ** 2


def snr_weights(kept: Tensor, prediction: Prediction, limit: float) -> Tensor:
    """Return how much each level counts (Hang et al. 2023, arXiv:2303.09556, section 3.4).

    Args:
        kept: Share of the picture's energy at each level.
        prediction: What the network answers.
        limit: The paper's gamma; 0 counts all levels alike.
    """
    if limit == 0:
        return torch.ones_like(kept, dtype=torch.float32)
    snr = kept / (1 - kept)
    wanted = snr.clamp(max=limit)
    return (wanted / (snr + 1 if prediction == "v" else snr)).float()


def draw_noise(like: Tensor, plan: NoisePlan, by: Chance) -> Tensor:
    """Return one picture's noise.

    Args:
        like: ``[4, height, width]``, float32 on the CPU.
        plan: Whether it is shifted by channel or has coarser layers.
        by: Where it comes from.
    """
    noise = torch.randn(like.shape, generator=by.noise)
    if plan.offset:
        noise = noise + plan.offset * torch.randn(len(like), 1, 1, generator=by.noise)
    if plan.pyramid:
        noise = _with_coarser_layers(noise, plan, by)
    return noise


def _with_coarser_layers(noise: Tensor, plan: NoisePlan, by: Chance) -> Tensor:
    """Add noise of half, a quarter ... of the size, enlarged, then bring it back to variance 1."""
    height, width = noise.shape[1:]
    for layer in range(1, plan.pyramid + 1):
        size = (max(1, height >> layer), max(1, width >> layer))
        coarse = torch.randn(1, len(noise), *size, generator=by.noise)
        large = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
        noise = noise + plan.pyramid_discount**layer * large[0]
        if size == (1, 1):
            break
    return noise / noise.std()


def draw_time(plan: NoisePlan, by: Chance) -> int:
    """Return a noise level of the plan's range, each as likely as any other."""
    return int(torch.randint(plan.first, plan.last + 1, (), generator=by.noise))
