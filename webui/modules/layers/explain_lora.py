"""A file of the LoRA family explained: how much it changes block by block, in how many directions.

The effective rank of a change is ``exp(H)`` of its singular values' shares of the energy (after Roy
and Vetterli 2007, with squares, so that rounding does not count): 1 if the change has one
direction, and never more than its rank. A product of two factors is not built for that: with
``up = Q1 R1`` and ``down^T = Q2 R2`` its singular values are those of the small ``R1 R2^T``.
"""

import re
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch import Tensor

from webui.modules.layers.blocks import BASE, BLOCKS
from webui.modules.layers.deltas import Parts, delta, method_of, scale_of
from webui.modules.layers.explain_help import Explained, Help
from webui.modules.layers.extract import facts_of, shape_of
from webui.modules.layers.lora import read_lora
from webui.modules.layers.names import Layer, layer_table
from webui.modules.layers.sources import Source, source_of
from webui.modules.layers.stored import StoredLayer, stored_layers
from webui.modules.types import ExplainPlan

SETTINGS: Final = frozenset({"alpha", "scale", "on_input"})
"""Parts that are no learned numbers."""

FACTORS: Final = frozenset({"lora_up.weight", "lora_down.weight", *SETTINGS})
"""The parts of a change that is a plain product of two factors."""

_DOWN: Final = re.compile(r"(down|up)_blocks[._](\d+)[._](\w+?)[._](\d+)")
_LDM: Final = re.compile(r"(input|output)_blocks[._](\d+)")
_TEXT: Final = re.compile(r"^(lora_te\d?_|oft_te_|\d?_?transformer_|text_encoder|.*clip_[lg]\.)")
_TEXT_LAYER: Final = re.compile(r"layers[._](\d+)")


@dataclass(slots=True)
class _Block:
    """What is summed up of one block."""

    change: float = 0.0
    weight: float = 0.0
    ranks: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    layers: int = 0

    def told(self, name: str) -> dict[str, object]:
        """Return it for JSON: sizes are Frobenius norms, the rank a mean by energy."""
        energy = sum(each for each, _ in self.ranks)
        rank = sum(each * rank for each, rank in self.ranks) / energy if energy else 0.0
        return {
            "block": name,
            "layers": self.layers,
            "change": self.change**0.5,
            "relative": (self.change / self.weight) ** 0.5 if self.weight else None,
            "rank": rank,
        }


def explain_lora(plan: ExplainPlan, hand: Help) -> Explained:
    """Explain a file of the LoRA family.

    Returns:
        ``methods`` with the number of layers of each, ``layers``, ``parameters``, ``measured``
        layers, and ``blocks``: each with the number of its ``layers``, the size of its ``change``
        (Frobenius norm), the same ``relative`` to the checkpoint's weights (None without a
        checkpoint), and its effective ``rank``. Text encoders are the blocks TE00 and so on.

    Raises:
        ModelError: If a file is damaged.
    """
    lora = read_lora(plan.model.path)
    blocks: dict[str, _Block] = {}
    measured = 0
    with ExitStack() as opened:
        base = _Base(source_of(plan.checkpoint, opened)) if plan.checkpoint else None
        for number, (name, parts) in enumerate(lora.layers.items(), start=1):
            hand.tell(number, len(lora.layers), name)
            weight = base.weight(name) if base else None
            energies = spectrum(parts, weight)
            if energies is None or (base is not None and weight is None):
                continue
            measured += 1
            block = blocks.setdefault(base.block(name) if base else block_of_name(name), _Block())
            size = float(energies.sum())
            block.layers += 1
            block.change += size
            block.weight += 0.0 if weight is None else float(weight.double().square().sum())
            block.ranks.append((size, effective_rank(energies)))
    return {
        "methods": _methods(lora.layers.values()),
        "layers": len(lora.layers),
        "measured": measured,
        "parameters": _count(lora.layers.values()),
        "blocks": [blocks[name].told(name) for name in sorted(blocks, key=_order)],
        "notes": _notes(len(lora.layers) - measured, checkpoint=plan.checkpoint is not None),
    }


def spectrum(parts: Parts, weight: Tensor | None) -> Tensor | None:
    """Return the squares of a change's singular values; None if that needs the weight.

    Args:
        parts: Of one layer.
        weight: What is changed, float32; None if it is not known.

    Raises:
        ModelFileError: If the parts do not fit the weight.
    """
    library: Any = torch.linalg  # its types are partial
    method = method_of(parts)
    if method is not None and set(parts) <= FACTORS and not _kernel_above(parts):
        up, down = (parts[f"lora_{end}.weight"].float().flatten(1) for end in ("up", "down"))
        small = library.qr(up)[1] @ library.qr(down.T)[1].T
        return (library.svdvals(small.double()) * scale_of(method, parts)).square()
    if weight is None:
        return None
    change = delta(parts, weight, strength=1.0)
    if change.weight is None:
        return None
    rows = change.weight.double().flatten(1) if change.weight.dim() > 1 else change.weight[None]
    rows = rows.double() if len(rows) <= rows.shape[1] else rows.double().T
    return library.eigvalsh(rows @ rows.T).clamp(min=0).flip(0)


def effective_rank(energies: Tensor) -> float:
    """Return in how many directions a change goes, from the squares of its singular values."""
    total = energies.sum()
    if total == 0:
        return 0.0
    shares = energies[energies > 0] / total
    return float((-(shares * shares.log()).sum()).exp())


def block_of_name(name: str) -> str:
    """Return the block of a layer by its name in a LoRA file, for the layout of SD 1, 2 and XL."""
    if _TEXT.match(name):
        return _text_block(name, second="te2" in name or "encoder_2" in name or "clip_g" in name)
    if found := _LDM.search(name):
        return f"{'IN' if found[1] == 'input' else 'OUT'}{int(found[2]):02}"
    if found := _DOWN.search(name):
        level, inner = int(found[2]), int(found[4])
        if found[1] == "up":
            return f"OUT{3 * level + (2 if 'sampler' in found[3] else inner):02}"
        return f"IN{3 * level + (3 if 'sampler' in found[3] else 1 + inner):02}"
    return "M00" if re.search(r"mid(dle)?_block", name) else BASE


def _text_block(name: str, *, second: bool = False) -> str:
    found = _TEXT_LAYER.search(name)
    begin = "TE2-" if second else "TE"
    return f"{begin}{int(found[1]):02}" if found else BASE


class _Base:
    """The checkpoint that a file is held against."""

    def __init__(self, source: Source) -> None:
        shape = shape_of(source)
        self._source = source
        self._stored: dict[Layer, StoredLayer] = {
            each.layer: each for each in stored_layers(facts_of(source), shape)
        }
        paths: dict[str, list[str]] = {"unet": [], "text": []}
        for layer in self._stored:
            paths[layer.network].append(layer.path)
        self._table = layer_table(paths["unet"], paths["text"], shape)

    def weight(self, name: str) -> Tensor | None:
        """Return the weight of the layer that a file calls so; None if there is none."""
        stored = self._find(name)
        return None if stored is None else self._source.read(stored.weight).float()

    def block(self, name: str) -> str:
        """Return the block of that layer."""
        stored = self._find(name)
        if stored is None:
            return BASE
        if stored.layer.network == "text":
            return _text_block(stored.layer.path)
        return stored.block

    def _find(self, name: str) -> StoredLayer | None:
        layer = self._table.get(name)
        return None if layer is None else self._stored.get(layer)


def _kernel_above(parts: Parts) -> bool:
    """Tell whether the upper factor has a kernel, so that the change is no product of matrices."""
    up = parts["lora_up.weight"]
    return up.dim() > 2 and up[0, 0].numel() > 1  # noqa: PLR2004 - beyond rows and columns


def _methods(layers: Iterable[Parts]) -> dict[str, int]:
    found: dict[str, int] = {}
    for parts in layers:
        method = method_of(parts)
        name = "dora" if "dora_scale" in parts else method.name if method else "unknown"
        found[name] = found.get(name, 0) + 1
    return found


def _count(layers: Iterable[Mapping[str, Tensor]]) -> int:
    return sum(
        part.numel() for parts in layers for name, part in parts.items() if name not in SETTINGS
    )


def _order(block: str) -> tuple[int, int, str]:
    """Sort text encoders first, then the blocks on their way through the network."""
    return (1, BLOCKS.index(block), "") if block in BLOCKS else (0, 0, block)


def _notes(left: int, *, checkpoint: bool) -> list[str]:
    if not left:
        return []
    if checkpoint:
        return [f"{left} layers are not in this checkpoint, or change only a bias"]
    return [f"{left} layers can only be measured against a checkpoint"]
