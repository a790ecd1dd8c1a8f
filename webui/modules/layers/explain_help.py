"""What all explanations share: loading checkpoints, reading single tensors, keeping pictures."""

import hashlib
import io
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from webui.modules.device import Device
from webui.modules.errors import StorageError, UnsupportedModelError
from webui.modules.layers.sources import source_of
from webui.modules.networks.checkpoint import Checkpoint
from webui.modules.types import ModelRecord, Tell
from webui.modules.weights.architecture import TEXT
from webui.modules.whole import write_whole

TOKENS: Final = f"{TEXT}embeddings.token_embedding.weight"
"""The text encoder's table of token vectors, in the file of a checkpoint."""

Explained = dict[str, object]
"""An explanation: numbers, texts and lists by name, fit for JSON."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Help:
    """What an explanation is given besides its plan.

    Attributes:
        tell: Hears of progress; ends the work by raising.
        load: Returns a checkpoint that is to be drawn with; it must not be changed.
        device: Where, and in which number format.
    """

    tell: Tell
    load: Callable[[ModelRecord], Checkpoint]
    device: Device


def token_table(checkpoint: ModelRecord) -> Tensor:
    """Return the vectors of all words of the vocabulary, ``[words, width]``, float32.

    Raises:
        UnsupportedModelError: If the checkpoint has no text encoder of Stable Diffusion 1.
        ModelFileError: If it is damaged.
    """
    with ExitStack() as opened:
        source = source_of(checkpoint, opened)
        if TOKENS not in source.names:
            message = f"{checkpoint.name} has no text encoder of Stable Diffusion 1"
            hint = "Choose a checkpoint of the Stable Diffusion 1 family."
            raise UnsupportedModelError(message, hint=hint, value=checkpoint.name)
        return source.read(TOKENS).float()


def lengths(vectors: Tensor) -> Tensor:
    """Return the length of each vector, along the last axis, in double precision."""
    return vectors.double().square().sum(dim=-1).sqrt()


def keep_picture(folder: Path, pixels: Tensor) -> str:
    """Write a picture as PNG and return the name under which it is shown: its own hash.

    Args:
        folder: Where such pictures lie.
        pixels: ``[3, height, width]`` of -1 to 1; what is beyond is cut off.

    Raises:
        StorageError: If it cannot be written.
    """
    values = ((pixels.detach().float().cpu().clamp(-1, 1) + 1) * 127.5).round()
    image = Image.fromarray(values.permute(1, 2, 0).numpy().astype(np.uint8))
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    content = buffer.getvalue()
    name = hashlib.sha256(content).hexdigest()
    path = folder / f"{name}.png"
    with suppress(OSError):  # a folder that cannot be made is told by the writing
        folder.mkdir(parents=True, exist_ok=True)
    write_whole(path, content)
    return name


def read_png(path: Path) -> Tensor:
    """Return a kept picture, ``[3, height, width]`` of -1 to 1, on white where it is transparent.

    Raises:
        StorageError: If it is no longer there.
    """
    try:
        with Image.open(path, formats=("PNG",)) as image:
            whole = image.convert("RGBA")
    except (OSError, ValueError, SyntaxError) as error:
        message = f"the picture {path.name} is no longer there"
        raise StorageError(message, hint="Give it again.", value=path.name) from error
    ground = Image.new("RGBA", whole.size, "white")
    ground.alpha_composite(whole)
    values = np.asarray(ground.convert("RGB")).astype(np.float32)
    return torch.tensor(values).permute(2, 0, 1) / 127.5 - 1
