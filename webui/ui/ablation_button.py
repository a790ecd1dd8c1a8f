"""The button below "Generate" that asks what each add-on does; there while any is used."""

from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.blocks import Block

from webui.services.ablation_offer import has_parts
from webui.services.requests import GenerationRequest
from webui.services.studio import Studio
from webui.ui.drawing_form import DrawingForm
from webui.ui.labels import Labels
from webui.ui.plumbing import QUICK


@dataclass(frozen=True, kw_only=True, slots=True)
class AblationButton:
    """The button, and when it is there."""

    studio: Studio
    button: gr.Button

    def connect(self, form: DrawingForm) -> None:
        """Look again whenever something changes that can call an add-on."""
        watched: list[Any] = [form.prompt, form.negative_prompt, form.styles]
        watched += [form.vae, form.checkpoint]
        watched += [extension.on for extension in form.extensions]

        def look(values: dict[Block, Any]) -> Any:
            wish = GenerationRequest(
                prompt=values[form.prompt] or "",
                negative_prompt=values[form.negative_prompt] or "",
                styles=tuple(values[form.styles] or ()),
                vae=values[form.vae] or None,
                checkpoint=values[form.checkpoint] or None,
                extensions={each.name: {} for each in form.extensions if values[each.on]},
            )
            return gr.update(visible=has_parts(self.studio, wish))

        for component in watched:
            component.change(look, {*watched}, self.button, trigger_mode="always_last", **QUICK)


def build_ablation(labels: Labels, studio: Studio, name: str, checkpoint: str) -> AblationButton:
    """Lay out the button for a form that names nothing but a checkpoint yet."""
    first = GenerationRequest(checkpoint=checkpoint or None)
    button = labels.make(
        gr.Button,
        {"value": "action.ablation"},
        visible=has_parts(studio, first),
        elem_id=f"{name}_ablation",
        elem_classes=["ablate"],
        size="sm",
    )
    return AblationButton(studio=studio, button=button)
