"""Several wishes as one job: which script, whose seeds, where each picture stands in the grid."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from webui.jobs.plans import BLANK, Grid, Sheet
from webui.modules.errors import LimitError
from webui.modules.types import GenerationPlan
from webui.services.ablation import Settle, ablation
from webui.services.requests import GenerationRequest
from webui.services.resolve import SEEDS
from webui.services.script_loopback import loopback
from webui.services.script_plot import plot
from webui.services.script_prompts import listed, matrix
from webui.services.script_requests import (
    MOST_WISHES,
    AblationRequest,
    ListRequest,
    LoopbackRequest,
    MatrixRequest,
    PlotRequest,
    ScriptRequest,
    UpscaleRequest,
    Wishes,
)
from webui.services.script_upscale import enlarged

__all__ = ["Settle", "sheet"]


def sheet(
    request: GenerationRequest, script: ScriptRequest, *, settle: Settle, random: Random
) -> Sheet:
    """Return the plans of all pictures of a script.

    Args:
        request: What all pictures have in common.
        script: Which script, and its settings.
        settle: Turns each wish into a plan.
        random: Draws the seeds that are left open.

    Raises:
        RequestError: If a value is unknown or outside its range; the message names it.
        LimitError: If there would be more pictures than anybody means.
    """
    if isinstance(script, AblationRequest):
        return ablation(request, script, settle=settle, random=random)
    match script:
        case PlotRequest():
            wished = plot(_seeded(request, random, when=not script.keep_random_seeds), script)
        case MatrixRequest():
            wished = matrix(_seeded(request, random), script)
        case ListRequest():
            wished = listed(_seeded(request, random, when=script.same_seed), script)
        case LoopbackRequest():
            wished = loopback(_seeded(request, random), script)
        case UpscaleRequest():
            wished = enlarged(_seeded(request, random), script)
    if not 1 <= len(wished.wishes) <= MOST_WISHES:
        message = f"the script asks for {len(wished.wishes)} pictures"
        raise LimitError(message, hint=f"Use 1 to {MOST_WISHES}.", value=len(wished.wishes))
    plans = tuple(settle(wish, random) for wish in wished.wishes)
    return Sheet(
        plans=plans,
        grid=_placed(wished, plans),
        chained=isinstance(script, LoopbackRequest),
        notes=tuple(dict.fromkeys(note for plan in plans for note in plan.notes)),
    )


def _placed(wished: Wishes, plans: Sequence[GenerationPlan]) -> Grid | None:
    """Put the first picture of each plan into its place of the grid."""
    if wished.grid is None:
        return None
    grid = wished.grid
    places = [BLANK] * (len(grid.columns) * len(grid.rows) * len(grid.blocks))
    number = 0
    for cell, plan in zip(wished.cells, plans, strict=True):
        places[cell] = number
        number += len(plan.seeds)
    return replace(grid, places=tuple(places))


def _seeded(request: GenerationRequest, random: Random, *, when: bool = True) -> GenerationRequest:
    """Draw the seeds once, so that all pictures of a script share them."""
    if not when:
        return request
    return replace(
        request,
        seed=random.randrange(SEEDS) if request.seed == -1 else request.seed,
        subseed=random.randrange(SEEDS) if request.subseed == -1 else request.subseed,
    )
