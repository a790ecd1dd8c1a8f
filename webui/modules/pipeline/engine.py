"""What is loaded now: a checkpoint and perhaps a VAE; swapped when a plan needs another."""

from collections.abc import Iterator

import torch

from webui.modules.device import Device
from webui.modules.errors import ModelFileError, OutOfMemoryError
from webui.modules.networks.checkpoint import Autoencoder, Checkpoint, load_checkpoint, load_vae
from webui.modules.pipeline.passes import Studio
from webui.modules.pipeline.txt2img import txt2img
from webui.modules.types import GenerationPlan, ModelRecord, Observer, Picture


class Engine:
    """Owns the loaded weights; one per worker process."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._checkpoint: Checkpoint | None = None
        self._vae: tuple[ModelRecord, Autoencoder] | None = None

    @property
    def device(self) -> Device:
        """Where and in which number format everything runs."""
        return self._device

    def draw(self, plan: GenerationPlan, observe: Observer) -> Iterator[Picture]:
        """Draw the pictures of a plan; see :func:`webui.modules.pipeline.txt2img.txt2img`.

        Raises:
            ModelError: If the checkpoint or VAE cannot be loaded.
            OutOfMemoryError: If the job does not fit.
            NumericsError: If the network gives not-a-number.
        """
        try:
            checkpoint = self.load(plan.checkpoint)
            vae = self._load_vae(plan.vae) if plan.vae else checkpoint.vae
            studio = Studio(checkpoint=checkpoint, vae=vae, device=self._device)
            yield from txt2img(plan, studio, observe)
        except (torch.OutOfMemoryError, MemoryError) as error:
            raise _too_large(plan) from error
        except RuntimeError as error:
            if "not enough memory" not in str(error) and "can't allocate" not in str(error):
                raise
            raise _too_large(plan) from error

    def load(self, record: ModelRecord) -> Checkpoint:
        """Return the checkpoint, read from its file unless it is the one in memory.

        Raises:
            ModelError: If the file cannot be used.
        """
        loaded = self._checkpoint
        if loaded is None or _changed(loaded.record, record):
            self.unload()
            self._checkpoint = loaded = load_checkpoint(record, self._device)
        return loaded

    def unload(self) -> None:
        """Forget all weights."""
        self._checkpoint = None
        self._vae = None
        if self._device.torch.type == "cuda":
            torch.cuda.empty_cache()

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
