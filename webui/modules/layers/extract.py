"""A LoRA out of two checkpoints: what leads from the one to the other, layer by layer."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from webui.modules.errors import UnsupportedModelError
from webui.modules.layers.convert import free_name
from webui.modules.layers.lowrank import factors_of, lora_parts
from webui.modules.layers.sources import FORMATS, Source, source_of
from webui.modules.layers.stored import StoredLayer, stored_layers
from webui.modules.types import ExtractPlan, ModelRecord, Tell
from webui.modules.weights.architecture import TEXT, UNetShape, derive
from webui.modules.weights.describe import UNET
from webui.modules.weights.header import TensorFacts
from webui.modules.weights.write import write_safetensors

SAME_BASE: Final = "sd_v1"
"""What kohya's scripts call the family."""


@torch.no_grad()
def extract(plan: ExtractPlan, tell: Tell, device: torch.device) -> dict[str, object]:
    """Find and write the LoRA.

    Args:
        plan: What to do.
        tell: Told of each layer.
        device: Where the decompositions are computed.

    Returns:
        ``kind`` and ``name`` of the new file, ``layers`` it changes, the least share of a layer's
        change that it ``keeps``, and ``notes``.

    Raises:
        ModelFileError: If a file is damaged.
        UnsupportedModelError: If the checkpoints are of different families, or equal.
        StorageError: If the result cannot be written.
    """
    with ExitStack() as opened:
        base, tuned = source_of(plan.base, opened), source_of(plan.tuned, opened)
        layers = stored_layers(facts_of(base), shape_of(base))
        wanted = [layer for layer in layers if _is_wanted(layer, plan)]
        dtype = FORMATS.get(plan.precision, torch.float32)
        tensors: dict[str, Tensor] = {}
        kept: list[float] = []
        for number, layer in enumerate(wanted, start=1):
            tell(number, len(wanted), layer.kohya)
            change = _change(base, tuned, layer.weight)
            if change is None or not change.any():
                continue
            found = factors_of(change.flatten(1).to(device), plan.rank)
            kept.append(found.kept)
            parts = lora_parts(found, layer.shape, dtype)
            tensors |= {f"{layer.kohya}.{part}": each.cpu() for part, each in parts.items()}
        left = _left_out(base, tuned, {layer.weight for layer in wanted})
    if not tensors:
        message = f"{plan.tuned.name} and {plan.base.name} are equal where a LoRA acts"
        raise UnsupportedModelError(message, hint="Choose two different checkpoints.")
    target = free_name(plan.target)
    write_safetensors(target, tensors, _texts(plan, target))
    notes = [f"{left} changed tensors cannot be carried by it"] if left else []
    return {
        "kind": "lora",
        "name": target.name,
        "layers": len(kept),
        "keeps": round(min(kept), 4),
        "notes": notes,
    }


def shape_of(checkpoint: Source) -> UNetShape:
    """Return the shape of a checkpoint's denoising network.

    Raises:
        UnsupportedModelError: If it is not of the Stable Diffusion 1 family.
    """
    return derive(facts_of(checkpoint), checkpoint.record.config).unet


def facts_of(checkpoint: Source) -> dict[str, TensorFacts]:
    """Return shapes and types under the names of today."""
    return {name: checkpoint.facts(name) for name in checkpoint.names}


def base_texts(checkpoint: ModelRecord) -> dict[str, str]:
    """Return what a LoRA says of the checkpoint that it belongs to."""
    return {
        "ss_base_model_version": SAME_BASE,
        "ss_sd_model_name": checkpoint.stem,
        "ss_sd_model_hash": checkpoint.shorthash,
        "ss_v2": "False",
    }


def _is_wanted(layer: StoredLayer, plan: ExtractPlan) -> bool:
    if layer.layer.network == "text" and not plan.text:
        return False
    return layer.is_attention or (plan.convolutions and layer.is_convolution)


def _change(base: Source, tuned: Source, name: str) -> Tensor | None:
    """Return what is added to a weight, in float32; None if the other has none of this name.

    Raises:
        UnsupportedModelError: If the two have different shapes.
    """
    if name not in tuned.names:
        return None
    before, after = base.read(name).float(), tuned.read(name).float()
    if before.shape != after.shape:
        message = f"{name} has another shape in {tuned.record.name} than in {base.record.name}"
        hint = "Choose two checkpoints of one family."
        raise UnsupportedModelError(message, hint=hint, value=tuned.record.name)
    return after - before


def _left_out(base: Source, tuned: Source, wanted: set[str]) -> int:
    """Count the tensors of the two networks that differ and are not carried."""
    return sum(1 for name in _others(base, tuned, wanted) if _differs(base, tuned, name))


def _others(base: Source, tuned: Source, wanted: set[str]) -> Iterator[str]:
    for name in base.names:
        if name.startswith((UNET, TEXT)) and name not in wanted and name in tuned.names:
            yield name


def _differs(base: Source, tuned: Source, name: str) -> bool:
    before, after = base.read(name), tuned.read(name)
    return before.shape != after.shape or not torch.equal(before.float(), after.float())


def _texts(plan: ExtractPlan, target: Path) -> dict[str, str]:
    rank = str(plan.rank.most) if plan.rank.most and not plan.rank.by else "Dynamic"
    made = {
        "type": "extracted",
        "base": plan.base.name,
        "tuned": plan.tuned.name,
        "tuned_hash": plan.tuned.shorthash,
        "rank": plan.rank.most,
        "by": plan.rank.by,
        "value": plan.rank.value,
    }
    return {
        **base_texts(plan.base),
        "ss_network_module": "networks.lora",
        "ss_network_dim": rank,
        "ss_network_alpha": rank,
        "ss_output_name": target.stem,
        "atelier.made": json.dumps(made),
    }
