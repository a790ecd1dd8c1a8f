"""Embeddings (textual inversion, arXiv:2208.01618): learned words for the text encoder.

An embedding is a few vectors that stand in a prompt where its name is written. The text encoder
gets them as more rows of its token table, behind the vocabulary's own.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from webui.modules.errors import ModelFileError, UnsupportedModelError
from webui.modules.text.tokens import CHUNK
from webui.modules.weights.read import TensorReader, open_tensors

_A1111: Final = "string_to_param."
_CLIP_L: Final = ("clip_l", "clip_l_out")


@dataclass(frozen=True, kw_only=True, slots=True)
class Embedding:
    """An embedding in memory.

    Attributes:
        name: What stands for it in prompts.
        vectors: ``[count, width]``, float32.
    """

    name: str
    vectors: Tensor


def read_embedding(path: Path, name: str) -> Embedding:
    """Read an embedding of A1111 (.pt, .safetensors, a card), diffusers (.bin) or SDXL's pair.

    Args:
        path: The file.
        name: What shall stand for it in prompts, as a rule the file's stem.

    Raises:
        ModelFileError: If it is missing, cut off or damaged.
        UnsafeModelError: If it is a pickle that asks for more than tensors.
        UnsupportedModelError: If it is no embedding, or longer than a chunk of a prompt.
    """
    with open_tensors(path) as file:
        vectors = _vectors(file, path)
    if vectors.dim() == 1:
        vectors = vectors[None]
    if vectors.dim() != 2 or not 1 <= len(vectors) <= CHUNK:  # noqa: PLR2004 - rows of vectors
        message = f"{path.name} has the shape {tuple(vectors.shape)}"
        hint = f"An embedding has 1 to {CHUNK} vectors."
        raise UnsupportedModelError(message, hint=hint, value=path.name)
    if not torch.isfinite(vectors).all():
        message = f"{path.name} holds not-a-number"
        raise ModelFileError(message, hint="It is damaged; train or download it again.")
    return Embedding(name=name, vectors=vectors)


def _vectors(file: TensorReader, path: Path) -> Tensor:
    names = file.names()
    params = [name for name in names if name.startswith(_A1111)]
    wanted = params or [name for name in _CLIP_L if name in names][:1] or names
    if len(wanted) != 1:
        message = f"{path.name} has {len(wanted)} terms"
        hint = "An embedding has one. Is it another kind of file?"
        raise UnsupportedModelError(message, hint=hint, value=path.name)
    return file.read(wanted[0]).float()
