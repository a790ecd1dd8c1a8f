"""What an X/Y/Z plot can vary: each axis reads its values and puts one of them into a request.

Labels and order are those of A1111 1.10, whose programs name an axis by its place in the list.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any, Final, Literal

from webui.modules.errors import RangeError, UnknownNameError, UnsupportedError
from webui.services.axis_values import MOST, numbers, texts, whole_numbers
from webui.services.requests import (
    GenerationRequest,
    RefinerRequest,
    StartRequest,
)

Apply = Callable[[GenerationRequest, Any], GenerationRequest]
Way = Literal["txt2img", "img2img", "both"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Axis:
    """One thing that can be varied.

    Attributes:
        label: A1111's name of it.
        read: Values as written to values; raises RangeError.
        apply: Puts one value into a request.
        cost: How costly a change is; the costliest axis changes least often.
        way: Where it is offered.
    """

    label: str
    read: Callable[[str], Sequence[Any]] = texts
    apply: Apply
    cost: float = 0.0
    way: Way = "both"

    def shown(self, value: object) -> str:
        """Return what is written beside the pictures of one value."""
        if isinstance(value, str) and self.label in _BARE:
            return value
        if value == "":
            return ""
        text = f"{value:g}" if isinstance(value, float) else str(value)
        return f"{self.label}: {text}"


def axes(way: Literal["txt2img", "img2img"]) -> tuple[Axis, ...]:
    """Return the axes of a tab, in A1111's order."""
    return tuple(axis for axis in AXES if axis.way in ("both", way))


def find_axis(named: str | int, way: Literal["txt2img", "img2img"]) -> Axis:
    """Return an axis by its label, in any case, or by its place in the list.

    Raises:
        UnknownNameError: If there is none.
    """
    offered = axes(way)
    if isinstance(named, int):
        if 0 <= named < len(offered):
            return offered[named]
    else:
        for axis in offered:
            if axis.label.casefold() == named.strip().casefold():
                return axis
    message = f"there is no axis {named!r}"
    hint = f"There are: {', '.join(axis.label for axis in offered)}."
    raise UnknownNameError(message, hint=hint, value=str(named)[:80])


# ------------------------------------------------------------------- how values act


def _field(name: str) -> Apply:
    return lambda request, value: replace(request, **{name: value})


def _option(name: str) -> Apply:
    return lambda request, value: replace(request, options={**request.options, name: value})


def _hires(name: str) -> Apply:
    def apply(request: GenerationRequest, value: Any) -> GenerationRequest:
        changed: dict[str, Any] = {name: value}
        if request.hires is None:
            message = "hires fix is off, so its settings cannot be varied"
            raise RangeError(message, hint="Switch it on, or choose another axis.", value=value)
        return replace(request, hires=replace(request.hires, **changed))

    return apply


def _start(name: str) -> Apply:
    def apply(request: GenerationRequest, value: Any) -> GenerationRequest:
        changed: dict[str, Any] = {name: value}
        start: StartRequest | None = request.start and replace(request.start, **changed)
        return replace(request, start=start)

    return apply


def _denoising(request: GenerationRequest, value: Any) -> GenerationRequest:
    return (_start if request.start else _hires)("denoising")(request, value)


def _refiner(request: GenerationRequest, value: str) -> GenerationRequest:
    now = request.refiner
    return replace(
        request,
        refiner=replace(now, checkpoint=value) if now else RefinerRequest(checkpoint=value),
    )


def _switch(request: GenerationRequest, value: float) -> GenerationRequest:
    return replace(request, refiner=request.refiner and replace(request.refiner, switch_at=value))


def _clip_skip(request: GenerationRequest, value: int) -> GenerationRequest:
    return replace(request, clip_skip=value)


def _size(request: GenerationRequest, value: str) -> GenerationRequest:
    width, cross, height = value.lower().replace("×", "x").partition("x")
    if not cross or not width.strip().isdigit() or not height.strip().isdigit():
        message = f"{value[:40]!r} is no size"
        raise RangeError(message, hint="Write sizes like 512x768.", value=value[:40])
    return replace(request, width=int(width), height=int(height))


def _styles(request: GenerationRequest, value: str) -> GenerationRequest:
    return replace(request, styles=(*request.styles, *value.split(",")))


def _flag(text: str) -> list[bool]:
    known = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    entries = texts(text)
    for entry in entries:
        if entry.lower() not in known:
            message = f"{entry[:40]!r} is neither true nor false"
            raise RangeError(message, hint="Write True, False.", value=entry[:40])
    return [known[entry.lower()] for entry in entries]


def _orders(written: str) -> list[str]:
    words = texts(written)
    found: list[str] = []
    for order in permutations(words):
        found.append(", ".join(order))
        if len(found) > MOST:
            message = f"{len(words)} words have more than {MOST} orders"
            raise RangeError(message, hint="Use at most 6 words.", value=len(words))
    return found


def _ordered(request: GenerationRequest, value: str) -> GenerationRequest:
    """Put the words, wherever they stand in the prompt, into another order."""
    order = texts(value)
    places = sorted((request.prompt.find(word), word) for word in order)
    if places and places[0][0] < 0:
        raise _not_in_prompt(places[0][1])
    pieces: list[str] = []
    rest = request.prompt
    for (_, word), other in zip(places, order, strict=True):
        before, _, rest = rest.partition(word)
        pieces += [before, other]
    return replace(request, prompt="".join([*pieces, rest]))


def search_and_replace(searched: str) -> Apply:
    """Return what puts other words in the place of ``searched`` in both prompts.

    The result raises RangeError when they are in neither prompt.
    """

    def apply(request: GenerationRequest, value: str) -> GenerationRequest:
        prompts = (request.prompt, request.negative_prompt)
        if not any(searched in prompt for prompt in prompts):
            raise _not_in_prompt(searched)
        prompt, negative = (prompt.replace(searched, value) for prompt in prompts)
        return replace(request, prompt=prompt, negative_prompt=negative)

    return apply


def _not_in_prompt(word: str) -> RangeError:
    message = f"{word[:80]!r} is not in the prompt"
    return RangeError(message, hint="Write it into the prompt, or vary other words.", value=word)


def _refused(why: str) -> Apply:
    def apply(_request: GenerationRequest, value: object) -> GenerationRequest:
        raise UnsupportedError(why, hint="Choose another axis.", value=str(value)[:40])

    return apply


def _nothing(request: GenerationRequest, _value: object) -> GenerationRequest:
    return request


def _one(_written: str) -> list[str]:
    return [""]


SEARCH: Final = "Prompt S/R"
"""The axis whose first value is looked for in the prompts."""

_BARE: Final = frozenset({SEARCH, "Prompt order", "Sampler", "Hires sampler", "Checkpoint name"})
"""Axes whose values speak for themselves."""

AXES: Final = (
    Axis(label="Nothing", read=_one, apply=_nothing),
    Axis(label="Seed", read=whole_numbers, apply=_field("seed")),
    Axis(label="Var. seed", read=whole_numbers, apply=_field("subseed")),
    Axis(label="Var. strength", read=numbers, apply=_field("subseed_strength")),
    Axis(label="Steps", read=whole_numbers, apply=_field("steps")),
    Axis(label="Hires steps", read=whole_numbers, apply=_hires("steps"), way="txt2img"),
    Axis(label="CFG Scale", read=numbers, apply=_field("guidance")),
    Axis(label="Image CFG Scale", read=numbers, apply=_start("image_guidance"), way="img2img"),
    Axis(label=SEARCH, apply=_nothing),
    Axis(label="Prompt order", read=_orders, apply=_ordered),
    Axis(label="Sampler", apply=_field("sampler")),
    Axis(label="Hires sampler", apply=_hires("sampler"), way="txt2img"),
    Axis(label="Checkpoint name", apply=_field("checkpoint"), cost=1.0),
    Axis(label="Negative Guidance minimum sigma", read=numbers, apply=_field("s_min_uncond")),
    Axis(label="Sigma Churn", read=numbers, apply=_field("s_churn")),
    Axis(label="Sigma min", read=numbers, apply=_field("s_tmin")),
    Axis(label="Sigma max", read=numbers, apply=_field("s_tmax")),
    Axis(label="Sigma noise", read=numbers, apply=_field("s_noise")),
    Axis(label="Schedule type", apply=_field("scheduler")),
    Axis(label="Schedule min sigma", read=numbers, apply=_option("sigma_min")),
    Axis(label="Schedule max sigma", read=numbers, apply=_option("sigma_max")),
    Axis(label="Schedule rho", read=numbers, apply=_option("rho")),
    Axis(label="Beta schedule alpha", read=numbers, apply=_option("beta_dist_alpha")),
    Axis(label="Beta schedule beta", read=numbers, apply=_option("beta_dist_beta")),
    Axis(label="Eta", read=numbers, apply=_field("eta")),
    Axis(label="Clip skip", read=whole_numbers, apply=_clip_skip),
    Axis(label="Denoising", read=numbers, apply=_denoising),
    Axis(
        label="Initial noise multiplier",
        read=numbers,
        apply=_option("initial_noise_multiplier"),
    ),
    Axis(label="Extra noise", read=numbers, apply=_option("img2img_extra_noise")),
    Axis(label="Hires upscaler", apply=_hires("upscaler"), way="txt2img"),
    Axis(
        label="Cond. Image Mask Weight",
        read=numbers,
        apply=_option("inpainting_mask_weight"),
        way="img2img",
    ),
    Axis(label="VAE", apply=_field("vae"), cost=0.7),
    Axis(label="Styles", apply=_styles),
    Axis(label="UniPC Order", read=whole_numbers, apply=_option("uni_pc_order"), cost=0.5),
    Axis(label="Face restore", apply=_refused("faces cannot be restored here")),
    Axis(label="Token merging ratio", read=numbers, apply=_option("token_merging_ratio")),
    Axis(
        label="Token merging ratio high-res",
        read=numbers,
        apply=_option("token_merging_ratio_hr"),
    ),
    Axis(
        label="Always discard next-to-last sigma",
        read=_flag,
        apply=_option("always_discard_next_to_last_sigma"),
    ),
    Axis(label="SGM noise multiplier", read=_flag, apply=_option("sgm_noise_multiplier")),
    Axis(label="Refiner checkpoint", apply=_refiner, cost=1.0),
    Axis(label="Refiner switch at", read=numbers, apply=_switch),
    Axis(label="RNG source", apply=_option("randn_source")),
    Axis(label="FP8 mode", apply=_refused("numbers of 8 bits cannot be computed with here")),
    Axis(label="Size", apply=_size),
)
"""All axes in A1111's order."""

CHOICES: Final[Mapping[str, str]] = {
    "Sampler": "sampler",
    "Hires sampler": "sampler",
    "Schedule type": "scheduler",
    "Checkpoint name": "checkpoint",
    "Refiner checkpoint": "checkpoint",
    "VAE": "vae",
    "Hires upscaler": "upscaler",
    "Styles": "style",
    "RNG source": "noise",
}
"""Axes whose values come from a list, and which list."""
