"""Every setting of a training under its dotted name, such as ``data.resolution``: read, checked.

The names are those of the fields in ``modules/training/plan``; a YAML file nests them. A name that
is none is refused with the nearest right one, so that a slip of the pen never goes unnoticed.
"""

import types
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, Literal, cast, get_args, get_origin, get_type_hints

from webui.modules.errors import LimitError, RangeError, UnknownNameError
from webui.modules.layers.blocks import BLOCKS, PRESETS, read_blocks
from webui.modules.training.plan import (
    CheckpointPlan,
    CorrectionPlan,
    DataPlan,
    EmbeddingPlan,
    HypernetworkPlan,
    LoraPlan,
    NoisePlan,
    VaePlan,
    WatchPlan,
    What,
)
from webui.modules.types import ModelKind
from webui.services import limits as allowed

WHATS: Final[Mapping[ModelKind, type[What]]] = {
    ModelKind.CHECKPOINT: CheckpointPlan,
    ModelKind.EMBEDDING: EmbeddingPlan,
    ModelKind.LORA: LoraPlan,
    ModelKind.HYPERNETWORK: HypernetworkPlan,
    ModelKind.VAE: VaePlan,
    ModelKind.AESTHETIC: EmbeddingPlan,
}
"""What is corrected in each kind of training."""

PARTS: Final[Mapping[str, type]] = {
    "data": DataPlan,
    "noise": NoisePlan,
    "correction": CorrectionPlan,
    "watch": WatchPlan,
}
"""The parts that all kinds have."""

WHOLE: Final[Mapping[str, Any]] = {
    "vae": str,
    "steps": int,
    "batch_size": int,
    "clip_skip": int,
    "seed": int,
}
"""Settings of the training itself."""

SAMPLE: Final[Mapping[str, Any]] = {
    "watch.sample.prompts": tuple[str, ...],
    "watch.sample.negative_prompt": str,
    "watch.sample.seed": int,
    "watch.sample.steps": int,
    "watch.sample.guidance": float,
    "watch.sample.width": int,
    "watch.sample.height": int,
    "watch.sample.sampler": str,
    "watch.sample.scheduler": str,
}
"""What the sample pictures show; the page and the routes name nothing else of them."""

ELSEWHERE: Final = frozenset({"data.folder", "watch.sample"})
"""Fields of the plan that are said in another way."""

RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "steps": (1, 1_000_000),
    "batch_size": (1, 64),
    "clip_skip": (1, 12),
    "seed": (0, 2**62),
    "data.regular_weight": (0, 10),
    "data.resolution": (64, 2048),
    "data.bucket_step": (8, 64),
    "data.repeats": (1, 1000),
    "data.keep_tags": (0, 1000),
    "data.drop_tags": (0, 1),
    "data.drop_captions": (0, 1),
    "data.held_out": (0, 0.5),
    "noise.first": (0, 999),
    "noise.last": (0, 999),
    "noise.min_snr": (0, 100),
    "noise.offset": (0, 1),
    "noise.pyramid": (0, 10),
    "noise.pyramid_discount": (0, 1),
    "correction.text_rate": (0, 100),
    "correction.warm_up": (0, 1_000_000),
    "correction.restarts": (1, 1000),
    "correction.weight_decay": (0, 1),
    "correction.clip": (0, 1000),
    "correction.accumulate": (1, 256),
    "correction.average": (0, 0.99999),
    "watch.save_every": (1, 1_000_000),
    "watch.keep": (1, 1000),
    "watch.sample_every": (0, 1_000_000),
    "watch.measure_every": (0, 1_000_000),
    "watch.sample.seed": (0, 2**62),
    "watch.sample.steps": (1, 150),
    "watch.sample.guidance": (0, 100),
    "watch.sample.width": (64, 2048),
    "watch.sample.height": (64, 2048),
    "what.rank": (1, 1024),
    "what.alpha": (0, 10_000),
    "what.conv_rank": (0, 1024),
    "what.dropout": (0, 0.99),
    "what.blocks": (0, 100),
    "what.ranks": (0, 64),
    "what.vectors": (1, 75),
    "what.widths": (1, 8192),
    "what.structure": (0.01, 64),
    "what.absolute": (0, 100),
    "what.square": (0, 100),
    "what.edges": (0, 100),
}
"""Lowest and highest value of every number; a test holds this against the plan."""

MULTIPLES: Final[Mapping[str, int]] = {
    "data.resolution": 8,
    "data.bucket_step": 8,
    "watch.sample.width": 8,
    "watch.sample.height": 8,
}
"""Sizes that must be multiples of a number of pixels."""

LONGEST_TEXT: Final = 20_000
LONGEST_LIST: Final = 1000
"""So long may a text and a list be."""


BY_BLOCK: Final = ("what.blocks", "what.ranks")
"""Settings that have a factor for each block of the denoising network."""


def known(kind: ModelKind) -> dict[str, Any]:
    """Return the type of every setting of a kind of training by its dotted name."""
    parts = {**PARTS, "what": WHATS[kind]}
    found = {
        f"{part}.{field.name}": get_type_hints(whole)[field.name]
        for part, whole in parts.items()
        for field in fields(whole)
    }
    return {
        **WHOLE,
        **{name: told for name, told in found.items() if name not in ELSEWHERE},
        **SAMPLE,
    }


def flat(said: Mapping[str, Any], *, before: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the entries of nested settings under their dotted names."""
    for key, value in said.items():
        name = f"{before}{key}"
        if isinstance(value, Mapping):
            yield from flat(cast("Mapping[str, Any]", value), before=f"{name}.")
        else:
            yield name, value


def checked(kind: ModelKind, said: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings, perhaps nested, by dotted names and in the plan's types.

    Args:
        kind: What is trained.
        said: As somebody wrote them.

    Raises:
        UnknownNameError: If there is no setting of a name; the hint says the nearest.
        RangeError: If a value does not fit.
        LimitError: If a text or list is too long.
    """
    hints = known(kind)
    found: dict[str, Any] = {}
    for name, value in flat(said):
        if name not in hints:
            raise _unknown(name, kind, hints)
        found[name] = _value(name, hints[name], value)
    return found


def part(whole: type, settings: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the settings of one part of the plan under the names of its fields."""
    named = {field.name: f"{name}.{field.name}" for field in fields(whole)}
    return {own: settings[dotted] for own, dotted in named.items() if dotted in settings}


def _unknown(name: str, kind: ModelKind, hints: Mapping[str, Any]) -> UnknownNameError:
    last = {full.rpartition(".")[2]: full for full in hints}
    near = get_close_matches(name, hints, n=1, cutoff=0.5)
    near = near or [last[key] for key in get_close_matches(name.rpartition(".")[2], last, n=1)]
    message = f"a training of kind {kind} has no setting {name[:100]!r}"
    hint = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(sorted(hints))}."
    return UnknownNameError(message, hint=hint, value=name[:100])


def _value(name: str, hint: Any, value: Any) -> Any:
    origin = get_origin(hint)
    if origin is Literal:
        return _one_of(name, get_args(hint), value)
    if origin is tuple:
        return _several(name, get_args(hint), value)
    if origin is types.UnionType:  # a folder, or none
        return None if value in (None, "") else Path(_text(name, value))
    read = {bool: _flag, int: _whole, float: _number}.get(hint, _text)
    return read(name, value)


def _whole(name: str, value: Any) -> int:
    low, high = RANGES[name]
    found = allowed.whole(name, value, low=int(low), high=int(high))
    step = MULTIPLES.get(name, 1)
    if found % step:
        raise _wrong(name, value, f"a multiple of {step}")
    return found


def _number(name: str, value: Any) -> float:
    low, high = RANGES[name]
    with suppress(ValueError):  # YAML takes 1e-4 for a word
        value = float(value) if isinstance(value, str) else value
    return allowed.number(name, value, low=low, high=high)


def _one_of(name: str, choices: Sequence[str], value: Any) -> str:
    if value not in choices:
        raise _wrong(name, value, f"one of {', '.join(choices)}")
    return value


def _several(name: str, kinds: Sequence[Any], value: Any) -> tuple[Any, ...]:
    """Return a list; a single value is a list of one, and pairs may be a mapping."""
    if name in BY_BLOCK:
        value = _blocks(name, value)
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        value = [value]
    if not isinstance(value, list | tuple):
        raise _wrong(name, value, "a list")
    entries = cast("Sequence[Any]", value)
    if len(entries) > LONGEST_LIST:
        message = f"{name} has {len(entries)} entries"
        raise LimitError(message, hint=f"Use at most {LONGEST_LIST}.", value=len(entries))
    return tuple(_entry(name, kinds[0], entry) for entry in entries)


def _entry(name: str, kind: Any, value: Any) -> Any:
    if get_origin(kind) is tuple:  # a block and its factor
        pair = cast("Sequence[Any]", value) if isinstance(value, list | tuple) else ()
        if len(pair) != 2:  # noqa: PLR2004 - two of a pair
            raise _wrong(name, value, "a list of pairs such as [IN04, 0.5]")
        block, (low, high) = _text(name, pair[0]), RANGES[name]
        if block not in (*BLOCKS, "MID"):
            raise _wrong(name, block, f"one of {', '.join(BLOCKS)}")
        return block, allowed.number(name, pair[1], low=low, high=high)
    return _value(name, kind, value)


def _blocks(name: str, value: Any) -> Any:
    """Return pairs for a preset of ``layers/blocks.py`` or a row of numbers; pairs stay pairs."""
    numbers = cast("Sequence[Any]", value) if isinstance(value, list | tuple) else ()
    row = [each for each in numbers if isinstance(each, int | float)]
    if not isinstance(value, str) and (not row or len(row) < len(numbers)):
        return cast("object", value)
    text = value if isinstance(value, str) else ",".join(map(str, row))
    try:
        return read_blocks(text)
    except ValueError as problem:
        presets = ", ".join(PRESETS)
        raise _wrong(name, value, f"12, 17 or 26 numbers, or one of {presets}") from problem


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _wrong(name, value, "true or false")
    return value


def _text(name: str, value: Any) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)  # YAML reads 1e-4 and 5 as numbers
    if not isinstance(value, str):
        raise _wrong(name, value, "a text")
    if len(value) > LONGEST_TEXT:
        message = f"{name} has {len(value)} characters"
        raise LimitError(message, hint=f"Use at most {LONGEST_TEXT}.", value=len(value))
    return value


def _wrong(name: str, value: Any, wanted: str) -> RangeError:
    shown = repr(value)[:100]
    return RangeError(f"{name} is {shown}, not {wanted}", hint=f"Use {wanted}.", value=shown)
