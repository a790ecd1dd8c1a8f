"""What a tag of an add-on says: how strongly, in which blocks and when it acts.

::

    <lora:name:text encoder:network:rank>            the weights, as in A1111
    <lora:name:0.8:lbw=OUTALL:start=0.2:stop=0.8>    by block, and in a part of the steps
    <hypernet:name:0.8:start=5>                      from the sixth step on

``lbw=``, ``start=`` and ``stop=`` are those of the extension "LoRA Block Weight".
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from webui.modules.layers.blocks import ORDERS, PRESETS, Blocks, read_blocks
from webui.modules.layers.times import read_times
from webui.modules.text.prompt import Tag
from webui.modules.types import ModelKind

KINDS: Final[Mapping[str, ModelKind]] = {
    "lora": ModelKind.LORA,
    "lyco": ModelKind.LORA,
    "hypernet": ModelKind.HYPERNETWORK,
}
"""Which kind of file a tag calls."""

_RANK: Final = 3
"""Place of the rank among the arguments: name, text, network, rank."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Called:
    """What a tag asks for.

    Attributes:
        kind: Of the file.
        name: As the tag writes it.
        weight: On the denoising network.
        text_weight: On the text encoder.
        rank: Use only so many dimensions; 0 for all.
        blocks: Factors by block.
        start: From when on it acts.
        stop: Until when.
        notes: What of the tag is not understood.
    """

    kind: ModelKind
    name: str
    weight: float
    text_weight: float
    rank: int
    blocks: Blocks = ()
    start: float = 0.0
    stop: float = 1.0
    notes: tuple[str, ...] = ()


def read_call(tag: Tag) -> Called | None:
    """Return what a tag asks for; None if it has no name or a weight that is no number.

    What is nonsense in the rest is left out and told in the notes.
    """
    if tag.kind not in KINDS or not tag.arguments:
        return None
    kind, name, named = KINDS[tag.kind], tag.arguments[0], dict(tag.named)
    try:
        text, unet, rank = _weights(tag.arguments, named)
    except (ValueError, OverflowError):
        return None
    notes: list[str] = []
    blocks: Blocks = ()
    if "lbw" in named:
        blocks = _blocks(kind, name, named["lbw"], notes)
    start, stop = _times(name, named, notes)
    return Called(
        kind=kind,
        name=name,
        weight=text if kind is ModelKind.HYPERNETWORK else unet,
        text_weight=text,
        rank=rank,
        blocks=blocks,
        start=start,
        stop=stop,
        notes=tuple(notes),
    )


def _weights(arguments: tuple[str, ...], named: Mapping[str, str]) -> tuple[float, float, int]:
    """Return both weights and the rank; ``te=``, ``unet=`` and ``dyn=`` go before.

    Raises:
        ValueError: If one of them is no number.
    """
    given = [float(argument) for argument in arguments[1:_RANK]]
    text = float(named.get("te", given[0] if given else 1.0))
    unet = float(named.get("unet", given[1] if len(given) > 1 else text))
    rank = int(named.get("dyn", arguments[_RANK] if len(arguments) > _RANK else 0))
    if not math.isfinite(text + unet) or rank < 0:
        raise ValueError(text, unet, rank)
    return text, unet, rank


def _blocks(kind: ModelKind, name: str, text: str, notes: list[str]) -> Blocks:
    if kind is not ModelKind.LORA:
        notes.append(f"lbw= of {name} was left out: only LoRA files have block weights.")
        return ()
    try:
        return read_blocks(text)
    except ValueError:
        counts = ", ".join(map(str, ORDERS))
        presets = ", ".join(PRESETS)
        notes.append(
            f"lbw={text[:80]} of {name} was left out, so it acts in all blocks alike: write"
            f" {counts} numbers, or one of {presets}."
        )
        return ()


def _times(name: str, named: Mapping[str, str], notes: list[str]) -> tuple[float, float]:
    try:
        return read_times(named)
    except ValueError:
        said = ":".join(f"{key}={named[key][:40]}" for key in ("start", "stop") if key in named)
        notes.append(
            f"{said} of {name} was left out, so it acts in all steps: write a share of the steps"
            " such as 0.2, or a number of steps above 1, the end behind the beginning."
        )
        return 0.0, 1.0
