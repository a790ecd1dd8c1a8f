"""From a picture and a plan to pictures: the whole story on one screen."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from PIL import Image
from torch import Tensor

from webui.modules.pipeline.canvas import canvas, softened
from webui.modules.pipeline.ground import Ground
from webui.modules.pipeline.passes import Part, Pass, whole_plan
from webui.modules.pipeline.pixels import pixels, rgb_bytes
from webui.modules.pipeline.progress import Progress
from webui.modules.pipeline.softness import changed
from webui.modules.pipeline.studio import Studio, prepared
from webui.modules.types import GenerationPlan, Observer, Picture, Start, StopDrawing


@torch.inference_mode()
def img2img(
    plan: GenerationPlan, start: Start, studio: Studio, observe: Observer
) -> Iterator[Picture]:
    """Draw the pictures of a plan that starts from pictures, batch by batch.

    Args:
        plan: What to draw; every name settled.
        start: The plan's start.
        studio: What to draw with.
        observe: As in :func:`webui.modules.pipeline.txt2img.txt2img`.

    Yields:
        Each batch's pictures as soon as they are done.

    Raises:
        PictureError: If the file of a given picture is gone.
        NumericsError: If the network gives not-a-number.
    """
    size = (plan.width, plan.height)
    starts = range(0, len(plan.seeds), plan.batch_size)
    part = Part.of(plan.sampling.steps, start.denoising, every_step=start.every_step)
    # 1. The given pictures in their size, with their masks.
    canvases = [canvas(picture, start, size) for picture in start.pictures]
    for number, first in enumerate(starts):
        # 2. Which pictures are drawn together.
        which = slice(first, first + plan.batch_size)
        progress = Progress(observe, total=part.taken + 1, batch=number, batches=len(starts))
        bare = studio.others(plan.checkpoint, plan.vae)
        with prepared(bare, plan, size=size, merging=plan.token_merging) as ready:
            # 3. The given pictures as latents, and the part of them that stays.
            ground = Ground(plan=plan, start=start, studio=ready, which=which, canvases=canvases)
            # 4. Noise, text and the last part of the walk.
            walk = replace(
                whole_plan(plan, ready, which, progress), kept=ground.kept, beside=ground.beside
            )
            latents = _walked(walk, ground, part)
            # 5. From latents to pixels.
            drawn = pixels(latents, walk.relay.studio)
        # 6. The original back where nothing was to change.
        for offset, picture in enumerate(_finished(drawn, latents, ground)):
            yield Picture(
                index=first + offset,
                width=picture.width,
                height=picture.height,
                rgb=picture.tobytes(),
                finished=progress.stopped is None,
                notes=(*studio.laid.notes, *ground.places[offset].notes),
            )
        if isinstance(progress.stopped, StopDrawing):
            return


def _walked(walk: Pass, ground: Ground, part: Part) -> Tensor:
    """Add noise to the given latents, walk, and keep what is to stay."""
    start, noise = ground.start, walk.noise()
    first = noise.first() * start.noise_multiplier
    latents = walk.from_latents(
        ground.latents, part, noise=noise, first=first, extra=start.extra_noise
    )
    return latents if ground.kept is None else ground.kept.finished(latents)


def _finished(drawn: Sequence[Tensor], latents: Tensor, ground: Ground) -> Iterator[Image.Image]:
    """Yield what was drawn, under what stays of the original."""
    soft: list[Image.Image | None] = [None] * len(drawn)
    inpainting = ground.start.inpainting
    if ground.kept is not None and inpainting is not None and inpainting.soft is not None:
        shares = changed(ground.kept, latents, inpainting.soft)
        soft = [softened(share, ground.size) for share in shares]
    for picture, place, mask in zip(drawn, ground.places, soft, strict=True):
        size = (picture.shape[-1], picture.shape[-2])
        image = Image.frombytes("RGB", size, rgb_bytes(picture))
        yield place.finished(image, ground.start, mask)
