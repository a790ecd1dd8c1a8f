"""Many prompts as one job: the prompt matrix, and prompts from a list."""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from webui.jobs.plans import Grid
from webui.modules.errors import LimitError, RangeError
from webui.services.axis_values import texts
from webui.services.requests import GenerationRequest
from webui.services.script_requests import (
    MOST_WISHES,
    ListRequest,
    MatrixRequest,
    Wishes,
    checked_margin,
)


def matrix(request: GenerationRequest, script: MatrixRequest) -> Wishes:
    """Return one wish for every combination of the parts between ``|``; the first is always there.

    Raises:
        LimitError: If there would be more pictures than anybody means.
    """
    varied = request.negative_prompt if script.negative else request.prompt
    fixed, *parts = [part.strip() for part in varied.split("|")]
    if 2 ** len(parts) > MOST_WISHES:
        message = f"{len(parts)} parts between | make {2 ** len(parts)} pictures"
        raise LimitError(message, hint="Use at most 9 parts.", value=len(parts))
    between = ", " if script.comma else " "
    wishes: list[GenerationRequest] = []
    for number in range(2 ** len(parts)):
        chosen = [part for bit, part in enumerate(parts) if number & 2**bit]
        text = between.join([*chosen, fixed] if script.at_start else [fixed, *chosen])
        seed = request.seed + number * script.different_seeds
        name = "negative_prompt" if script.negative else "prompt"
        changed: dict[str, Any] = {name: text, "seed": seed}
        wishes.append(replace(request, **changed))
    low = (len(parts) + 1) // 2
    grid = Grid(
        columns=_combinations(parts[:low]),
        rows=_combinations(parts[low:]),
        places=(),
        margin=checked_margin(script.margin),
        told=(("Script", "Prompt matrix"),),
    )
    return Wishes(wishes=wishes, cells=range(len(wishes)), grid=grid)


def _combinations(parts: Sequence[str]) -> tuple[str, ...]:
    return tuple(
        " + ".join(part for bit, part in enumerate(parts) if number & 2**bit)
        for number in range(2 ** len(parts))
    )


# --------------------------------------------------------------- prompts from a list

_WHOLE: Final = ("seed", "subseed", "batch_size", "n_iter", "steps", "width", "height")
_NUMBERS: Final = ("subseed_strength", "cfg_scale")
_TEXTS: Final = (
    "prompt",
    "negative_prompt",
    "sampler_name",
    "sampler_index",
    "sd_model",
    "scheduler",
)
_FLAGS: Final = ("tiling",)
_WITHOUT_EFFECT: Final = (
    "restore_faces",
    "do_not_save_samples",
    "do_not_save_grid",
    "outpath_samples",
    "outpath_grids",
)
_OURS: Final = {
    "cfg_scale": "guidance",
    "n_iter": "batch_count",
    "sampler_name": "sampler",
    "sampler_index": "sampler",
    "sd_model": "checkpoint",
}


def listed(request: GenerationRequest, script: ListRequest) -> Wishes:
    """Return one wish for each line that is not empty.

    Raises:
        RangeError: If a line cannot be read; the message names what.
    """
    lines = [line for raw in script.lines.splitlines() if (line := raw.strip())]
    wishes: list[GenerationRequest] = []
    for number, line in enumerate(lines):
        said = _options(line) if "--" in line else {"prompt": line}
        for name, ours in (("prompt", "prompt"), ("negative_prompt", "negative_prompt")):
            if name in said and (base := getattr(request, ours)):
                pair = (said[name], base) if script.position == "start" else (base, said[name])
                said[name] = " ".join(pair)
        wish = replace(request, **said)
        if script.count_seeds and "seed" not in said and wish.seed >= 0:
            wish = replace(wish, seed=wish.seed + number)
        wishes.append(wish)
    return Wishes(wishes=wishes)


def _options(line: str) -> dict[str, Any]:
    """Read a line such as ``--prompt "a cat" --steps 30``."""
    try:
        words = shlex.split(line)
    except ValueError as error:
        message = f"the line {line[:60]!r} has a quote that does not end"
        raise RangeError(message, hint="Close the quote.", value=line[:60]) from error
    said: dict[str, Any] = {}
    place = 0
    while place < len(words):
        name = words[place].removeprefix("--")
        if not words[place].startswith("--") or place + 1 >= len(words):
            message = f"{words[place][:60]!r} in a line with options has no --name before it"
            hint = 'Write options like --prompt "a cat" --steps 30.'
            raise RangeError(message, hint=hint, value=words[place][:60])
        value, place = words[place + 1], place + 2
        if name == "prompt":
            while place < len(words) and not words[place].startswith("--"):
                value, place = f"{value} {words[place]}", place + 1
        if name not in _WITHOUT_EFFECT:
            said |= _option(name, value)
    return said


def _option(name: str, value: str) -> dict[str, Any]:
    kinds: dict[tuple[str, ...], Callable[[str], Any]] = {
        _WHOLE: int,
        _NUMBERS: float,
        _TEXTS: str,
        _FLAGS: lambda text: text.lower() in ("1", "true", "yes"),
        ("styles",): lambda text: tuple(texts(text)),
    }
    for names, read in kinds.items():
        if name in names:
            try:
                return {_OURS.get(name, name): read(value)}
            except ValueError as error:
                message = f"--{name} {value[:40]!r} is no number"
                raise RangeError(message, hint="Write a number.", value=value[:40]) from error
    message = f"there is no option --{name[:40]}"
    known = sorted(known for names in kinds for known in names)
    raise RangeError(message, hint=f"There are: {', '.join(known)}.", value=name[:40])
