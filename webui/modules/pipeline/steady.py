"""The autoencoder asked again in a wider number format when it breaks down.

Some autoencoders leave the range of 16-bit numbers: the picture comes out as not-a-number, which
shows as black (A1111's options ``auto_vae_precision`` and ``auto_vae_precision_bfloat16``).
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Final

import torch
from torch import Tensor, nn

from webui.modules.device import Device
from webui.modules.errors import NumericsError
from webui.modules.networks.checkpoint import Autoencoder
from webui.modules.networks.predict import decode, encode
from webui.modules.pipeline.studio import Studio

_FORMATS: Final = {"float32": torch.float32, "bfloat16": torch.bfloat16}

_BLACK: Final = -1.0
"""The darkest value; all below it is cut off."""

BLACK: Final = "The picture is wholly black. If that was not asked for, try another VAE."

Work = Callable[[Autoencoder, Device], Tensor]


def decoded(latents: Tensor, studio: Studio) -> Tensor:
    """Return the pictures of unscaled latents, ``[batch, 3, height, width]``, about -1 to 1.

    Args:
        latents: ``[batch, 4, height, width]``.
        studio: With the autoencoder.

    Raises:
        NumericsError: If it gives not-a-number in every number format that may be tried.
    """
    picture = _steady(lambda vae, device: decode(vae, latents, device), studio, _is_seen)
    if not _is_seen(picture):
        studio.tell(BLACK)
    return picture


def encoded(pictures: Tensor, noise: Tensor, studio: Studio) -> Tensor:
    """Return the unscaled latents of pictures, as ``encode`` does.

    Args:
        pictures: ``[batch, 3, height, width]`` of -1 to 1.
        noise: Chooses among what the autoencoder thinks possible; like the result.
        studio: With the autoencoder.

    Raises:
        NumericsError: If it gives not-a-number in every number format that may be tried.
    """
    return _steady(
        lambda vae, device: encode(vae, pictures, noise, device),
        studio,
        lambda latents: bool(torch.isfinite(latents).all()),
    )


def _steady(work: Work, studio: Studio, is_sound: Callable[[Tensor], bool]) -> Tensor:
    """Return what the autoencoder gives, in a wider number format if it is not sound."""
    found = work(studio.vae, studio.device)
    own, wider = studio.device.vae, _FORMATS.get(studio.again, studio.device.vae)
    if not is_sound(found) and wider != own:
        # A copy, so that the next picture does not depend on what this one needed.
        vae = deepcopy(studio.vae)
        nn.Module.to(vae, wider)
        found = work(vae, replace(studio.device, vae=wider))
        if is_sound(found):
            studio.tell(
                f"The VAE broke down in {_title(own)} numbers, so it was asked again in"
                f" {_title(wider)}."
            )
    if not torch.isfinite(found).all():
        message = f"the VAE gave not-a-number in {_title(wider)} numbers"
        raise NumericsError(message, hint=_cure(wider), value="VAE")
    return found


def _is_seen(picture: Tensor) -> bool:
    """Tell whether a picture is made of numbers and is not all black."""
    return bool(torch.isfinite(picture).all()) and float(picture.max()) > _BLACK


def _title(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _cure(tried: torch.dtype) -> str:
    if tried == torch.float32:
        return "Choose another VAE: this one is damaged, or made for another kind of checkpoint."
    return "Start with --precision exact, or turn on auto_vae_precision; else choose another VAE."
