"""Hires fix: a second, larger pass."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import gradio as gr
from gradio.blocks import Block

from webui.modules.pipeline.enlarging import enlargement
from webui.services.requests import HiresRequest
from webui.settings import Limits
from webui.ui.drawing_fields import sampler_labels, scheduler_labels, slider, whole_number
from webui.ui.labels import Labels
from webui.ui.plumbing import plain_html
from webui.ui.sections import Updates, check_numbers, gather, labelled, named, put
from webui.ui.switched import switched

WHOLE: Final = ("steps", "width", "height")
"""Fields that hold a whole number."""

NUMBERS: Final = (*WHOLE, "scale", "denoising")
"""Fields that must not be empty."""

CHOICES: Final = ("upscaler", "sampler", "scheduler", "checkpoint")
"""Fields with a list; without a choice it is as in the first pass."""

TEXTS: Final = ("prompt", "negative_prompt")

SAME: Final = ("—", "")
"""The choice that leaves everything as in the first pass."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HiresFields:
    """One component for each field of a ``HiresRequest``; its ``resize`` has two.

    Attributes:
        on: Whether there is a second pass at all.
        size: Not read: says which size will come out.
    """

    on: gr.Checkbox
    upscaler: gr.Dropdown
    scale: gr.Slider
    steps: gr.Slider
    denoising: gr.Slider
    width: gr.Number
    height: gr.Number
    sampler: gr.Dropdown
    scheduler: gr.Dropdown
    checkpoint: gr.Dropdown
    prompt: gr.Textbox
    negative_prompt: gr.Textbox
    size: gr.HTML

    def read(self, values: Mapping[Block, Any], *, always: bool = False) -> HiresRequest | None:
        """Turn what Gradio sends into a part of a request.

        Args:
            values: What stands in the form.
            always: Read it even if it is switched off.

        Raises:
            RangeError: If a number is missing.
        """
        if not values[self.on] and not always:
            return None
        found = gather(self, (*NUMBERS, *CHOICES, *TEXTS), values)
        check_numbers(found, NUMBERS)
        found |= {name: int(found[name]) for name in WHOLE}
        found |= {name: found[name] or None for name in CHOICES}
        found |= {name: found[name] or "" for name in TEXTS}
        resize = (found.pop("width"), found.pop("height"))
        return HiresRequest(**found, resize=resize)

    def fill(self, wished: HiresRequest | Mapping[str, Any] | None) -> Updates:
        """Return the updates that show this part of a request; None switches it off."""
        if not wished:
            return put(self, {"on": False})
        found = {**named(HiresRequest()), **labelled(named(wished))}
        found["width"], found["height"] = found.pop("resize")
        found |= {name: found[name] or "" for name in CHOICES if name != "upscaler"}
        found["upscaler"] = found["upscaler"] or "Latent"
        return put(self, {"on": True, **found})


def final_size(
    first: tuple[int, int], *, scale: float, resize: tuple[int, int]
) -> tuple[int, int] | None:
    """Return the size of the second pass; None while a number is missing or makes no sense."""
    width, height = first
    if min(width, height) <= 0 or min(resize) < 0:
        return None
    wide, high = enlargement(width, height, scale=scale, resize=resize).final
    return (wide, high) if min(wide, high) > 0 else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Offered:
    """What the lists of the section offer.

    Attributes:
        upscalers: Names of the upscalers.
        checkpoints: Label and name of each checkpoint.
        limits: What this server allows.
    """

    upscalers: Sequence[str]
    checkpoints: Sequence[tuple[str, str]]
    limits: Limits


def build_hires(labels: Labels, name: str, offered: Offered) -> HiresFields:
    """Lay out the section, with its switch and the final size in its head."""
    with switched(labels, "hires.title", f"{name}_hr") as head:
        found = _main_fields(labels, name, offered)
        with labels.make(
            gr.Accordion, {"label": "hires.own"}, open=False, elem_id=f"{name}_hr_own"
        ):
            found |= _own_fields(labels, name, offered)
    return HiresFields(on=head.on, size=head.said, **found)


def _main_fields(labels: Labels, name: str, offered: Offered) -> dict[str, Any]:
    with gr.Row():
        upscaler = labels.make(
            gr.Dropdown,
            {"label": "hires.upscaler"},
            choices=list(offered.upscalers),
            value=offered.upscalers[0],
            elem_id=f"{name}_hr_upscaler",
            min_width=120,
        )
        scale = slider(labels, "hires.scale", f"{name}_hr_scale", (1, 4, 0.05), value=2)
    with gr.Row():
        most = offered.limits.max_steps
        steps = slider(labels, "hires.steps", f"{name}_hires_steps", (0, most, 1), value=0)
        denoising = slider(
            labels, "form.denoising", f"{name}_denoising_strength", (0, 1, 0.01), value=0.7
        )
    with gr.Row():
        width = whole_number(labels, "hires.width", f"{name}_hr_resize_x", 0)
        height = whole_number(labels, "hires.height", f"{name}_hr_resize_y", 0)
    note = labels.words.html("hires.zero")
    plain_html(f'<p class="note">{note}</p>', elem_id=f"{name}_hr_note")
    return {
        "upscaler": upscaler,
        "scale": scale,
        "steps": steps,
        "denoising": denoising,
        "width": width,
        "height": height,
    }


def _own_fields(labels: Labels, name: str, offered: Offered) -> dict[str, Any]:
    def choose(key: str, elem_id: str, choices: Sequence[str | tuple[str, str]]) -> gr.Dropdown:
        return labels.make(
            gr.Dropdown,
            {"label": key},
            choices=[SAME, *choices],
            value="",
            elem_id=elem_id,
            min_width=120,
        )

    def write(key: str, elem_id: str) -> gr.Textbox:
        return labels.make(
            gr.Textbox,
            {"label": key, "placeholder": "hires.same"},
            lines=1,
            max_lines=8,
            elem_id=elem_id,
        )

    with gr.Row():
        sampler = choose("form.sampler", f"{name}_hr_sampler", sampler_labels())
        scheduler = choose("form.scheduler", f"{name}_hr_scheduler", scheduler_labels())
    return {
        "sampler": sampler,
        "scheduler": scheduler,
        "checkpoint": choose("form.checkpoint", f"{name}_hr_checkpoint", offered.checkpoints),
        "prompt": write("form.prompt", f"{name}_hr_prompt"),
        "negative_prompt": write("form.negative_prompt", f"{name}_hr_neg_prompt"),
    }
