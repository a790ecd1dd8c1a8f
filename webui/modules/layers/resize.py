"""LoRAs with fewer dimensions, and several LoRAs as one."""

import json
from collections.abc import Mapping, Sequence
from typing import Final

import torch
from torch import Tensor

from webui.modules.errors import UnsupportedModelError
from webui.modules.layers.convert import free_name
from webui.modules.layers.deltas import Parts, method_of, scale_of
from webui.modules.layers.lora import Lora, read_lora
from webui.modules.layers.lowrank import KERNEL, Factors, lora_parts, thinner
from webui.modules.layers.sources import FORMATS
from webui.modules.types import JoinPlan, LayerUse, RankRule, ResizePlan, Tell
from webui.modules.weights.header import read_header
from webui.modules.weights.write import write_safetensors

PLAIN: Final = frozenset({"lora_up.weight", "lora_down.weight", "alpha", "scale"})
"""The parts of a layer whose change is a product of two matrices and nothing else."""

_TEXT_MARKS: Final = ("lora_te", "text_encoder", "text_model", "clip_l.", "clip_g.")
_TITLES: Final = ("ss_network_dim", "ss_network_alpha", "ss_output_name", "sshs_model_hash",
           "sshs_legacy_hash")  # fmt: skip
"""Texts that are no longer true of a changed file."""


@torch.no_grad()
def resize(plan: ResizePlan, tell: Tell) -> dict[str, object]:
    """Write a LoRA anew with fewer dimensions.

    Returns:
        ``kind`` and ``name`` of the new file, the largest ``rank`` before and after, and the least
        share of a layer's change that it ``keeps``.

    Raises:
        ModelFileError: If the file is damaged.
        UnsupportedModelError: If it is of a method without a rank to lower.
        StorageError: If the result cannot be written.
    """
    lora = read_lora(plan.lora.path)
    tensors: dict[str, Tensor] = dict(_bundled(lora))
    kept: list[float] = []
    ranks: list[tuple[int, int]] = []
    for number, (name, parts) in enumerate(lora.layers.items(), start=1):
        tell(number, len(lora.layers), name)
        up, down, shape = _matrices(lora.source, name, parts)
        found = thinner(up, down, plan.rank)
        kept.append(found.kept)
        ranks.append((up.shape[1], found.rank))
        dtype = FORMATS.get(plan.precision, parts["lora_up.weight"].dtype)
        tensors |= _named(name, lora_parts(found, shape, dtype))
    target = free_name(plan.target)
    before, after = max(rank for rank, _ in ranks), max(rank for _, rank in ranks)
    said = {
        key: text
        for key, text in read_header(plan.lora.path).metadata.items()
        if key not in _TITLES
    }
    made = {"type": "resized", "from": plan.lora.name, "by": plan.rank.by, "value": plan.rank.value}
    texts = said | _titles(target.stem, after, made)
    write_safetensors(target, tensors, texts)
    return {
        "kind": "lora",
        "name": target.name,
        "rank_before": before,
        "rank": after,
        "keeps": round(min(kept), 4),
    }


@torch.no_grad()
def join(plan: JoinPlan, tell: Tell) -> dict[str, object]:
    """Write several LoRAs as one whose change is the sum of theirs, each by its strengths.

    Returns:
        ``kind`` and ``name`` of the new file, the largest ``rank``, and the least share of a
        layer's change that it ``keeps``.

    Raises:
        ModelFileError: If a file is damaged.
        UnsupportedModelError: If one is of a method whose change is no product of two matrices.
        StorageError: If the result cannot be written.
    """
    read = [(use, read_lora(use.model.path)) for use in plan.loras]
    names = list(dict.fromkeys(name for _, lora in read for name in lora.layers))
    dtype = FORMATS.get(plan.precision, torch.float32)
    tensors: dict[str, Tensor] = {}
    for _, lora in reversed(read):
        tensors |= _bundled(lora)
    kept: list[float] = []
    ranks: list[int] = []
    for number, name in enumerate(names, start=1):
        tell(number, len(names), name)
        whole, shape = _together(name, read)
        found = thinner(whole.up, whole.down, plan.rank) if _limits(plan.rank) else whole
        kept.append(found.kept)
        ranks.append(found.rank)
        tensors |= _named(name, lora_parts(found, shape, dtype))
    target = free_name(plan.target)
    made = {
        "type": "joined",
        "of": [[use.model.name, use.weight, use.text_weight] for use in plan.loras],
    }
    write_safetensors(target, tensors, _titles(target.stem, max(ranks), made))
    return {"kind": "lora", "name": target.name, "rank": max(ranks), "keeps": round(min(kept), 4)}


def _limits(rule: RankRule) -> bool:
    return bool(rule.most or rule.by)


def _together(name: str, read: Sequence[tuple[LayerUse, Lora]]) -> tuple[Factors, tuple[int, ...]]:
    """Put the matrices of all files side by side: their product is the sum of the changes."""
    ups: list[Tensor] = []
    downs: list[Tensor] = []
    shape: tuple[int, ...] = ()
    for use, lora in read:
        if name not in lora.layers:
            continue
        up, down, own = _matrices(lora.source, name, lora.layers[name])
        if shape and own != shape:
            message = f"{name} changes a weight of {own} in {lora.source} and of {shape} elsewhere"
            hint = "Join files that were made for one family of checkpoints."
            raise UnsupportedModelError(message, hint=hint, value=lora.source)
        shape = own
        strength = use.text_weight if any(mark in name for mark in _TEXT_MARKS) else use.weight
        ups.append(up * strength)
        downs.append(down)
    return Factors(up=torch.cat(ups, 1), down=torch.cat(downs)), shape


def _matrices(source: str, name: str, parts: Parts) -> tuple[Tensor, Tensor, tuple[int, ...]]:
    """Return the two matrices of a layer, its scale in the first, and the weight's shape.

    Raises:
        UnsupportedModelError: If its change is more than their product.
    """
    method = method_of(parts)
    up, down = parts.get("lora_up.weight"), parts.get("lora_down.weight")
    plain = method is not None and method.name == "lora" and set(parts) <= PLAIN
    if method is None or up is None or down is None or not plain or up.shape[2:].numel() != 1:
        what = method.name if method and method.name != "lora" else "more than a plain LoRA"
        message = f"{source} is {what} at {name}"
        hint = "Bake it into a checkpoint, and extract a LoRA from that."
        raise UnsupportedModelError(message, hint=hint, value=source)
    columns = down.shape[1:]
    shape = (up.shape[0], *columns)
    shape = (*shape, 1, 1) if up.dim() == KERNEL and len(shape) < KERNEL else shape
    scale = scale_of(method, parts)
    return up.float().flatten(1) * scale, down.float().flatten(1), shape


def _bundled(lora: Lora) -> Mapping[str, Tensor]:
    """Return the embeddings that lie in the file, as it had them."""
    return {
        f"bundle_emb.{name}.string_to_param.*": vectors.contiguous()
        for name, vectors in lora.embeddings.items()
    }


def _named(layer: str, parts: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{layer}.{part}": tensor for part, tensor in parts.items()}


def _titles(name: str, rank: int, made: Mapping[str, object]) -> dict[str, str]:
    return {
        "ss_network_module": "networks.lora",
        "ss_network_dim": str(rank),
        "ss_network_alpha": str(rank),
        "ss_output_name": name,
        "atelier.made": json.dumps(dict(made)),
    }
