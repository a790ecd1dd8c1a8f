"""A1111's scripts by their titles and positional arguments, as its clients send them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

from webui.modules.errors import RangeError, UnknownNameError
from webui.services.axes import axes
from webui.services.requests import TilesRequest
from webui.services.script_requests import (
    AxisRequest,
    Curve,
    ListRequest,
    LoopbackRequest,
    MatrixRequest,
    PlotRequest,
    ScriptRequest,
    UpscaleRequest,
)

Way = Literal["txt2img", "img2img"]
UPSCALERS: Final = ("None", "Lanczos", "Nearest")
"""The first upscalers of the list, which clients may name by their place."""

CURVES: Final[tuple[Curve, ...]] = ("Aggressive", "Linear", "Lazy")


@dataclass(frozen=True, kw_only=True, slots=True)
class Argument:
    """One positional argument of a script.

    Attributes:
        label: A1111's words for it.
        value: What it is when it is left out; its type is the argument's.
        choices: What can be chosen; empty for anything.
        bounds: Lowest, highest and step of a number; None for no slider.
    """

    label: str
    value: Any
    choices: Sequence[str] = ()
    bounds: tuple[float, float, float] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Script:
    """A script: its title, where it is offered, and its arguments."""

    title: str
    ways: tuple[Way, ...]
    arguments: Sequence[Argument]


@dataclass(frozen=True, kw_only=True, slots=True)
class SelectableScript(Script):
    """A script that makes many pictures of one wish, and what its arguments ask for."""

    read: Callable[[Sequence[Any]], ScriptRequest]


def script_request(title: str, arguments: Sequence[Any], way: Way) -> ScriptRequest:
    """Return what a script's title and arguments ask for; arguments left out have their defaults.

    Raises:
        UnknownNameError: If there is no such script.
        RangeError: If an argument is not of its type.
    """
    for script in SCRIPTS:
        if script.title.casefold() == title.strip().casefold() and way in script.ways:
            return script.read(completed(script, arguments))
    offered = ", ".join(script.title for script in SCRIPTS if way in script.ways)
    message = f"there is no script {title[:80]!r} in {way}"
    raise UnknownNameError(message, hint=f"There are: {offered}.", value=title[:80])


def titles(way: Way) -> list[str]:
    """Return the titles that a tab offers, in small letters as A1111 lists them."""
    return [script.title.lower() for script in SCRIPTS if way in script.ways]


def described() -> list[dict[str, Any]]:
    """Return all scripts with their arguments, as ``GET script-info`` answers."""
    return [
        described_as(script, way)
        for way in cast("tuple[Way, ...]", ("txt2img", "img2img"))
        for script in SCRIPTS
        if way in script.ways
    ]


def described_as(script: Script, way: Way) -> dict[str, Any]:
    """Return one script in one tab, as ``GET script-info`` answers."""
    return {
        "name": script.title.lower(),
        "is_alwayson": False,
        "is_img2img": way == "img2img",
        "args": [_described(argument) for argument in script.arguments],
    }


def _described(argument: Argument) -> dict[str, Any]:
    low, high, step = argument.bounds or (None, None, None)
    return {
        "label": argument.label,
        "value": argument.value,
        "minimum": low,
        "maximum": high,
        "step": step,
        "choices": list(argument.choices) or None,
    }


def completed(script: Script, given: Sequence[Any]) -> list[Any]:
    """Fill up with defaults; a number may come as the text of one, as A1111's clients send it.

    Raises:
        RangeError: If there are too many, or one is not of its type.
    """
    wanted = script.arguments
    if len(given) > len(wanted):
        message = f"{script.title} takes {len(wanted)} arguments, not {len(given)}"
        raise RangeError(message, hint="See /sdapi/v1/script-info.", value=len(given))
    complete = [argument.value for argument in wanted]
    for place, value in enumerate(given):
        if value is not None:
            complete[place] = _fitting(wanted[place], value)
    return complete


def _fitting(argument: Argument, value: Any) -> Any:
    kind = cast("type[Any]", type(argument.value))
    either = isinstance(argument.value, int | str) and bool(argument.choices)
    try:
        if kind is bool and isinstance(value, bool):
            return value
        if kind in (int, float) and isinstance(value, int | float | str) and not either:
            return kind(value)
        if isinstance(value, kind) or (either and isinstance(value, int | str)):
            return value
    except ValueError:
        pass
    message = f"{argument.label} is {value!r}"[:120]
    hint = f"It is a {kind.__name__}; see /sdapi/v1/script-info."
    raise RangeError(message, hint=hint, value=str(value)[:80])


# -------------------------------------------------------------------------- the scripts


def _plot(arguments: Sequence[Any]) -> ScriptRequest:
    """Read three axes of a type, values and chosen values each, then nine options."""
    along = [
        AxisRequest(
            type=arguments[place],
            values=arguments[place + 1] or ", ".join(map(_quoted, arguments[place + 2])),
        )
        for place in (0, 3, 6)
    ]
    legend, _lone, alone, keep, vary_x, vary_y, vary_z, margin, _csv = arguments[9:]
    vary = {"x": vary_x, "y": vary_y, "z": vary_z}
    return PlotRequest(
        x=along[0],
        y=along[1],
        z=along[2],
        legend=legend,
        blocks_alone=alone,
        keep_random_seeds=keep,
        vary_seeds=tuple(letter for letter in ("x", "y", "z") if vary[letter]),
        margin=margin,
    )


def _quoted(text: object) -> str:
    """Put an entry into quotes, so that its commas stay in it."""
    return '"' + str(text).replace('"', '""') + '"'


def _axis(letter: str) -> tuple[Argument, ...]:
    return (
        Argument(label=f"{letter} type", value=0, choices=[axis.label for axis in axes("txt2img")]),
        Argument(label=f"{letter} values", value=""),
        Argument(label=f"{letter} values", value=[]),
    )


def _matrix(arguments: Sequence[Any]) -> ScriptRequest:
    at_start, different, which, delimiter, margin = arguments
    return MatrixRequest(
        at_start=at_start,
        different_seeds=different,
        negative=_chosen("Select prompt", which, ("positive", "negative")) == "negative",
        comma=_chosen("Select joining char", delimiter, ("comma", "space")) == "comma",
        margin=margin,
    )


def _list(arguments: Sequence[Any]) -> ScriptRequest:
    count, same, position, lines = arguments
    place = _chosen("Insert prompts at the", position, ("start", "end"))
    return ListRequest(
        lines=lines,
        count_seeds=count,
        same_seed=same,
        position="start" if place == "start" else "end",
    )


def _loopback(arguments: Sequence[Any]) -> ScriptRequest:
    loops, final, curve, _interrogation = arguments
    named = _chosen("Denoising strength curve", curve, CURVES)
    return LoopbackRequest(loops=loops, final_denoising=final, curve=cast("Curve", named))


def _upscale(arguments: Sequence[Any]) -> ScriptRequest:
    _info, overlap, upscaler, scale = arguments
    known = isinstance(upscaler, int) and 0 <= upscaler < len(UPSCALERS)
    name = UPSCALERS[upscaler] if known else str(upscaler)
    return UpscaleRequest(tiles=TilesRequest(overlap=overlap, upscaler=name, scale=scale))


def _chosen(label: str, value: str, choices: Sequence[str]) -> str:
    for choice in choices:
        if choice.casefold() == value.casefold():
            return choice
    message = f"{label} is {value[:40]!r}"
    raise RangeError(message, hint=f"Use one of: {', '.join(choices)}.", value=value[:40])


_BOTH: Final[tuple[Way, ...]] = ("txt2img", "img2img")
_MARGIN: Final = Argument(label="Grid margins (px)", value=0, bounds=(0, 500, 2))

SCRIPTS: Final = (
    SelectableScript(
        title="Prompt matrix",
        ways=_BOTH,
        arguments=(
            Argument(label="Put variable parts at start of prompt", value=False),
            Argument(label="Use different seed for each picture", value=False),
            Argument(label="Select prompt", value="positive", choices=("positive", "negative")),
            Argument(label="Select joining char", value="comma", choices=("comma", "space")),
            _MARGIN,
        ),
        read=_matrix,
    ),
    SelectableScript(
        title="Prompts from file or textbox",
        ways=_BOTH,
        arguments=(
            Argument(label="Iterate seed every line", value=False),
            Argument(label="Use same random seed for all lines", value=False),
            Argument(label="Insert prompts at the", value="start", choices=("start", "end")),
            Argument(label="List of prompt inputs", value=""),
        ),
        read=_list,
    ),
    SelectableScript(
        title="X/Y/Z plot",
        ways=_BOTH,
        arguments=(
            *_axis("X"),
            *_axis("Y"),
            *_axis("Z"),
            Argument(label="Draw legend", value=True),
            Argument(label="Include Sub Images", value=False),
            Argument(label="Include Sub Grids", value=False),
            Argument(label="Keep -1 for seeds", value=False),
            Argument(label="Vary seeds for X", value=False),
            Argument(label="Vary seeds for Y", value=False),
            Argument(label="Vary seeds for Z", value=False),
            _MARGIN,
            Argument(label="Use text inputs instead of dropdowns", value=False),
        ),
        read=_plot,
    ),
    SelectableScript(
        title="Loopback",
        ways=("img2img",),
        arguments=(
            Argument(label="Loops", value=4, bounds=(1, 32, 1)),
            Argument(label="Final denoising strength", value=0.5, bounds=(0, 1, 0.01)),
            Argument(label="Denoising strength curve", value="Linear", choices=CURVES),
            Argument(label="Append interrogated prompt at each iteration", value="None"),
        ),
        read=_loopback,
    ),
    SelectableScript(
        title="SD upscale",
        ways=("img2img",),
        arguments=(
            Argument(label="Info", value=""),
            Argument(label="Tile overlap", value=64, bounds=(0, 256, 16)),
            Argument(label="Upscaler", value="Lanczos", choices=UPSCALERS),
            Argument(label="Scale Factor", value=2.0, bounds=(1, 4, 0.05)),
        ),
        read=_upscale,
    ),
)
"""All scripts, in the order in which A1111 lists them."""
