"""What an infotext says beyond the first pass from noise: img2img, masks, hires fix, refiner.

Each part is written by one function and read by one, side by side. Pictures and masks cannot stand
in a text, so what is read is the part of a request that can: plain mappings with the names of the
fields of ``StartRequest``, ``MaskRequest``, ``HiresRequest`` and ``RefinerRequest``.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from webui.library.infotext_values import Parsed, flag, number, pair, read, when, wording
from webui.modules.sampling.catalogue import find_scheduler
from webui.modules.types import (
    GenerationPlan,
    Hires,
    Inpainting,
    ModelRecord,
    Refiner,
    SoftInpainting,
    Start,
)

Entries = Iterator[tuple[str, object]]
"""Keys and values in their order; an empty value is left out."""

SOFT_KEYS: Final[Mapping[str, str]] = {
    "Soft inpainting schedule bias": "schedule_bias",
    "Soft inpainting preservation strength": "preservation",
    "Soft inpainting transition contrast boost": "contrast_boost",
    "Soft inpainting mask influence": "mask_influence",
    "Soft inpainting difference threshold": "difference_threshold",
    "Soft inpainting difference contrast": "difference_contrast",
}
"""The six strengths of soft inpainting and what our own type calls them."""

RESIZE_MODES: Final = (
    "Just resize",
    "Crop and resize",
    "Resize and fill",
    "Just resize (latent upscale)",
)
CONTENTS: Final = ("fill", "original", "latent noise", "latent nothing")

WHITE: Final = "#ffffff"

_HIRES_KEYS: Final = ("Hires upscale", "Hires upscaler", "Hires steps", "Hires resize-1")
_SAME: Final = "Use same "


# A picture to start from ------------------------------------------------------------------------


def mask_entries(masked: Inpainting) -> Entries:
    """Yield what A1111 says of a mask; a blur of 0 is said too, so that a mask can be told."""
    across, down = masked.blur
    if masked.soft:
        yield "Soft inpainting enabled", True
        for key, name in SOFT_KEYS.items():
            yield key, getattr(masked.soft, name)
    yield "Mask mode", when("Inpaint not masked", said=masked.invert)
    yield "Mask blur", across if across == down else f"{across}x{down}"
    yield "Inpaint area", when("Only masked", said=masked.only_masked)
    yield "Masked area padding", when(masked.padding, said=masked.only_masked)
    yield "Masked content", when(masked.content, said=masked.content != "original")


def unsaid_entries(start: Start) -> Entries:
    """Yield what A1111 leaves out although it changes the picture."""
    masked = start.inpainting
    yield "Resize mode", when(start.resize, said=start.resize != RESIZE_MODES[0])
    yield "All steps", when(value=True, said=start.every_step)
    yield "Color correction", when(value=True, said=start.color_correction)
    yield "Background color", when(start.background, said=start.background.lower() != WHITE)
    if masked:
        yield "Mask rounding", when(masked.rounded, said=masked.rounded == bool(masked.soft))
        yield "Overlay", when(value=False, said=not masked.overlay)


def read_start(parsed: Parsed) -> dict[str, Any]:
    """Return the fields of a ``StartRequest`` but for its pictures; empty if it is not img2img."""
    masked = _read_mask(parsed)
    if has_hires(parsed) or not (masked or "Denoising strength" in parsed):
        return {}
    fields: dict[str, Any] = {"masked": masked} if masked else {}
    for key, name in (
        ("Denoising strength", "denoising"),
        ("Noise multiplier", "noise_multiplier"),
        ("Image CFG scale", "image_guidance"),
    ):
        if key in parsed:
            fields[name] = read(parsed, key, number)
    if "Resize mode" in parsed:
        fields["resize"] = read(parsed, "Resize mode", _one_of(RESIZE_MODES))
    return fields


def _read_mask(parsed: Parsed) -> dict[str, Any]:
    soft = "Soft inpainting enabled" in parsed and read(parsed, "Soft inpainting enabled", flag)
    invert = parsed.get("Mask mode") == "Inpaint not masked"
    only_masked = parsed.get("Inpaint area") == "Only masked"
    content = str(parsed.get("Masked content", "original"))
    blur = "Mask blur" in parsed or "Mask blur-1" in parsed
    if not (soft or invert or only_masked or blur or content != "original"):
        return {}
    padding = read(parsed, "Masked area padding", int) if only_masked else 32
    return {
        "invert": invert,
        "blur": _blur(parsed),
        "content": read({"Masked content": content}, "Masked content", _one_of(CONTENTS)),
        "only_masked": only_masked,
        "padding": padding,
        "rounded": read({"Mask rounding": not soft, **parsed}, "Mask rounding", flag),
        "soft": _soft(parsed) if soft else None,
    }


def _blur(parsed: Parsed) -> tuple[int, int]:
    if "Mask blur" in parsed:
        same = int(read(parsed, "Mask blur", number))
        return same, same
    return pair(parsed, "Mask blur")


def _soft(parsed: Parsed) -> SoftInpainting:
    told = {name: read(parsed, key, number) for key, name in SOFT_KEYS.items() if key in parsed}
    return SoftInpainting(**told)


# A second, larger pass --------------------------------------------------------------------------


def hires_entries(plan: GenerationPlan, hires: Hires, index: int) -> Entries:
    """Yield what differs in the second pass from the first, in A1111's order."""
    first, second = plan.sampling, hires.sampling
    prompt, negative = hires.prompts[index], hires.negative_prompts[index]
    scheduler = find_scheduler(second.scheduler).label
    sized = hires.resize != (0, 0)
    yield "Hires checkpoint", short_title(hires.checkpoint) if hires.checkpoint else ""
    yield "Hires sampler", when(second.sampler, said=second.sampler != first.sampler)
    yield "Hires prompt", when(prompt, said=prompt != plan.prompts[index])
    yield "Hires negative prompt", when(negative, said=negative != plan.negative_prompts[index])
    yield "Hires schedule type", when(scheduler, said=second.scheduler != first.scheduler)
    yield "Hires upscale", when(float(hires.scale), said=not sized)
    yield "Hires resize", when("{}x{}".format(*hires.resize), said=sized)
    yield "Hires steps", when(second.steps, said=second.steps != first.steps)
    yield "Hires upscaler", hires.upscaler


def has_hires(parsed: Parsed) -> bool:
    """Tell whether a text speaks of hires fix."""
    return any(str(parsed.get(key, "0")) not in ("0", "") for key in _HIRES_KEYS)


def read_hires(parsed: Parsed) -> dict[str, Any]:
    """Return the fields of a ``HiresRequest``; empty if there is no second pass."""
    if not has_hires(parsed):
        return {}
    fields: dict[str, Any] = {
        name: None if value.startswith(_SAME) else value
        for key, name in (
            ("Hires upscaler", "upscaler"),
            ("Hires checkpoint", "checkpoint"),
            ("Hires sampler", "sampler"),
            ("Hires schedule type", "scheduler"),
        )
        if (value := wording(parsed, key))
    }
    fields["prompt"] = wording(parsed, "Hires prompt")
    fields["negative_prompt"] = wording(parsed, "Hires negative prompt")
    fields["resize"] = pair(parsed, "Hires resize")
    if "Hires upscale" in parsed:
        fields["scale"] = read(parsed, "Hires upscale", number)
    if "Hires steps" in parsed:
        fields["steps"] = read(parsed, "Hires steps", int)
    if "Denoising strength" in parsed:
        fields["denoising"] = read(parsed, "Denoising strength", number)
    return fields


# Another checkpoint that takes over -------------------------------------------------------------


def refiner_entries(refiner: Refiner, *, hires: bool) -> Entries:
    """Yield which checkpoint takes over, and when."""
    during = when(refiner.during, said=hires and refiner.during != "second pass")
    yield "Refiner switch by sampling steps", when(value=True, said=refiner.by_steps)
    yield "Hires refiner", during
    yield "Refiner", short_title(refiner.checkpoint)
    yield "Refiner switch at", refiner.switch_at


def read_refiner(parsed: Parsed) -> dict[str, Any]:
    """Return the fields of a ``RefinerRequest``; empty if there is none."""
    checkpoint = wording(parsed, "Refiner")
    if not checkpoint:
        return {}
    fields: dict[str, Any] = {"checkpoint": checkpoint}
    if "Refiner switch at" in parsed:
        fields["switch_at"] = read(parsed, "Refiner switch at", number)
    return fields


# What they share --------------------------------------------------------------------------------


def short_title(record: ModelRecord) -> str:
    """Return ``name [hash]`` as A1111 names a second checkpoint."""
    return f"{record.stem} [{record.shorthash}]" if record.sha256 else record.stem


def _one_of(words: tuple[str, ...]) -> Callable[[str], str]:
    return {word: word for word in words}.__getitem__
