"""From a plan to pictures: the whole story on one screen."""

from collections.abc import Iterator

import torch

from webui.modules.networks.tiling import joined_edges
from webui.modules.pipeline.passes import Studio, whole_plan
from webui.modules.pipeline.pixels import pixels, rgb_bytes
from webui.modules.pipeline.progress import Progress
from webui.modules.types import GenerationPlan, Observer, Picture, StopDrawing


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
    starts = range(0, len(plan.seeds), plan.batch_size)
    for number, start in enumerate(starts):
        # 1. Which pictures are drawn together.
        which = slice(start, start + plan.batch_size)
        progress = Progress(observe, total=plan.sampling.steps, batch=number, batches=len(starts))
        with joined_edges(*edges):
            # 2. Noise, text and the walk from one to the other.
            latents = whole_plan(plan, studio, which, progress).from_noise()
            # 3. From latents to pixels.
            drawn = pixels(latents, studio)
        for offset, picture in enumerate(drawn):
            yield Picture(
                index=start + offset,
                width=picture.shape[-1],
                height=picture.shape[-2],
                rgb=rgb_bytes(picture),
                finished=progress.stopped is None,
            )
        if isinstance(progress.stopped, StopDrawing):
            return
