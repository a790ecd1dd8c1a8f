"""Embeddings as A1111 lists them: those that a checkpoint can read, and the others."""

from collections.abc import Mapping
from typing import Any

from webui.library.cards import ModelCard
from webui.modules.errors import WebuiError
from webui.modules.types import ModelKind
from webui.modules.weights.header import Header, read_header
from webui.services.models import Models

_TABLE = "embeddings.token_embedding.weight"


def sorted_embeddings(
    models: Models, selected: str
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """Return the embeddings that the selected checkpoint reads, and the others, by name."""
    width = _width(models, selected)
    found: tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]] = ({}, {})
    for card in models.add_ons(ModelKind.EMBEDDING):
        if card.problem is None:
            told = _told(card)
            fits = width is None or told["shape"] == width
            found[0 if fits else 1][card.word] = told
    return found


def _told(card: ModelCard) -> dict[str, Any]:
    try:
        header = read_header(card.record.path)
    except WebuiError:
        return {"step": None, "sd_checkpoint": None, "sd_checkpoint_name": None,
                "shape": 0, "vectors": 0}  # fmt: skip
    values: Mapping[str, Any] = header.values
    shapes = [facts.shape for facts in header.tensors.values()]
    return {
        "step": values.get("step"),
        "sd_checkpoint": values.get("sd_checkpoint"),
        "sd_checkpoint_name": values.get("sd_checkpoint_name"),
        "shape": sum(shape[-1] for shape in shapes if shape),
        "vectors": shapes[0][0] if shapes and len(shapes[0]) > 1 else 1,
    }


def _width(models: Models, selected: str) -> int | None:
    """Return how many numbers a token of the checkpoint has; None if nobody knows."""
    try:
        checkpoint = models.selected(selected)
        header: Header = read_header(checkpoint.path)
    except (WebuiError, OSError):
        return None
    for name, facts in header.tensors.items():
        if name.endswith(_TABLE) and facts.shape:
            return facts.shape[-1]
    return None
