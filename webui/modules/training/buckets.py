"""Which size each picture is brought to, and which pictures go into which correction. No torch.

Everything here follows from the plan's seed and the number of the step, so a training that goes on
after a stop sees exactly what it would have seen.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import Final

from webui.modules.training.pictures import Example
from webui.modules.training.plan import TrainingPlan

Size = tuple[int, int]
"""Width and height in pixels."""

LONGEST_SIDE: Final = 2
"""A side is at most so many times the square's."""


def size_for(picture: Size, resolution: int, step: int) -> Size:
    """Return the size to which a picture is brought: its proportions, the square's area.

    Args:
        picture: Its own size.
        resolution: Side of the square with as many pixels.
        step: Every side is a multiple of this; a square's own side stays as it is.
    """
    wanted = picture[0] / picture[1]
    sizes = [(resolution, resolution), *_sizes(resolution, step)]
    return min(sizes, key=lambda size: (abs(math.log(_ratio(size) / wanted)), -size[0] * size[1]))


def _sizes(resolution: int, step: int) -> list[Size]:
    """Return the sizes with at most the square's area, every side a multiple of ``step``."""
    sides = range(step, resolution * LONGEST_SIDE + 1, step)
    found: list[Size] = []
    for width in sides:
        height = int(resolution * resolution / width // step) * step
        if resolution // LONGEST_SIDE <= height <= resolution * LONGEST_SIDE:
            found += [(width, height), (height, width)]
    return found


def _ratio(size: Size) -> float:
    return size[0] / size[1]


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """One picture's turn in a correction.

    Attributes:
        example: Its place among the examples.
        number: Counts all turns from the training's beginning; decides all that is random in it.
    """

    example: int
    number: int


class Order:
    """Which pictures are compared at which step.

    In each round every picture comes as often as the plan says. Those of one size go together;
    what is missing in a size's last group is filled from the same size.
    """

    def __init__(
        self, pairs: Sequence[tuple[Example, Size]], places: Sequence[int], plan: TrainingPlan
    ) -> None:
        """Sort pictures by size.

        Args:
            pairs: All examples with their sizes.
            places: Those among them that are trained on.
            plan: The training.
        """
        self._plan = plan
        self._by_size: dict[Size, list[int]] = {}
        for place in places:
            example, size = pairs[place]
            repeats = 1 if example.regular else plan.data.repeats
            self._by_size.setdefault(size, []).extend([place] * repeats)
        self.groups_per_round = sum(
            -(-len(places) // plan.group) for places in self._by_size.values()
        )
        self._round = lru_cache(maxsize=2)(self._shuffled)

    def turns(self, step: int) -> tuple[Turn, ...]:
        """Return whose turn it is at a step, counted from 0: ``plan.group`` pictures."""
        rounds, place = divmod(step, self.groups_per_round)
        group = self._round(rounds)[place]
        first = step * self._plan.group
        return tuple(
            Turn(example=example, number=first + index) for index, example in enumerate(group)
        )

    def _shuffled(self, number: int) -> list[tuple[int, ...]]:
        """Return the groups of a round."""
        random = Random(f"{self._plan.seed} round {number}")  # noqa: S311 - no secret
        groups: list[tuple[int, ...]] = []
        for size in sorted(self._by_size):
            places = list(self._by_size[size])
            random.shuffle(places)
            missing = -len(places) % self._plan.group
            places += [random.choice(places) for _ in range(missing)]
            groups += [
                tuple(places[first : first + self._plan.group])
                for first in range(0, len(places), self._plan.group)
            ]
        random.shuffle(groups)
        return groups
