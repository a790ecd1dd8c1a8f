"""What a file is, from the names and shapes of its tensors; never from its folder. No torch."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from webui.modules.errors import ModelFileError
from webui.modules.types import ModelKind
from webui.modules.weights.families import (
    CHANNEL_SUFFIXES,
    CONTEXT_FAMILIES,
    TEXT_FAMILIES,
    UNET,
    context_family,
    main_model_family,
)
from webui.modules.weights.header import Header, read_header
from webui.modules.weights.layout import layout_of
from webui.modules.weights.lora_parts import lora_method
from webui.modules.weights.small_text import read_small_text
from webui.modules.weights.upscaler import upscaler_shape

__all__ = ["AESTHETIC", "UNET", "Facts", "describe", "recognise"]

AESTHETIC: Final = "aesthetic"
"""What our own files call an aesthetic embedding's vector."""

PROJECTION: Final = "projection"
"""What may lie beside it: a matrix from a text encoder to the space of the embedding."""

MARK: Final = "atelier.kind"
"""The text by which our own files say what they are, where tensors alone could be two things."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What a model file is.

    Attributes:
        kind: One of the kinds of the guide, or unknown.
        family: For a LoRA its method, else the architecture, such as ``sd1``; may be empty.
        format: "safetensors", "pickle", "pickle-legacy", "png", "webp" or "diffusers".
        tensors: How many there are.
        metadata: Free texts of a safetensors file.
        layout: A word for the names and shapes; files of one layout fit alike. Empty for a folder.
    """

    kind: ModelKind
    family: str
    format: str
    tensors: int
    metadata: Mapping[str, str]
    layout: str = ""


def describe(path: Path) -> Facts:
    """Return what the file, or the folder of a diffusers checkpoint, is.

    Raises:
        ModelFileError: If it is missing, cut off or no model file.
        UnsafeModelError: If it is a pickle that asks for more than tensors.
    """
    if path.is_dir():
        return _describe_folder(path)
    header = read_header(path)
    kind, family = recognise(header)
    return Facts(
        kind=kind,
        family=family,
        format=header.format,
        tensors=len(header.tensors),
        metadata=header.metadata,
        layout=layout_of(header.tensors),
    )


def recognise(header: Header) -> tuple[ModelKind, str]:
    """Return what a file with this table of contents is: its kind and its family."""
    if not header.tensors:
        return ModelKind.UNKNOWN, ""
    for kind, look in _LOOKS:
        family = look(header)
        if family is not None:
            return kind, family
    return ModelKind.UNKNOWN, ""


def _describe_folder(path: Path) -> Facts:
    index = path / "model_index.json"
    config = path / "unet" / "config.json"
    try:
        read_small_text(index)
        raw: object = json.loads(read_small_text(config))
    except (OSError, ValueError, RecursionError) as error:
        message = f"{path.name} is not a diffusers folder: {error}"
        hint = "It needs model_index.json and unet/config.json."
        raise ModelFileError(message, hint=hint, value=path.name) from error
    fields = cast("dict[str, Any]", raw) if isinstance(raw, dict) else {}
    family = CONTEXT_FAMILIES.get(_whole(fields.get("cross_attention_dim")), "sd1")
    return Facts(
        kind=ModelKind.CHECKPOINT,
        family=family + CHANNEL_SUFFIXES.get(_whole(fields.get("in_channels")), ""),
        format="diffusers",
        tensors=0,
        metadata={},
    )


def _whole(value: object) -> int:
    """Return a number of a config; a list or worse is none."""
    return value if isinstance(value, int) else 0


# ------------------------------------------------------------------ one look for each kind
#
# Each returns the family, which may be empty, or None if the file is of another kind.


def _controlnet(header: Header) -> str | None:
    """Tell ControlNet (LDM and diffusers), its LoRA form, kohya's LLLite and T2I adapters."""
    names = header.tensors
    if any(name.startswith("lllite_") for name in names):
        return "lllite"
    if "lora_controlnet" in names:
        return "control-lora"
    if any(mark in name for name in names for mark in _CONTROL):
        return context_family(names)
    bare = {name.removeprefix("adapter.") for name in names}
    if "body.0.block1.weight" in bare or "body.0.resnets.0.block1.weight" in bare:
        return "t2i-adapter"
    return None


_CONTROL: Final = ("control_model.", "controlnet_", "input_hint_block.", "zero_convs.")


def _lora(header: Header) -> str | None:
    if UNET + "input_blocks.0.0.weight" in header.tensors:
        return None  # a whole checkpoint, whatever lies beside its networks
    shapes = {name: facts.shape for name, facts in header.tensors.items()}
    return lora_method(shapes, header.metadata) or None


def _checkpoint(header: Header) -> str | None:
    return main_model_family(header.tensors, header.metadata)


def _embedding(header: Header) -> str | None:
    """Tell A1111's dictionary, the tensors of kohya and SDXL, and diffusers' ``<token>``."""
    names = header.tensors
    named = {
        name: facts
        for name, facts in names.items()
        if name.startswith("string_to_param.") or name in _EMBEDDING_NAMES
    }
    if not named and all(name.startswith("<") and name.endswith(">") for name in names):
        named = dict(names)
    if not named or not all(len(facts.shape) in _VECTORS for facts in named.values()):
        return None
    if {"clip_l", "clip_g"} <= named.keys():
        return "sdxl"
    return _text_family(header)


_EMBEDDING_NAMES: Final = frozenset(
    {"emb_params", "clip_l", "clip_g", "clip_l_out", "clip_g_out", "t5xxl"}
)
_VECTORS: Final = (1, 2)
"""Axes of one vector, and of several."""


def _text_family(header: Header) -> str:
    widths = {facts.shape[-1] for facts in header.tensors.values() if facts.shape}
    return TEXT_FAMILIES.get(min(widths, default=0), "") if len(widths) == 1 else ""


def _vae(header: Header) -> str | None:
    marks = ("decoder.mid.block_1.", "decoder.mid_block.resnets.")
    inside = any(mark in name for name in header.tensors for mark in marks)
    return "" if inside else None


def _upscaler(header: Header) -> str | None:
    shape = upscaler_shape(header.tensors)
    return shape.family if shape else None


def _hypernetwork(header: Header) -> str | None:
    """Tell pairs of networks by width; the widths that read text tell the family."""
    found = (_PAIR.match(name) for name in header.tensors)
    widths = {int(match[1]) for match in found if match}
    if not widths:
        return None
    families = {TEXT_FAMILIES[width] for width in widths if width in TEXT_FAMILIES}
    return families.pop() if len(families) == 1 else ""


_PAIR: Final = re.compile(r"(\d{1,6})\.[01]\.linear")


def _aesthetic(header: Header) -> str | None:
    """Tell one vector under no name, or under one that no embedding has.

    Beside it may lie the projection that leads from a text encoder to its space.
    """
    vectors = [each for each in header.tensors.items() if each[0] != PROJECTION]
    if len(vectors) != 1:
        return None
    name, facts = vectors[0]
    one = len(facts.shape) in _VECTORS and facts.shape[:-1] in ((), (1,))
    told = f"{header.metadata.get(MARK, '')} {header.metadata.get('modelspec.architecture', '')}"
    if one and facts.dtype.startswith(_FLOATS) and (name in _AESTHETIC or AESTHETIC in told):
        return TEXT_FAMILIES.get(facts.shape[-1], "")
    return None


_AESTHETIC: Final = frozenset({"", AESTHETIC, "emb"})
_FLOATS: Final = ("F", "BF")


def _bare_vectors(header: Header) -> str | None:
    """Take a few vectors under some other name for an embedding, as A1111 does."""
    shapes = [facts.shape for facts in header.tensors.values()]
    vectors = len(shapes) == 1 and len(shapes[0]) in _VECTORS and shapes[0][-1] >= _NARROWEST
    few = vectors and (len(shapes[0]) == 1 or shapes[0][0] <= _MOST_VECTORS)
    return _text_family(header) if few else None


_NARROWEST: Final = 16
"""No text encoder has shorter vectors."""

_MOST_VECTORS: Final = 75
"""No prompt holds more; a larger matrix is some network's."""

_LOOKS: Final[tuple[tuple[ModelKind, Callable[[Header], str | None]], ...]] = (
    (ModelKind.CONTROLNET, _controlnet),
    (ModelKind.LORA, _lora),
    (ModelKind.CHECKPOINT, _checkpoint),
    (ModelKind.EMBEDDING, _embedding),
    (ModelKind.VAE, _vae),
    (ModelKind.UPSCALER, _upscaler),
    (ModelKind.HYPERNETWORK, _hypernetwork),
    (ModelKind.AESTHETIC, _aesthetic),
    (ModelKind.EMBEDDING, _bare_vectors),
)
"""The looks in their order; the first that knows the file decides."""
