"""How much of each add-on of a plan acts on its checkpoint, told before anything is drawn."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from webui.library.cards import ModelCard
from webui.modules.types import GenerationPlan, LayerUse, ModelRecord
from webui.services.models import Models

MOST_NAMED: Final = 3
"""So many checkpoints are named that would fit better."""


def with_fits(plan: GenerationPlan, models: Models) -> GenerationPlan:
    """Return the plan with a note on each add-on of which not all acts.

    Args:
        plan: With its add-ons.
        models: Knows the files.
    """
    layers, notes = _held_against(plan.layers, plan.checkpoint, models)
    hires = plan.hires
    if hires is not None and (hires.layers is not None or hires.checkpoint is not None):
        again = plan.layers if hires.layers is None else hires.layers
        again, more = _held_against(again, hires.checkpoint or plan.checkpoint, models)
        notes = (*notes, *more)
        if hires.layers is not None:
            hires = replace(hires, layers=again)
    notes = tuple(dict.fromkeys((*plan.notes, *notes)))
    return replace(plan, layers=layers, hires=hires, notes=notes)


def _held_against(
    layers: tuple[LayerUse, ...], checkpoint: ModelRecord, models: Models
) -> tuple[tuple[LayerUse, ...], tuple[str, ...]]:
    told: list[LayerUse] = []
    notes: list[str] = []
    for use in layers:
        found = list(_note(use, checkpoint, models))
        told.append(replace(use, told=True) if found else use)
        notes += found
    return tuple(told), tuple(notes)


def _note(use: LayerUse, checkpoint: ModelRecord, models: Models) -> Iterator[str]:
    """Yield a sentence if not all of a file acts on a checkpoint: how much, why, and the cure."""
    listed = models.add_ons(use.model.kind)
    card = next((card for card in listed if card.record.path == use.model.path), None)
    base = next(
        (card for card in models.checkpoints() if card.record.path == checkpoint.path), None
    )
    fit = models.fitting.told(card, base) if card else None
    if card is None or fit is None or fit.share == 1:
        return
    fits = f"fits {checkpoint.stem} partly, {fit.share:.0%} of it acts" if fit.used else None
    fits = fits or f"does not fit {checkpoint.stem} and was left out"
    yield f"{use.model.name} {fits}: {fit.why}. {_cure(card, models)}"


def _cure(card: ModelCard, models: Models) -> str:
    better = models.cures(card)[:MOST_NAMED]
    if better:
        return f"It fits {', '.join(better)}."
    return "It was made for another checkpoint; choose one of its family."
