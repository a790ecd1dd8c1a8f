"""The kinds of training: on which painter, what each corrects, and by which course it learns."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import torch

from webui.modules.device import Device
from webui.modules.errors import UnsupportedModelError
from webui.modules.networks.checkpoint import Checkpoint, load_checkpoint
from webui.modules.networks.predict import UNetPredictor
from webui.modules.training.buckets import Size
from webui.modules.training.denoising import Denoising, Shown
from webui.modules.training.latents import LatentCache
from webui.modules.training.learned import Learned
from webui.modules.training.loop import Course
from webui.modules.training.objective import levels
from webui.modules.training.parameterisations.aesthetic import Mood
from webui.modules.training.parameterisations.checkpoint import Painter
from webui.modules.training.parameterisations.embedding import Word
from webui.modules.training.parameterisations.hypernetwork import Networks
from webui.modules.training.parameterisations.lora import LoraFamily
from webui.modules.training.parameterisations.vae import Decoder
from webui.modules.training.pictures import Example
from webui.modules.training.plan import (
    CheckpointPlan,
    EmbeddingPlan,
    HypernetworkPlan,
    LoraPlan,
    TrainingPlan,
    VaePlan,
)
from webui.modules.training.reconstruction import Reconstruction
from webui.modules.training.texts import Texts
from webui.modules.types import ModelKind, ModelRecord

PAINTER_CHANNELS: Final = 4
"""Channels that the denoising network of a trainable checkpoint reads."""

WHOLE: Final = (ModelKind.CHECKPOINT, ModelKind.VAE)
"""Kinds whose own weights change, which takes 32 bits."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What there is to see: pictures with the sizes they are brought to, and their latents."""

    pairs: Sequence[tuple[Example, Size]]
    latents: LatentCache


def in_32_bits(device: Device) -> Device:
    """Return the device with all networks in 32 bits."""
    return replace(device, unet=torch.float32, text=torch.float32, vae=torch.float32)


def painter_of(record: ModelRecord, device: Device) -> Checkpoint:
    """Return a checkpoint to train on, in a copy of its own.

    Raises:
        UnsupportedModelError: If it is one of those that read a picture besides the noise.
        ModelError: If it cannot be loaded.
    """
    base = load_checkpoint(record, device)
    channels = base.architecture.unet.in_channels
    if channels != PAINTER_CHANNELS:
        message = f"{record.name} reads {channels} channels: it is made for inpainting"
        hint = "Choose a checkpoint that draws from noise alone."
        raise UnsupportedModelError(message, hint=hint, value=record.name)
    return base


def learned_of(plan: TrainingPlan, base: Checkpoint) -> Learned:
    """Return what a training corrects, as it begins."""
    match plan.what:
        case LoraPlan():
            return LoraFamily(base, plan.what, plan.seed)
        case EmbeddingPlan():
            word = Word(base, plan.what, plan.name)
            return Mood(word, base, plan.name) if plan.kind is ModelKind.AESTHETIC else word
        case HypernetworkPlan():
            return Networks(base, plan.what, plan.name, plan.seed)
        case CheckpointPlan():
            return Painter(base, plan.what)
        case VaePlan():
            return Decoder(base.vae)


def course_of(
    plan: TrainingPlan, seen: Seen, base: Checkpoint, texts: Texts, device: Device
) -> Course[Any]:
    """Return by which course a training learns.

    Args:
        plan: The training.
        seen: The pictures.
        base: The painter.
        texts: Encodes what is said of them.
        device: Where, and in which number format multiplications run.
    """
    if isinstance(plan.what, VaePlan):
        exact = in_32_bits(device)
        return Reconstruction(plan, plan.what, seen.pairs, seen.latents, base.vae, exact)
    painter = UNetPredictor(base, device)
    schedule = levels(base.alphas_cumprod, base.architecture.prediction, plan.noise)
    shown = Shown([example for example, _ in seen.pairs], seen.latents, base.architecture.scale)
    return Denoising(plan, shown, schedule, painter, texts, device)
