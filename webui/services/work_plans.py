"""From a wish for the workshop to a plan: every name found, every number checked, a free place."""

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from webui.jobs.works import Work
from webui.modules.errors import RangeError, RequestError, UnsupportedModelError
from webui.modules.layers.blocks import BLOCKS
from webui.modules.types import (
    BakePlan,
    ConvertPlan,
    ExtractPlan,
    JoinPlan,
    LayerUse,
    MergePlan,
    ModelKind,
    ModelRecord,
    RankRule,
    ResizePlan,
    UnfoldPlan,
)
from webui.services.work_bench import (
    Bench,
    check_family,
    check_range,
    require_room_for,
)
from webui.services.work_requests import (
    BakeRequest,
    ConvertRequest,
    ExtractRequest,
    Ingredient,
    MergeRequest,
    ResizeRequest,
    Rule,
    WorkRequest,
)

LEAST_SHARE: Final = -1.0
MOST_SHARE: Final = 2.0
"""Beyond these a mixture is noise."""

MOST_RANK: Final = 4096
MOST_WEIGHT: Final = 100.0

MOST_PATTERN: Final = 500
"""Letters of what is left out of a merge."""

NONE: Final = frozenset({"", "none"})

ENDINGS: Final = {"-inpainting": ".inpainting", "-instruct": ".instruct-pix2pix"}
"""What A1111 writes behind the name of a checkpoint of these families."""

_PATTERN: Final = re.compile(r"[\w.*?-]+", re.ASCII)


def plan_work(request: WorkRequest, bench: Bench) -> Work:
    """Settle a wish.

    Raises:
        RequestError: If something is missing, unknown or outside its range; the message names it.
        ModelError: If a file is refused, or the files do not go together.
        StorageError: If the disk has no room for the result.
    """
    return _PLANS[type(request)](request, bench)


# ------------------------------------------------------------------------------- checkpoints


def _merge(wish: MergeRequest, bench: Bench) -> MergePlan:
    alone, three = wish.method == "no interpolation", wish.method == "add difference"
    first = bench.checkpoint(wish.first, "A")
    second = None if alone else bench.checkpoint(wish.second, "B")
    third = bench.checkpoint(wish.third, "C") if three else None
    for other in filter(None, (second, third)):
        check_family(first, other)
    check_range("M", wish.share, LEAST_SHARE, MOST_SHARE)
    if wish.blocks and len(wish.blocks) != len(BLOCKS):
        message = f"blocks has {len(wish.blocks)} numbers"
        hint = f"Give {len(BLOCKS)}: BASE, IN00 to IN11, M00, OUT00 to OUT11."
        raise RangeError(message, hint=hint, value=len(wish.blocks))
    for block, share in zip(BLOCKS, wish.blocks, strict=False):
        check_range(block, share, LEAST_SHARE, MOST_SHARE)
    vae = wish.vae.strip()
    name = wish.name.strip() or merged_name(wish, first, second, third)
    plan = MergePlan(
        first=first,
        second=second,
        third=third,
        method=wish.method,
        share=wish.share,
        blocks=() if alone else wish.blocks,
        vae=None if vae.lower() in NONE else bench.file(ModelKind.VAE, vae, "the VAE"),
        precision=wish.precision,
        discard=patterns(wish.discard),
        config=_config(wish, first, second, third),
        texts=wish.texts,
        target=bench.target(ModelKind.CHECKPOINT, name, ".safetensors"),
    )
    require_room_for(plan.target, first)
    return plan


def merged_name(
    wish: MergeRequest, first: ModelRecord, second: ModelRecord | None, third: ModelRecord | None
) -> str:
    """Return A1111's name for a result that nobody has named."""
    a, b, c = (record.stem if record else "" for record in (first, second, third))
    share, name = round(wish.share, 2), a
    if wish.method == "weighted sum":
        name = f"{round(1 - wish.share, 2)}({a}) + {share}({b})"
    elif wish.method == "add difference":
        name = f"{a} + {share}({b} - {c})"
    return name + next((end for mark, end in ENDINGS.items() if first.family.endswith(mark)), "")


def patterns(text: str) -> tuple[str, ...]:
    """Return the patterns that name tensors to leave out, for whole names.

    A1111 takes a regular expression, and a hostile one never ends. What people write is read as
    it is meant there: parts of names, ``.*`` or ``*`` for any text, ``^`` and ``$`` for the ends,
    ``|`` between several. Anything else is refused.

    Raises:
        RangeError: If it is too long or holds another sign.
    """
    if len(text) > MOST_PATTERN:
        message = f"what is left out has {len(text)} letters"
        raise RangeError(message, hint=f"Use at most {MOST_PATTERN}.", value=len(text))
    found: list[str] = []
    for part in re.split(r"[|\s,]+", text.strip()):
        if not part:
            continue
        inner = part.removeprefix("^").removesuffix("$").replace("\\.", ".").replace(".*", "*")
        if not _PATTERN.fullmatch(inner):
            message = f"{part!r} is no pattern of tensor names"
            hint = "Use parts of names, * for any text, and | between several."
            raise RangeError(message, hint=hint, value=part)
        before = "" if part.startswith("^") else "*"
        after = "" if part.endswith("$") else "*"
        found.append(f"{before}{inner}{after}")
    return tuple(found)


def _config(
    wish: MergeRequest, first: ModelRecord, second: ModelRecord | None, third: ModelRecord | None
) -> Path | None:
    asked = {"first found": (first, second, third), "B": (second,), "C": (third,), "none": ()}
    records = filter(None, asked[wish.config])
    return next((record.config for record in records if record.config), None)


# ------------------------------------------------------------------------------------- LoRA


def _extract(wish: ExtractRequest, bench: Bench) -> ExtractPlan:
    base, tuned = bench.checkpoint(wish.base, "base"), bench.checkpoint(wish.tuned, "tuned")
    check_family(base, tuned)
    return ExtractPlan(
        base=base,
        tuned=tuned,
        rank=_rank(wish.rank, wish.by, wish.value),
        convolutions=wish.convolutions,
        text=wish.text,
        precision=wish.precision,
        target=bench.target(ModelKind.LORA, wish.name or tuned.stem, ".safetensors"),
    )


def _resize(wish: ResizeRequest, bench: Bench) -> ResizePlan:
    lora = bench.file(ModelKind.LORA, wish.lora, "the LoRA")
    return ResizePlan(
        lora=lora,
        rank=_rank(wish.rank, wish.by, wish.value),
        precision=wish.precision,
        target=bench.target(ModelKind.LORA, wish.name or f"{lora.stem}-small", ".safetensors"),
    )


def _bake(wish: BakeRequest, bench: Bench) -> BakePlan | JoinPlan:
    if not wish.loras:
        message = "no LoRA is chosen"
        raise RequestError(message, hint="Choose at least one.")
    loras = tuple(_use(each, bench) for each in wish.loras)
    names = " + ".join(use.model.stem for use in loras)
    if not wish.checkpoint:
        return JoinPlan(
            loras=loras,
            rank=_rank(wish.rank, "", 0.0),
            precision=wish.precision,
            target=bench.target(ModelKind.LORA, wish.name or names, ".safetensors"),
        )
    checkpoint = bench.checkpoint(wish.checkpoint, "the checkpoint")
    name = wish.name or f"{checkpoint.stem} + {names}"
    plan = BakePlan(
        checkpoint=checkpoint,
        loras=loras,
        precision=wish.precision,
        target=bench.target(ModelKind.CHECKPOINT, name, ".safetensors"),
    )
    require_room_for(plan.target, checkpoint)
    return plan


def _use(wish: Ingredient, bench: Bench) -> LayerUse:
    text_weight = wish.weight if wish.text_weight is None else wish.text_weight
    for weight in (wish.weight, text_weight):
        check_range(f"the weight of {wish.name[:80]}", weight, -MOST_WEIGHT, MOST_WEIGHT)
    model = bench.file(ModelKind.LORA, wish.name, "a LoRA")
    return LayerUse(model=model, name=wish.name, weight=wish.weight, text_weight=text_weight)


def _rank(most: int, by: Rule, value: float) -> RankRule:
    check_range("rank", most, 0, MOST_RANK)
    if by == "sv_ratio":
        check_range("value", value, 1, math.inf)
    elif by:
        check_range("value", value, 0, 1)
    return RankRule(most=most, by=by, value=value)


# ------------------------------------------------------------------------------- containers


def _convert(wish: ConvertRequest, bench: Bench) -> ConvertPlan | UnfoldPlan:
    source = bench.file(wish.kind, wish.source, "the file")
    if wish.to == "lora":
        return _unfold(wish, source, bench)
    _check_container(wish, source)
    card = bench.models.card(wish.kind, source.name)
    return ConvertPlan(
        source=source,
        to=wish.to,
        picture=card.preview if wish.to == "png" else None,
        target=bench.target(wish.kind, wish.name or source.stem, f".{wish.to}"),
    )


def _unfold(wish: ConvertRequest, source: ModelRecord, bench: Bench) -> UnfoldPlan:
    if wish.kind is not ModelKind.HYPERNETWORK:
        message = f"{source.name} is a file of the kind {wish.kind}"
        raise RequestError(message, hint="Only a hypernetwork is written as a LoRA.")
    check_range("strength", wish.strength, -MOST_WEIGHT, MOST_WEIGHT)
    return UnfoldPlan(
        hypernetwork=source,
        checkpoint=bench.checkpoint(wish.checkpoint, "the checkpoint"),
        strength=wish.strength,
        rank=_rank(wish.rank, "", 0.0),
        target=bench.target(ModelKind.LORA, wish.name or source.stem, ".safetensors"),
    )


CONTAINERS: Final[Mapping[str, frozenset[ModelKind]]] = {
    "pt": frozenset({ModelKind.EMBEDDING, ModelKind.HYPERNETWORK}),
    "png": frozenset({ModelKind.EMBEDDING}),
}
"""The kinds that are kept in these containers; safetensors is for all."""


def _check_container(wish: ConvertRequest, source: ModelRecord) -> None:
    if source.path.is_dir():
        message = f"{source.name} is a folder of many files"
        raise UnsupportedModelError(message, hint="Choose a single file.", value=source.name)
    if source.path.suffix.lower() == f".{wish.to}":
        message = f"{source.name} is a .{wish.to} file already"
        raise RequestError(message, hint="Choose another container.", value=source.name)
    if wish.kind not in CONTAINERS.get(wish.to, frozenset(ModelKind)):
        kinds = ", ".join(sorted(CONTAINERS[wish.to]))
        message = f"files of the kind {wish.kind} are not written as .{wish.to}"
        raise RequestError(message, hint=f"That is for: {kinds}.", value=wish.kind)


_PLANS: Final[Mapping[type[WorkRequest], Callable[[Any, Bench], Work]]] = {
    MergeRequest: _merge,
    ExtractRequest: _extract,
    ResizeRequest: _resize,
    BakeRequest: _bake,
    ConvertRequest: _convert,
}
