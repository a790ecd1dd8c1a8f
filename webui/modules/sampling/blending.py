"""The part of a picture that stays while the rest is drawn: masks in latent space."""

from dataclasses import dataclass

import torch
from torch import Tensor

from webui.modules.types import SoftInpainting

_TINY = 0.00001
"""Keeps a division from one by nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """What of a picture is kept.

    Attributes:
        original: The picture, ``[batch, 4, height, width]``, without noise.
        change: How much each cell may change, ``[batch, 1, height, width]`` of 0 to 1.
        soft: Let the original give way step by step; None keeps it as the mask says throughout.
    """

    original: Tensor
    change: Tensor
    soft: SoftInpainting | None = None

    def blended(self, latents: Tensor, level: Tensor) -> Tensor:
        """Return latents of a step with the original where it is kept.

        Args:
            latents: ``[batch, 4, height, width]``.
            level: The step's noise level, or its timestep for samplers over timesteps.
        """
        if self.soft is None:
            return latents * self.change + self.original * (1 - self.change)
        power = level.to(latents.device) ** self.soft.schedule_bias * self.soft.preservation
        return mixed(self.original, latents, self.change**power, self.soft.contrast_boost)

    def finished(self, latents: Tensor) -> Tensor:
        """Return the latents at the end of the walk; soft inpainting blends pixels instead."""
        return latents if self.soft else self.blended(latents, latents.new_zeros(1))


def mixed(low: Tensor, high: Tensor, share: Tensor, boost: float) -> Tensor:
    """Return vectors between two, whose lengths lie between the two lengths.

    A straight mix of two unlike vectors is shorter than both and looks grey. Here the direction is
    mixed straight and the length by a mean of the power ``boost``, which leans to the longer one.
    It is the blend of A1111's built-in script "Soft inpainting".

    Args:
        low: ``[batch, channels, height, width]``, the result where ``share`` is 0.
        high: The same, where it is 1.
        share: ``[batch, 1, height, width]``.
        boost: At least 1; 1 is a straight mix of the lengths.
    """
    straight = low * (1 - share) + high * share
    part = share.cpu()
    powered = _length(low) ** boost * (1 - part) + _length(high) ** boost * part
    wanted = powered ** (1 / boost)
    return straight * (wanted / (_length(straight) + _TINY)).to(straight)


def _length(vectors: Tensor) -> Tensor:
    """Return the lengths over the channels in 64 bits, so that high powers do not run over.

    They are on the CPU, since not every graphics card has 64 bits.
    """
    return vectors.square().sum(dim=1, keepdim=True).sqrt().cpu().to(torch.float64)
