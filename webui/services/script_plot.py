"""X/Y/Z plot: one picture for each combination of values."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from webui.jobs.plans import Grid
from webui.modules.errors import LimitError, RangeError
from webui.services.axes import SEARCH, Axis, find_axis, search_and_replace
from webui.services.requests import GenerationRequest
from webui.services.script_requests import MOST_WISHES, PlotRequest, Wishes, checked_margin


def plot(request: GenerationRequest, script: PlotRequest) -> Wishes:
    """Return the wishes of a plot.

    Raises:
        RequestError: If an axis or a value is unknown; the message names it.
        LimitError: If there would be more pictures than anybody means.
    """
    way = "img2img" if request.start else "txt2img"
    asked = (script.x, script.y, script.z)
    along = [
        (axis, _values(axis, each.values)) for each in asked for axis in [find_axis(each.type, way)]
    ]
    counts = [len(values) for _, values in along]
    if math.prod(counts) > MOST_WISHES:
        message = f"{counts[0]} x {counts[1]} x {counts[2]} pictures"
        raise LimitError(message, hint=f"Use at most {MOST_WISHES} in all.", value=message)
    wishes: list[GenerationRequest] = []
    cells: list[int] = []
    for place in _cheapest_first(along):
        wish = request
        for (axis, values), number in zip(along, place, strict=True):
            wish = _applied(axis, values, number)(wish)
        wishes.append(_count_seed(wish, script, place))
        cells.append(place[0] + counts[0] * (place[1] + counts[1] * place[2]))
    labels = [
        tuple(axis.shown(value) if script.legend else "" for value in values)
        for axis, values in along
    ]
    told = [("Script", "X/Y/Z plot")]
    for letter, each, (axis, _) in zip("XYZ", asked, along, strict=True):
        if axis.label != "Nothing":
            told += [(f"{letter} Type", axis.label), (f"{letter} Values", each.values)]
    grid = Grid(
        columns=labels[0],
        rows=labels[1],
        blocks=labels[2],
        places=(),
        margin=checked_margin(script.margin),
        blocks_alone=script.blocks_alone,
        told=tuple(told),
    )
    return Wishes(wishes=wishes, cells=cells, grid=grid)


def _values(axis: Axis, written: str) -> Sequence[Any]:
    values = axis.read(written)
    if not values:
        message = f"the axis {axis.label} has no values"
        raise RangeError(message, hint="Write values with commas between them.", value=axis.label)
    return values


def _applied(
    axis: Axis, values: Sequence[Any], number: int
) -> Callable[[GenerationRequest], GenerationRequest]:
    apply = search_and_replace(values[0]) if axis.label == SEARCH else axis.apply
    return lambda request: apply(request, values[number])


def _cheapest_first(along: Sequence[tuple[Axis, Sequence[Any]]]) -> Iterator[tuple[int, ...]]:
    """Yield all places; what is costly to change changes as seldom as can be."""
    order = sorted(range(len(along)), key=lambda number: (along[number][0].cost, -number))
    slowest_first = order[::-1]

    def places(left: Sequence[int], fixed: dict[int, int]) -> Iterator[tuple[int, ...]]:
        if not left:
            yield tuple(fixed[number] for number in range(len(along)))
            return
        for value in range(len(along[left[0]][1])):
            yield from places(left[1:], {**fixed, left[0]: value})

    return places(slowest_first, {})


def _count_seed(
    wish: GenerationRequest, script: PlotRequest, place: tuple[int, ...]
) -> GenerationRequest:
    more = sum(
        number for letter, number in zip("xyz", place, strict=True) if letter in script.vary_seeds
    )
    return replace(wish, seed=wish.seed + more) if more and wish.seed >= 0 else wish
