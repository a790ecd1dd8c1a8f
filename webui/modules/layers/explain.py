"""What a model file would change, told from its tensors in seconds: one function for each kind."""

from collections.abc import Callable, Mapping
from typing import Final

import torch

from webui.modules.errors import UnsupportedModelError
from webui.modules.layers.explain_aesthetic import explain_aesthetic
from webui.modules.layers.explain_checkpoint import explain_checkpoint
from webui.modules.layers.explain_embedding import explain_embedding
from webui.modules.layers.explain_help import Explained, Help
from webui.modules.layers.explain_hypernetwork import explain_hypernetwork
from webui.modules.layers.explain_lora import explain_lora
from webui.modules.layers.explain_vae import explain_vae
from webui.modules.types import ExplainPlan, ModelKind

EXPLAINERS: Final[Mapping[ModelKind, Callable[[ExplainPlan, Help], Explained]]] = {
    ModelKind.CHECKPOINT: explain_checkpoint,
    ModelKind.EMBEDDING: explain_embedding,
    ModelKind.LORA: explain_lora,
    ModelKind.HYPERNETWORK: explain_hypernetwork,
    ModelKind.VAE: explain_vae,
    ModelKind.AESTHETIC: explain_aesthetic,
}
"""The kinds that can be explained."""


@torch.no_grad()
def explain(plan: ExplainPlan, hand: Help) -> Explained:
    """Explain one file.

    Args:
        plan: Which file, and what it is held against.
        hand: Loads checkpoints and hears of progress.

    Returns:
        ``kind``, ``name`` and ``notes`` for all; the rest is told by the function of each kind.

    Raises:
        ModelError: If a file is damaged, or does not fit the checkpoint.
        UnsupportedModelError: If it is of a kind that cannot be explained.
        StopDrawing: If somebody wants it to end.
    """
    explainer = EXPLAINERS.get(plan.model.kind)
    if explainer is None:
        message = f"{plan.model.name} is of the kind {plan.model.kind}"
        hint = f"There are explanations for: {', '.join(EXPLAINERS)}."
        raise UnsupportedModelError(message, hint=hint, value=plan.model.name)
    told = explainer(plan, hand)
    about = {"kind": plan.model.kind.value, "name": plan.model.name}
    held = {"checkpoint": plan.checkpoint.name if plan.checkpoint else ""}
    return {**about, **held, "notes": [], **told}
