"""How far pictures are from each other, in the eyes of the starter's own autoencoder."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from webui.modules.device import choose
from webui.modules.networks.checkpoint import Checkpoint, load_checkpoint
from webui.modules.networks.predict import posterior
from webui.modules.types import ModelKind, ModelRecord

DEVICE = choose("cpu", "exact", threads=1)


@dataclass(frozen=True)
class Eye:
    """Sees a picture as the mean latents of a checkpoint's encoder, ``[4, 16, 16]`` numbers."""

    file: Path

    @cached_property
    def _checkpoint(self) -> Checkpoint:
        record = ModelRecord(
            path=self.file,
            kind=ModelKind.CHECKPOINT,
            name=self.file.name,
            config=self.file.with_suffix(".yaml"),
        )
        return load_checkpoint(record, DEVICE)

    @torch.no_grad()
    def see(self, pictures: list[Image.Image]) -> Tensor:
        """Return a row of numbers for each picture."""
        pixels = torch.from_numpy(np.stack([np.asarray(each) for each in pictures]).copy())
        scaled = pixels.permute(0, 3, 1, 2).float() / 127.5 - 1
        mean, _ = posterior(self._checkpoint.vae, scaled, DEVICE)
        return mean.flatten(1)

    def apart(self, some: list[Image.Image], others: list[Image.Image]) -> float:
        """Return the mean distance from each picture to its partner."""
        return float((self.see(some) - self.see(others)).norm(dim=1).mean())
