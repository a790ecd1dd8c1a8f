"""Checkpoints and their parts as they lie in files: opened, and read tensor by tensor."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from webui.modules.errors import UnsupportedModelError
from webui.modules.types import ModelRecord, Precision
from webui.modules.weights.header import Header, TensorFacts, read_header
from webui.modules.weights.read import DTYPES, TensorReader, open_tensors

FORMATS: Final[Mapping[Precision, torch.dtype]] = {
    "fp32": torch.float32,
    "fp16": torch.float16,
    "bf16": torch.bfloat16,
}

MIXED: Final = "model"
"""Part of the names of all tensors of networks; A1111 mixes only these."""

_OLD_TEXT: Final = "cond_stage_model.transformer."
_OLD_PARTS: Final = ("embeddings.", "encoder.", "final_layer_norm.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """An opened checkpoint, its tensors under the names of today."""

    record: ModelRecord
    header: Header
    file: TensorReader
    names: Mapping[str, str]

    def facts(self, name: str) -> TensorFacts:
        """Return shape and type of a tensor."""
        return self.header.tensors[self.names[name]]

    def read(self, name: str) -> Tensor:
        """Return a tensor as it is stored."""
        return self.file.read(self.names[name])


def source_of(record: ModelRecord, opened: ExitStack) -> Source:
    """Open a checkpoint or VAE file.

    Raises:
        UnsupportedModelError: If it is a diffusers folder.
        ModelFileError: If it is damaged.
    """
    if record.path.is_dir():
        message = f"{record.name} is a folder of many files"
        hint = "Use a checkpoint that is one .safetensors or .ckpt file."
        raise UnsupportedModelError(message, hint=hint, value=record.name)
    header = read_header(record.path)
    file = opened.enter_context(open_tensors(record.path))
    return Source(
        record=record,
        header=header,
        file=file,
        names={todays_name(name): name for name in header.tensors},
    )


def todays_name(name: str) -> str:
    """Return the name that newer files have for a text encoder's tensor; others stay."""
    inner = name.removeprefix(_OLD_TEXT)
    if inner != name and inner.startswith(_OLD_PARTS):
        return f"{_OLD_TEXT}text_model.{inner}"
    return name


def written_dtype(name: str, dtype: str, precision: Precision) -> torch.dtype:
    """Return the type in which a tensor is written.

    Whole numbers keep theirs, and so do tensors of no network, such as the noise schedule: rounding
    that would change every picture.

    Args:
        name: Of the tensor.
        dtype: Its own type.
        precision: What is asked for.

    Raises:
        UnsupportedModelError: If it is a type that is not computed with.
    """
    if dtype not in DTYPES:
        message = f"a tensor has the type {dtype}"
        raise UnsupportedModelError(message, hint="Use a file of 16 or 32 bits.", value=dtype)
    own = DTYPES[dtype]
    return FORMATS.get(precision, own) if own.is_floating_point and MIXED in name else own
