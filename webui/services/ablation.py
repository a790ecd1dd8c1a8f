"""What each add-on does: the same picture with one after the other, and with all but one.

What "without" means is exact, and is a plan of its own that every single picture's settings tell:

- LoRA and hypernetwork: their tags are cut out of the prompts, so that nothing of them is left.
- Embedding: its file is not loaded; its word stays in the prompts and is read as mere text.
- VAE: the one that is baked into the checkpoint decodes instead.
- Aesthetic embedding: the extension that reads it does nothing.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from random import Random
from typing import Final

from webui.jobs.plans import Sheet, StripPlace
from webui.modules.errors import LimitError, NothingToLeaveOutError
from webui.modules.text.prompt import Tag, without_tags
from webui.modules.types import GenerationPlan, LayerUse, ModelKind, ModelRecord
from webui.services.requests import GenerationRequest
from webui.services.resolve_layers import KINDS
from webui.services.script_requests import MOST_WISHES, AblationRequest

Settle = Callable[[GenerationRequest, Random], GenerationPlan]
"""Turns a wish into a plan with what holds now."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """Something in a plan that can be left out.

    Attributes:
        kind: What it is.
        name: As the prompt calls it, or as its file is called.
        strength: How strongly it acts, as people write it; empty for as it is.
        path: Its file.
    """

    kind: ModelKind
    name: str
    strength: str = ""
    path: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One kind of part.

    Attributes:
        kind: Which one.
        find: Returns the parts of this kind in a plan, each once.
        leave_out: Returns a plan without one of them.
    """

    kind: ModelKind
    find: Callable[[GenerationPlan], Iterable[Part]]
    leave_out: Callable[[GenerationPlan, Part], GenerationPlan]


def ablation(
    request: GenerationRequest, script: AblationRequest, *, settle: Settle, random: Random
) -> Sheet:
    """Return the plans of a strip, equal ones once, and where their pictures stand.

    Each step is one picture: of a batch the first.

    Args:
        request: The picture with everything on it.
        script: Which steps are wanted.
        settle: Turns a wish into a plan.
        random: Draws the seeds that are left open.

    Raises:
        NothingToLeaveOutError: If no add-on and no VAE file is used.
        RequestError: If a value is unknown or outside its range; the message names it.
        LimitError: If there are more add-ons than anybody means.
    """
    whole = settle(_single(request), random)
    parts = parts_of(whole)
    if not parts:
        raise _nothing(whole)
    if 2 * len(parts) > MOST_WISHES:
        message = f"the picture uses {len(parts)} add-ons"
        raise LimitError(message, hint=f"Use at most {MOST_WISHES // 2}.", value=len(parts))
    drawing = _Drawing([])
    places = tuple(_places(whole, parts, script, drawing))
    return Sheet(plans=tuple(drawing.plans), strip=places, notes=whole.notes)


def parts_of(plan: GenerationPlan) -> list[Part]:
    """Return what can be left out of a plan, in the order in which it is added."""
    return [part for row in ROWS for part in row.find(plan)]


def without(plan: GenerationPlan, parts: Sequence[Part]) -> GenerationPlan:
    """Return the plan without these parts, everything else as it was."""
    table = {row.kind: row for row in ROWS}
    return reduce(lambda left, part: table[part.kind].leave_out(left, part), parts, plan)


def _single(request: GenerationRequest) -> GenerationRequest:
    start = request.start and replace(request.start, pictures=request.start.pictures[:1])
    return replace(request, batch_size=1, batch_count=1, start=start)


def _nothing(plan: GenerationPlan) -> NothingToLeaveOutError:
    message = " ".join(("this picture uses no add-on and no VAE file.", *plan.notes))
    hint = "Call an embedding, a LoRA or a hypernetwork in the prompt, or choose a VAE file."
    return NothingToLeaveOutError(message, hint=hint)


@dataclass(slots=True)
class _Drawing:
    """The plans that are drawn, each once."""

    plans: list[GenerationPlan]

    def number(self, plan: GenerationPlan) -> int:
        """Return the number of the picture of a plan."""
        if plan not in self.plans:
            self.plans.append(plan)
        return self.plans.index(plan)


def _places(
    whole: GenerationPlan, parts: Sequence[Part], script: AblationRequest, drawing: _Drawing
) -> Iterator[StripPlace]:
    before = drawing.number(without(whole, parts))
    yield StripPlace(number=before, change="base")
    for count, part in enumerate(parts, start=1):
        number = drawing.number(without(whole, parts[count:]))
        yield StripPlace(
            number=number,
            change="with",
            kind=part.kind.value,
            name=part.name,
            strength=part.strength,
            against=before,
        )
        before = number
    if not script.each_alone or len(parts) == 1:
        return
    yield StripPlace(number=before, change="all")
    for part in parts:
        yield StripPlace(
            number=drawing.number(without(whole, [part])),
            change="without",
            kind=part.kind.value,
            name=part.name,
            strength=part.strength,
            against=before,
        )


# Kinds ------------------------------------------------------------------------------------------


def _uses(plan: GenerationPlan) -> Iterator[LayerUse]:
    """Yield the add-ons of both passes."""
    yield from plan.layers
    if plan.hires:
        yield from plan.hires.layers or ()


def _layers(kind: ModelKind) -> Callable[[GenerationPlan], Iterator[Part]]:
    """Return what finds the files of a kind that lie over the checkpoint."""

    def find(plan: GenerationPlan) -> Iterator[Part]:
        files: dict[Path, list[LayerUse]] = {}
        for use in _uses(plan):
            if use.model.kind is kind:
                files.setdefault(use.model.path, []).append(use)
        for path, uses in files.items():
            strengths = dict.fromkeys(_strength(use) for use in uses)
            yield Part(
                kind=kind,
                name=uses[0].name or uses[0].model.stem,
                strength=" + ".join(filter(None, strengths)),
                path=path,
            )

    return find


def _strength(use: LayerUse) -> str:
    if use.weight == use.text_weight:
        return "" if use.weight == 1 else f"{use.weight:g}"
    return f"{use.text_weight:g}:{use.weight:g}"


def _without_layer(plan: GenerationPlan, part: Part) -> GenerationPlan:
    """Return the plan without a file and without the tags that call it."""

    def kept(layers: Sequence[LayerUse]) -> tuple[LayerUse, ...]:
        return tuple(use for use in layers if (use.model.kind, use.model.path) != here)

    here = (part.kind, part.path)
    names = {use.name for use in _uses(plan) if (use.model.kind, use.model.path) == here}

    def calls(tag: Tag) -> bool:
        named = tag.arguments[:1]
        return KINDS.get(tag.kind) is part.kind and bool(named) and named[0] in names

    def cut(prompts: Sequence[str]) -> tuple[str, ...]:
        return tuple(without_tags(prompt, calls) for prompt in prompts)

    hires, layers = plan.hires, kept(plan.layers)
    if hires:
        again = None if hires.layers is None else kept(hires.layers)
        hires = replace(
            hires, prompts=cut(hires.prompts), layers=None if again == layers else again
        )
    return replace(plan, layers=layers, prompts=cut(plan.prompts), hires=hires)


def _without_embedding(plan: GenerationPlan, part: Part) -> GenerationPlan:
    """Return the plan in which an embedding's word is mere text."""
    left = _without_layer(plan, part)
    return replace(left, plain_words=(*left.plain_words, part.name))


def _vaes(plan: GenerationPlan) -> Iterator[ModelRecord]:
    for place in (plan, plan.hires, plan.refiner):
        if place and place.vae:
            yield place.vae


def _vae(plan: GenerationPlan) -> Iterator[Part]:
    """Find the VAE file; those of other checkpoints on the way go with it."""
    for record in list(_vaes(plan))[:1]:
        yield Part(kind=ModelKind.VAE, name=record.stem, path=record.path)


def _without_vae(plan: GenerationPlan, _part: Part) -> GenerationPlan:
    return replace(
        plan,
        vae=None,
        hires=plan.hires and replace(plan.hires, vae=None),
        refiner=plan.refiner and replace(plan.refiner, vae=None),
    )


def _aesthetic(plan: GenerationPlan) -> Iterator[Part]:
    for use in plan.extensions:
        moods = [record for _, record in use.models if record.kind is ModelKind.AESTHETIC]
        for record in moods[:1]:
            yield Part(kind=ModelKind.AESTHETIC, name=record.stem, path=record.path)


def _without_aesthetic(plan: GenerationPlan, part: Part) -> GenerationPlan:
    """Return the plan without the extension's use of this file."""
    kept = (
        use for use in plan.extensions if part.path not in {record.path for _, record in use.models}
    )
    return replace(plan, extensions=tuple(kept))


ROWS: Final = (
    Row(
        kind=ModelKind.EMBEDDING,
        find=_layers(ModelKind.EMBEDDING),
        leave_out=_without_embedding,
    ),
    Row(kind=ModelKind.LORA, find=_layers(ModelKind.LORA), leave_out=_without_layer),
    Row(
        kind=ModelKind.HYPERNETWORK,
        find=_layers(ModelKind.HYPERNETWORK),
        leave_out=_without_layer,
    ),
    Row(kind=ModelKind.VAE, find=_vae, leave_out=_without_vae),
    Row(kind=ModelKind.AESTHETIC, find=_aesthetic, leave_out=_without_aesthetic),
)
"""What can be left out, in the order in which the strip adds it."""
