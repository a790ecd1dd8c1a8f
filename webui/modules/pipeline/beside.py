"""Pictures that some checkpoints see beside the noise: those that inpaint or edit by words."""

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

from webui.modules.errors import UnsupportedError
from webui.modules.pipeline.steady import encoded
from webui.modules.pipeline.studio import Studio
from webui.modules.sampling.guidance import Beside
from webui.modules.sampling.noise import TorchStream
from webui.modules.types import PIXELS_PER_LATENT

PLAIN: Final = 4
"""Channels that a network reads which sees nothing but latents."""

EDITS: Final = 8
"""Channels of one that edits by words: latents and the picture (arXiv:2211.09800)."""

INPAINTS: Final = 9
"""Channels of one made for inpainting: latents, the mask and the picture without what it hides."""


def latents_of(pictures: Tensor, studio: Studio, stream: TorchStream) -> Tensor:
    """Encode pictures ``[batch, 3, height, width]`` of -1 to 1 with the next numbers of a stream.

    Returns:
        ``[batch, 4, height // 8, width // 8]``, scaled as the denoising network sees them.
    """
    shape = _latent_shape(pictures)
    noise = torch.cat([stream.normal((1, *shape[1:])) for _ in pictures])
    latents = encoded(pictures, noise, studio)
    return latents * studio.checkpoint.architecture.scale


def _latent_shape(pictures: Tensor) -> tuple[int, int, int, int]:
    batch, _, height, width = pictures.shape
    return batch, PLAIN, height // PIXELS_PER_LATENT, width // PIXELS_PER_LATENT


def beside_nothing(studio: Studio, size: tuple[int, int], seeds: Sequence[int]) -> Beside | None:
    """Return what such a network sees when nothing is given: all of a grey picture is masked.

    Args:
        studio: What to draw with.
        size: Width and height in pixels.
        seeds: Of the pictures that are drawn together.

    Raises:
        UnsupportedError: If the network edits pictures and there is none.
    """
    channels = studio.checkpoint.architecture.unet.in_channels
    if channels == EDITS:
        message = f"{studio.checkpoint.record.path.name} edits pictures, and none was given"
        hint = "Give it a picture to start from, or choose another checkpoint."
        raise UnsupportedError(message, hint=hint, value=studio.checkpoint.record.path.name)
    if channels != INPAINTS:
        return None
    grey = torch.zeros(len(seeds), 3, size[1], size[0])
    stream = TorchStream(seeds[-1], torch.device("cpu"))
    return beside_masked(grey, torch.ones_like(grey[:, :1]), studio, stream)


def beside_edited(pictures: Tensor, studio: Studio, guidance: float) -> Beside:
    """Return what a network sees that edits by words: the picture itself, not scaled.

    Args:
        pictures: ``[batch, 3, height, width]`` of -1 to 1.
        studio: What to draw with.
        guidance: How closely to keep to the picture; 1 leaves that to the words' guidance.
    """
    middle = torch.zeros(_latent_shape(pictures))
    latents = encoded(pictures, middle, studio)
    return Beside(latents=latents, guidance=None if guidance == 1 else guidance)


def beside_masked(
    pictures: Tensor,
    masks: Tensor,
    studio: Studio,
    stream: TorchStream,
    weight: float = 1.0,
) -> Beside:
    """Return what a network sees that was made for inpainting.

    Args:
        pictures: ``[batch, 3, height, width]`` of -1 to 1.
        masks: ``[batch, 1, height, width]``, 1 where it is drawn anew.
        studio: What to draw with.
        stream: Chooses among what the autoencoder thinks possible.
        weight: How much of what the mask covers is hidden, 0 to 1.
    """
    seen = torch.lerp(pictures, pictures * (1 - masks), weight)
    latents = latents_of(seen, studio, stream)
    small = torch.nn.functional.interpolate(masks, size=latents.shape[-2:]).to(latents.device)
    return Beside(latents=torch.cat([small, latents], dim=1))
