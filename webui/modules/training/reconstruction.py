"""The course of an autoencoder's decoder: from latents back to the very picture."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from webui.modules.device import Device
from webui.modules.networks.checkpoint import Autoencoder
from webui.modules.networks.predict import decode
from webui.modules.training.buckets import Size, Turn
from webui.modules.training.chance import Chance, chance
from webui.modules.training.latents import LatentCache, prepared
from webui.modules.training.pictures import Example
from webui.modules.training.plan import TrainingPlan, VaePlan


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """Some pictures and their latents.

    Attributes:
        latents: ``[batch, 4, height // 8, width // 8]``, unscaled.
        truth: The pictures, ``[batch, 3, height, width]`` of -1 to 1.
        counts: How much each pixel counts, ``[batch, 1, height, width]``.
    """

    latents: Tensor
    truth: Tensor
    counts: Tensor


class Reconstruction:
    """Noise, predict, compare: here the noise is the encoder's own doubt about a picture."""

    def __init__(
        self,
        plan: TrainingPlan,
        what: VaePlan,
        examples: Sequence[tuple[Example, Size]],
        cache: LatentCache,
        vae: Autoencoder,
        device: Device,
    ) -> None:
        self._plan = plan
        self._what = what
        self._examples = examples
        self._cache = cache
        self._vae = vae
        self._device = device

    def noise(self, turns: Sequence[Turn]) -> Sample:
        """Draw the latents of these turns' pictures, by chance of their numbers."""
        found = [(turn.example, chance(self._plan.seed, "turn", turn.number)) for turn in turns]
        return self._together(
            [self._drawn(place, by, mirrors=self._plan.data.flip) for place, by in found]
        )

    def measured(self, places: Sequence[int]) -> list[Sample]:
        """Return samples on which one training is measured again and again: never by chance."""
        found = [(place, chance(self._plan.seed, "measure", place)) for place in places]
        return [self._together([self._drawn(place, by, mirrors=False)]) for place, by in found]

    def predict(self, sample: Sample) -> Tensor:
        """Return the decoded pictures."""
        return decode(self._vae, sample.latents.to(self._device.torch), self._device)

    def compare(self, guess: Tensor, sample: Sample) -> Tensor:
        """Return how wrong each picture is, ``[batch]``, in values, squares and edges."""
        truth, counts = sample.truth.to(guess.device), sample.counts.to(guess.device)
        wrong = (guess - truth) * counts
        losses = self._what.absolute * wrong.abs().mean(dim=(1, 2, 3))
        losses = losses + self._what.square * wrong.square().mean(dim=(1, 2, 3))
        for axis in (2, 3):
            edges = guess.diff(dim=axis) - truth.diff(dim=axis)
            losses = losses + self._what.edges * edges.abs().mean(dim=(1, 2, 3))
        return losses

    def _drawn(self, place: int, by: Chance, *, mirrors: bool) -> tuple[Tensor, Tensor, Tensor]:
        mirrored = mirrors and by.choices.random() < 0.5  # noqa: PLR2004 - half of the time
        kept = self._cache.read(place, mirrored=mirrored)
        latents = kept.mean + kept.spread * torch.randn(kept.mean.shape, generator=by.noise)
        pixels, mask = prepared(*self._examples[place])
        counts = torch.ones(1, *pixels.shape[1:]) if mask is None else mask
        if mirrored:
            pixels, counts = pixels.flip(-1), counts.flip(-1)
        return latents, pixels, counts

    def _together(self, drawn: Sequence[tuple[Tensor, Tensor, Tensor]]) -> Sample:
        latents, truth, counts = (torch.stack(parts) for parts in zip(*drawn, strict=True))
        return Sample(latents=latents, truth=truth, counts=counts)
