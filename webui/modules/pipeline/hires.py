"""The second pass of hires fix: the same story, begun with an enlarged picture."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from webui.modules.pipeline.enlarging import LATENT_MODES, Enlargement, enlargement
from webui.modules.pipeline.passes import Part, Pass
from webui.modules.pipeline.pixels import pixels, rgb_bytes
from webui.modules.pipeline.steady import encoded
from webui.modules.pipeline.studio import Studio, prepared
from webui.modules.pipeline.upscale import Enlarger, upscale
from webui.modules.sampling.noise import stream
from webui.modules.types import Hires


def second_pass(
    first: Pass, hires: Hires, studio: Studio, small: Tensor, enlarge: Enlarger | None
) -> list[Tensor]:
    """Return the finished pictures of a batch, ``[3, height, width]`` of 0 to 1.

    Args:
        first: The pass that drew the small pictures.
        hires: How to go on.
        studio: What lies ready, nothing put on it.
        small: What the first pass gave: latents ``[batch, 4, height, width]`` if the upscaler
            works on them, else pictures ``[batch, 3, height, width]`` of 0 to 1.
        enlarge: How pictures are enlarged; None is Lanczos in one step.
    """
    plan = first.plan
    size = enlargement(plan.width, plan.height, scale=hires.scale, resize=hires.resize)
    own = hires.checkpoint is not None
    with ExitStack() as worn:
        worn.enter_context(studio.wearing(plan.layers if hires.layers is None else hires.layers))
        bare = studio.others(hires.checkpoint or plan.checkpoint, hires.vae if own else plan.vae)
        ready = worn.enter_context(
            prepared(bare, plan, size=size.final, merging=hires.token_merging)
        )
        # 1. Enlarge, as latents or as pixels, and cut to the wanted shape.
        if hires.upscaler in LATENT_MODES:
            latents = _enlarged_latents(small, hires, size)
        else:
            latents = _encoded([_enlarged(one, size, enlarge) for one in small], first, ready)
        rows, columns = size.kept
        latents = latents[:, :, rows, columns]
        # 2. Fresh noise from the same seeds, and the last part of a longer walk.
        second = replace(
            first,
            studio=ready,
            width=latents.shape[-1] * 8,
            height=latents.shape[-2] * 8,
            prompts=hires.prompts[first.which],
            negative_prompts=hires.negative_prompts[first.which],
            sampling=hires.sampling,
            first_pass=first.calls,
            refiner=None if plan.refiner and plan.refiner.during == "first pass" else plan.refiner,
            shared="second" if hires.upscaler in LATENT_MODES else None,
        )
        part = Part.of(hires.sampling.steps, hires.denoising, every_step=True)
        noise = second.noise()
        walked = second.from_latents(
            latents, part, noise=noise, first=noise.first(), extra=hires.extra_noise
        )
        # 3. From latents to pixels.
        return pixels(walked, second.relay.studio)


def _enlarged_latents(latents: Tensor, hires: Hires, size: Enlargement) -> Tensor:
    mode, smoothed = LATENT_MODES[hires.upscaler]
    cells = (size.height // 8, size.width // 8)
    return torch.nn.functional.interpolate(latents, cells, mode=mode, antialias=smoothed)


def _enlarged(picture: Tensor, size: Enlargement, enlarge: Enlarger | None) -> Image.Image:
    """Enlarge one picture in 8 bits, as A1111 does."""
    high, wide = picture.shape[-2:]
    image = Image.frombytes("RGB", (wide, high), rgb_bytes(picture))
    return upscale(image, size.width, size.height, enlarge)


def _encoded(images: Sequence[Image.Image], first: Pass, studio: Studio) -> Tensor:
    """Return the latents of pictures, scaled as the network sees them.

    The autoencoder's noise is that of A1111: one stream for the batch, from its last seed.
    """
    arrays = np.stack([np.asarray(image, dtype=np.float32) for image in images]) / np.float32(255)
    pictures = torch.tensor(arrays).permute(0, 3, 1, 2) * 2 - 1
    cells = (1, 4, pictures.shape[-2] // 8, pictures.shape[-1] // 8)
    numbers = stream("CPU", first.plan.seeds[first.which][-1], torch.device("cpu"))
    noise = torch.cat([numbers.normal(cells) for _ in images])
    latents = encoded(pictures, noise, studio)
    return latents * studio.checkpoint.architecture.scale
