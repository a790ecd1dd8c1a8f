"""The course that most kinds take: the painter learns to see the picture behind the noise."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from webui.modules.device import Device
from webui.modules.networks.predict import UNetPredictor
from webui.modules.training.buckets import Turn
from webui.modules.training.captions import prompt
from webui.modules.training.chance import Chance, chance
from webui.modules.training.latents import LatentCache, Latents
from webui.modules.training.objective import Levels, draw_noise, draw_time
from webui.modules.training.pictures import Example
from webui.modules.training.plan import LatentSampling, TrainingPlan
from webui.modules.training.texts import Texts

MEASURED_LEVELS: Final = (100, 300, 500, 700, 900)
"""Noise levels at which a measurement compares."""

LEVELS: Final = 1000
"""Noise levels that there are."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """Some pictures brought to a noise level each.

    Attributes:
        noisy: ``[batch, 4, height, width]``.
        times: Their levels, ``[batch]``.
        texts: What is said of each.
        truth: What the network should answer, shaped like ``noisy``.
        counts: How much each cell counts, ``[batch, 1, height, width]``.
        weights: How much each picture counts, ``[batch]``.
    """

    noisy: Tensor
    times: Tensor
    texts: tuple[str, ...]
    truth: Tensor
    counts: Tensor
    weights: Tensor


@dataclass(frozen=True, slots=True)
class Shown:
    """What there is to see.

    Attributes:
        examples: The pictures and what is said of them.
        latents: Theirs, unscaled.
        scale: Factor from the autoencoder's latents to the painter's.
    """

    examples: Sequence[Example]
    latents: LatentCache
    scale: float


class Denoising:
    """Noise, predict, compare: on latents, at every noise level."""

    def __init__(
        self,
        plan: TrainingPlan,
        shown: Shown,
        levels: Levels,
        painter: UNetPredictor,
        texts: Texts,
        device: Device,
    ) -> None:
        self._plan = plan
        self._shown = shown
        self._levels = levels
        self._painter = painter
        self._texts = texts
        self._device = device

    def noise(self, turns: Sequence[Turn]) -> Sample:
        """Bring the pictures of these turns to noise levels, all by chance of their numbers."""
        drawn = [self._drawn(turn) for turn in turns]
        return self._together(drawn)

    def measured(self, places: Sequence[int]) -> list[Sample]:
        """Return samples on which one training is measured again and again: never by chance."""
        samples: list[Sample] = []
        for place in places:
            caption, kept = self._shown.examples[place].caption, self._shown.latents.read(place)
            for level in MEASURED_LEVELS:
                by = chance(self._plan.seed, "measure", place * LEVELS + level)
                text = prompt(caption, self._plan.name, self._plan.data, by.choices)
                samples.append(self._together([self._at_level(place, kept, level, text, by)]))
        return samples

    def predict(self, sample: Sample) -> Tensor:
        """Return the network's answer for each picture."""
        texts = self._texts.encode(sample.texts)
        with _lower_format(self._device):
            return self._painter(
                sample.noisy.to(self._device.torch), sample.times.to(self._device.torch), texts
            )

    def compare(self, guess: Tensor, sample: Sample) -> Tensor:
        """Return how wrong each answer is, ``[batch]``: the mean square over cells that count."""
        wrong = (guess - sample.truth.to(guess.device)).square()
        counts = sample.counts.to(guess.device)
        return (wrong * counts).mean(dim=(1, 2, 3)) * sample.weights.to(guess.device)

    def _drawn(self, turn: Turn) -> "_Drawn":
        by = chance(self._plan.seed, "turn", turn.number)
        example = self._shown.examples[turn.example]
        mirrored = self._plan.data.flip and by.choices.random() < 0.5  # noqa: PLR2004 - half of the time
        text = prompt(example.caption, self._plan.name, self._plan.data, by.choices)
        kept = self._shown.latents.read(turn.example, mirrored=mirrored)
        level = draw_time(self._plan.noise, by)
        return self._at_level(turn.example, kept, level, text, by)

    def _at_level(self, place: int, kept: Latents, level: int, text: str, by: Chance) -> "_Drawn":
        how = self._plan.noise.latents
        once = chance(self._plan.seed, "latents", place)
        clean = draw_latents(kept, how, by if how == "random" else once) * self._shown.scale
        noise = draw_noise(clean, self._plan.noise, by)
        regular = self._shown.examples[place].regular
        weight = self._plan.data.regular_weight if regular else 1.0
        return _Drawn(
            clean=clean,
            noise=noise,
            level=level,
            text=text,
            mask=torch.ones(1, *clean.shape[1:]) if kept.mask is None else kept.mask,
            weight=weight,
        )

    def _together(self, drawn: "Sequence[_Drawn]") -> Sample:
        clean = torch.stack([each.clean for each in drawn])
        noise = torch.stack([each.noise for each in drawn])
        times = torch.tensor([each.level for each in drawn])
        weights = torch.tensor([each.weight for each in drawn]) * self._levels.weights[times]
        return Sample(
            noisy=self._levels.noised(clean, noise, times),
            times=times,
            texts=tuple(each.text for each in drawn),
            truth=self._levels.truth(clean, noise, times),
            counts=torch.stack([each.mask for each in drawn]),
            weights=weights,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Drawn:
    """One picture's turn, all chance settled."""

    clean: Tensor
    noise: Tensor
    level: int
    text: str
    mask: Tensor
    weight: float


def draw_latents(kept: Latents, how: LatentSampling, by: Chance) -> Tensor:
    """Return one picture's latents, unscaled ``[4, height, width]``."""
    if how == "deterministic":
        return kept.mean
    return kept.mean + kept.spread * torch.randn(kept.mean.shape, generator=by.noise)


@contextmanager
def _lower_format(device: Device) -> Generator[None]:
    """Let 32-bit weights be multiplied in the device's own number format, where it has one."""
    if device.exact:
        yield
    else:
        with torch.autocast(device.torch.type, dtype=device.unet):
            yield
