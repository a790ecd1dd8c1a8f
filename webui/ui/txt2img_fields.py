"""How the fields of the txt2img form look and where they stand."""

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


def prompt_fields(labels: Labels) -> dict[str, Any]:
    """Lay out what to draw and what to avoid."""
    return {
        "prompt": labels.make(
            gr.Textbox,
            {"label": "form.prompt", "placeholder": "form.prompt_hint"},
            lines=3,
            max_lines=12,
            elem_id="txt2img_prompt",
        ),
        "negative_prompt": labels.make(
            gr.Textbox,
            {"label": "form.negative_prompt", "placeholder": "form.negative_hint"},
            lines=1,
            max_lines=8,
            elem_id="txt2img_neg_prompt",
        ),
    }


def sampling_fields(labels: Labels, first: Suggested, limits: Limits) -> dict[str, Any]:
    """Lay out how noise becomes a picture."""
    with gr.Row():
        sampler = labels.make(
            gr.Dropdown,
            {"label": "form.sampler"},
            choices=[sampler.label for sampler in SAMPLERS],
            value=first.sampler,
            elem_id="txt2img_sampling",
            min_width=120,
        )
        scheduler = labels.make(
            gr.Dropdown,
            {"label": "form.scheduler"},
            choices=[scheduler.label for scheduler in SCHEDULERS],
            value=first.scheduler,
            elem_id="txt2img_scheduler",
            min_width=120,
        )
    with gr.Row():
        steps = labels.make(
            gr.Slider,
            {"label": "form.steps"},
            minimum=1,
            maximum=limits.max_steps,
            step=1,
            value=first.steps,
            elem_id="txt2img_steps",
            min_width=120,
            buttons=[],
        )
        guidance = labels.make(
            gr.Slider,
            {"label": "form.guidance"},
            minimum=1,
            maximum=30,
            step=0.5,
            value=first.guidance,
            elem_id="txt2img_cfg_scale",
            min_width=120,
            buttons=[],
        )
    return {"sampler": sampler, "scheduler": scheduler, "steps": steps, "guidance": guidance}


def whole_number(labels: Labels, key: str, elem_id: str, value: int) -> gr.Number:
    """Make a field for a whole number, whose range the server checks and explains."""
    return labels.make(
        gr.Number, {"label": key}, value=value, precision=0, elem_id=elem_id, min_width=64
    )


def advanced_fields(labels: Labels, vaes: Sequence[str]) -> dict[str, Any]:
    """Lay out what most people never touch."""
    with gr.Row():
        clip_skip = labels.make(
            gr.Slider,
            {"label": "form.clip_skip"},
            minimum=1,
            maximum=HIGHEST_CLIP_SKIP,
            step=1,
            value=1,
            elem_id="txt2img_clip_skip",
            min_width=120,
            buttons=[],
        )
        vae = labels.make(
            gr.Dropdown,
            {"label": "form.vae"},
            choices=[*VAE_RULES, *vaes],
            value=VAE_RULES[0],
            elem_id="txt2img_vae",
            min_width=120,
        )
    with gr.Row():
        subseed = whole_number(labels, "form.subseed", "txt2img_subseed", -1)
        subseed_strength = labels.make(
            gr.Slider,
            {"label": "form.subseed_strength"},
            minimum=0,
            maximum=1,
            step=0.01,
            value=0,
            elem_id="txt2img_subseed_strength",
            min_width=120,
            buttons=[],
        )
    tiling = labels.make(
        gr.Checkbox, {"label": "form.tiling"}, value=False, elem_id="txt2img_tiling"
    )
    overrides = labels.make(
        gr.Dropdown,
        {"label": "form.overrides", "info": "form.overrides_note"},
        choices=[],
        value=[],
        multiselect=True,
        allow_custom_value=True,
        elem_id="txt2img_override_settings",
    )
    return {
        "clip_skip": clip_skip,
        "vae": vae,
        "subseed": subseed,
        "subseed_strength": subseed_strength,
        "tiling": tiling,
        "overrides": overrides,
    }
