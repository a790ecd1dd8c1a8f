"""Where everything stands in the txt2img tab: words, picture, settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from webui.services.models import Suggested
from webui.services.studio import Studio
from webui.ui import stage
from webui.ui.labels import Labels
from webui.ui.plumbing import board, plain_html
from webui.ui.txt2img_fields import (
    advanced_fields,
    prompt_fields,
    sampling_fields,
    whole_number,
)
from webui.ui.txt2img_form import Txt2ImgForm
from webui.ui.txt2img_tab import SHAPES, Txt2ImgTab, vae_names


@dataclass(frozen=True, kw_only=True, slots=True)
class Picker:
    """The checkpoint picker at the top of the page, with what the form needs to know of it."""

    checkpoint: gr.Dropdown
    filled_for: gr.Textbox
    first: Suggested


def build_txt2img(labels: Labels, studio: Studio, picker: Picker) -> Txt2ImgTab:
    """Lay out the tab; on a phone its three parts stand below each other."""
    with gr.Row(elem_id="studio"):
        with gr.Column(elem_id="words"):
            words, parts = _words(labels)
        with gr.Column(elem_id="show"):
            parts |= _show(labels)
        with gr.Column(elem_id="settings"):
            settings, more = _settings(labels, studio, picker.first)
    form = Txt2ImgForm(
        **words, **settings, checkpoint=picker.checkpoint, filled_for=picker.filled_for
    )
    tab = Txt2ImgTab(studio=studio, labels=labels, form=form, **parts, **more)
    tab.connect()
    return tab


def _words(labels: Labels) -> tuple[dict[str, Any], dict[str, Any]]:
    with gr.Group(elem_id="prompts"):
        fields = prompt_fields(labels)
    with gr.Row(elem_id="prompt_tools"):
        apply = labels.make(
            gr.Button,
            {"value": "form.apply_infotext"},
            size="sm",
            elem_id="txt2img_paste",
            min_width=0,
            scale=0,
        )
        tokens = plain_html('<span class="tokens">0/75</span>', elem_id="tokens")
    message = plain_html("", elem_id="notice")
    offer = labels.make(
        gr.Button,
        {"value": "form.use_suggested"},
        size="sm",
        visible=False,
        elem_id="txt2img_suggested",
    )
    with gr.Row(elem_id="act"):
        generate = labels.make(
            gr.Button,
            {"value": "action.generate"},
            variant="primary",
            elem_id="txt2img_generate",
            min_width=120,
            scale=3,
        )
        interrupt = labels.make(
            gr.Button,
            {"value": "action.interrupt"},
            visible=False,
            elem_id="txt2img_interrupt",
            min_width=80,
            scale=1,
        )
        skip = labels.make(
            gr.Button,
            {"value": "action.skip"},
            visible=False,
            elem_id="txt2img_skip",
            min_width=64,
            scale=1,
        )
    parts = {
        "apply": apply,
        "tokens": tokens,
        "offer": offer,
        "notice": message,
        "generate": generate,
        "interrupt": interrupt,
        "skip": skip,
    }
    return fields, parts


def _show(labels: Labels) -> dict[str, Any]:
    progress = board("", elem_id="progress")
    shown = board(stage.invitation(labels.words), elem_id="stage")
    return {"progress": progress, "stage": shown}


def _settings(
    labels: Labels, studio: Studio, first: Suggested
) -> tuple[dict[str, Any], dict[str, Any]]:
    fields = sampling_fields(labels, first, studio.settings.limits)
    sides, size_buttons = _size(labels, first)
    seed, seed_buttons = _seed(labels)
    with labels.make(gr.Accordion, {"label": "form.advanced"}, open=False, elem_id="advanced"):
        fields |= advanced_fields(labels, vae_names(studio))
    return fields | sides | seed, {**size_buttons, **seed_buttons}


def _size(labels: Labels, first: Suggested) -> tuple[dict[str, Any], dict[str, Any]]:
    with gr.Row(elem_id="size"):
        width = whole_number(labels, "form.width", "txt2img_width", first.width)
        swap = _glyph(labels, "form.swap", "swap", "txt2img_res_switch_btn")
        height = whole_number(labels, "form.height", "txt2img_height", first.height)
        shapes: Mapping[str, gr.Button] = {
            name: _glyph(labels, f"form.{name}", name, f"txt2img_{name}") for name in SHAPES
        }
    return {"width": width, "height": height}, {"swap": swap, "shapes": shapes}


def _seed(labels: Labels) -> tuple[dict[str, Any], dict[str, Any]]:
    with gr.Row(elem_id="numbers"):
        seed = whole_number(labels, "form.seed", "txt2img_seed", -1)
        random_seed = _glyph(labels, "form.random_seed", "dice", "txt2img_random_seed")
        last_seed = _glyph(labels, "form.last_seed", "recycle", "txt2img_reuse_seed")
        batch_size = whole_number(labels, "form.batch_size", "txt2img_batch_size", 1)
        batch_count = whole_number(labels, "form.batch_count", "txt2img_batch_count", 1)
    return (
        {"seed": seed, "batch_size": batch_size, "batch_count": batch_count},
        {"random_seed": random_seed, "last_seed": last_seed},
    )


def _glyph(labels: Labels, key: str, glyph: str, elem_id: str) -> gr.Button:
    """Make a small button that shows a sign; its words are for screen readers and on hover."""
    return labels.make(
        gr.Button,
        {"value": key},
        elem_id=elem_id,
        elem_classes=["glyph", f"glyph-{glyph}"],
        size="sm",
        min_width=36,
        scale=0,
    )
