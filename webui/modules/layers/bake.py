"""Files of the LoRA family made part of a checkpoint for good, tensor by tensor."""

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

import torch
from torch import Tensor

from webui.modules.errors import UnsupportedModelError
from webui.modules.layers.blocks import factor_of
from webui.modules.layers.convert import free_name
from webui.modules.layers.deltas import LayerChange, added
from webui.modules.layers.extract import facts_of, shape_of
from webui.modules.layers.lora import Lora, read_lora
from webui.modules.layers.names import Layer, layer_table
from webui.modules.layers.sources import Source, source_of, written_dtype
from webui.modules.layers.stored import StoredLayer, stored_layers
from webui.modules.types import BakePlan, LayerUse, Tell
from webui.modules.weights.write import Slot, stream_safetensors


def bake(plan: BakePlan, tell: Tell) -> dict[str, object]:
    """Write the checkpoint with all changes in it.

    Returns:
        ``kind`` and ``name`` of the new file, how many ``layers`` it changed, and ``notes``.

    Raises:
        ModelFileError: If a file is damaged.
        UnsupportedModelError: If the checkpoint is of another family, or no file changes it.
        StorageError: If the result cannot be written.
    """
    with ExitStack() as opened:
        source = source_of(plan.checkpoint, opened)
        oven = _Oven(source, [(use, read_lora(use.model.path)) for use in plan.loras])
        slots = {
            name: Slot(
                written_dtype(name, source.facts(name).dtype, plan.precision),
                source.facts(name).shape,
            )
            for name in source.names
        }
        counted = iter(range(1, len(slots) + 1))

        def tensor(name: str) -> Tensor:
            tell(next(counted), len(slots), name)
            return oven.tensor(name)

        target = free_name(plan.target)
        stream_safetensors(target, slots, tensor, _texts(plan, source))
    return {
        "kind": "checkpoint",
        "name": target.name,
        "layers": oven.changed,
        "notes": oven.notes(),
    }


class _Oven:
    """Gives each tensor of the checkpoint with the changes in it."""

    def __init__(self, source: Source, loras: list[tuple[LayerUse, Lora]]) -> None:
        self._source = source
        layers = stored_layers(facts_of(source), shape_of(source))
        self._weights = {layer.weight: layer for layer in layers}
        self._biases = {layer.bias: layer for layer in layers if layer.bias}
        self._wanted, self._notes = _wanted(layers, loras, source)
        self._failed: dict[str, set[str]] = {}
        self.changed = len(self._wanted)
        if not self._wanted:
            names = ", ".join(use.model.name for use, _ in loras)
            message = f"nothing in {names} changes {source.record.name}"
            hint = "They were made for another family of checkpoints."
            raise UnsupportedModelError(message, hint=hint, value=names)

    @torch.no_grad()
    def tensor(self, name: str) -> Tensor:
        """Return one tensor of the result, in 32 bits where it was changed."""
        layer = self._weights.get(name) or self._biases.get(name)
        changes = self._wanted.get(layer.layer, []) if layer else []
        if layer is None or not changes:
            return self._source.read(name)
        weight, bias = self._changed(layer, changes)
        if name == layer.weight:
            return weight
        own = self._source.read(name)
        return own if bias is None else own.float() + bias

    def notes(self) -> list[str]:
        """Return what could not be carried."""
        return self._notes + [
            f"{source}: {len(layers)} layers do not fit this checkpoint and were left out"
            for source, layers in self._failed.items()
        ]

    def _changed(
        self, layer: StoredLayer, changes: Sequence[LayerChange]
    ) -> tuple[Tensor, Tensor | None]:
        """Add changes in their order, as they are added for drawing."""
        own_bias = self._source.read(layer.bias).float() if layer.bias else None
        failed: dict[str, int] = {}
        found = added(changes, self._source.read(layer.weight).float(), own_bias, failed)
        for source in failed:
            self._failed.setdefault(source, set()).add(layer.weight)
        return found


def _wanted(
    layers: list[StoredLayer], loras: list[tuple[LayerUse, Lora]], source: Source
) -> tuple[Mapping[Layer, list[LayerChange]], list[str]]:
    """Return what is done to each layer, and what the person should know of the rest."""
    table = layer_table(
        [layer.layer.path for layer in layers if layer.layer.network == "unet"],
        [layer.layer.path for layer in layers if layer.layer.network == "text"],
        shape_of(source),
    )
    blocks = {layer.layer: layer.block for layer in layers}
    wanted: dict[Layer, list[LayerChange]] = {}
    notes: list[str] = []
    for use, lora in loras:
        unknown = 0
        for name, parts in lora.layers.items():
            layer = table.get(name)
            if layer is None or layer not in blocks:
                unknown += 1
                continue
            strength = use.weight if layer.network == "unet" else use.text_weight
            strength *= factor_of(use.blocks, blocks[layer]) if use.blocks else 1.0
            if strength:
                change = LayerChange(
                    source=lora.source,
                    path=layer.path,
                    parts=parts,
                    strength=strength,
                    rank=use.rank,
                )
                wanted.setdefault(layer, []).append(change)
        if unknown:
            total = len(lora.layers)
            notes.append(f"{lora.source}: {unknown} of {total} layers are not in this checkpoint")
        if lora.embeddings:
            names = ", ".join(lora.embeddings)
            notes.append(f"{lora.source}: its embeddings ({names}) cannot be baked in")
    return wanted, notes


def _texts(plan: BakePlan, source: Source) -> dict[str, str]:
    made = {
        "type": "baked",
        "checkpoint": plan.checkpoint.name,
        "checkpoint_hash": plan.checkpoint.shorthash,
        "loras": [[use.model.name, use.weight, use.text_weight] for use in plan.loras],
    }
    return {**source.header.metadata, "format": "pt", "atelier.made": json.dumps(made)}
