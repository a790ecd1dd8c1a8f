"""The network told what to draw and what to avoid: classifier-free guidance over a batch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import torch
from torch import Tensor

from webui.modules.conditioning import Conditioning
from webui.modules.sampling.catalogue import find_sampler
from webui.modules.sampling.schedule import NoiseLevels
from webui.modules.types import SamplingPlan

Network = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Takes latents ``[n, 4, h, w]``, timesteps ``[n]`` and text ``[n, tokens, width]``; returns what
the denoising network predicts, float32 like the latents."""


HIGHEST: Final = 999
"""The highest of the trained noise levels, as A1111 counts how far the way is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Painter:
    """Who answers: a network, what it is told, and what it was trained on.

    Attributes:
        network: The denoising network.
        conditioning: The texts of the batch.
        levels: The noise levels that the network was trained on.
        prediction: What the network predicts.
    """

    network: Network
    conditioning: Conditioning
    levels: NoiseLevels
    prediction: Literal["epsilon", "v"] = "epsilon"


Relief = Callable[[float, float], Painter | None]
"""Told before each call what share of the noise levels and of the calls lies behind, 0 to 1;
returns the painter who takes over, or None if nobody does."""


class GuidedDenoiser:
    """Answers a sampler's questions; counts them, since prompts may change from call to call."""

    def __init__(
        self, painter: Painter, plan: SamplingPlan, *, calls: int, relief: Relief | None = None
    ) -> None:
        """Take what each answer needs.

        Args:
            painter: Who answers at first.
            plan: The sampler's options.
            calls: How many questions this walk will ask.
            relief: May let another painter take over on the way.
        """
        self._painter = painter
        self._plan = plan
        sampler, _ = find_sampler(plan.sampler)
        self._guidance = plan.guidance * sampler.guidance_factor
        self._calls = calls
        self._call = 0
        self._relief = relief
        self._unguided = torch.empty(0)

    @property
    def unguided(self) -> Tensor:
        """What the last answer was for the negative prompt alone."""
        return self._unguided

    def denoised(self, noisy: Tensor, sigma: Tensor) -> Tensor:
        """Return the guess at the clean latent picture (arXiv:2206.00364, equation 7)."""
        if self._relief:
            self._relieve(int((self._painter.levels.sigmas - sigma).abs().argmin()), self._relief)
        levels, prediction = self._painter.levels, self._painter.prediction
        time = levels.time(sigma.reshape(1), quantize=self._plan.quantize)
        scale = 1 / (sigma**2 + 1) ** 0.5

        def guess(latents: Tensor, text: Tensor) -> Tensor:
            predicted = self._ask(latents * scale, time, text)
            if prediction == "v":
                return predicted * (-sigma * scale) + latents * scale**2
            return latents - sigma * predicted

        def consistent(latents: Tensor, text: Tensor) -> Tensor:
            """Blend as latent consistency models do (arXiv:2310.04378, appendix on c_skip)."""
            far = time.to(latents.device) * 10.0
            blend = far / (far**2 + 0.25) ** 0.5
            return blend * guess(latents, text) + 0.25 / (far**2 + 0.25) * latents

        return self._guide(noisy, sigma, consistent if levels.stride > 1 else guess)

    def epsilon(self, noisy: Tensor, time: Tensor) -> Tensor:
        """Return the guess at the noise in a variance-preserving latent."""
        if self._relief:
            self._relieve(int(time), self._relief)
        alpha, prediction = (
            self._painter.levels.alphas_cumprod[time.long()],
            self._painter.prediction,
        )

        def noise(latents: Tensor, text: Tensor) -> Tensor:
            predicted = self._ask(latents, time.reshape(1), text)
            if prediction == "v":
                return alpha.sqrt() * predicted + (1 - alpha).sqrt() * latents
            return predicted

        return self._guide(noisy, time, noise)

    def _relieve(self, level: int, relief: Relief) -> None:
        """Let another painter take over if one does at this level, counted from the lowest."""
        behind = (HIGHEST - level) / (HIGHEST + 1)
        self._painter = relief(behind, self._call / self._calls) or self._painter

    def _ask(self, latents: Tensor, time: Tensor, text: Tensor) -> Tensor:
        times = time.to(latents.device, torch.float32).expand(len(latents))
        return self._painter.network(latents, times, text)

    def _guide(
        self, noisy: Tensor, level: Tensor, answer: Callable[[Tensor, Tensor], Tensor]
    ) -> Tensor:
        """Ask for each part of each prompt and for the negative prompts, and weigh the answers.

        Each part pushes away from the negative prompt by its weight times the guidance
        (arXiv:2207.12598, equation 6; several parts: arXiv:2206.01714, equation 11).
        """
        call, self._call = self._call, self._call + 1
        pictures = self._painter.conditioning.wanted
        owners = [place for place, picture in enumerate(pictures) for _ in picture.parts]
        wanted = _stack([part.at(call) for picture in pictures for part in picture.parts])
        unwanted = _stack([text.at(call) for text in self._painter.conditioning.unwanted])
        repeated = noisy[owners]
        if self._leaves_out(call, level):
            answers = answer(repeated, wanted)
            firsts = [owners.index(place) for place in range(len(pictures))]
            self._unguided = answers[firsts]
            return self._weigh(answers, self._unguided, guidance=1.0)
        wanted, unwanted = self._padded(wanted, unwanted)
        if wanted.shape[1] == unwanted.shape[1]:
            both = answer(torch.cat([repeated, noisy]), torch.cat([wanted, unwanted]))
            answers, self._unguided = both[: len(owners)], both[len(owners) :]
        else:
            answers = answer(repeated, wanted)
            self._unguided = answer(noisy, unwanted)
        return self._weigh(answers, self._unguided, guidance=self._guidance)

    def _weigh(self, answers: Tensor, unguided: Tensor, *, guidance: float) -> Tensor:
        result, row = unguided.clone(), 0
        for place, picture in enumerate(self._painter.conditioning.wanted):
            for weight in picture.weights:
                result[place] += (answers[row] - unguided[place]) * (weight * guidance)
                row += 1
        return result

    def _leaves_out(self, call: int, level: Tensor) -> bool:
        """Tell whether this call leaves the negative prompt out to save time."""
        plan = self._plan
        late = plan.skip_uncond_below > 0 and bool(level < plan.skip_uncond_below)
        if late and (call % 2 or plan.skip_uncond_every_step):
            return True
        return plan.skip_uncond_until > 0 and call / self._calls <= plan.skip_uncond_until

    def _padded(self, wanted: Tensor, unwanted: Tensor) -> tuple[Tensor, Tensor]:
        """Bring both texts to one length if the plan asks for it."""
        if self._plan.pad_or_cut:
            return wanted, _lengthened(unwanted, wanted.shape[1])[:, : wanted.shape[1]]
        if not self._plan.pad_with_empty:
            return wanted, unwanted
        length = max(wanted.shape[1], unwanted.shape[1])
        empty = self._painter.conditioning.empty
        return _filled(wanted, length, empty), _filled(unwanted, length, empty)


def _stack(rows: list[Tensor]) -> Tensor:
    """Stack texts ``[tokens, width]``, the shorter lengthened by their last vector."""
    longest = max(len(row) for row in rows)
    return torch.cat([_lengthened(row[None], longest) for row in rows])


def _lengthened(text: Tensor, length: int) -> Tensor:
    missing = max(0, length - text.shape[1])
    return torch.cat([text, text[:, -1:].expand(-1, missing, -1)], dim=1)


def _filled(text: Tensor, length: int, empty: Tensor) -> Tensor:
    missing = (length - text.shape[1]) // len(empty)
    return torch.cat([text, empty.repeat(len(text), missing, 1)], dim=1)
