"""Hires fix and the refiner in the fields of A1111's bodies."""

from collections.abc import Mapping
from typing import Any, Final

from webui.api.schemas import DrawingBody, Txt2ImgBody
from webui.services.requests import HiresRequest, RefinerRequest

HIRES_FIELDS: Final = {
    "hr_scale": "scale",
    "hr_upscaler": "upscaler",
    "hr_second_pass_steps": "steps",
    "denoising_strength": "denoising",
    "hr_sampler_name": "sampler",
    "hr_scheduler": "scheduler",
    "hr_checkpoint_name": "checkpoint",
    "hr_prompt": "prompt",
    "hr_negative_prompt": "negative_prompt",
}
"""Fields of a body and what a ``HiresRequest`` calls them."""

USUAL_DENOISING: Final = 0.75
"""What A1111's routes take for a denoising strength that is null."""


def further_passes(wish: Txt2ImgBody, told: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a request for hires fix and the refiner; none for what is not asked for.

    Args:
        wish: What the client says.
        told: What an infotext says; it fills what the client left open.
    """
    found: dict[str, Any] = {"refiner": refiner_of(wish, told.get("refiner"))}
    known: HiresRequest | None = told.get("hires")
    asked = wish.enable_hr if "enable_hr" in wish.model_fields_set else wish.enable_hr or known
    if not asked:
        return {**found, "hires": None}
    fields: dict[str, Any] = {
        ours: getattr(known, ours) if _open(wish, name) and known else getattr(wish, name)
        for name, ours in HIRES_FIELDS.items()
    }
    if fields["denoising"] is None:
        fields["denoising"] = USUAL_DENOISING
    sizes_open = _open(wish, "hr_resize_x", "hr_resize_y", "hr_scale")
    resize = known.resize if known and sizes_open else (wish.hr_resize_x, wish.hr_resize_y)
    if wish.firstphase_width or wish.firstphase_height:
        found["width"] = wish.firstphase_width or wish.width
        found["height"] = wish.firstphase_height or wish.height
        if sizes_open:
            resize = (wish.width, wish.height)
    return {**found, "hires": HiresRequest(**fields, resize=resize)}


def refiner_of(wish: DrawingBody, known: RefinerRequest | None) -> RefinerRequest | None:
    """Return who takes over; without a moment it is at once, as in A1111."""
    if known and _open(wish, "refiner_checkpoint"):
        return known
    if not wish.refiner_checkpoint:
        return None
    return RefinerRequest(
        checkpoint=wish.refiner_checkpoint, switch_at=wish.refiner_switch_at or 0.0
    )


def _open(wish: DrawingBody, *names: str) -> bool:
    return wish.model_fields_set.isdisjoint(names)
