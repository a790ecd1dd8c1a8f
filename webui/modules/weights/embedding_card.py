"""Embeddings in pictures: A1111's cards, in a text of the file or in its pixels. No torch.

The data is JSON: the dictionary of A1111's ``.pt`` with each tensor as ``{"TORCHTENSOR": [...]}``.
A PNG carries it as base64 in the text ``sd-ti-embedding``. So that it outlives sites that strip
texts, it stands in the pixels as well, and there WebP can carry it too:

1. The JSON is deflated and its bytes are split into low and high halves.
2. Each row of halves is filled up by repetition and laid out as a block as high as the picture.
3. The low block stands at the left of the picture and the high one at its right, each parted from
   it by one black column. Only the lower half of each pixel's bytes counts, xored with the numbers
   of a linear congruential generator; the upper half is free and carries an ornament.

Nothing here trusts the file: sizes are checked before pixels are unpacked, texts before they are
inflated, and the JSON is read as data.
"""

import base64
import io
import json
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from webui.modules.errors import ModelFileError, UnsupportedModelError

TEXT: Final = "sd-ti-embedding"
"""The text of a PNG that carries an embedding."""

TERM: Final = "string_to_param."
"""How the tensors of A1111's dictionary are called, the term behind it."""

MAX_BYTES: Final = 32 * 1024**2
"""A larger picture is no card; real ones have some 500 KB."""

MAX_PIXELS: Final = 4_000_000
"""A picture larger than this is not searched for an embedding."""

MAX_JSON: Final = 16 * 1024**2
"""75 vectors of 2048 numbers have 4 MB as JSON."""

HALF: Final = 0x0F
COLOURS: Final = 3
_TENSOR: Final = "TORCHTENSOR"
_SIGNATURES: Final = {b"\x89PNG\r\n\x1a\n": "png", b"RIFF": "webp"}

Bytes = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True, slots=True)
class EmbeddingCard:
    """An embedding as a picture carries it.

    Attributes:
        name: What stands for it in prompts.
        terms: Vectors ``[count, width]``, float32, by the term they stand for; one as a rule.
        values: What else is told: ``step``, ``sd_checkpoint``, ``sd_checkpoint_name``.
    """

    name: str
    terms: Mapping[str, NDArray[np.float32]]
    values: Mapping[str, Any] = field(default_factory=dict[str, Any])


# ------------------------------------------------------------------------------------ reading


def picture_format(first: bytes) -> str:
    """Return "png" or "webp" for a file that begins so; empty for another one."""
    return next((name for mark, name in _SIGNATURES.items() if first.startswith(mark)), "")


def read_card(path: Path) -> EmbeddingCard | None:
    """Return the embedding in a picture; None for a picture without one.

    A picture called ``NAME.preview.png`` shows what a model draws and never is an embedding.

    Raises:
        ModelFileError: If it is no sound picture, or what it carries is damaged.
    """
    if Path(path.stem).suffix.lower() == ".preview":
        return None
    try:
        if path.stat().st_size > MAX_BYTES:
            return None
        with Image.open(io.BytesIO(path.read_bytes()), formats=("PNG", "WEBP")) as image:
            packed = _carried(image)
            return None if packed is None else _card(json.loads(packed), path.stem)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        message = f"{path.name} says that it is larger than any card"
        raise ModelFileError(message, hint="Do not use this picture.", value=path.name) from error
    except _DAMAGES as error:
        message = f"{path.name} is a damaged picture, or carries a damaged embedding ({error})"
        hint = "Get the file again, unchanged by other programs."
        raise ModelFileError(message[:400], hint=hint, value=path.name) from error


_DAMAGES: Final = (
    OSError, ValueError, SyntaxError, EOFError, KeyError, TypeError, RecursionError, OverflowError,
    struct.error, zlib.error,
)  # fmt: skip
"""What Pillow, zlib and json raise at a damaged file."""


def _carried(image: Image.Image) -> bytes | None:
    """Return the JSON in an opened picture: from its text, else from its pixels."""
    text = image.info.get(TEXT)
    if isinstance(text, str):
        return base64.b64decode(text)
    if image.width * image.height > MAX_PIXELS or getattr(image, "n_frames", 1) != 1:
        return None
    pixels = np.asarray(image.convert("RGB"))
    return _out_of_pixels(pixels)


def _out_of_pixels(pixels: Bytes) -> bytes | None:
    """Return the JSON that stands in pixels ``[height, width, 3]``; None if there is none."""
    halves = _without_black_edges(pixels) & np.uint8(HALF)
    black = np.flatnonzero(~np.any(halves, axis=(0, 2)))
    if len(black) < 2:  # noqa: PLR2004 - one column on each side of the picture
        return None
    low, high = halves[:, : black[0]].ravel(), halves[:, black[-1] + 1 :].ravel()
    if not low.size or low.size != high.size:
        return None
    numbers = _numbers(low.size)
    whole = ((high ^ numbers) << np.uint8(4)) | (low ^ numbers)
    if whole[0] & HALF != _DEFLATED:
        return None
    unpacking = zlib.decompressobj()
    try:
        text = unpacking.decompress(whole.tobytes(), MAX_JSON)
    except zlib.error:
        return None  # two black columns by chance
    return text if unpacking.eof else None


_DEFLATED: Final = 8
"""Lower half of the first byte of everything that zlib packed (RFC 1950, section 2.2)."""


def _without_black_edges(pixels: Bytes) -> Bytes:
    lit: NDArray[np.bool_] = np.all(pixels, axis=2)
    columns, rows = np.flatnonzero(np.any(lit, axis=0)), np.flatnonzero(np.any(lit.T, axis=0))
    if not len(columns):
        return pixels[:0, :0]
    return pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _numbers(count: int) -> Bytes:
    """Return lower halves of the generator's numbers.

    ``s = (1664525 s + 1013904223) mod 2 ** 32`` from 0 on, each number ``s mod 255``. The row is
    doubled until it is long enough: n steps at once are a step with other factors.
    """
    states = np.array([1013904223], dtype=np.uint32)
    factor, summand = np.array([1664525], np.uint32), np.array([1013904223], np.uint32)
    while len(states) < count:
        states = np.concatenate([states, states * factor + summand])
        factor, summand = factor * factor, factor * summand + summand
    return np.bitwise_and((states[:count] % 255).astype(np.uint8), np.uint8(HALF))


def _card(content: object, stem: str) -> EmbeddingCard:
    fields = cast("dict[str, Any]", content) if isinstance(content, dict) else {}
    told = fields.get("string_to_param")
    if not isinstance(told, dict):
        message = "it has no string_to_param"
        raise TypeError(message)
    terms: dict[str, NDArray[np.float32]] = {}
    for term, nested in cast("dict[str, Any]", told).items():
        vectors = np.asarray(nested[_TENSOR], dtype=np.float64).astype(np.float32)
        terms[term] = vectors[None] if vectors.ndim == 1 else vectors
    name = fields.get("name")
    kept = {
        key: fields[key]
        for key in ("step", "sd_checkpoint", "sd_checkpoint_name")
        if isinstance(fields.get(key), str | int)
    }
    return EmbeddingCard(
        name=name if isinstance(name, str) and name else stem, terms=terms, values=kept
    )


# ------------------------------------------------------------------------------------ writing


def card_picture(card: EmbeddingCard, picture: Image.Image) -> bytes:
    """Return a PNG that shows a picture and carries an embedding, in its text and in its pixels.

    Args:
        card: With one term at least.
        picture: What people see; the blocks of data are put beside it.

    Raises:
        UnsupportedModelError: If there is no vector to carry.
    """
    if not card.terms or not all(vectors.size for vectors in card.terms.values()):
        message = f"the embedding {card.name!r} has no vectors"
        raise UnsupportedModelError(message, hint="Train it first.", value=card.name)
    text = json.dumps(_content(card)).encode()
    shown = np.asarray(picture.convert("RGB"))
    whole = _into_pixels(text, shown, next(iter(card.terms.values()))[0])
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text(TEXT, base64.b64encode(text).decode())
    buffer = io.BytesIO()
    Image.fromarray(whole).save(buffer, format="PNG", pnginfo=chunks)
    return buffer.getvalue()


def _content(card: EmbeddingCard) -> dict[str, Any]:
    terms = {term: {_TENSOR: vectors.tolist()} for term, vectors in card.terms.items()}
    return {
        "string_to_token": dict.fromkeys(terms, 265),  # the number of "*" in CLIP's vocabulary
        "string_to_param": terms,
        "name": card.name,
        "step": card.values.get("step"),
        "sd_checkpoint": card.values.get("sd_checkpoint"),
        "sd_checkpoint_name": card.values.get("sd_checkpoint_name"),
    }


def _into_pixels(text: bytes, shown: Bytes, vector: NDArray[np.float32]) -> Bytes:
    packed = np.frombuffer(zlib.compress(text, 9), np.uint8)
    height = shown.shape[0]
    filled = packed.size + height - packed.size % height
    filled += COLOURS * height - filled % (COLOURS * height)
    numbers = _numbers(filled)
    low, high = (
        (np.resize(half, filled) ^ numbers).reshape(height, -1, COLOURS)
        for half in (packed & np.uint8(HALF), packed >> np.uint8(4))
    )
    ornament = _ornament(height, low.shape[1], vector)
    column = np.zeros((height, 1, COLOURS), np.uint8)
    blocks = (low | ornament, column, shown, column, high | ornament[:, ::-1])
    return np.concatenate(blocks, axis=1)


def _ornament(height: int, width: int, vector: NDArray[np.float32]) -> Bytes:
    """Draw discs as large as the numbers of a vector, in upper halves that are never black."""
    sizes = np.abs(np.nan_to_num(vector[: max(1, height // max(1, width))]))
    sizes = sizes / max(float(sizes.max()), 1e-9) * width / 2
    rows, columns = np.mgrid[:height, :width]
    middles = (np.arange(len(sizes)) + 0.5) * height / len(sizes)
    nearest = np.minimum(rows * len(sizes) // height, len(sizes) - 1)
    distance = np.hypot(rows - middles[nearest], columns - (width - 1) / 2)
    inside = distance <= sizes[nearest]
    shade = np.where(inside[..., None], (0xE0, 0x80, 0x40), (0x20, 0x30, 0x60))
    return shade.astype(np.uint8)
