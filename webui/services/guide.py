"""The guide's facts about a person's own files: how many of each kind, and what one of them moves.

All from tables of contents; no tensor is read.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Final

from webui.library.cards import ModelCard
from webui.library.folders import rule
from webui.modules.errors import WebuiError
from webui.modules.types import ModelKind
from webui.modules.weights.architecture import VAE
from webui.modules.weights.families import UNET
from webui.modules.weights.header import TensorFacts, read_header
from webui.modules.weights.lora_parts import split
from webui.services.studio import Studio

KINDS: Final = (
    ModelKind.CHECKPOINT,
    ModelKind.EMBEDDING,
    ModelKind.LORA,
    ModelKind.HYPERNETWORK,
    ModelKind.VAE,
    ModelKind.AESTHETIC,
)
"""The guide's five kinds; the last two are its "AVE"."""

PARTS: Final = ("text", "unet", "vae")
"""The painter's three networks, in the order in which a prompt passes them."""

TEXT: Final = "cond_stage_model."
_READS: Final = ("attn2.to_k.weight", "attn2.to_v.weight", "attn1.to_k.weight", "attn1.to_v.weight")
_TEXT_LAYERS: Final = ("lora_te", "text_encoder", "transformer_", "oft_te")


@dataclass(frozen=True, kw_only=True, slots=True)
class Chapter:
    """What there is of one kind.

    Attributes:
        kind: Which.
        folder: Where such files live, below the data folder.
        count: How many files this person has.
        example: Name of one of them; empty if there is none.
        numbers: How many numbers it holds.
        touched: Tensors of the current checkpoint that it changes, by part.
    """

    kind: ModelKind
    folder: str
    count: int = 0
    example: str = ""
    numbers: int = 0
    touched: Mapping[str, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Guide:
    """The guide of this moment.

    Attributes:
        checkpoint: Name of the current one; empty if there is none.
        tensors: Its tensors by part.
        numbers: All its numbers.
        chapters: One for each kind.
    """

    checkpoint: str
    tensors: Mapping[str, int]
    numbers: int
    chapters: tuple[Chapter, ...]


def read_guide(studio: Studio, checkpoint: str) -> Guide:
    """Return the guide for a checkpoint, empty where it cannot be read."""
    base = _base(studio, checkpoint)
    inside: Mapping[str, TensorFacts] = _contents(base) if base else {}
    chapters = tuple(_chapter(kind, studio, base, inside) for kind in KINDS)
    return Guide(
        checkpoint=base.record.stem if base else "",
        tensors={part: len(names) for part, names in _by_part(inside).items()},
        numbers=_numbers(inside),
        chapters=chapters,
    )


def touched(
    kind: ModelKind, own: Mapping[str, TensorFacts], inside: Mapping[str, TensorFacts]
) -> dict[str, int]:
    """Return how many tensors of a checkpoint a file changes, by part.

    Args:
        kind: What the file is.
        own: Its table of contents.
        inside: The checkpoint's.
    """
    parts = _by_part(inside)
    match kind:
        case ModelKind.CHECKPOINT:
            return {part: len(names) for part, names in parts.items()}
        case ModelKind.VAE:
            return {"vae": len(parts["vae"])}
        case ModelKind.LORA:
            layers = {found[0] for name in own if (found := split(name))}
            text = sum(layer.startswith(_TEXT_LAYERS) for layer in layers)
            return {"text": text, "unet": len(layers) - text}
        case ModelKind.HYPERNETWORK:
            widths = {int(name.split(".")[0]) for name in own if name.split(".")[0].isdigit()}
            read = [name for name in parts["unet"] if name.endswith(_READS)]
            return {"unet": sum(inside[name].shape[-1] in widths for name in read)}
        case _:
            return {}


def _chapter(
    kind: ModelKind, studio: Studio, base: ModelCard | None, inside: Mapping[str, TensorFacts]
) -> Chapter:
    cards = [card for card in studio.models.add_ons(kind) if not card.problem]
    example = (
        base if kind is ModelKind.CHECKPOINT else next(iter(_fitting(cards, studio, base)), None)
    )
    own: Mapping[str, TensorFacts] = _contents(example) if example else {}
    return Chapter(
        kind=kind,
        folder=rule(kind).folder,
        count=len(cards),
        example=example.record.stem if example else "",
        numbers=_numbers(own),
        touched=touched(kind, own, inside) if own else {},
    )


def _fitting(cards: list[ModelCard], studio: Studio, base: ModelCard | None) -> list[ModelCard]:
    """Return those first that act wholly on the checkpoint; of many only some are asked."""
    few = cards[:20]
    return sorted(few, key=lambda card: -_share(card, studio, base))


def _share(card: ModelCard, studio: Studio, base: ModelCard | None) -> float:
    told = studio.models.fitting.told(card, base)
    return told.share if told else 0.0


def _base(studio: Studio, checkpoint: str) -> ModelCard | None:
    try:
        record = studio.models.find_checkpoint(checkpoint)
        return studio.models.card(ModelKind.CHECKPOINT, record.name)
    except WebuiError:
        return None


def _contents(card: ModelCard) -> Mapping[str, TensorFacts]:
    if card.record.path.is_dir():
        return {}
    try:
        return read_header(card.record.path).tensors
    except (WebuiError, OSError):
        return {}


def _by_part(inside: Mapping[str, TensorFacts]) -> dict[str, list[str]]:
    begins = {"text": TEXT, "unet": UNET, "vae": VAE}
    return {part: [name for name in inside if name.startswith(begins[part])] for part in PARTS}


def _numbers(tensors: Mapping[str, TensorFacts]) -> int:
    return sum(prod(each.shape) for each in tensors.values())
