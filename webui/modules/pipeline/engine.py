"""What is loaded now: the checkpoints of a plan and perhaps a VAE; swapped for another plan."""

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import psutil
import torch

from webui.modules.conditioning import Steps
from webui.modules.device import Device, is_out_of_memory
from webui.modules.errors import ModelFileError, OutOfMemoryError
from webui.modules.layers.stack import Wardrobe
from webui.modules.networks.checkpoint import Autoencoder, Checkpoint, load_checkpoint, load_vae
from webui.modules.pipeline.dressing import Dressing
from webui.modules.pipeline.img2img import img2img
from webui.modules.pipeline.memory import TEXTS, WALKS, Memory, mark_of
from webui.modules.pipeline.reworking import NoSteps, Reworking
from webui.modules.pipeline.studio import Studio
from webui.modules.pipeline.tiles import draw_in_tiles
from webui.modules.pipeline.txt2img import txt2img
from webui.modules.types import DecodeAgain, GenerationPlan, ModelRecord, Observer, Picture

ROOM: Final = 2.0
"""A second checkpoint is held beside the first if this many times its size is free."""


class Engine:
    """Owns the loaded weights; one per worker process.

    Args:
        device: Where and in which number format everything runs.
        steps: Carry out what extensions do to prompts; None for no extensions.
    """

    def __init__(self, device: Device, steps: Steps | None = None) -> None:
        self._device = device
        self._steps = steps or NoSteps()
        self._reworking = Reworking(self._steps, ())
        self._checkpoints: dict[Path, Checkpoint] = {}
        self._vae: tuple[ModelRecord, Autoencoder] | None = None
        self._dressing = Dressing(Wardrobe(), device)
        self._texts = Memory(TEXTS)
        self._walks = Memory(0)
        self._again: DecodeAgain = "float32"
        self._told: list[str] = []

    @property
    def device(self) -> Device:
        """Where and in which number format everything runs."""
        return self._device

    @contextmanager
    def sharing(self) -> Generator[None]:
        """Let plans that are drawn in the block take from each other what they have in common."""
        self._walks = Memory(WALKS)
        try:
            yield
        finally:
            self._walks = Memory(0)

    def draw(self, plan: GenerationPlan, observe: Observer) -> Iterator[Picture]:
        """Draw the pictures of a plan; see :func:`webui.modules.pipeline.txt2img.txt2img`.

        Raises:
            ModelError: If the checkpoint or VAE cannot be loaded.
            OutOfMemoryError: If the job does not fit.
            NumericsError: If the network gives not-a-number.
        """
        try:
            self._keep_only({record.path for record in _checkpoints_of(plan)})
            self._reworking = Reworking(self._steps, plan.extensions)
            self._again, self._told = plan.decode_again, []
            with self._dressing.wearing(plan.layers):
                for picture in self._drawn(plan, observe):
                    notes = (*picture.notes, *self._reworking.notes, *self._told)
                    yield replace(picture, notes=tuple(dict.fromkeys(notes)))
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise _too_large(plan) from error

    def _drawn(self, plan: GenerationPlan, observe: Observer) -> Iterator[Picture]:
        studio = self._lay_out(plan.checkpoint, plan.vae)
        with self._device.threads_for(studio.checkpoint.unet):
            if plan.start is None:
                yield from txt2img(plan, studio, observe)
            elif plan.start.tiles:
                yield from draw_in_tiles(plan, plan.start, plan.start.tiles, studio, observe)
            else:
                yield from img2img(plan, plan.start, studio, observe)

    def load(self, record: ModelRecord) -> Checkpoint:
        """Return the checkpoint, read from its file unless it is in memory; forget all others.

        Raises:
            ModelError: If the file cannot be used.
        """
        self._keep_only({record.path})
        return self._load(record)

    def release(self) -> None:
        """Forget all weights, so that another work has the memory."""
        self._vae = None
        self._keep_only(set())

    def _lay_out(self, record: ModelRecord, vae: ModelRecord | None) -> Studio:
        """Return what a plan draws with; another checkpoint is laid aside if both do not fit."""
        checkpoint = self._load(record)
        laid = self._dressing.put_on(checkpoint)
        return Studio(
            checkpoint=checkpoint,
            vae=self._load_vae(vae) if vae else checkpoint.vae,
            device=self._device,
            others=self._lay_out,
            wearing=self._dressing.wearing,
            laid=laid,
            mark=mark_of(checkpoint, self._dressing.layers),
            texts=self._texts,
            walks=self._walks,
            reworking=self._reworking,
            pace=self._dressing.pace,
            again=self._again,
            tell=self._told.append,
        )

    def _load(self, record: ModelRecord) -> Checkpoint:
        loaded = self._checkpoints.get(record.path)
        if loaded is not None and not _changed(loaded.record, record):
            return loaded
        self._forget(record.path)
        if self._checkpoints and not self._has_room():
            self._dressing.forget()
        if self._checkpoints and not self._has_room():
            self._keep_only(set())
        self._checkpoints[record.path] = load_checkpoint(record, self._device)
        return self._checkpoints[record.path]

    def _has_room(self) -> bool:
        """Tell whether one more checkpoint like the largest fits, and leaves room to draw."""
        needed = max(_bytes_of(checkpoint) for checkpoint in self._checkpoints.values())
        free = self.memory().get("free", psutil.virtual_memory().available)
        return free > ROOM * needed

    def _keep_only(self, paths: set[Path]) -> None:
        for path in set(self._checkpoints) - paths:
            self._forget(path)

    def _forget(self, path: Path) -> None:
        """Free a checkpoint's memory, whoever still holds the checkpoint itself."""
        checkpoint = self._checkpoints.pop(path, None)
        if checkpoint is None:
            return
        self._dressing.take_off(checkpoint)
        self._dressing.forget(checkpoint)
        self._texts.forget()
        for network in (checkpoint.unet, checkpoint.vae, checkpoint.text):
            network.to_empty(device="meta")
        if self._device.torch.type == "cuda":
            torch.cuda.empty_cache()

    def faults(self) -> Mapping[str, str]:
        """Return which extensions have failed while drawing, and why."""
        return self._steps.faults()

    def memory(self) -> dict[str, int]:
        """Return bytes of the device's memory: free and total; empty on a CPU."""
        if self._device.torch.type != "cuda":
            return {}
        free, total = torch.cuda.mem_get_info(self._device.torch)
        return {"free": free, "total": total, "used": total - free}

    def _load_vae(self, record: ModelRecord) -> Autoencoder:
        if self._vae is None or _changed(self._vae[0], record):
            self._vae = (record, load_vae(record.path, self._device))
        return self._vae[1]


def _checkpoints_of(plan: GenerationPlan) -> Iterator[ModelRecord]:
    """Yield every main model that a plan draws with."""
    yield plan.checkpoint
    if plan.hires and plan.hires.checkpoint:
        yield plan.hires.checkpoint
    if plan.refiner:
        yield plan.refiner.checkpoint


def _bytes_of(checkpoint: Checkpoint) -> int:
    networks = (checkpoint.unet, checkpoint.vae, checkpoint.text)
    parameters = (each for network in networks for each in network.parameters())
    return sum(parameter.numel() * parameter.element_size() for parameter in parameters)


def _changed(loaded: ModelRecord, wanted: ModelRecord) -> bool:
    """Tell whether another file, or the same one with other content, is wanted."""
    if not wanted.path.exists():
        message = f"{wanted.path.name} is no longer there"
        hint = "Put it back, or choose another checkpoint."
        raise ModelFileError(message, hint=hint, value=wanted.path.name)
    if loaded.path != wanted.path or loaded.config != wanted.config:
        return True
    return bool(loaded.sha256 and wanted.sha256 and loaded.sha256 != wanted.sha256)


def _too_large(plan: GenerationPlan) -> OutOfMemoryError:
    message = (
        f"{plan.batch_size} pictures of {plan.width} x {plan.height} pixels do not fit in memory"
    )
    hint = "Use a smaller size or batch, or close other programs."
    return OutOfMemoryError(message, hint=hint, value=f"{plan.width}x{plan.height}")
