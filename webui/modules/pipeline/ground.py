"""What one batch of img2img starts from: latents, the part of them that stays, and their noise."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import torch
from torch import Tensor, nn

from webui.modules.pipeline.beside import (
    EDITS,
    INPAINTS,
    beside_edited,
    beside_masked,
    latents_of,
)
from webui.modules.pipeline.canvas import Canvas
from webui.modules.pipeline.masking import in_latents
from webui.modules.pipeline.studio import Studio
from webui.modules.sampling.blending import Kept
from webui.modules.sampling.guidance import Beside
from webui.modules.sampling.noise import BatchNoise, TorchStream
from webui.modules.types import PIXELS_PER_LATENT, GenerationPlan, NoiseRules, Start

CPU: Final = torch.device("cpu")
"""Where the noise of the encoder comes from, whatever the device."""


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What one batch starts from.

    Attributes:
        plan: What to draw.
        start: The plan's start.
        studio: What to draw with.
        which: The pictures of the plan that are drawn together.
        canvases: The given pictures.
    """

    plan: GenerationPlan
    start: Start
    studio: Studio
    which: slice
    canvases: Sequence[Canvas]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.plan.width, self.plan.height

    @cached_property
    def places(self) -> Sequence[Canvas]:
        """The canvas of each place in the batch."""
        count = len(self.plan.seeds[self.which])
        return [self.canvases[place % len(self.canvases)] for place in range(count)]

    @cached_property
    def _seeds(self) -> Sequence[int]:
        """Seeds of the job's first batch; A1111 encodes once and reuses it for every batch."""
        return self.start.first_seeds or self.plan.seeds[: self.plan.batch_size]

    @cached_property
    def _stream(self) -> TorchStream:
        return TorchStream(self._seeds[0], CPU)

    @cached_property
    def _encoded(self) -> Tensor:
        """The pictures as latents of the drawn size."""
        width, height = (side // PIXELS_PER_LATENT for side in self.size)
        encoded: list[Tensor] = []
        for place in self.places:
            latents = latents_of(place.pixels()[None], self.studio, self._stream)
            if latents.shape[-2:] != (height, width):
                latents = nn.functional.interpolate(latents, (height, width), mode="bilinear")
            encoded.append(latents)
        return torch.cat(encoded)

    @cached_property
    def _change(self) -> Tensor | None:
        """How much each cell may change, ``[batch, 1, height, width]``; None for everything."""
        inpainting = self.start.inpainting
        if inpainting is None or all(place.mask is None for place in self.places):
            return None
        size = (self.size[0] // PIXELS_PER_LATENT, self.size[1] // PIXELS_PER_LATENT)
        rounded = inpainting.rounded and inpainting.soft is None
        shares = [
            torch.ones(size[1], size[0])
            if place.mask is None
            else torch.as_tensor(in_latents(place.mask, size, rounded=rounded))
            for place in self.places
        ]
        return torch.stack(shares)[:, None].to(self.studio.device.torch)

    @cached_property
    def latents(self) -> Tensor:
        """Where the walk begins, before its noise, ``[batch, 4, height / 8, width / 8]``."""
        encoded, change = self._encoded, self._change
        content = None if self.start.inpainting is None else self.start.inpainting.content
        if change is None or content in (None, "original", "fill"):
            return encoded
        if content == "latent nothing":
            return encoded * (1 - change)
        rules = NoiseRules(source=self.plan.noise.source)
        shape = (encoded.shape[1], encoded.shape[2], encoded.shape[3])
        seeds = self._seeds[: len(encoded)]
        noise = BatchNoise(rules, seeds, seeds, shape, self.studio.device.torch).first()
        return encoded * (1 - change) + noise * change

    @cached_property
    def kept(self) -> Kept | None:
        """The part that stays."""
        if self._change is None or self.start.inpainting is None:
            return None
        soft = self.start.inpainting.soft
        return Kept(original=self.latents, change=self._change, soft=soft)

    @cached_property
    def beside(self) -> Beside | None:
        """What the network sees besides, if it is made for that; asked for after ``latents``."""
        channels = self.studio.checkpoint.architecture.unet.in_channels
        if channels not in (EDITS, INPAINTS):
            return None
        shown = torch.stack([place.shown(self.size) for place in self.places])
        if channels == EDITS:
            return beside_edited(shown, self.studio, self.start.image_guidance)
        inpainting = self.start.inpainting
        if inpainting is None:
            return beside_masked(shown, torch.ones_like(shown[:, :1]), self.studio, self._stream)
        rounded = inpainting.rounded and inpainting.soft is None
        hidden = torch.stack([place.hidden(self.size, rounded=rounded) for place in self.places])
        return beside_masked(shown, hidden, self.studio, self._stream, inpainting.weight)
