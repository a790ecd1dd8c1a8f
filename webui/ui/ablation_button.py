"""The button below "Generate" that asks what each add-on does; there while any is used."""

from dataclasses import dataclass
from typing import Any, Final

import gradio as gr
from gradio.blocks import Block

from webui.services.ablation_offer import has_parts
from webui.services.requests import GenerationRequest
from webui.services.studio import Studio
from webui.ui.drawing_form import DrawingForm
from webui.ui.labels import Labels
from webui.ui.plumbing import QUICK

TEXTS: Final = ("prompt", "negative_prompt")
CHOICES: Final = ("vae", "checkpoint")
WATCHED: Final = (*TEXTS, *CHOICES, "styles")
"""Fields of the form that can call an add-on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AblationButton:
    """The button, and when it is there."""

    studio: Studio
    button: gr.Button

    def connect(self, form: DrawingForm) -> None:
        """Look again whenever something changes that can call an add-on."""
        watched: list[Any] = [getattr(form, name) for name in WATCHED]
        watched += [extension.on for extension in form.extensions]

        def look(values: dict[Block, Any]) -> Any:
            found = {name: values[getattr(form, name)] for name in WATCHED}
            wish = GenerationRequest(
                **{name: found[name] or "" for name in TEXTS},
                **{name: found[name] or None for name in CHOICES},
                styles=tuple(found["styles"] or ()),
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
