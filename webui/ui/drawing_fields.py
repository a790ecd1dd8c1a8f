"""How the fields look that every drawing form has, and where they stand.

Every function takes the name of the form, ``txt2img`` or ``img2img``: their fields are told apart
by A1111's identifiers, such as ``img2img_steps``.
"""

from collections.abc import Sequence
from typing import Any, Final

import gradio as gr

from webui.modules.sampling.catalogue import SAMPLERS, SCHEDULERS
from webui.services.models import Suggested
from webui.settings import Limits
from webui.ui.labels import Labels

HIGHEST_CLIP_SKIP: Final = 12
"""The text encoder of Stable Diffusion 1 has 12 layers."""

VAE_RULES: Final = ("Automatic", "None")
"""What can be chosen instead of a VAE file, under A1111's names."""


def prompt_fields(labels: Labels, name: str) -> dict[str, Any]:
    """Lay out what to draw and what to avoid."""
    return {
        "prompt": labels.make(
            gr.Textbox,
            {"label": "form.prompt", "placeholder": "form.prompt_hint"},
            lines=3,
            max_lines=12,
            elem_id=f"{name}_prompt",
        ),
        "negative_prompt": labels.make(
            gr.Textbox,
            {"label": "form.negative_prompt", "placeholder": "form.negative_hint"},
            lines=1,
            max_lines=8,
            elem_id=f"{name}_neg_prompt",
        ),
    }


def sampling_fields(
    labels: Labels, name: str, *, first: Suggested, limits: Limits
) -> dict[str, Any]:
    """Lay out how noise becomes a picture."""
    with gr.Row():
        sampler = labels.make(
            gr.Dropdown,
            {"label": "form.sampler"},
            choices=sampler_labels(),
            value=first.sampler,
            elem_id=f"{name}_sampling",
            min_width=120,
        )
        scheduler = labels.make(
            gr.Dropdown,
            {"label": "form.scheduler"},
            choices=scheduler_labels(),
            value=first.scheduler,
            elem_id=f"{name}_scheduler",
            min_width=120,
        )
    with gr.Row():
        steps = slider(
            labels, "form.steps", f"{name}_steps", (1, limits.max_steps, 1), value=first.steps
        )
        guidance = slider(
            labels, "form.guidance", f"{name}_cfg_scale", (1, 30, 0.5), value=first.guidance
        )
    return {"sampler": sampler, "scheduler": scheduler, "steps": steps, "guidance": guidance}


def sampler_labels() -> list[str]:
    """Return the samplers as the lists name them."""
    return [sampler.label for sampler in SAMPLERS]


def scheduler_labels() -> list[str]:
    """Return the schedules as the lists name them."""
    return [scheduler.label for scheduler in SCHEDULERS]


def whole_number(labels: Labels, key: str, elem_id: str, value: int) -> gr.Number:
    """Make a field for a whole number, whose range the server checks and explains."""
    return labels.make(
        gr.Number, {"label": key}, value=value, precision=0, elem_id=elem_id, min_width=64
    )


def slider(
    labels: Labels, key: str, elem_id: str, ends: tuple[float, float, float], *, value: float
) -> gr.Slider:
    """Make a slider from its lowest and highest value and its step."""
    low, high, step = ends
    return labels.make(
        gr.Slider,
        {"label": key},
        minimum=low,
        maximum=high,
        step=step,
        value=value,
        elem_id=elem_id,
        min_width=120,
        buttons=[],
    )


def glyph(labels: Labels, key: str, sign: str, elem_id: str) -> gr.Button:
    """Make a small button that shows a sign; its words are for screen readers and on hover."""
    return labels.make(
        gr.Button,
        {"value": key},
        elem_id=elem_id,
        elem_classes=["glyph", f"glyph-{sign}"],
        size="sm",
        min_width=36,
        scale=0,
    )


def advanced_fields(labels: Labels, name: str, vaes: Sequence[str]) -> dict[str, Any]:
    """Lay out what most people never touch."""
    with gr.Row():
        clip_skip = slider(
            labels, "form.clip_skip", f"{name}_clip_skip", (1, HIGHEST_CLIP_SKIP, 1), value=1
        )
        vae = labels.make(
            gr.Dropdown,
            {"label": "form.vae"},
            choices=[*VAE_RULES, *vaes],
            value=VAE_RULES[0],
            elem_id=f"{name}_vae",
            min_width=120,
        )
    with gr.Row():
        subseed = whole_number(labels, "form.subseed", f"{name}_subseed", -1)
        subseed_strength = slider(
            labels,
            "form.subseed_strength",
            f"{name}_subseed_strength",
            (0, 1, 0.01),
            value=0,
        )
    tiling = labels.make(
        gr.Checkbox, {"label": "form.tiling"}, value=False, elem_id=f"{name}_tiling"
    )
    overrides = labels.make(
        gr.Dropdown,
        {"label": "form.overrides", "info": "form.overrides_note"},
        choices=[],
        value=[],
        multiselect=True,
        allow_custom_value=True,
        elem_id=f"{name}_override_settings",
    )
    return {
        "clip_skip": clip_skip,
        "vae": vae,
        "subseed": subseed,
        "subseed_strength": subseed_strength,
        "tiling": tiling,
        "overrides": overrides,
    }
