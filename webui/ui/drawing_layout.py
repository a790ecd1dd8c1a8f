"""Where everything stands in a drawing tab: words, picture to start from, settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from webui.services.models import Suggested
from webui.services.studio import Studio
from webui.ui.ablation_button import build_ablation
from webui.ui.add_ons_bar import build_add_ons
from webui.ui.drawing_fields import (
    advanced_fields,
    glyph,
    prompt_fields,
    sampling_fields,
    whole_number,
)
from webui.ui.drawing_form import DrawingForm
from webui.ui.drawing_tab import (
    SHAPES,
    DrawingTab,
    checkpoint_choices,
    listed,
    upscaler_names,
    vae_names,
)
from webui.ui.extension_fields import build_extensions
from webui.ui.hires_fields import Offered, build_hires
from webui.ui.labels import Labels
from webui.ui.plumbing import plain_html
from webui.ui.refiner_fields import build_refiner
from webui.ui.scenery import Scenery
from webui.ui.script_fields import build_scripts
from webui.ui.start_fields import StartFields
from webui.ui.start_layout import build_fit, build_image_guidance, build_start
from webui.ui.styles_bar import build_styles


@dataclass(frozen=True, kw_only=True, slots=True)
class Picker:
    """The checkpoint picker at the top of the page, with what the form needs to know of it.

    Attributes:
        name: The checkpoint that is chosen as the page comes; empty where there is none yet.
        first: What it suggests.
        came: Not shown: the checkpoint that was chosen later, because there was none.
    """

    checkpoint: gr.Dropdown
    name: str
    first: Suggested
    came: gr.Textbox


@dataclass(frozen=True, kw_only=True, slots=True)
class Site:
    """Where a tab is built.

    Attributes:
        name: ``txt2img`` or ``img2img``.
        pictured: Whether it starts from a picture.
    """

    name: str
    pictured: bool
    labels: Labels
    studio: Studio
    picker: Picker
    scenery: Scenery


def build_drawing(site: Site) -> DrawingTab:
    """Lay out the tab; on a phone the pictures stand between its words and its settings."""
    name, labels, picker = site.name, site.labels, site.picker
    with gr.Column(elem_classes=["words"]):
        fields, parts = _words(site)
    with gr.Column(elem_classes=["settings"]):
        start = build_start(labels, name) if site.pictured else {}
        with gr.Column(elem_id=f"{name}_settings", elem_classes=["leaf"]):
            settings, more = _settings(site)
            sections = _sections(site)
            with labels.make(
                gr.Accordion, {"label": "form.advanced"}, open=False, elem_id=f"{name}_advanced"
            ):
                fields |= advanced_fields(labels, name, vae_names(site.studio))
                if start:
                    start["image_guidance"] = build_image_guidance(labels, name)
                    sections["start"] = StartFields(**start)
    filled_for = gr.Textbox(value=picker.name, visible=False)
    form = DrawingForm(
        **fields, **settings, **sections, checkpoint=picker.checkpoint, filled_for=filled_for
    )
    tab = DrawingTab(
        name=name,
        studio=site.studio,
        labels=labels,
        form=form,
        scenery=site.scenery,
        **parts,
        **more,
    )
    tab.connect()
    return tab


def _words(site: Site) -> tuple[dict[str, Any], dict[str, Any]]:
    name, labels = site.name, site.labels
    with gr.Column(elem_classes=["prompts", "leaf"]):
        fields = prompt_fields(labels, name)
        add_ons = build_add_ons(labels, site.studio, name)
        styles = build_styles(labels, site.studio, name)
        with gr.Row(elem_classes=["prompt-tools"]):
            apply = labels.make(
                gr.Button,
                {"value": "form.apply_infotext"},
                size="sm",
                elem_id=f"{name}_paste",
                elem_classes=["apply"],
                min_width=0,
                scale=0,
            )
            tokens = plain_html('<span class="tokens">0/75</span>', elem_id=f"{name}_token_counter")
    offer = labels.make(
        gr.Button,
        {"value": "form.use_suggested"},
        size="sm",
        visible=False,
        elem_id=f"{name}_suggested",
        elem_classes=["offer"],
    )
    with gr.Row(elem_classes=["act"]):
        generate = labels.make(
            gr.Button,
            {"value": "action.generate"},
            variant="primary",
            elem_id=f"{name}_generate",
            elem_classes=["generate"],
            min_width=120,
            scale=3,
        )
        site.scenery.interrupts[name].render()
        site.scenery.skips[name].render()
    ablation = build_ablation(labels, site.studio, name, site.picker.name)
    parts = {
        "apply": apply,
        "tokens": tokens,
        "offer": offer,
        "generate": generate,
        "ablation": ablation,
        "styles": styles,
        "add_ons": add_ons,
    }
    return {**fields, "styles": styles.chosen}, parts


def _settings(site: Site) -> tuple[dict[str, Any], dict[str, Any]]:
    limits = site.studio.settings.limits
    fields = sampling_fields(site.labels, site.name, first=site.picker.first, limits=limits)
    sides, size_buttons = _size(site)
    seed, seed_buttons = _seed(site.labels, site.name)
    return fields | sides | seed, {**size_buttons, **seed_buttons}


def _sections(site: Site) -> dict[str, Any]:
    checkpoints = checkpoint_choices(site.studio)
    sections: dict[str, Any] = {}
    if not site.pictured:
        offered = Offered(
            upscalers=upscaler_names(site.studio),
            checkpoints=checkpoints,
            limits=site.studio.settings.limits,
        )
        sections["hires"] = build_hires(site.labels, site.name, offered)
    sections["refiner"] = build_refiner(site.labels, site.name, checkpoints)
    sections["extensions"] = build_extensions(site.labels, site.name, site.studio)
    sections["script"] = build_scripts(
        site.labels, site.name, pictured=site.pictured, names=lambda: listed(site.studio)
    )
    return sections


def _size(site: Site) -> tuple[dict[str, Any], dict[str, Any]]:
    labels, name, first = site.labels, site.name, site.picker.first
    buttons: dict[str, Any] = {}
    with gr.Row(elem_classes=["size", "tight"]):
        width = whole_number(labels, "form.width", f"{name}_width", first.width)
        buttons["swap"] = glyph(labels, "form.swap", "swap", f"{name}_res_switch_btn")
        height = whole_number(labels, "form.height", f"{name}_height", first.height)
        if site.pictured:
            buttons["fit"], buttons["factor"] = build_fit(labels, name)
        else:
            shapes: Mapping[str, gr.Button] = {
                shape: glyph(labels, f"form.{shape}", shape, f"{name}_{shape}") for shape in SHAPES
            }
            buttons["shapes"] = shapes
    return {"width": width, "height": height}, buttons


def _seed(labels: Labels, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    with gr.Row(elem_classes=["numbers", "tight"]):
        seed = whole_number(labels, "form.seed", f"{name}_seed", -1)
        random_seed = glyph(labels, "form.random_seed", "dice", f"{name}_random_seed")
        last_seed = glyph(labels, "form.last_seed", "recycle", f"{name}_reuse_seed")
        batch_size = whole_number(labels, "form.batch_size", f"{name}_batch_size", 1)
        batch_count = whole_number(labels, "form.batch_count", f"{name}_batch_count", 1)
    return (
        {"seed": seed, "batch_size": batch_size, "batch_count": batch_count},
        {"random_seed": random_seed, "last_seed": last_seed},
    )
