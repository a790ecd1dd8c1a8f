"""From a plan to pictures: the whole story on one screen."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from webui.modules.device import Device
from webui.modules.errors import NumericsError
from webui.modules.networks.checkpoint import Autoencoder, Checkpoint
from webui.modules.networks.predict import TextPredictor, UNetPredictor, decode
from webui.modules.networks.tiling import joined_edges
from webui.modules.pipeline.preview import preview_png
from webui.modules.sampling.catalogue import find_sampler
from webui.modules.sampling.guidance import GuidedDenoiser
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
from webui.modules.types import (
    PIXELS_PER_LATENT,
    GenerationPlan,
    Observer,
    Picture,
    SkipBatch,
    Step,
    StopDrawing,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Studio:
    """What lies ready to draw with: the main model, the autoencoder to use, and the device."""

    checkpoint: Checkpoint
    vae: Autoencoder
    device: Device


@torch.inference_mode()
def txt2img(plan: GenerationPlan, studio: Studio, observe: Observer) -> Iterator[Picture]:
    """Draw the pictures of a plan, batch by batch.

    Args:
        plan: What to draw; every name settled.
        studio: What to draw with.
        observe: Called after each step; raises ``SkipBatch`` to go on with the next batch, or
            ``StopDrawing`` to end. What the picture looked like by then is still finished.

    Yields:
        Each batch's pictures as soon as they are done.

    Raises:
        NumericsError: If the network gives not-a-number.
    """
    edges = (studio.checkpoint.unet, studio.vae) if plan.tiling else ()
    batches = range(0, len(plan.seeds), plan.batch_size)
    for number, start in enumerate(batches):
        # 1. Which pictures are drawn together.
        batch = _Batch(plan, studio, slice(start, start + plan.batch_size), number, len(batches))
        with joined_edges(*edges):
            # 2. Noise, text and the walk from one to the other.
            latents, interrupted = batch.walk(observe)
            # 3. From latents to pixels.
            pictures = batch.pixels(latents)
        for offset, rgb in enumerate(pictures):
            yield Picture(
                index=start + offset,
                width=plan.width,
                height=plan.height,
                rgb=rgb,
                finished=interrupted is None,
            )
        if isinstance(interrupted, StopDrawing):
            return


class _Batch:
    """The pictures that are denoised together."""

    def __init__(
        self, plan: GenerationPlan, studio: Studio, which: slice, number: int, batches: int
    ) -> None:
        self._plan = plan
        self._studio = studio
        self._which = which
        self._number = number
        self._batches = batches
        self._sampler, _ = find_sampler(plan.sampling.sampler)
        self._guess: Tensor | None = None

    def walk(self, observe: Observer) -> tuple[Tensor, SkipBatch | StopDrawing | None]:
        """Return the latents, and what stopped the walk if anything did."""
        plan, sampler = self._plan, self._sampler
        levels = self._levels()
        sigmas = sigmas_for(sampler, plan.sampling, levels)
        noise = self._noise()
        start = noise.first() * self._first_scale(sigmas)
        positive = sigmas[sigmas > 0]
        walk = Walk(
            noisy=start,
            sigmas=sigmas,
            timesteps=timesteps_for(plan.sampling.steps),
            levels=levels,
            plan=plan.sampling,
            denoiser=self._denoiser(levels),
            noise=noise.next,
            brownian=noise.brownian(float(positive.min()), float(sigmas.max()))
            if sampler.brownian
            else _no_brownian,
            observe=self._observer(observe),
        )
        try:
            return SAMPLER_FUNCTIONS[sampler.function](walk), None
        except (SkipBatch, StopDrawing) as stop:
            return self._guess if self._guess is not None else start, stop

    def pixels(self, latents: Tensor) -> list[bytes]:
        """Return each picture's rows of RGB bytes."""
        studio = self._studio
        if not torch.isfinite(latents).all():
            message = "the denoising network gave not-a-number"
            hint = "Use --precision exact, or another checkpoint."
            raise NumericsError(message, hint=hint)
        unscaled = latents / studio.checkpoint.architecture.scale
        # One at a time: less memory, and the same picture whatever the batch.
        pictures = [decode(studio.vae, one[None], studio.device)[0] for one in unscaled]
        return [_bytes(picture) for picture in pictures]

    def _levels(self) -> NoiseLevels:
        stride = LCM_STRIDE if self._sampler.function == "lcm" else 1
        alphas = trained_alphas(self._studio.checkpoint.alphas_cumprod, self._plan.sampling)
        return NoiseLevels.of(alphas, stride=stride)

    def _noise(self) -> BatchNoise:
        plan = self._plan
        shape = (4, plan.height // PIXELS_PER_LATENT, plan.width // PIXELS_PER_LATENT)
        return BatchNoise(
            plan.noise,
            plan.seeds[self._which],
            plan.variation_seeds[self._which],
            shape,
            self._studio.device.torch,
        )

    def _first_scale(self, sigmas: Tensor) -> float:
        """Return the standard deviation that the walk begins with."""
        if self._sampler.timesteps:
            return 1.0
        if self._plan.sampling.sgm_noise_multiplier:
            return float((1 + sigmas[0] ** 2) ** 0.5)
        return float(sigmas[0])

    def _denoiser(self, levels: NoiseLevels) -> GuidedDenoiser:
        plan, sampler = self._plan, self._sampler
        checkpoint = self._studio.checkpoint
        calls = plan.sampling.steps * sampler.evaluations
        encoder = TextEncoder(TextPredictor(checkpoint, self._studio.device), plan.text)
        conditioning = encoder.condition(
            [take_tags(prompt)[0] for prompt in plan.prompts[self._which]],
            plan.negative_prompts[self._which],
            Clock(steps=calls, old=plan.text.old_editing),
        )
        return GuidedDenoiser(
            UNetPredictor(checkpoint, self._studio.device),
            conditioning,
            plan.sampling,
            levels,
            checkpoint.architecture.prediction,
        )

    def _observer(self, observe: Observer) -> Callable[[int, Tensor], None]:
        """Tell the person how far the walk is, and keep the last guess for an early end."""

        def told(number: int, guess: Tensor) -> None:
            self._guess = guess
            observe(
                Step(
                    number=number + 1,
                    total=self._plan.sampling.steps,
                    batch=self._number,
                    batches=self._batches,
                    preview=lambda: preview_png(guess),
                )
            )

        return told


def _no_brownian(_sigma: Tensor, _sigma_next: Tensor) -> Tensor:
    raise AssertionError  # only samplers that say so in the catalogue ask for it


def _bytes(picture: Tensor) -> bytes:
    """Return ``[3, height, width]`` of -1 to 1 as bytes, cut off and rounded down as A1111 does."""
    rounded = ((picture + 1) / 2).clamp(0, 1).mul(255).to(torch.uint8)
    return rounded.permute(1, 2, 0).contiguous().cpu().numpy().tobytes()
