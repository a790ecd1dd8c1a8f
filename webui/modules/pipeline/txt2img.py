"""From a plan to pictures: the whole story on one screen."""

from collections.abc import Iterator

import torch

from webui.modules.pipeline.enlarging import LATENT_MODES
from webui.modules.pipeline.hires import second_pass
from webui.modules.pipeline.passes import whole_plan
from webui.modules.pipeline.pixels import pixels, rgb_bytes
from webui.modules.pipeline.progress import Progress
from webui.modules.pipeline.studio import Studio, prepared
from webui.modules.pipeline.upscale import enlarger
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
        ModelError: If a second checkpoint or the upscaler cannot be used.
    """
    hires, size = plan.hires, (plan.width, plan.height)
    total = plan.sampling.steps + (hires.sampling.steps if hires else 0)
    enlarge = enlarger(hires, studio.device) if hires else None
    starts = range(0, len(plan.seeds), plan.batch_size)
    for number, start in enumerate(starts):
        # 1. Which pictures are drawn together.
        which = slice(start, start + plan.batch_size)
        progress = Progress(observe, total=total, batch=number, batches=len(starts))
        bare = studio.others(plan.checkpoint, plan.vae)
        with prepared(bare, plan, size=size, merging=plan.token_merging) as ready:
            # 2. Noise, text and the walk from one to the other.
            walk = whole_plan(plan, ready, which, progress)
            latents = walk.from_noise()
            # 3. From latents to pixels, unless the latents themselves are enlarged.
            again = None if progress.stopped else hires
            in_latents = again is not None and again.upscaler in LATENT_MODES
            drawn = [] if in_latents else pixels(latents, walk.relay.studio)
        # 4. Hires fix: enlarge what is drawn, and draw on.
        if again:
            small = latents if in_latents else torch.stack(drawn)
            drawn = second_pass(walk, again, studio, small, enlarge)
        for offset, picture in enumerate(drawn):
            yield Picture(
                index=start + offset,
                width=picture.shape[-1],
                height=picture.shape[-2],
                rgb=rgb_bytes(picture),
                finished=progress.stopped is None,
                notes=studio.laid.notes,
            )
        if isinstance(progress.stopped, StopDrawing):
            return
