"""Plans as text in the queue and back, and the part of a plan that is still to be drawn."""

import json
from collections.abc import Set as AbstractSet
from dataclasses import replace

from pydantic import TypeAdapter, ValidationError

from webui.modules.errors import JobError
from webui.modules.types import GenerationPlan


def encode(plan: GenerationPlan) -> str:
    """Write a plan as JSON; infinite numbers are written as Python's ``Infinity``."""
    return json.dumps(TypeAdapter(GenerationPlan).dump_python(plan, mode="json"))


def decode(text: str) -> GenerationPlan:
    """Read what ``encode`` wrote.

    Raises:
        JobError: If another version of the program wrote it in another way.
    """
    try:
        return TypeAdapter(GenerationPlan).validate_json(text)
    except ValidationError as problem:
        message = "the plan of this job was written by another version of the program"
        raise JobError(message, hint="Submit it again.") from problem


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
    rest = replace(
        plan,
        prompts=plan.prompts[start:],
        negative_prompts=plan.negative_prompts[start:],
        seeds=plan.seeds[start:],
        variation_seeds=plan.variation_seeds[start:],
    )
    return rest, start
