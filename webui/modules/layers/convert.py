"""One model file in another container: the same tensors, to the last bit."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image
from torch import Tensor

from webui.modules.errors import BROKEN_PICTURE, PictureError, UnsupportedModelError
from webui.modules.layers.hypernetwork import told_values
from webui.modules.types import ConvertPlan, ModelKind, Tell
from webui.modules.weights.embedding_card import EmbeddingCard, card_picture
from webui.modules.weights.header import Header, TensorFacts, read_header
from webui.modules.weights.pickles_out import (
    Weights,
    write_embedding_pt,
    write_hypernetwork_pt,
    write_pickle,
)
from webui.modules.weights.read import DTYPES, TensorReader, open_tensors
from webui.modules.weights.write import (
    Slot,
    stream_safetensors,
    write_safetensors,
    written_whole,
)

CARD_SIDE: Final = 512
"""Pixels on a side of a card without a picture of its own."""

GROUND: Final = (38, 44, 58)
"""Its colour."""

PAIR: Final = ("clip_l", "clip_g")
"""The two tensors of an SDXL embedding."""

_TERM: Final = "string_to_param."
_TRAINING_ONLY: Final = ("loss.", "model_ema.", "optimizer")
"""Tensors beside a VAE's own that training programs leave in the file."""


def convert(plan: ConvertPlan, tell: Tell) -> dict[str, object]:
    """Write the file anew in another container; the old one stays.

    Returns:
        ``kind`` and ``name`` of the new file.

    Raises:
        ModelFileError: If it is missing, cut off or damaged.
        UnsafeModelError: If it is a pickle that asks for more than tensors.
        UnsupportedModelError: If files of its kind are not kept so.
        StorageError: If the new file cannot be written.
    """
    header = read_header(plan.source.path)
    write = _WAYS.get((plan.source.kind, plan.to))
    if write is None and plan.to == "safetensors" and plan.source.kind is not ModelKind.UNKNOWN:
        write = _tensors
    if write is None:
        message = f"{plan.source.name} is a file of the kind {plan.source.kind}"
        hint = f"Files of this kind are not written as .{plan.to}."
        raise UnsupportedModelError(message, hint=hint, value=plan.source.name)
    target = free_name(plan.target)
    with open_tensors(plan.source.path) as file:
        write(plan, _Opened(header, file, target), tell)
    return {"kind": str(plan.source.kind), "name": target.name}


class _Opened:
    """The file that is converted, and where it goes."""

    def __init__(self, header: Header, file: TensorReader, target: Path) -> None:
        self.header = header
        self.file = file
        self.target = target
        self.values = {**header.metadata, **header.values}


# --------------------------------------------------------------------------- one way each


def _tensors(plan: ConvertPlan, opened: _Opened, tell: Tell) -> None:
    """Write all tensors as safetensors, one at a time."""
    vae = plan.source.kind is ModelKind.VAE
    slots = {
        name: slot_of(facts)
        for name, facts in opened.header.tensors.items()
        if not (vae and name.startswith(_TRAINING_ONLY))
    }
    counted = iter(range(1, len(slots) + 1))

    def read(name: str) -> Tensor:
        tell(next(counted), len(slots), name)
        return opened.file.read(name)

    stream_safetensors(opened.target, slots, read, as_texts(opened.values))


def _embedding_as_tensors(_plan: ConvertPlan, opened: _Opened, tell: Tell) -> None:
    vectors = embedding_vectors(opened.file, opened.target.name)
    tell(1, 1, opened.target.name)
    texts = {key: text for key, text in as_texts(opened.values).items() if "." not in key}
    write_safetensors(opened.target, vectors, texts)


def _embedding_as_pt(_plan: ConvertPlan, opened: _Opened, tell: Tell) -> None:
    vectors = embedding_vectors(opened.file, opened.target.name)
    tell(1, 1, opened.target.name)
    if len(vectors) > 1:
        write_pickle(opened.target, {**vectors})
        return
    values = opened.values
    write_embedding_pt(
        opened.target,
        next(iter(vectors.values())),
        name=str(values.get("name") or opened.target.stem),
        step=_whole(values.get("step")),
        checkpoint_hash=str(values.get("sd_checkpoint") or ""),
        checkpoint_name=str(values.get("sd_checkpoint_name") or ""),
    )


def _embedding_as_card(plan: ConvertPlan, opened: _Opened, tell: Tell) -> None:
    vectors = embedding_vectors(opened.file, opened.target.name)
    if len(vectors) > 1:
        message = f"{plan.source.name} is an embedding for SDXL, with two tensors"
        hint = "A card carries one. Convert it to .safetensors."
        raise UnsupportedModelError(message, hint=hint, value=plan.source.name)
    tell(1, 1, opened.target.name)
    values = opened.values
    card = EmbeddingCard(
        name=opened.target.stem,  # by which it is called then, as by a file's name before
        terms={"*": np.asarray(next(iter(vectors.values())).float())},
        values={
            "step": _whole(values.get("step")),
            "sd_checkpoint": values.get("sd_checkpoint") or None,
            "sd_checkpoint_name": values.get("sd_checkpoint_name") or None,
        },
    )
    with written_whole(opened.target) as unfinished:
        unfinished.write_bytes(card_picture(card, _shown(plan.picture)))


def _aesthetic_as_tensors(plan: ConvertPlan, opened: _Opened, tell: Tell) -> None:
    names = opened.file.names()
    if len(names) != 1:  # a projection lies beside the vector, and both have names
        _tensors(plan, opened, tell)
        return
    vector = opened.file.read(names[0])
    tell(1, 1, opened.target.name)
    tensors = {"aesthetic": vector[None] if vector.dim() == 1 else vector}
    texts = {**as_texts(opened.values), "atelier.kind": "aesthetic"}
    write_safetensors(opened.target, tensors, texts)


def _hypernetwork_as_pt(_plan: ConvertPlan, opened: _Opened, tell: Tell) -> None:
    networks: dict[int, tuple[dict[str, Tensor], dict[str, Tensor]]] = {}
    names = opened.file.names()
    for number, name in enumerate(names, start=1):
        tell(number, len(names), name)
        width, side, rest = name.split(".", 2)
        pair = networks.setdefault(int(width), ({}, {}))
        pair[int(side)][rest] = opened.file.read(name)
    whole: Mapping[int, tuple[Weights, Weights]] = networks
    settings = {key: value for key, value in told_values(opened.values).items() if key != "format"}
    write_hypernetwork_pt(opened.target, whole, settings)


_WAYS: Final[Mapping[tuple[ModelKind, str], Callable[[ConvertPlan, _Opened, Tell], None]]] = {
    (ModelKind.EMBEDDING, "safetensors"): _embedding_as_tensors,
    (ModelKind.EMBEDDING, "pt"): _embedding_as_pt,
    (ModelKind.EMBEDDING, "png"): _embedding_as_card,
    (ModelKind.HYPERNETWORK, "pt"): _hypernetwork_as_pt,
    (ModelKind.AESTHETIC, "safetensors"): _aesthetic_as_tensors,
}
"""What is special; every other kind can be written as safetensors."""


# ----------------------------------------------------------------------------------- parts


def embedding_vectors(file: TensorReader, name: str) -> dict[str, Tensor]:
    """Return an embedding's tensors ``[count, width]`` under the names that safetensors files use.

    Raises:
        UnsupportedModelError: If it has more than one term.
    """
    names = file.names()
    if set(PAIR) <= set(names):
        return {part: file.read(part) for part in PAIR}
    wanted = [each for each in names if each.startswith(_TERM)] or names
    if len(wanted) != 1:
        message = f"{name} has {len(wanted)} terms"
        raise UnsupportedModelError(message, hint="An embedding has one.", value=name)
    vectors = file.read(wanted[0])
    return {"emb_params": vectors[None] if vectors.dim() == 1 else vectors}


def slot_of(facts: TensorFacts) -> Slot:
    """Return the place that a tensor needs as it is."""
    if facts.dtype not in DTYPES:
        message = f"a tensor has the type {facts.dtype}"
        raise UnsupportedModelError(message, hint="Use a file of 16 or 32 bits.", value=facts.dtype)
    return Slot(DTYPES[facts.dtype], tuple(facts.shape))


def as_texts(values: Mapping[str, Any]) -> dict[str, str]:
    """Return what a pickle holds besides tensors as texts; others than texts as JSON."""
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in values.items()
        if isinstance(value, str | int | float | bool | list | tuple)
    }


def _whole(value: object) -> int:
    try:
        return int(str(value or 0))
    except ValueError:
        return 0


def _shown(path: Path | None) -> Image.Image:
    if path is None:
        return Image.new("RGB", (CARD_SIDE, CARD_SIDE), GROUND)
    try:
        with Image.open(path) as image:
            image.thumbnail((CARD_SIDE, CARD_SIDE))
            return image.convert("RGB")
    except (*BROKEN_PICTURE, Image.DecompressionBombError) as error:
        message = f"the picture {path.name} cannot be read"
        raise PictureError(message, hint="Put another beside the file.", value=path.name) from error


def free_name(path: Path) -> Path:
    """Return the path, or one with a number behind its name if there is a file already."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return free
