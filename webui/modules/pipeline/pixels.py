"""From latents to pixels and to bytes."""

import torch
from torch import Tensor

from webui.modules.errors import NumericsError
from webui.modules.pipeline.steady import decoded
from webui.modules.pipeline.studio import Studio


def pixels(latents: Tensor, studio: Studio) -> list[Tensor]:
    """Return each picture of a batch, ``[3, height, width]`` of 0 to 1, float32 on the CPU.

    One is decoded at a time: less memory, and the same picture whatever the batch.

    Raises:
        NumericsError: If the latents or the autoencoder's answer are not-a-number.
    """
    if not torch.isfinite(latents).all():
        message = "the latent picture is not-a-number"
        hint = "Start with --precision exact, or use another checkpoint."
        raise NumericsError(message, hint=hint)
    unscaled = latents / studio.checkpoint.architecture.scale
    pictures = (decoded(one[None], studio)[0] for one in unscaled)
    return [((picture + 1) / 2).clamp(0, 1).cpu() for picture in pictures]


def rgb_bytes(picture: Tensor) -> bytes:
    """Return ``[3, height, width]`` of 0 to 1 as rows of RGB bytes, rounded down as A1111 does."""
    rounded = picture.mul(255).to(torch.uint8)
    return rounded.permute(1, 2, 0).contiguous().numpy().tobytes()
