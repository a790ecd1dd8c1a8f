"""Tensors out of a model file, one at a time, in private memory and in the type asked for.

A file that is replaced or cut while it is loaded must not take the program down, so nothing that is
returned lies on a memory-mapped page of the file.
"""

import zipfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol, cast

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from webui.modules.errors import ModelFileError
from webui.modules.weights.header import first_bytes, is_pickle
from webui.modules.weights.pickles import PickledFile, PickledTensor, read_pickled_tensors

_DTYPES: Final[Mapping[str, torch.dtype]] = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8,
    "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip


class TensorReader(Protocol):
    """An open model file."""

    def names(self) -> list[str]:
        """Return the names of its tensors."""
        ...

    def read(self, name: str) -> Tensor:
        """Return a copy of one tensor as it is stored."""
        ...

    def values(self) -> Mapping[str, Any]:
        """Return what stands in the file beside its tensors: numbers and texts by name."""
        ...


@contextmanager
def open_tensors(path: Path) -> Generator[TensorReader]:
    """Open a ``.safetensors`` file or a torch pickle for reading tensor by tensor.

    Raises:
        ModelFileError: If it is missing, cut off or damaged.
        UnsafeModelError: If it is a pickle that asks for more than tensors.
    """
    pickled = is_pickle(first_bytes(path))
    try:
        if pickled:
            with path.open("rb") as file:
                yield _PickleReader(path, file, read_pickled_tensors(path))
        else:
            with safe_open(path, framework="pt", device="cpu") as file:  # pyright: ignore[reportUnknownVariableType] - the library has no types
                yield _SafetensorsReader(file)
    except (SafetensorError, zipfile.BadZipFile, EOFError) as error:
        message = f"{path.name} is damaged: {error}"
        raise ModelFileError(
            message, hint="Download or copy the file again.", value=path.name
        ) from error


class _SafetensorsReader:
    def __init__(self, file: Any) -> None:
        self._file = file

    def names(self) -> list[str]:
        return list(self._file.keys())

    def read(self, name: str) -> Tensor:
        return cast("Tensor", self._file.get_tensor(name)).clone()

    def values(self) -> Mapping[str, Any]:
        return self._file.metadata() or {}


class _PickleReader:
    def __init__(self, path: Path, file: BinaryIO, content: PickledFile) -> None:
        self._path = path
        self._file = file
        self._content = content
        self._archive = zipfile.ZipFile(file) if content.format == "pickle" else None

    def names(self) -> list[str]:
        return list(self._content.tensors)

    def values(self) -> Mapping[str, Any]:
        return self._content.values

    def read(self, name: str) -> Tensor:
        described = self._content.tensors[name]
        dtype = _DTYPES[described.dtype]
        if 0 in described.shape:
            return torch.empty(described.shape, dtype=dtype)
        flat = torch.frombuffer(bytearray(self._bytes(described, dtype.itemsize)), dtype=dtype)
        return flat.as_strided(described.shape, described.stride).clone()

    def _bytes(self, described: PickledTensor, item: int) -> bytes:
        """Read just the run of bytes that the tensor covers."""
        place = self._content.storages[described.storage.key]
        reach = zip(described.shape, described.stride, strict=True)
        length = (sum((side - 1) * step for side, step in reach) + 1) * item
        if self._archive is None:
            self._file.seek(int(place) + described.offset * item)
            content = self._file.read(length)
        else:
            with self._archive.open(str(place)) as member:
                member.seek(described.offset * item)
                content = member.read(length)
        if len(content) != length:
            message = f"{self._path.name} is cut off"
            raise EOFError(message)
        return content
