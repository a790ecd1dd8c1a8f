"""From a folder of pictures to a file in use: the whole story of a training."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import torch

from webui.modules.device import Device
from webui.modules.errors import UnsupportedModelError
from webui.modules.networks.checkpoint import Checkpoint, load_checkpoint, load_vae
from webui.modules.networks.predict import TextPredictor, UNetPredictor
from webui.modules.text.learned import LearnedWords
from webui.modules.training import export, state
from webui.modules.training.buckets import Order, Size, size_for
from webui.modules.training.denoising import Denoising, Shown
from webui.modules.training.journal import STEPS, Heard, Journal
from webui.modules.training.latents import Encoder, LatentCache, kept_latents
from webui.modules.training.learned import Learned
from webui.modules.training.loop import Course, measure, train_step
from webui.modules.training.objective import levels
from webui.modules.training.optimisers import Corrector
from webui.modules.training.parameterisations.aesthetic import Mood
from webui.modules.training.parameterisations.checkpoint import Painter
from webui.modules.training.parameterisations.embedding import Word
from webui.modules.training.parameterisations.hypernetwork import Networks
from webui.modules.training.parameterisations.lora import LoraFamily
from webui.modules.training.parameterisations.vae import Decoder
from webui.modules.training.pictures import Example, look_over
from webui.modules.training.plan import (
    CheckpointPlan,
    EmbeddingPlan,
    HypernetworkPlan,
    LoraPlan,
    TrainingPlan,
    VaePlan,
)
from webui.modules.training.rates import last_step
from webui.modules.training.reconstruction import Reconstruction
from webui.modules.training.texts import Texts
from webui.modules.types import ModelKind, PauseWork, StopDrawing, Tell

PAINTER_CHANNELS: Final = 4
"""Channels that the denoising network of a trainable checkpoint reads."""

MEASURED: Final = 8
"""At most so many pictures are measured on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Watched:
    """What a sample picture is drawn with: the painter as it is at this step.

    Attributes:
        checkpoint: The painter, wearing what is learned.
        words: What prompts can name.
        device: Where it is, and in which number format.
        step: Steps done.
    """

    checkpoint: Checkpoint
    words: LearnedWords
    device: Device
    step: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Desk:
    """Who stands beside a training.

    Attributes:
        tell: Hears of progress; ends the training by raising.
        preview: Draws sample pictures into the folder of the run and returns their names there.
        heard: Hears every line of the log.
    """

    tell: Tell
    preview: Callable[[Watched], Sequence[str]]
    heard: Heard


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
    plan = replace(plan, steps=last_step(plan.correction, plan.steps))
    (plan.run / STEPS).mkdir(parents=True, exist_ok=True)

    # 1. The pictures, and a size for each.
    desk.tell(0, plan.steps, "pictures")
    found = look_over(plan.data)
    pairs = [(example, _size(example, plan)) for example in found.examples]

    # 2. The painter: this training's own copy, so that nothing of it reaches other people's jobs.
    precise = replace(device, unet=torch.float32, text=torch.float32, vae=torch.float32)
    own = precise if plan.kind in WHOLE else device
    base = _painter(plan, own)

    # 3. Each picture's latents, made once.
    source = plan.vae or plan.base
    cache = kept_latents(
        plan.run,
        pairs,
        Encoder(vae=base.vae, device=own, source=f"{source.path} {source.sha256}"),
        lambda done, total: desk.tell(0, plan.steps, f"latents {done}/{total}"),
        mirrored=plan.data.flip,
    )

    # 4. What is corrected, worn by the painter while it learns.
    learned = _learned(plan, base)
    with learned.worn() as words:
        watched = Watched(checkpoint=base, words=words, device=own, step=0)
        texts = Texts(
            TextPredictor(base, device), plan.clip_skip, words, changing=learned.changes_text
        )
        course = _course(plan, pairs, cache, base, texts, device)
        return _Sitting(plan, desk, learned, watched).go(course, pairs, found.digest)


class _Sitting:
    """From the saved state, or the beginning, to the end or the next stop."""

    def __init__(self, plan: TrainingPlan, desk: Desk, learned: Learned, watched: Watched) -> None:
        self._plan = plan
        self._desk = desk
        self._learned = learned
        self._watched = watched
        factors = {
            name: learned.factor(name, plan.correction.text_rate) for name in learned.parameters
        }
        self._corrector = Corrector(learned.parameters, factors, plan.correction)
        self._notes: list[str] = []

    def go(
        self, course: Course[Any], pairs: Sequence[tuple[Example, Size]], pictures: str
    ) -> Mapping[str, Any]:
        """Take the steps that are left, and write the file."""
        plan, watch = self._plan, self._plan.watch
        held_out = _held_out(pairs, plan)
        shown = [place for place in range(len(pairs)) if place not in held_out]
        order = Order(pairs, shown, plan)
        samples = course.measured(held_out or shown[:MEASURED]) if watch.measure_every else []
        reached = self._begin(pictures)
        journal = Journal(plan.run, reached=reached.step, heard=self._desk.heard)
        loss = 0.0
        try:
            if reached.step == 0:
                reached = self._look(journal, course, samples, reached)
            while reached.step < plan.steps:
                self._desk.tell(reached.step, plan.steps, "training")
                began = time.perf_counter()
                lesson = train_step(reached.step, course, self._corrector, order, plan)
                loss = lesson.loss
                reached = replace(reached, step=lesson.step)
                journal.tell(
                    {
                        "step": lesson.step,
                        "loss": lesson.loss,
                        "rate": lesson.rate,
                        "length": lesson.length,
                        "seconds": round(time.perf_counter() - began, 4),
                    }
                )
                reached = self._look(journal, course, samples, reached)
        except (StopDrawing, PauseWork) as wish:
            if reached.step:
                self._save(reached)
            if reached.step == 0 or isinstance(wish, PauseWork):
                raise
        self._write(plan.out, reached)
        return {
            "path": str(plan.out),
            "step": reached.step,
            "loss": loss,
            "best": reached.best[0] if reached.best else None,
            "notes": self._notes,
        }

    def _begin(self, pictures: str) -> state.Reached:
        """Return how far the training is, and bring back all that belongs to it."""
        reached = state.saved(self._plan.run)
        if reached is None:
            return state.Reached(step=0, pictures=pictures)
        state.resume(self._plan.run, self._corrector)
        if reached.pictures != pictures:
            self._notes.append("pictures or captions have changed since the training began")
        return replace(reached, pictures=pictures)

    def _look(
        self, journal: Journal, course: Course[Any], samples: Sequence[Any], reached: state.Reached
    ) -> state.Reached:
        """Measure, draw sample pictures and save where it is time for that."""
        watch, step = self._plan.watch, reached.step
        last = step == self._plan.steps

        def due(every: int) -> bool:
            return every > 0 and (step % every == 0 or last)

        if samples and due(watch.measure_every):
            wrong = measure(course, samples, lambda: self._told(step, "measuring"))
            journal.tell({"step": step, "held_out": wrong})
            if step and (reached.best is None or wrong < reached.best[1]):
                reached = replace(reached, best=(step, wrong))
        if watch.sample is not None and due(watch.sample_every):
            self._told(step, "drawing samples")
            with self._corrector.averaged():
                names = self._desk.preview(replace(self._watched, step=step))
            journal.tell({"step": step, "samples": list(names)})
        if step and due(watch.save_every):
            self._save(reached)
            if not last:
                path = (
                    self._plan.run / STEPS / f"{self._plan.name}-{step:06d}{self._plan.out.suffix}"
                )
                self._write(path, reached)
                journal.tell({"step": step, "file": f"{STEPS}/{path.name}"})
                self._forget_old()
        return reached

    def _told(self, step: int, what: str) -> None:
        self._desk.tell(step, self._plan.steps, what)

    def _save(self, reached: state.Reached) -> None:
        state.save(self._plan.run, self._corrector, reached)

    def _write(self, path: Path, reached: state.Reached) -> None:
        tensors = self._learned.tensors(self._corrector.finished)
        shape = self._watched.checkpoint.architecture
        export.write(path, tensors, self._plan, shape, step=reached.step, pictures=reached.pictures)

    def _forget_old(self) -> None:
        """Keep the last files in between; the others were this training's own."""
        steps = sorted((self._plan.run / STEPS).glob(f"{self._plan.name}-*{self._plan.out.suffix}"))
        for path in steps[: -self._plan.watch.keep or None]:
            path.unlink()


WHOLE: Final = (ModelKind.CHECKPOINT, ModelKind.VAE)
"""Kinds whose own weights change, which takes 32 bits."""


def _painter(plan: TrainingPlan, device: Device) -> Checkpoint:
    """Return the checkpoint to train on.

    Raises:
        UnsupportedModelError: If it is one of those that read a picture besides the noise.
    """
    base = load_checkpoint(plan.base, device)
    channels = base.architecture.unet.in_channels
    if channels != PAINTER_CHANNELS:
        message = f"{plan.base.name} reads {channels} channels: it is made for inpainting"
        hint = "Train on a checkpoint that draws from noise alone."
        raise UnsupportedModelError(message, hint=hint, value=plan.base.name)
    if plan.vae is not None:
        base = replace(base, vae=load_vae(plan.vae.path, device))
    if plan.correction.save_memory:
        base.unet.enable_gradient_checkpointing()  # pyright: ignore[reportUnknownMemberType] - untyped in diffusers
    return base


def _learned(plan: TrainingPlan, base: Checkpoint) -> Learned:
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


def _course(
    plan: TrainingPlan,
    pairs: Sequence[tuple[Example, Size]],
    cache: LatentCache,
    base: Checkpoint,
    texts: Texts,
    device: Device,
) -> Course[Any]:
    if isinstance(plan.what, VaePlan):
        return Reconstruction(plan, plan.what, pairs, cache, base.vae, device)
    painter = UNetPredictor(base, device)
    schedule = levels(base.alphas_cumprod, base.architecture.prediction, plan.noise)
    shown = Shown([example for example, _ in pairs], cache, base.architecture.scale)
    return Denoising(plan, shown, schedule, painter, texts, device)


def _size(example: Example, plan: TrainingPlan) -> Size:
    data = plan.data
    if not data.buckets:
        return data.resolution, data.resolution
    return size_for(example.size, data.resolution, data.bucket_step)


def _held_out(pairs: Sequence[tuple[Example, Size]], plan: TrainingPlan) -> list[int]:
    """Return the places of pictures that are kept to measure with, chosen by their content."""
    own = [place for place, (example, _) in enumerate(pairs) if not example.regular]
    count = min(int(len(own) * plan.data.held_out), len(own) - 1, MEASURED)
    return sorted(sorted(own, key=lambda place: pairs[place][0].digest)[:count])
