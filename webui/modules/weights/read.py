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

from webui.modules.errors import ModelFileError, UnsupportedModelError
from webui.modules.weights.embedding_card import TERM, EmbeddingCard, picture_format, read_card
from webui.modules.weights.header import first_bytes, is_pickle
from webui.modules.weights.pickles import PickledFile, PickledTensor, read_pickled_tensors

DTYPES: Final[Mapping[str, torch.dtype]] = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8,
    "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip
"""The types of tensors by the names that files have for them."""


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
    """Open a ``.safetensors`` file, a torch pickle or an embedding's card, tensor by tensor.

    Raises:
        ModelFileError: If it is missing, cut off or damaged.
        UnsafeModelError: If it is a pickle that asks for more than tensors.
        UnsupportedModelError: If it is a picture that carries no embedding.
    """
    first = first_bytes(path)
    try:
        if picture_format(first):
            yield _CardReader(_needed_card(path))
        elif is_pickle(first):
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


def _needed_card(path: Path) -> EmbeddingCard:
    card = read_card(path)
    if card is None:
        message = f"{path.name} is a picture that carries no embedding"
        raise UnsupportedModelError(message, hint="Choose a model file.", value=path.name)
    return card


class _CardReader:
    def __init__(self, card: EmbeddingCard) -> None:
        self._card = card

    def names(self) -> list[str]:
        return [TERM + term for term in self._card.terms]

    def read(self, name: str) -> Tensor:
        return torch.from_numpy(self._card.terms[name.removeprefix(TERM)].copy())  # pyright: ignore[reportUnknownMemberType] - its types are partial

    def values(self) -> Mapping[str, Any]:
        return {"name": self._card.name, **self._card.values}


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
        dtype = DTYPES[described.dtype]
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
