"""From a folder of pictures to a file in use: the whole story of a training."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from webui.modules.device import Device
from webui.modules.networks.checkpoint import Checkpoint, load_vae
from webui.modules.networks.lean import make_lean, save_memory
from webui.modules.networks.offload import rest
from webui.modules.networks.predict import TextPredictor
from webui.modules.training import export
from webui.modules.training.buckets import Size, size_for
from webui.modules.training.company import Company, joined
from webui.modules.training.heap import kept_heap
from webui.modules.training.journal import STEPS
from webui.modules.training.kinds import (
    WHOLE,
    Seen,
    course_of,
    in_32_bits,
    learned_of,
    painter_of,
)
from webui.modules.training.latents import Encoder, LatentCache, keep_latents
from webui.modules.training.pictures import Example, look_over
from webui.modules.training.plan import (
    TrainingPlan,
)
from webui.modules.training.rates import last_step
from webui.modules.training.sitting import Desk, Sitting, Watched
from webui.modules.training.texts import Texts
from webui.modules.types import ModelKind


def train(plan: TrainingPlan, device: Device, desk: Desk) -> Mapping[str, Any]:
    """Carry out a training, or what is left of it.

    Args:
        plan: All that decides what comes out.
        device: Where, and in which number format the painter computes.
        desk: Who hears of it.

    Returns:
        ``path`` of the finished file, ``step``, ``loss``, ``notes``, and ``best``, the step that
        measured best.

    Raises:
        PictureError: If there is no usable picture.
        ModelError: If the checkpoint cannot be trained.
        NumericsError: If the loss is no number any more.
        StorageError: If the disk is full; the last saved state is whole.
        StopDrawing: If somebody ended it before the first step.
        PauseWork: If others shall go first; everything is saved.
    """
    with joined() as company, kept_heap():
        plan = replace(plan, steps=last_step(plan.correction, plan.steps))
        return _train(plan, device, desk, company)


def _train(plan: TrainingPlan, device: Device, desk: Desk, company: Company) -> Mapping[str, Any]:
    (plan.run / STEPS).mkdir(parents=True, exist_ok=True)

    # 1. The pictures, and a size for each.
    desk.tell(0, plan.steps, "pictures")
    found = look_over(plan.data)
    pairs = [(example, _size(example, plan)) for example in found.examples]

    # 2. The painter: this training's own copy, so that nothing of it reaches other people's jobs.
    own = in_32_bits(device) if plan.kind in WHOLE else device
    base = _painter(plan, own)

    # 3. Each picture's latents, made once.
    source = plan.vae or plan.base
    encoder = Encoder(vae=base.vae, device=own, source=f"{source.path} {source.sha256}")

    def told(done: int, total: int) -> None:
        desk.tell(0, plan.steps, f"latents {done}/{total}")

    company.led(lambda: keep_latents(plan.run, pairs, encoder, told, mirrored=plan.data.flip))
    cache = LatentCache(plan.run)

    _let_go(plan, base, own)

    # 4. What is corrected, worn by the painter while it learns.
    learned = learned_of(plan, base)
    with device.threads_for(base.unet), learned.worn() as words:
        if plan.correction.offload and not learned.changes_text:
            rest(base.text, own)
        watched = Watched(checkpoint=base, words=words, device=own, step=0)
        texts = Texts(
            TextPredictor(base, device), plan.clip_skip, words, changing=learned.changes_text
        )
        course = course_of(plan, Seen(pairs, cache), base, texts, device)
        sitting = Sitting(plan, desk, learned, watched, company)
        return sitting.go(course, pairs, found.digest)


def begin(plan: TrainingPlan, device: Device) -> None:
    """Write the file of a training as it is before its first step.

    Args:
        plan: The training; nothing of its pictures is read.
        device: Where the painter is.

    Raises:
        ModelError: If the checkpoint cannot be trained.
        StorageError: If the file cannot be written.
    """
    base = _painter(plan, device)
    learned = learned_of(plan, base)
    with learned.worn():
        now = {name: each.detach() for name, each in learned.parameters.items()}
        tensors = learned.tensors(now)
        export.write(plan.out, tensors, plan, base.architecture, step=0, pictures="")


def _painter(plan: TrainingPlan, device: Device) -> Checkpoint:
    base = painter_of(plan.base, device)
    if plan.vae is not None:
        base = replace(base, vae=load_vae(plan.vae.path, device))
    make_lean(base.unet, device, frozen=plan.kind not in WHOLE)
    if plan.correction.save_memory:
        save_memory(base.unet)
    return base


def _let_go(plan: TrainingPlan, base: Checkpoint, device: Device) -> None:
    """Free the memory of an autoencoder that only sample pictures still need, or nobody."""
    if plan.kind is ModelKind.VAE:
        return
    if plan.watch.sample is None:
        cast("Any", base.vae).to("meta")
    elif plan.correction.offload:
        rest(base.vae, device)


def _size(example: Example, plan: TrainingPlan) -> Size:
    data = plan.data
    if not data.buckets:
        return data.resolution, data.resolution
    return size_for(example.size, data.resolution, data.bucket_step)
