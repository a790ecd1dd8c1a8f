"""Block weights: how much of a LoRA acts in each block of the denoising network. No torch.

The network of the LDM code is a row of numbered blocks, and people weigh a LoRA block by block, as
with the extension "LoRA Block Weight" (github.com/hako-mikan/sd-webui-lora-block-weight): 26
numbers for all of them, or fewer for those that a plain LoRA changes. Its presets and orders are
kept here; it is its users' prompts that we read.
"""

import math
import re
from collections.abc import Mapping
from typing import Final

BASE: Final = "BASE"
"""The text encoder, and of the denoising network what lies in no block."""

MIDDLE: Final = "M00"

BLOCKS: Final = (
    BASE,
    *(f"IN{number:02}" for number in range(12)),
    MIDDLE,
    *(f"OUT{number:02}" for number in range(12)),
)
"""All blocks, in the order of 26 numbers."""

_PLAIN: Final = (
    BASE, "IN01", "IN02", "IN04", "IN05", "IN07", "IN08", MIDDLE,
    "OUT03", "OUT04", "OUT05", "OUT06", "OUT07", "OUT08", "OUT09", "OUT10", "OUT11",
)  # fmt: skip
"""The blocks with attention, which is all that a plain LoRA of Stable Diffusion 1 changes."""

_PLAIN_XL: Final = (
    BASE, "IN04", "IN05", "IN07", "IN08", MIDDLE,
    "OUT00", "OUT01", "OUT02", "OUT03", "OUT04", "OUT05",
)  # fmt: skip
"""The same of SDXL."""

ORDERS: Final[Mapping[int, tuple[str, ...]]] = {
    len(order): order for order in (_PLAIN_XL, _PLAIN, BLOCKS)
}
"""Which blocks so many numbers are about; those that are not named get 0."""

PRESETS: Final[Mapping[str, tuple[float, ...]]] = {
    "NONE": (0,) * 26,
    "ALL": (1,) * 26,
    "INS": (1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
    "IND": (1, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
    "INALL": (1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
    "MIDD": (1, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0),
    "OUTD": (1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0, 0),
    "OUTS": (1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1),
    "OUTALL": (1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1),
}
"""The extension's presets. "ALL" is everything and "NONE" nothing, of every kind of file."""

Blocks = tuple[tuple[str, float], ...]
"""Factors by the names of blocks; a block that is not named has the factor 1."""

_PLACE: Final = re.compile(r"(input|output)_blocks\.(\d+)\.")


def read_blocks(text: str) -> Blocks:
    """Return the factors that a tag's ``lbw=`` means: a preset, or 12, 17 or 26 numbers.

    Raises:
        ValueError: If it is neither.
    """
    preset = PRESETS.get(text.strip().upper())
    numbers = preset or tuple(float(part) for part in text.split(","))
    order = ORDERS.get(len(numbers))
    if order is None or not all(math.isfinite(number) for number in numbers):
        raise ValueError(text)
    said = {block: float(number) for block, number in zip(order, numbers, strict=True)}
    factors = ((block, said.get(block, 0.0)) for block in BLOCKS)
    return tuple((block, factor) for block, factor in factors if factor != 1)


def factor_of(blocks: Blocks, block: str) -> float:
    """Return the factor of one block; ``MID`` is another name for the middle one."""
    said = dict(blocks)
    if block == MIDDLE and "MID" in said:
        return said["MID"]
    return said.get(block, 1.0)


def rank_of(rank: int, factors: Blocks, block: str) -> int:
    """Return the dimensions of a change in one block: at least 1, and 0 where the factor is 0."""
    factor = factor_of(factors, block)
    return max(1, round(rank * factor)) if factor else 0


def block_of(ldm_name: str) -> str:
    """Return the block of a layer of the denoising network, by its name in the LDM code."""
    place = _PLACE.match(ldm_name)
    if place:
        return f"{'IN' if place[1] == 'input' else 'OUT'}{int(place[2]):02}"
    return MIDDLE if ldm_name.startswith("middle_block.") else BASE
