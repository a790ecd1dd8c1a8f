"""Plans in the queue: one or a sheet of them, as text, and what of them is still to be drawn."""

import json
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from pydantic import TypeAdapter, ValidationError

from webui.modules.errors import JobError
from webui.modules.types import GenerationPlan

BLANK: Final = -1
"""A place in a grid that no picture belongs to."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Grid:
    """How the pictures of a sheet are shown together.

    Attributes:
        columns: What stands above each column; empty texts for nothing.
        rows: What stands before each row.
        blocks: What stands above each block of rows and columns; one for a plain grid.
        places: Number of the job's picture for each place, block by block, row by row, or BLANK.
        margin: Pixels between pictures.
        blocks_alone: Also keep each block as a picture of its own.
        told: What the grid's own infotext says besides, key by key.
    """

    columns: tuple[str, ...]
    rows: tuple[str, ...]
    blocks: tuple[str, ...] = ("",)
    places: tuple[int, ...]
    margin: int = 0
    blocks_alone: bool = False
    told: tuple[tuple[str, str], ...] = ()


StripChange = Literal["base", "with", "all", "without"]
"""What stands at a place of a strip: no add-on, one more than before, all, or all but one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StripPlace:
    """One place of a strip that shows what each add-on does.

    Attributes:
        number: The job's picture that stands here; one picture may stand at several places.
        change: What is drawn here.
        kind: Of the add-on that comes or goes here, a value of ``ModelKind``.
        name: Its name, as the prompt calls it or as its file is called.
        strength: How strongly it acts, as people write it; empty where it has no strength.
        against: The job's picture that this one is held against; BLANK for none.
    """

    number: int
    change: StripChange
    kind: str = ""
    name: str = ""
    strength: str = ""
    against: int = BLANK


@dataclass(frozen=True, kw_only=True, slots=True)
class Sheet:
    """Several plans that are drawn as one job.

    Attributes:
        plans: In drawing order.
        grid: How their pictures are shown together; None if they are not.
        strip: The places of a strip with numbers, in the order in which they are read.
        chained: Each plan but the first starts from the last picture of the plan before.
        notes: What was settled differently from what was asked.
    """

    plans: tuple[GenerationPlan, ...]
    grid: Grid | None = None
    strip: tuple[StripPlace, ...] = ()
    chained: bool = False
    notes: tuple[str, ...] = ()


JobPlan = GenerationPlan | Sheet
"""What one job of the queue draws."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """What is left of one plan of a job.

    Attributes:
        whole: The plan.
        left: Its batches that are not done.
        first: Number of the plan's first picture in the job.
        skipped: Pictures of the plan before those that are left.
    """

    whole: GenerationPlan
    left: GenerationPlan
    first: int
    skipped: int


def encode(plan: JobPlan) -> str:
    """Write a plan as JSON; infinite numbers are written as Python's ``Infinity``."""
    adapter: TypeAdapter[Any] = TypeAdapter(type(plan))
    return json.dumps(adapter.dump_python(plan, mode="json"))


def decode(text: str) -> JobPlan:
    """Read what ``encode`` wrote.

    Raises:
        JobError: If another version of the program wrote it in another way.
    """
    adapter: TypeAdapter[JobPlan] = TypeAdapter(JobPlan)
    try:
        return adapter.validate_json(text)
    except ValidationError as problem:
        message = "the plan of this job was written by another version of the program"
        raise JobError(message, hint="Submit it again.") from problem


def plans_of(plan: JobPlan) -> tuple[GenerationPlan, ...]:
    """Return the plans of a job in drawing order."""
    return plan.plans if isinstance(plan, Sheet) else (plan,)


def picture_count(plan: JobPlan) -> int:
    """Return how many pictures a job draws; a grid of them has the next number."""
    return sum(len(each.seeds) for each in plans_of(plan))


def batch_count(plan: GenerationPlan) -> int:
    """Return in how many batches a plan is drawn."""
    return -(-len(plan.seeds) // plan.batch_size)


def pieces_left(plan: JobPlan, done: AbstractSet[int]) -> tuple[Piece, ...]:
    """Return what is still to be drawn of a job.

    A chain is drawn from its beginning, since each link needs the one before; pictures that are
    kept already come out equal and are not kept twice.
    """
    chained = isinstance(plan, Sheet) and plan.chained
    if chained and not done >= set(range(picture_count(plan))):
        done = frozenset()
    pieces: list[Piece] = []
    first = 0
    for whole in plans_of(plan):
        left, skipped = rest_of(whole, {number - first for number in done})
        if left is not None:
            pieces.append(Piece(whole=whole, left=left, first=first, skipped=skipped))
        first += len(whole.seeds)
    return tuple(pieces)


def rest_of(plan: GenerationPlan, done: AbstractSet[int]) -> tuple[GenerationPlan | None, int]:
    """Leave out the leading batches whose pictures are all done.

    Pictures are drawn batch by batch and no batch knows of another, so what is left gives the very
    pixels that it would have given without the break.

    Returns:
        The plan of what is left, None if nothing is, and the number of its first picture.
    """
    start = 0
    while start < len(plan.seeds):
        end = min(start + plan.batch_size, len(plan.seeds))
        if not done >= set(range(start, end)):
            break
        start = end
    else:
        return None, start
    hires = plan.hires and replace(
        plan.hires,
        prompts=plan.hires.prompts[start:],
        negative_prompts=plan.hires.negative_prompts[start:],
    )
    begun = plan.start and replace(
        plan.start, first_seeds=plan.start.first_seeds or plan.seeds[: plan.batch_size]
    )
    rest = replace(
        plan,
        prompts=plan.prompts[start:],
        negative_prompts=plan.negative_prompts[start:],
        seeds=plan.seeds[start:],
        variation_seeds=plan.variation_seeds[start:],
        hires=hires,
        start=begun if start else plan.start,
    )
    return rest, start
