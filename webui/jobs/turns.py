"""Whose turn it is: people in turn, long works behind short jobs; when a long work makes way."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Waiting:
    """Who waits behind a long work.

    Attributes:
        short: Jobs of anybody that end soon.
        long: Long works of other people.
    """

    short: int
    long: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Turns:
    """How long a long work keeps the worker while others wait.

    Putting a work aside and taking it up again costs time, so each turn has a least length.

    Attributes:
        least: Seconds before it makes way for pictures and short works.
        whole: Seconds before it makes way for somebody else's long work.
    """

    least: float = 20.0
    whole: float = 600.0

    def over(self, held: float, waiting: Waiting) -> bool:
        """Tell whether a long work shall make way.

        Args:
            held: For how many seconds it has had the worker.
            waiting: Who waits behind it.
        """
        return bool((waiting.short and held >= self.least) or (waiting.long and held >= self.whole))


def fair_order(rows: Iterable[Mapping[str, Any]], last_turn: int) -> list[str]:
    """Return the ids of waiting jobs in the order in which they will be begun.

    Args:
        rows: ``id``, ``owner``, ``yields``, ``number`` and ``turn`` of each; those of one owner in
            the order of ``yields`` and ``number``.
        last_turn: The highest turn that anybody has had.
    """
    lines: dict[str, deque[tuple[int, int, str]]] = {}
    turn_of: dict[str, int] = {}
    for row in rows:
        turn_of[row["owner"]] = row["turn"]
        place = (row["yields"], row["number"], row["id"])
        lines.setdefault(row["owner"], deque()).append(place)
    heads = [(turn_of[owner], *line[0][:2], owner) for owner, line in lines.items()]
    heapify(heads)
    order: list[str] = []
    while heads:
        owner = heappop(heads)[-1]
        order.append(lines[owner].popleft()[-1])
        last_turn += 1
        if lines[owner]:
            heappush(heads, (last_turn, *lines[owner][0][:2], owner))
    return order
