"""The table of contents of a model file: names, shapes and types of its tensors, no tensor read.

No torch, so that the server can list ten thousand files. Safetensors is the format of
github.com/huggingface/safetensors: eight bytes of length, that many bytes of JSON, then the data.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from webui.modules.errors import ModelFileError
from webui.modules.weights.embedding_card import TERM, picture_format, read_card
from webui.modules.weights.pickles import read_pickled_tensors

MAX_HEADER_BYTES: Final = 64 * 1024 * 1024
"""A longer header is no model of ours; the largest real ones have some 4 MB."""

MAX_TENSORS: Final = 100_000
"""More tensors than this are an attack, not a model."""

MAX_AXES: Final = 16
MAX_SIDE: Final = 1 << 48
"""No tensor has more axes or a longer one."""

BYTES: Final[Mapping[str, int]] = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1,
    "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4, "U16": 2, "U8": 1, "BOOL": 1,
}  # fmt: skip
"""Bytes of one element of each type that a safetensors file may name."""


@dataclass(frozen=True, slots=True)
class TensorFacts:
    """Shape and type of one tensor in a file, and where its bytes lie."""

    shape: tuple[int, ...]
    dtype: str
    start: int = 0
    end: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Header:
    """What a file says of itself.

    Attributes:
        format: "safetensors", "pickle" (zip), "pickle-legacy", or "png" and "webp" for a picture.
        tensors: Facts by tensor name, in the file's order; none for a picture without data.
        metadata: The free texts of a safetensors file, or the name that a card's data gives
            itself; empty for pickles.
        values: What a pickle or a card holds besides tensors: numbers, texts and lists by name.
    """

    format: str
    tensors: Mapping[str, TensorFacts]
    metadata: Mapping[str, str]
    values: Mapping[str, Any]


def read_header(path: Path) -> Header:
    """Return the table of contents of a ``.safetensors``, ``.ckpt``, ``.pt``, ``.pth`` or ``.bin``.

    A PNG or WebP that carries an embedding has one too, and one without has an empty one. What the
    file is, is told by its first bytes and not by its name.

    Raises:
        ModelFileError: If it is missing, empty, cut off or no model file at all.
        UnsafeModelError: If it is a pickle that asks for more than tensors and plain values.
    """
    first = first_bytes(path)
    if kind := picture_format(first):
        return _read_picture(path, kind)
    if is_pickle(first):
        pickled = read_pickled_tensors(path)
        facts = {
            name: TensorFacts(tensor.shape, tensor.dtype)
            for name, tensor in pickled.tensors.items()
        }
        return Header(format=pickled.format, tensors=facts, metadata={}, values=pickled.values)
    return _read_safetensors(path, first)


def first_bytes(path: Path) -> bytes:
    """Return the eight bytes with which a file begins; never waits, as a named pipe would.

    Raises:
        ModelFileError: If there is no such file, or none that can be read, or nothing in it.
    """
    try:
        if not path.is_file():
            message = f"{path.name} is not a file"
            raise ModelFileError(message, hint="Choose a model file.", value=path.name)
        with path.open("rb") as file:
            first = file.read(8)
    except OSError as error:
        message = f"{path.name} cannot be read: {error.strerror}"
        raise ModelFileError(
            message, hint="Check the file's permissions.", value=path.name
        ) from error
    if not first:
        message = f"{path.name} is empty"
        raise ModelFileError(message, hint="Download or copy the file again.", value=path.name)
    return first


def is_pickle(first: bytes) -> bool:
    """Tell a zip archive or a pickle from a safetensors length, which ends in zeros."""
    pickled = first[:1] == b"\x80" and first[1:2] in b"\x02\x03\x04\x05"
    return first[:4] == b"PK\x03\x04" or (pickled and first[4:] != bytes(4))


def _read_picture(path: Path, kind: str) -> Header:
    card = read_card(path)
    if card is None:
        return Header(format=kind, tensors={}, metadata={}, values={})
    tensors = {f"{TERM}{term}": TensorFacts(v.shape, "F32") for term, v in card.terms.items()}
    values = {"name": card.name, **card.values}
    return Header(format=kind, tensors=tensors, metadata={"name": card.name}, values=values)


def _read_safetensors(path: Path, first: bytes) -> Header:
    size = path.stat().st_size
    length = int.from_bytes(first, "little") if len(first) == 8 else 0  # noqa: PLR2004 - u64
    if not len("{}") <= length <= min(MAX_HEADER_BYTES, size - 8):
        message = f"{path.name} is cut off or no model file"
        raise ModelFileError(message, hint="Download or copy the file again.", value=path.name)
    with path.open("rb") as file:
        file.seek(8)
        text = file.read(length)
    try:
        raw: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        message = f"the header of {path.name} is damaged"
        raise ModelFileError(
            message, hint="Download or copy the file again.", value=path.name
        ) from error
    if not isinstance(raw, dict) or len(cast("dict[str, object]", raw)) > MAX_TENSORS:
        message = f"the header of {path.name} is not one of a model"
        raise ModelFileError(message, hint="Download or copy the file again.", value=path.name)
    entries = cast("dict[str, Any]", raw)
    metadata = _texts(entries.pop("__metadata__", {}))
    room = size - 8 - length
    tensors = {name: _facts(path, name, entry, room) for name, entry in entries.items()}
    _check_layout(path, tensors, room)
    if text.count(b'"data_offsets"') > len(tensors) and _says_twice(text):
        message = f"the header of {path.name} names a tensor twice"
        raise ModelFileError(message, hint="Download or copy the file again.", value=path.name)
    return Header(format="safetensors", tensors=tensors, metadata=metadata, values={})


def _says_twice(text: bytes) -> bool:
    """Tell whether a name stands twice in one place; json itself keeps the last silently."""
    twice = False

    def look(pairs: list[tuple[str, object]]) -> dict[str, object]:
        nonlocal twice
        once = dict(pairs)
        twice = twice or len(once) < len(pairs)
        return once

    json.loads(text, object_pairs_hook=look)
    return twice


def _texts(raw: object) -> dict[str, str]:
    if not isinstance(raw, dict):
        return {}
    texts = cast("dict[str, object]", raw).items()
    return {key: value for key, value in texts if isinstance(value, str)}


def _check_layout(path: Path, tensors: Mapping[str, TensorFacts], room: int) -> None:
    """Refuse data that belongs to two tensors or to none, as the format does."""
    behind = 0
    for name, facts in sorted(tensors.items(), key=lambda item: (item[1].start, item[1].end)):
        if facts.start != behind:
            message = f"{path.name}: tensor {name[:80]!r} does not lie where the one before ends"
            raise ModelFileError(message, hint="Download or copy the file again.", value=path.name)
        behind = facts.end
    if behind != room:
        message = f"{path.name} has {room - behind} bytes that belong to no tensor"
        raise ModelFileError(message, hint="Download or copy the file again.", value=path.name)


def _facts(path: Path, name: str, entry: object, room: int) -> TensorFacts:
    """Check one entry: known type, sane shape, bytes that lie inside the file and fit the shape."""
    try:
        fields = cast("dict[str, Any]", entry)
        shape = tuple(map(int, fields["shape"]))
        dtype = str(fields["dtype"])
        start, end = map(int, fields["data_offsets"])
        if len(shape) > MAX_AXES or max((*shape, end)) > MAX_SIDE:
            message = "an impossible shape"
            raise ValueError(message)
        expected = math.prod(shape) * BYTES[dtype]
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        message = f"{path.name}: the entry of tensor {name[:80]!r} is damaged"
        raise ModelFileError(
            message, hint="Download or copy the file again.", value=path.name
        ) from error
    if min(shape, default=0) < 0 or not 0 <= start <= end <= room or end - start != expected:
        message = f"{path.name} is cut off at tensor {name[:80]!r}"
        raise ModelFileError(message, hint="Download or copy the file again.", value=path.name)
    return TensorFacts(shape, dtype, start, end)
