"""Whether the numbers in a model file are numbers: not-a-number and infinity, told from bits.

A floating-point number whose exponent is all ones is no finite number (IEEE 754, section 3.4), so
nothing has to be computed. Files that would take long to read are left unread. No torch.
"""

import zipfile
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Final

import numpy as np

from webui.modules.weights.header import Header, first_bytes, is_pickle
from webui.modules.weights.pickles import DAMAGES, read_pickled_tensors

LONGEST: Final = 512 * 1024**2
"""Bytes of a file that is looked through within a second; few add-ons are longer."""

_EXPONENTS: Final = {
    "F64": ("<u8", 0x7FF0000000000000), "F32": ("<u4", 0x7F800000),
    "F16": ("<u2", 0x7C00), "BF16": ("<u2", 0x7F80),
}  # fmt: skip
"""Unsigned type of the same size, and the bits of the exponent."""


def spoiled_tensors(path: Path, header: Header) -> tuple[str, ...] | None:
    """Return the names of tensors that hold not-a-number or infinity.

    Args:
        path: The file.
        header: Its table of contents.

    Returns:
        None if the file is too long to be looked through, cannot be read now, or is a picture.
    """
    try:
        if path.stat().st_size > LONGEST:
            return None
        if header.format == "safetensors":
            return tuple(_spoiled_safetensors(path, header))
        if is_pickle(first_bytes(path)):
            return tuple(_spoiled_pickle(path))
    except DAMAGES:
        return None
    return None


def _spoiled_safetensors(path: Path, header: Header) -> Iterator[str]:
    with path.open("rb") as file:
        begin = 8 + int.from_bytes(file.read(8), "little")
        for name, facts in header.tensors.items():
            file.seek(begin + facts.start)
            if facts.dtype in _EXPONENTS and _spoiled(
                file.read(facts.end - facts.start), facts.dtype
            ):
                yield name


def _spoiled_pickle(path: Path) -> Iterator[str]:
    """Look at whole storages: tensors that share one are spoiled together."""
    content = read_pickled_tensors(path)
    bad: dict[str, bool] = {}
    with path.open("rb") as file:
        archive = zipfile.ZipFile(file) if content.format == "pickle" else None
        for name, tensor in content.tensors.items():
            key = tensor.storage.key
            if key not in bad and tensor.dtype in _EXPONENTS and prod(tensor.shape):
                place = content.storages[key]
                size = tensor.storage.numel * np.dtype(_EXPONENTS[tensor.dtype][0]).itemsize
                if archive is None:
                    file.seek(int(place))
                    data = file.read(min(size, LONGEST))
                else:
                    data = archive.read(str(place))
                bad[key] = _spoiled(data, tensor.dtype)
            if bad.get(key):
                yield name


def _spoiled(data: bytes, dtype: str) -> bool:
    unsigned, exponent = _EXPONENTS[dtype]
    size = np.dtype(unsigned).itemsize
    bits = np.frombuffer(data[: len(data) // size * size], unsigned)
    mask = bits.dtype.type(exponent)
    return any(
        bool(np.any((bits[place : place + _PIECE] & mask) == mask))
        for place in range(0, len(bits), _PIECE)
    )


_PIECE: Final = 4 * 1024**2
"""Numbers that are looked at together, so that little memory is taken."""
