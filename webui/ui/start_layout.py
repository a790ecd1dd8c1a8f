"""Where everything stands that says which picture to start from."""

from dataclasses import fields
from typing import Any, Final

import gradio as gr

from webui.modules.types import SoftInpainting
from webui.ui.drawing_fields import glyph, slider
from webui.ui.easel import build_easel
from webui.ui.labels import Labels
from webui.ui.plumbing import QUICK
from webui.ui.start_fields import MaskFields, Mode, SoftFields
from webui.ui.switched import switched

MODES: Final = {f"start.mode_{mode}": str(mode) for mode in Mode}

RESIZES: Final = {
    "start.resize_plain": "Just resize",
    "start.resize_crop": "Crop and resize",
    "start.resize_fill": "Resize and fill",
    "start.resize_latent": "Just resize (latent upscale)",
}

CONTENTS: Final = {
    "mask.content_fill": "fill",
    "mask.content_original": "original",
    "mask.content_noise": "latent noise",
    "mask.content_nothing": "latent nothing",
}

SOFT_ENDS: Final = {
    "schedule_bias": (0, 8, 0.1),
    "preservation": (0, 8, 0.05),
    "contrast_boost": (1, 32, 0.5),
    "mask_influence": (0, 1, 0.05),
    "difference_threshold": (0, 8, 0.25),
    "difference_contrast": (0, 8, 0.25),
}
"""Lowest and highest value of the sliders of soft inpainting, and their step."""


def build_start(labels: Labels, name: str) -> dict[str, Any]:
    """Lay out the section; which of its parts are seen depends on the mode, see the style sheet."""
    with gr.Column(elem_id=f"{name}_start", elem_classes=["start", "leaf"]):
        mode = labels.make_choice(
            gr.Radio,
            {"label": "start.mode"},
            MODES,
            value=str(Mode.WHOLE),
            show_label=False,
            container=False,
            elem_id=f"mode_{name}",
            elem_classes=["segments"],
        )
        with gr.Column(elem_id=f"{name}_given", elem_classes=["given"]):
            picture = gr.UploadButton(
                file_types=["image"], visible="hidden", elem_id=f"{name}_image"
            )
            strokes = build_easel(labels.words, elem_id=f"{name}_easel")
        batch = _batch(labels, name)
        with gr.Column(elem_classes=["for-mask-file"]):
            mask_file = _drop(labels, "start.mask_file", f"{name}_mask_file")
        masked = _mask(labels, name)
        with gr.Row():
            resize = labels.make_choice(
                gr.Dropdown,
                {"label": "start.resize"},
                RESIZES,
                value="Just resize",
                elem_id=f"{name}_resize_mode",
                min_width=120,
            )
            denoising = slider(
                labels, "form.denoising", f"{name}_denoising_strength", (0, 1, 0.01), value=0.75
            )
    mode.change(None, mode, None, js="(mode) => atelier.setMode(mode)", **QUICK)
    strokes.clear(_nothing, None, picture, **QUICK)
    return {
        "mode": mode,
        "picture": picture,
        "strokes": strokes,
        "mask_file": mask_file,
        "resize": resize,
        "denoising": denoising,
        "masked": masked,
        **batch,
    }


def build_image_guidance(labels: Labels, name: str) -> gr.Slider:
    """Lay out what only checkpoints need that edit by words; it stands among the advanced."""
    return slider(
        labels, "start.image_guidance", f"{name}_image_cfg_scale", (0, 3, 0.05), value=1.5
    )


def build_fit(labels: Labels, name: str) -> tuple[gr.Button, gr.Number]:
    """Lay out what takes the size from the picture: a button, and a factor on it."""
    fit = glyph(labels, "start.fit", "fit-size", f"{name}_fit")
    factor = labels.make(
        gr.Number,
        {"label": "start.factor"},
        value=1,
        minimum=0.05,
        maximum=4,
        step=0.05,
        elem_id=f"{name}_scale",
        min_width=64,
    )
    return fit, factor


def _nothing() -> Any:
    return gr.update(value=None)


def _drop(labels: Labels, key: str, elem_id: str, **options: Any) -> gr.File:
    return labels.make(
        gr.File,
        {"label": key},
        file_types=["image"],
        type="filepath",
        height=92,
        elem_id=elem_id,
        elem_classes=["drop"],
        **options,
    )


def _batch(labels: Labels, name: str) -> dict[str, Any]:
    with gr.Column(elem_classes=["for-batch"]):
        many = _drop(labels, "start.many", f"{name}_batch_files", file_count="multiple")
        with gr.Row():
            own_size = labels.make(
                gr.Checkbox,
                {"label": "start.own_size"},
                value=False,
                elem_id=f"{name}_own_size",
                min_width=120,
            )
            together = labels.make(
                gr.Checkbox,
                {"label": "start.together"},
                value=False,
                elem_id=f"{name}_together",
                min_width=120,
            )
    return {"many": many, "own_size": own_size, "together": together}


def _mask(labels: Labels, name: str) -> MaskFields:
    with gr.Column(elem_classes=["for-mask"]):
        with gr.Row():
            blur = slider(labels, "mask.blur", f"{name}_mask_blur", (0, 64, 1), value=4)
            padding = slider(
                labels, "mask.padding", f"{name}_inpaint_full_res_padding", (0, 256, 4), value=32
            )
        with gr.Row():
            side = labels.make_choice(
                gr.Radio,
                {"label": "mask.side"},
                {"mask.masked": "masked", "mask.unmasked": "unmasked"},
                value="masked",
                elem_id=f"{name}_mask_mode",
                elem_classes=["segments"],
                min_width=120,
            )
            area = labels.make_choice(
                gr.Radio,
                {"label": "mask.area"},
                {"mask.whole": "whole", "mask.only": "masked"},
                value="whole",
                elem_id=f"{name}_inpaint_full_res",
                elem_classes=["segments"],
                min_width=120,
            )
        content = labels.make_choice(
            gr.Radio,
            {"label": "mask.content"},
            CONTENTS,
            value="original",
            elem_id=f"{name}_inpainting_fill",
            elem_classes=["segments"],
        )
        soft = _soft(labels, name)
    return MaskFields(blur=blur, side=side, content=content, area=area, padding=padding, soft=soft)


def _soft(labels: Labels, name: str) -> SoftFields:
    usual = SoftInpainting()
    names = [field.name for field in fields(SoftInpainting)]
    with switched(labels, "mask.soft", f"{name}_soft") as head:
        found: dict[str, gr.Slider] = {}
        for pair in zip(names[::2], names[1::2], strict=True):
            with gr.Row():
                for value in pair:
                    found[value] = slider(
                        labels,
                        f"mask.{value}",
                        f"{name}_soft_{value}",
                        SOFT_ENDS[value],
                        value=getattr(usual, value),
                    )
    return SoftFields(on=head.on, **found)
