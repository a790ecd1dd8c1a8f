"""A linear hypernetwork as a LoRA: what it adds to the keys and values of one checkpoint.

A hypernetwork changes what attention reads, ``x + m f(x)``. Without activations and norms between,
``f(x) = A x + b``, so keys ``W (x + m (A x + b))`` are those of the weight ``W + m W A`` and of a
bias ``m W b``. The weight's change is written; keys and values of Stable Diffusion have no bias, so
``b`` cannot be carried and is told of.
"""

import json
from contextlib import ExitStack
from typing import Final

import torch
from torch import Tensor, nn

from webui.modules.errors import UnsupportedModelError
from webui.modules.layers.convert import free_name
from webui.modules.layers.extract import base_texts, facts_of, shape_of
from webui.modules.layers.hypernetwork import Hypernetwork, read_hypernetwork
from webui.modules.layers.lowrank import factors_of, lora_parts
from webui.modules.layers.sources import FORMATS, source_of
from webui.modules.layers.stored import StoredLayer, stored_layers
from webui.modules.types import Tell, UnfoldPlan
from webui.modules.weights.write import write_safetensors

SIDES: Final = {"to_k": 0, "to_v": 1}
"""Which of a pair of networks acts on keys, and which on values."""


@torch.no_grad()
def unfold(plan: UnfoldPlan, tell: Tell, device: torch.device) -> dict[str, object]:
    """Write a hypernetwork as a file of the LoRA family.

    Args:
        plan: What to do.
        tell: Told of each layer.
        device: Where decompositions are computed.

    Returns:
        ``kind`` and ``name`` of the new file, how many ``layers`` it changes, and ``notes``.

    Raises:
        ModelFileError: If a file is damaged.
        UnsupportedModelError: If the hypernetwork is not linear, or acts on no width here.
        StorageError: If the result cannot be written.
    """
    network = read_hypernetwork(plan.hypernetwork.path)
    maps = {width: tuple(map(linear_map, pair)) for width, pair in network.pairs.items()}
    if any(found is None for pair in maps.values() for found in pair):
        message = f"{network.source} is not linear: it has activations or norms between its layers"
        hint = "Only a linear one can be written as a LoRA. Use it as a hypernetwork."
        raise UnsupportedModelError(message, hint=hint, value=network.source)
    dtype = FORMATS.get(plan.precision, torch.float32)
    tensors: dict[str, Tensor] = {}
    with ExitStack() as opened:
        source = source_of(plan.checkpoint, opened)
        layers = [
            layer
            for layer in stored_layers(facts_of(source), shape_of(source))
            if side_of(layer) is not None and layer.shape[1] in maps
        ]
        for number, layer in enumerate(layers, start=1):
            tell(number, len(layers), layer.kohya)
            found = maps[layer.shape[1]][side_of(layer) or 0]
            if found is None:
                continue
            weight = source.read(layer.weight).float()
            change = weight @ found[0] * plan.strength
            tensors |= _parts(layer, change.to(device), plan, dtype)
    if not tensors:
        message = f"{network.source} acts on no width that {plan.checkpoint.name} reads"
        hint = "Choose a checkpoint of its family."
        raise UnsupportedModelError(message, hint=hint, value=network.source)
    target = free_name(plan.target)
    made = {"type": "unfolded", "from": plan.hypernetwork.name, "strength": plan.strength}
    texts = base_texts(plan.checkpoint) | {
        "ss_output_name": target.stem,
        "atelier.made": json.dumps(made),
    }
    write_safetensors(target, tensors, texts)
    return {
        "kind": "lora",
        "name": target.name,
        "layers": len(layers),
        "notes": _biases(network),
    }


def linear_map(network: nn.Module) -> tuple[Tensor, Tensor] | None:
    """Return ``A`` and ``b`` of a network that is ``A x + b``; None for any other.

    Shapes: ``A [out, in]``, ``b [out]``.
    """
    matrix: Tensor | None = None
    shift: Tensor | None = None
    for layer in network.children():
        if isinstance(layer, nn.Identity):
            continue
        if not isinstance(layer, nn.Linear):
            return None
        own = dict(layer.named_parameters()).get("bias", torch.zeros(layer.out_features))
        matrix = layer.weight if matrix is None else layer.weight @ matrix
        shift = own if shift is None else layer.weight @ shift + own
    return None if matrix is None or shift is None else (matrix, shift)


def side_of(layer: StoredLayer) -> int | None:
    """Return which network of a pair acts on a layer; None if none does."""
    if layer.layer.network != "unet" or ".attn" not in layer.layer.path:
        return None
    return SIDES.get(layer.layer.path.rpartition(".")[2])


def _parts(
    layer: StoredLayer, change: Tensor, plan: UnfoldPlan, dtype: torch.dtype
) -> dict[str, Tensor]:
    if not plan.rank.most and not plan.rank.by:
        return {f"{layer.kohya}.diff": change.to(dtype).cpu()}
    parts = lora_parts(factors_of(change, plan.rank), layer.shape, dtype)
    return {f"{layer.kohya}.{part}": tensor.cpu() for part, tensor in parts.items()}


def _biases(network: Hypernetwork) -> list[str]:
    """Say what of the hypernetwork is lost."""
    lost = [
        width
        for width, pair in network.pairs.items()
        for found in map(linear_map, pair)
        if found is not None and bool(found[1].any())
    ]
    if not lost:
        return []
    widths = ", ".join(map(str, sorted(set(lost))))
    return [f"its biases (widths {widths}) cannot be carried: keys and values here have none"]
