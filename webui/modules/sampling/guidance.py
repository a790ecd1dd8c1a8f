"""The network told what to draw and what to avoid: classifier-free guidance over a batch."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Literal

import torch
from torch import Tensor

from webui.modules.conditioning import Conditioning
from webui.modules.errors import NumericsError, UnsupportedError
from webui.modules.sampling.blending import Kept
from webui.modules.sampling.catalogue import find_sampler
from webui.modules.sampling.schedule import NoiseLevels
from webui.modules.types import SamplingPlan

Network = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Takes latents ``[n, channels, h, w]``, timesteps ``[n]`` and text ``[n, tokens, width]``; returns
what the denoising network predicts, float32 like the latents."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Beside:
    """A picture that the network sees beside the noisy latents, in channels of its own.

    Attributes:
        latents: ``[batch, channels, height, width]``.
        guidance: How closely to keep to it, for networks that edit by words; None if it is only
            shown.
    """

    latents: Tensor
    guidance: float | None = None


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
        beside: A picture that it sees besides; None for most networks.
    """

    network: Network
    conditioning: Conditioning
    levels: NoiseLevels
    prediction: Literal["epsilon", "v"] = "epsilon"
    beside: Beside | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Question:
    """What the network is asked at once: latents, texts and pictures beside them, row by row."""

    latents: Tensor
    text: Tensor
    beside: Tensor | None = None


Answer = Callable[[_Question], Tensor]


Relief = Callable[[float, float], Painter | None]
"""Told before each call what share of the noise levels and of the calls lies behind, 0 to 1;
returns the painter who takes over, or None if nobody does."""


class GuidedDenoiser:
    """Answers a sampler's questions; counts them, since prompts may change from call to call."""

    def __init__(
        self,
        painter: Painter,
        plan: SamplingPlan,
        *,
        calls: int,
        relief: Relief | None = None,
        kept: Kept | None = None,
    ) -> None:
        """Take what each answer needs.

        Args:
            painter: Who answers at first.
            plan: The sampler's options.
            calls: How many questions this walk will ask.
            relief: May let another painter take over on the way.
            kept: The part of a picture that stays.
        """
        self._painter = painter
        self._plan = plan
        sampler, _ = find_sampler(plan.sampler)
        self._guidance = plan.guidance * sampler.guidance_factor
        self._calls = calls
        self._call = 0
        self._relief = relief
        self._kept = kept
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

        def guess(asked: _Question) -> Tensor:
            latents = asked.latents
            predicted = self._ask(replace(asked, latents=latents * scale), time)
            if prediction == "v":
                return predicted * (-sigma * scale) + latents * scale**2
            return latents - sigma * predicted

        def consistent(asked: _Question) -> Tensor:
            """Blend as latent consistency models do (arXiv:2310.04378, appendix on c_skip)."""
            far = time.to(asked.latents.device) * 10.0
            blend = far / (far**2 + 0.25) ** 0.5
            return blend * guess(asked) + 0.25 / (far**2 + 0.25) * asked.latents

        result = self._guide(noisy, sigma, consistent if levels.stride > 1 else guess)
        return self._kept.blended(result, sigma) if self._kept else result

    def epsilon(self, noisy: Tensor, time: Tensor) -> Tensor:
        """Return the guess at the noise in a variance-preserving latent."""
        if self._relief:
            self._relieve(int(time), self._relief)
        alpha, prediction = (
            self._painter.levels.alphas_cumprod[time.long()],
            self._painter.prediction,
        )

        def noise(asked: _Question) -> Tensor:
            predicted = self._ask(asked, time.reshape(1))
            if prediction == "v":
                return alpha.sqrt() * predicted + (1 - alpha).sqrt() * asked.latents
            return predicted

        if self._kept:
            noisy = self._kept.blended(noisy, time)
        return self._guide(noisy, time, noise)

    def _relieve(self, level: int, relief: Relief) -> None:
        """Let another painter take over if one does at this level, counted from the lowest."""
        behind = (HIGHEST - level) / (HIGHEST + 1)
        self._painter = relief(behind, self._call / self._calls) or self._painter

    def _ask(self, asked: _Question, time: Tensor) -> Tensor:
        latents = asked.latents
        times = time.to(latents.device, torch.float32).expand(len(latents))
        if asked.beside is not None:
            latents = torch.cat([latents, asked.beside], dim=1)
        return self._painter.network(latents, times, asked.text)

    def _question(self, noisy: Tensor, rows: list[int], text: Tensor) -> _Question:
        """Return the question about these pictures of the batch."""
        beside = self._painter.beside
        shown = None if beside is None else beside.latents[rows]
        return _Question(latents=noisy[rows], text=text, beside=shown)

    def _guide(self, noisy: Tensor, level: Tensor, answer: Answer) -> Tensor:
        """Ask for each part of each prompt and for the negative prompts, and weigh the answers.

        Each part pushes away from the negative prompt by its weight times the guidance
        (arXiv:2207.12598, equation 6; several parts: arXiv:2206.01714, equation 11).
        """
        call, self._call = self._call, self._call + 1
        pictures = self._painter.conditioning.wanted
        owners = [place for place, picture in enumerate(pictures) for _ in picture.parts]
        wanted = _stack([part.at(call) for picture in pictures for part in picture.parts])
        unwanted = _stack([text.at(call) for text in self._painter.conditioning.unwanted])
        every = list(range(len(pictures)))
        beside = self._painter.beside
        if beside is not None and beside.guidance is not None:
            return self._sound(self._guide_edit(noisy, (wanted, unwanted), answer))
        if self._leaves_out(call, level):
            answers = answer(self._question(noisy, owners, wanted))
            self._unguided = answers[[owners.index(place) for place in every]]
            return self._sound(self._weigh(answers, self._unguided, guidance=1.0))
        wanted, unwanted = self._padded(wanted, unwanted)
        if wanted.shape[1] == unwanted.shape[1]:
            texts = torch.cat([wanted, unwanted])
            both = answer(self._question(noisy, [*owners, *every], texts))
            answers, self._unguided = both[: len(owners)], both[len(owners) :]
        else:
            answers = answer(self._question(noisy, owners, wanted))
            self._unguided = answer(self._question(noisy, every, unwanted))
        return self._sound(self._weigh(answers, self._unguided, guidance=self._guidance))

    def _sound(self, answer: Tensor) -> Tensor:
        """Return an answer that is made of numbers; a walk on without them would never end well.

        Raises:
            NumericsError: If it is not.
        """
        if torch.isfinite(answer).all():
            return answer
        evaluations = find_sampler(self._plan.sampler)[0].evaluations
        step, steps = ((calls - 1) // evaluations + 1 for calls in (self._call, self._calls))
        message = f"the denoising network gave not-a-number in step {step} of {steps}"
        hint = (
            "Start with --precision exact. If it does so already: take add-ons off or make them"
            " weaker, lower the guidance, or use another checkpoint."
        )
        raise NumericsError(message, hint=hint, value=f"{step}/{steps}")

    def _guide_edit(self, noisy: Tensor, texts: tuple[Tensor, Tensor], answer: Answer) -> Tensor:
        """Push away from the picture by the words, and from nothing by the picture.

        It is InstructPix2Pix's guidance (arXiv:2211.09800, equation 3).
        """
        wanted, unwanted = texts
        every = list(range(len(noisy)))
        beside = self._painter.beside
        if len(wanted) != len(every) or beside is None or beside.guidance is None:
            message = "a checkpoint that edits by words cannot join prompts with AND"
            raise UnsupportedError(message, hint="Leave AND out, or set the image CFG scale to 1.")
        told = answer(self._question(noisy, every, wanted))
        shown = answer(self._question(noisy, every, unwanted))
        blank = replace(
            self._question(noisy, every, unwanted), beside=torch.zeros_like(beside.latents)
        )
        self._unguided = answer(blank)
        by_words, by_picture = told - shown, shown - self._unguided
        return self._unguided + self._guidance * by_words + beside.guidance * by_picture

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
