"""Memory for changed weights: one piece that is written again and again, and whether there is more.

A first write to fresh memory costs more than the arithmetic: the system hands it out page by page.
So the pages are large where the system has large ones, and the piece is kept for the next change.
"""

import mmap
from collections.abc import Callable, Iterable
from typing import Final

import psutil
import torch
from torch import Tensor

_ALIGNED: Final = 64
"""Bytes; the width of a cache line and of the widest vector instructions."""


HasRoom = Callable[[torch.device], bool]
"""Tells whether a device has memory to spare."""


class Room:
    """A piece of memory that holds tensors one behind the other."""

    def __init__(self, size: int, device: torch.device) -> None:
        """Take the memory.

        Args:
            size: Bytes.
            device: Where.
        """
        self.size = size
        self._bytes = _on_cpu(size) if device.type == "cpu" else _elsewhere(size, device)

    def like(self, tensors: Iterable[Tensor]) -> list[Tensor]:
        """Return a place for each tensor, of its shape, format and order in memory."""
        places: list[Tensor] = []
        begin = 0
        for tensor in tensors:
            end = begin + tensor.numel() * tensor.element_size()
            flat = self._bytes[begin:end].view(tensor.dtype)
            places.append(flat.as_strided(tensor.shape, tensor.stride()))
            begin = _aligned(end)
        return places


def size_of(tensors: Iterable[Tensor]) -> int:
    """Return how many bytes a room for tensors like these has."""
    return sum(_aligned(tensor.numel() * tensor.element_size()) for tensor in tensors)


def is_ample(device: torch.device) -> bool:
    """Tell whether much memory is free.

    On a graphics card that is half of it, since drawing needs it; elsewhere a quarter.
    """
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        return free > total / 2
    memory = psutil.virtual_memory()
    return memory.available > memory.total / 4


def _aligned(place: int) -> int:
    return -(-place // _ALIGNED) * _ALIGNED


def _on_cpu(size: int) -> Tensor:
    if hasattr(mmap, "MADV_HUGEPAGE"):
        # Memory that could be shared with other processes, which is the default, has small pages.
        private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        memory = mmap.mmap(-1, max(size, 1), flags=private)
        memory.madvise(mmap.MADV_HUGEPAGE)
    else:
        memory = mmap.mmap(-1, max(size, 1))
    return torch.frombuffer(memory, dtype=torch.uint8)


def _elsewhere(size: int, device: torch.device) -> Tensor:
    return torch.empty(size, dtype=torch.uint8, device=device)
