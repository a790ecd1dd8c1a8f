"""A checkpoint explained: its parts, and which other checkpoints it resembles block by block."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from math import prod
from typing import Final

from torch import Tensor

from webui.modules.layers.blocks import BLOCKS, block_of
from webui.modules.layers.explain_help import Explained, Help
from webui.modules.layers.extract import facts_of
from webui.modules.layers.sources import Source, source_of
from webui.modules.types import ExplainPlan, ModelRecord
from webui.modules.weights.architecture import VAE
from webui.modules.weights.families import UNET
from webui.modules.weights.header import TensorFacts

SAMPLED: Final = 2
"""So many tensors of each block are compared."""

LARGEST: Final = 4_000_000
"""Numbers of a tensor that is still taken as a sample, if the block has smaller ones."""

TEXTS: Final = ("cond_stage_model.", "conditioner.")
"""With what the names of text encoders' tensors begin."""

TEXT: Final = "TEXT"
AUTOENCODER: Final = "VAE"
ORDER: Final = (TEXT, *BLOCKS, AUTOENCODER)
"""The parts in the order in which a prompt passes them."""


def explain_checkpoint(plan: ExplainPlan, hand: Help) -> Explained:
    """Explain a checkpoint.

    Returns:
        ``parts``: tensors and numbers of ``text``, ``unet``, ``vae`` and ``others``;
        ``precision``: numbers by number format; ``blocks``; and ``resembles``: for each other
        checkpoint its ``name``, the mean ``cosine``, the cosine of each block in the order of
        ``blocks`` (None where it has no such tensors), and whether it is ``equal`` in all of
        them. The most alike comes first.

    Raises:
        ModelError: If a file is damaged.
    """
    with ExitStack() as opened:
        source = source_of(plan.model, opened)
        facts = facts_of(source)
        chosen = samples(facts)
        kept = {name: source.read(name).float() for names in chosen.values() for name in names}
    blocks = [block for block in ORDER if block in chosen]
    resembles: list[Explained] = []
    notes: list[str] = []
    for number, other in enumerate(plan.others, start=1):
        hand.tell(number, len(plan.others), other.name)
        if other.path.is_dir():
            notes.append(f"{other.name} is a folder of many files and was left out")
            continue
        resembles.append(_compared(other, blocks, chosen, kept))
    resembles.sort(key=lambda told: -float(str(told["cosine"])))
    return {
        "parts": parts_of(facts),
        "precision": _precision(facts),
        "blocks": blocks,
        "resembles": resembles,
        "notes": notes,
    }


def samples(facts: Mapping[str, TensorFacts]) -> dict[str, list[str]]:
    """Return a few tensors of each block: matrices, spread over it, not the very largest."""
    found: dict[str, list[str]] = {}
    for name, each in facts.items():
        if len(each.shape) > 1 and (block := _block(name)):
            found.setdefault(block, []).append(name)
    return {block: list(_spread(names, facts)) for block, names in found.items()}


def parts_of(facts: Mapping[str, TensorFacts]) -> dict[str, dict[str, int]]:
    """Return how many tensors and numbers each part of a checkpoint has."""
    counted = {part: {"tensors": 0, "numbers": 0} for part in ("text", "unet", "vae", "others")}
    for name, each in facts.items():
        part = counted[_part(name)]
        part["tensors"] += 1
        part["numbers"] += prod(each.shape)
    return counted


def _part(name: str) -> str:
    if name.startswith(UNET):
        return "unet"
    if name.startswith(TEXTS):
        return "text"
    return "vae" if name.startswith(VAE) else "others"


def _block(name: str) -> str:
    part = _part(name)
    if part == "unet":
        return block_of(name.removeprefix(UNET))
    return {"text": TEXT, "vae": AUTOENCODER}.get(part, "")


def _spread(names: list[str], facts: Mapping[str, TensorFacts]) -> Iterator[str]:
    small = [name for name in names if prod(facts[name].shape) <= LARGEST]
    usable = small or [min(names, key=lambda name: prod(facts[name].shape))]
    for place in range(min(SAMPLED, len(usable))):
        yield usable[(2 * place + 1) * len(usable) // (2 * SAMPLED)]


def _compared(
    other: ModelRecord,
    blocks: list[str],
    chosen: Mapping[str, list[str]],
    kept: Mapping[str, Tensor],
) -> Explained:
    with ExitStack() as opened:
        source = source_of(other, opened)
        cosines = {block: _mean(source, chosen[block], kept) for block in blocks}
    known = [cosine for cosine in cosines.values() if cosine is not None]
    return {
        "name": other.name,
        "cosine": sum(known) / len(known) if known else 0.0,
        "blocks": [cosines[block] for block in blocks],
        "equal": bool(known) and len(known) == len(blocks) and min(known) >= 1,
    }


def _mean(source: Source, names: list[str], kept: Mapping[str, Tensor]) -> float | None:
    found = [
        cosine(kept[name], source.read(name))
        for name in names
        if name in source.names and tuple(source.facts(name).shape) == tuple(kept[name].shape)
    ]
    return sum(found) / len(found) if found else None


def cosine(one: Tensor, other: Tensor) -> float:
    """Return the cosine of the angle between two tensors, 1 for equal ones."""
    if one.equal(other.to(one.dtype)):
        return 1.0
    first, second = one.flatten().double(), other.flatten().double()
    length = float((first @ first).sqrt() * (second @ second).sqrt())
    return min(1 - 1e-12, float(first @ second) / length) if length else 0.0


def _precision(facts: Mapping[str, TensorFacts]) -> dict[str, int]:
    counted: dict[str, int] = {}
    for each in facts.values():
        counted[each.dtype] = counted.get(each.dtype, 0) + prod(each.shape)
    return counted
