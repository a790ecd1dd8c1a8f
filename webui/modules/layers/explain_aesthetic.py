"""An aesthetic embedding explained: which texts point its way, as aesthetic gradients see it."""

from pathlib import Path
from typing import Final

import torch
from torch import Tensor
from torch.nn.functional import normalize

from webui.modules.errors import UnsupportedModelError
from webui.modules.layers.explain_help import Explained, Help, lengths
from webui.modules.networks.checkpoint import Checkpoint
from webui.modules.text.chunks import chunks
from webui.modules.types import ExplainPlan, TextRules
from webui.modules.weights.read import open_tensors

PROJECTION: Final = "projection"
"""A tensor that leads from the text encoder to the space of the embedding."""

CLIP: Final = "text_projection.weight"
"""The same in CLIP's own file."""

SPACE: Final = "atelier.space"
POOLED: Final = "text-pooled"
"""Says in the metadata that the embedding is in the space of the text encoder itself."""


def explain_aesthetic(plan: ExplainPlan, hand: Help) -> Explained:
    """Explain an aesthetic embedding.

    Returns:
        ``width``, ``norm``, and ``prompts``: each text with its ``similarity``, the cosine that
        aesthetic gradients make larger. None without a checkpoint or CLIP's projection.

    Raises:
        ModelError: If a file is damaged, or the widths differ.
    """
    vector, projection, pooled = _read(plan.model.path)
    told: Explained = {"width": vector.shape[-1], "norm": float(lengths(vector)), "prompts": []}
    if plan.checkpoint is None:
        return told
    if not pooled and projection is None:
        if plan.projection is None:
            note = "it was made of pictures; CLIP's text projection in models/CLIP is needed"
            return {**told, "notes": [f"{note} to compare it with texts"]}
        with open_tensors(plan.projection) as file:
            projection = file.read(CLIP).float()
    hand.tell(0, 1, plan.checkpoint.name)
    said = _said(hand.load(plan.checkpoint), plan.prompts)
    features = said if pooled or projection is None else _projected(said, projection, plan)
    if features.shape[-1] != vector.shape[-1]:
        raise _misfit(plan, f"{vector.shape[-1]} numbers", f"says {features.shape[-1]}")
    likeness = normalize(features, dim=-1) @ normalize(vector, dim=0)
    both = zip(plan.prompts, likeness, strict=True)
    told["prompts"] = [{"text": text, "similarity": float(value)} for text, value in both]
    return told


def _read(path: Path) -> tuple[Tensor, Tensor | None, bool]:
    """Return the mean vector, the projection if the file has one, and whether it needs none."""
    with open_tensors(path) as file:
        names = [name for name in file.names() if name != PROJECTION]
        named = [name for name in names if name == "aesthetic"] or names
        if len(named) != 1:
            message = f"{path.name} has {len(named)} tensors"
            hint = "An aesthetic embedding has one. Is it another kind of file?"
            raise UnsupportedModelError(message, hint=hint, value=path.name)
        vector = file.read(named[0]).float()
        projection = file.read(PROJECTION).float() if PROJECTION in file.names() else None
        pooled = file.values().get(SPACE) == POOLED
    return vector.reshape(-1, vector.shape[-1]).mean(dim=0), projection, pooled


def _said(base: Checkpoint, prompts: tuple[str, ...]) -> Tensor:
    """Return what the text encoder says of each text as a whole, ``[texts, width]``, float32."""
    tokens = torch.tensor([chunks(text, TextRules())[0].tokens for text in prompts])
    pooled: Tensor = base.text(input_ids=tokens.to(base.text.device)).pooler_output
    return pooled.float().cpu()


def _projected(said: Tensor, projection: Tensor, plan: ExplainPlan) -> Tensor:
    if projection.shape[-1] != said.shape[-1]:
        raise _misfit(
            plan, f"a projection from {projection.shape[-1]} numbers", f"has {said.shape[-1]}"
        )
    return said @ projection.T


def _misfit(plan: ExplainPlan, has: str, other: str) -> UnsupportedModelError:
    message = f"{plan.model.name} has {has}, and this text encoder {other}"
    hint = "It was made for another text encoder; choose a checkpoint of its family."
    return UnsupportedModelError(message, hint=hint, value=plan.model.name)
