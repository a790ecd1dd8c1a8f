"""A model file written whole: under another name first, then put in its place in one move.

Small files are written from tensors in memory. A large one is written tensor by tensor, so that two
checkpoints can be merged that do not fit into memory together.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, Final

import torch
from torch import Tensor

from webui.modules.weights.read import DTYPES
from webui.modules.whole import written_whole

_NAMES: Final = {dtype: name for name, dtype in DTYPES.items()}

ALIGNMENT: Final = 8
"""The data begin at a multiple of so many bytes."""


@dataclass(frozen=True, slots=True)
class Slot:
    """The place of one tensor in a file that is written piece by piece."""

    dtype: torch.dtype
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Bytes."""
        return prod(self.shape) * self.dtype.itemsize


def write_safetensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]
) -> None:
    """Write tensors and texts as ``.safetensors``; an older file of this name is replaced at once.

    Equal tensors and texts give equal bytes: the format's own library leaves the order of the texts
    to chance.

    Raises:
        StorageError: If the folder is missing or read-only, or the disk is full. Nothing is left
            behind then, and an older file stays as it was.
    """
    slots = {name: Slot(tensor.dtype, tuple(tensor.shape)) for name, tensor in tensors.items()}
    stream_safetensors(path, slots, lambda name: tensors[name], metadata)


def stream_safetensors(
    path: Path,
    slots: Mapping[str, Slot],
    tensor: Callable[[str], Tensor],
    metadata: Mapping[str, str],
) -> None:
    """Write a ``.safetensors`` of which only one tensor is in memory at a time.

    Args:
        path: The new file.
        slots: Type and shape of each tensor by its name.
        tensor: Gives a tensor when its turn has come; of the type and shape of its slot.
        metadata: Free texts for the header.

    Raises:
        StorageError: As ``write_safetensors``; what ``tensor`` raises passes through, and nothing
            is left behind.
    """
    order = sorted(slots, key=lambda name: (-slots[name].dtype.itemsize, name))
    with written_whole(path) as unfinished, unfinished.open("wb") as file:
        file.write(_header(order, slots, metadata))
        for name in order:
            _write(file, tensor(name).to(slots[name].dtype))


def _header(order: list[str], slots: Mapping[str, Slot], metadata: Mapping[str, str]) -> bytes:
    """Return the length and the table of contents, padded with spaces as the format allows."""
    table: dict[str, Any] = {"__metadata__": dict(sorted(metadata.items()))} if metadata else {}
    start = 0
    for name in order:
        slot = slots[name]
        end = start + slot.size
        table[name] = {
            "dtype": _NAMES[slot.dtype],
            "shape": list(slot.shape),
            "data_offsets": [start, end],
        }
        start = end
    text = json.dumps(table, separators=(",", ":")).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    return len(text).to_bytes(8, "little") + text


def _write(file: BinaryIO, tensor: Tensor) -> None:
    if tensor.numel():
        flat = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        file.write(flat.numpy().data)
