"""All that is random in one picture's turn: it hangs on the seed and the turn's number alone.

No generator lives from step to step. So a training that goes on after a stop, or that is watched
through sample pictures, or that runs with other batches, draws the same numbers as any other.
"""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random

import torch


@dataclass(frozen=True, slots=True)
class Chance:
    """The randomness of one turn: for choices, and for noise."""

    choices: Random
    noise: torch.Generator


def chance(seed: int, purpose: str, number: int) -> Chance:
    """Return the randomness of one turn.

    Args:
        seed: Of the training.
        purpose: What it is for; two purposes have nothing in common.
        number: Of the turn, or of whatever the purpose counts.
    """
    choices = Random(f"{seed} {purpose} {number}")  # noqa: S311 - no secret
    return Chance(choices, torch.Generator().manual_seed(choices.getrandbits(63)))


@contextmanager
def layers_by_chance(seed: int, number: int) -> Generator[None]:
    """Let torch's own layers, such as dropout, draw what hangs on this step alone."""
    drawn = Random(f"{seed} layers {number}").getrandbits(63)  # noqa: S311 - no secret
    with torch.random.fork_rng():  # pyright: ignore[reportUnknownMemberType] - untyped in torch
        torch.random.manual_seed(drawn)  # pyright: ignore[reportUnknownMemberType] - likewise
        yield
