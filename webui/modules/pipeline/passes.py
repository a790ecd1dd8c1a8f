"""One walk from noise to a latent picture: what all ways of drawing have in common."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Final

from torch import Tensor

from webui.modules.networks.predict import TextPredictor, UNetPredictor
from webui.modules.pipeline.beside import PLAIN, beside_nothing
from webui.modules.pipeline.memory import NOWHERE, SharedWalk, remembering, way_of
from webui.modules.pipeline.progress import Progress
from webui.modules.pipeline.relay import Relay
from webui.modules.pipeline.studio import Studio
from webui.modules.sampling.blending import Kept
from webui.modules.sampling.catalogue import Sampler, find_sampler
from webui.modules.sampling.guidance import Beside, GuidedDenoiser, Painter
from webui.modules.sampling.noise import BatchNoise
from webui.modules.sampling.samplers import SAMPLER_FUNCTIONS
from webui.modules.sampling.schedule import (
    LCM_STRIDE,
    NoiseLevels,
    sigmas_for,
    timesteps_for,
    trained_alphas,
)
from webui.modules.sampling.walk import Walk
from webui.modules.text.encode import TextEncoder
from webui.modules.text.prompt import Clock, take_tags
from webui.modules.types import PIXELS_PER_LATENT, GenerationPlan, Refiner, SamplingPlan

NEARLY_ALL: Final = 0.999
"""The largest share of the steps that a picture to start from leaves; A1111's bound."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """How far a walk goes that starts from a picture.

    Attributes:
        steps: Steps of the whole schedule of which this walk is the end.
        taken: Which step it starts with, counted from the last; it takes one more than this.
    """

    steps: int
    taken: int

    @classmethod
    def of(cls, steps: int, denoising: float, *, every_step: bool) -> "Part":
        """Return A1111's part: ``denoising`` of the steps, or all of them on a longer schedule."""
        share = min(denoising, NEARLY_ALL)
        if every_step:
            return cls(steps=int(steps / share) if share > 0 else 0, taken=steps - 1)
        return cls(steps=steps, taken=int(share * steps))


@dataclass(frozen=True, kw_only=True)
class Pass:
    """One walk of one batch.

    Attributes:
        studio: What to draw with.
        plan: Rules of text and noise, and everything else that holds for the whole job.
        which: The pictures of the plan that are drawn together.
        width: Pixels.
        height: Pixels.
        prompts: What to draw, one per picture of the batch.
        negative_prompts: What to avoid, one per picture of the batch.
        sampling: How noise becomes a latent picture.
        first_pass: Calls of the network in the pass before this one, for ``[a:b:when]``; else 0.
        refiner: Who takes over on the way; None if nobody does.
        progress: Told of every step.
        kept: The part of a picture that stays; None to draw all of it.
        beside: A picture that the network sees besides; None for most networks.
        shared: Which walk this is, if others of the job may take its end; None if they may not.
    """

    studio: Studio
    plan: GenerationPlan
    which: slice
    width: int
    height: int
    prompts: Sequence[str]
    negative_prompts: Sequence[str]
    sampling: SamplingPlan
    first_pass: int = 0
    refiner: Refiner | None = None
    progress: Progress
    kept: Kept | None = None
    beside: Beside | None = None
    shared: SharedWalk | None = None

    @cached_property
    def sampler(self) -> Sampler:
        """The sampler of this pass."""
        return find_sampler(self.sampling.sampler)[0]

    @cached_property
    def levels(self) -> NoiseLevels:
        """The noise levels that the checkpoint was trained on, as this sampler sees them."""
        return self._levels_of(self.studio)

    @cached_property
    def relay(self) -> Relay:
        """Who draws; after the walk its studio is the one to decode with."""
        return Relay(self.studio, self.refiner, self._painter)

    @cached_property
    def calls(self) -> int:
        """How often the network is asked in a whole walk."""
        return self.sampling.steps * self.sampler.evaluations

    @cached_property
    def _way(self) -> Hashable:
        """What tells this walk from every other one of the job."""
        channels = self.studio.checkpoint.architecture.unet.in_channels
        if self.shared is None or channels != PLAIN:
            return NOWHERE
        return way_of(self.plan, self.which, self.studio.mark, self.shared)

    def noise(self) -> BatchNoise:
        """Return the batch's noise from its beginning."""
        plan = self.plan
        shape = (4, self.height // PIXELS_PER_LATENT, self.width // PIXELS_PER_LATENT)
        return BatchNoise(
            plan.noise,
            plan.seeds[self.which],
            plan.variation_seeds[self.which],
            shape,
            self.studio.device.torch,
        )

    def from_noise(self) -> Tensor:
        """Walk the whole way and return the latents, ``[batch, 4, height / 8, width / 8]``."""
        noise = self.noise()
        sigmas = sigmas_for(self.sampler, self.sampling, self.levels)
        return self._walk(
            noise.first() * self._first_scale(sigmas),
            noise,
            sigmas=sigmas,
            rest=sigmas,
            timesteps=timesteps_for(self.sampling.steps),
        )

    def from_latents(
        self, latents: Tensor, part: Part, *, noise: BatchNoise, first: Tensor, extra: float = 0.0
    ) -> Tensor:
        """Add noise to latents and walk the last part of the way.

        Args:
            latents: ``[batch, 4, height / 8, width / 8]``, scaled as the network sees them.
            part: How far back to start.
            noise: The batch's noise, whose first has been taken.
            first: That first noise, like ``latents``.
            extra: Share of the first noise that is added besides.
        """
        if part.steps == 0:
            return latents
        sampling = replace(self.sampling, steps=part.steps)
        sigmas = sigmas_for(self.sampler, sampling, self.levels)
        rest = sigmas[max(0, part.steps - part.taken - 1) :]
        timesteps = timesteps_for(part.steps)
        if self.sampler.timesteps:
            alpha = self.levels.alphas_cumprod[timesteps[part.taken]]
            noisy = latents * alpha.sqrt() + first * (1 - alpha).sqrt()
            noisy = noisy + first * extra * alpha.sqrt()
        else:
            noisy = latents + first * rest[0] + first * extra
        return self._walk(
            noisy,
            noise,
            sigmas=sigmas,
            rest=rest,
            timesteps=timesteps[: part.taken],
            part=part,
        )

    def _walk(
        self,
        start: Tensor,
        noise: BatchNoise,
        *,
        sigmas: Tensor,
        rest: Tensor,
        timesteps: Tensor,
        part: Part | None = None,
    ) -> Tensor:
        """Walk from ``start`` down the rest of the levels; a person's wish may end it early.

        A way that was walked in this job already is not walked again.
        """
        steps = self.sampling.steps if part is None else part.taken + 1
        if (known := self.studio.walks.get(self._way)) is not None:
            return self.progress.skipped(known, steps)
        self.studio.pace(0, steps)
        sampler, positive = self.sampler, sigmas[sigmas > 0]
        walk = Walk(
            noisy=start,
            sigmas=rest,
            timesteps=timesteps,
            partial=part is not None,
            levels=self.levels,
            plan=self.sampling,
            denoiser=self._denoiser(calls=steps * sampler.evaluations),
            noise=noise.next,
            brownian=noise.brownian(float(positive.min()), float(sigmas.max()))
            if sampler.brownian
            else _no_brownian,
            observe=partial(self._taken, steps),
        )
        with self.progress.walk(start) as ended:
            ended(SAMPLER_FUNCTIONS[sampler.function](walk))
        if self.progress.stopped is None:
            self.studio.walks.put(self._way, self.progress.latents)
        return self.progress.latents

    def _taken(self, steps: int, number: int, guess: Tensor) -> None:
        """Tell of a step, counted from 0, and let act what acts from the next one on."""
        self.progress.step(number, guess)
        self.studio.pace(number + 1, steps)

    def _first_scale(self, sigmas: Tensor) -> float:
        """Return the standard deviation that the walk begins with."""
        if self.sampler.timesteps:
            return 1.0
        if self.sampling.sgm_noise_multiplier:
            return float((1 + sigmas[0] ** 2) ** 0.5)
        return float(sigmas[0])

    def _levels_of(self, studio: Studio) -> NoiseLevels:
        stride = LCM_STRIDE if self.sampler.function == "lcm" else 1
        alphas = trained_alphas(studio.checkpoint.alphas_cumprod, self.sampling)
        return NoiseLevels.of(alphas, stride=stride)

    def _denoiser(self, *, calls: int) -> GuidedDenoiser:
        relief = self.relay.relief if self.refiner else None
        return GuidedDenoiser(
            self._painter(self.studio),
            self.sampling,
            calls=calls,
            relief=relief,
            kept=self.kept,
        )

    def _painter(self, studio: Studio) -> Painter:
        """Tell a studio's network the texts, encoded by its own text encoder."""
        checkpoint, device = studio.checkpoint, studio.device
        encoder = TextEncoder(
            remembering(TextPredictor(checkpoint, device), studio.mark, studio.texts),
            self.plan.text,
            studio.laid.words,
            studio.reworking.of(checkpoint, device, studio.mark, studio.texts),
        )
        conditioning = encoder.condition(
            [take_tags(prompt)[0] for prompt in self.prompts],
            self.negative_prompts,
            Clock(steps=self.calls, first_pass=self.first_pass, old=self.plan.text.old_editing),
        )
        return Painter(
            network=UNetPredictor(checkpoint, device),
            conditioning=conditioning,
            levels=self._levels_of(studio),
            prediction=checkpoint.architecture.prediction,
            beside=self._beside(studio),
        )

    def _beside(self, studio: Studio) -> Beside | None:
        """Return what this studio's network sees besides: what was given, or nothing."""
        channels = studio.checkpoint.architecture.unet.in_channels
        if self.beside is not None and channels == PLAIN + self.beside.latents.shape[1]:
            return self.beside
        return beside_nothing(studio, (self.width, self.height), self.plan.seeds[self.which])


def _no_brownian(_sigma: Tensor, _sigma_next: Tensor) -> Tensor:
    raise AssertionError  # only samplers that say so in the catalogue ask for it


def whole_plan(plan: GenerationPlan, studio: Studio, which: slice, progress: Progress) -> Pass:
    """Return the first pass of a batch as the plan describes it."""
    later = plan.hires is not None and plan.refiner and plan.refiner.during == "second pass"
    return Pass(
        studio=studio,
        plan=plan,
        which=which,
        width=plan.width,
        height=plan.height,
        prompts=plan.prompts[which],
        negative_prompts=plan.negative_prompts[which],
        sampling=plan.sampling,
        refiner=None if later else plan.refiner,
        progress=progress,
        shared="first",
    )
