"""Putting a model file to use from its card: into a prompt, into the picker, into a list."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr
from gradio.blocks import Block

from webui.modules.errors import WebuiError
from webui.modules.types import ModelKind
from webui.ui.add_ons_bar import KINDS as CALLED
from webui.ui.add_ons_bar import with_call, with_words
from webui.ui.drawing_fields import VAE_RULES
from webui.ui.drawing_tab import DrawingTab, checkpoint_choices, upscaler_names, vae_names
from webui.ui.messages import explain
from webui.ui.models_tab import Chosen, ModelsTab
from webui.ui.plumbing import QUICK
from webui.ui.sections import Updates


@dataclass(frozen=True, kw_only=True, slots=True)
class Using:
    """The ways from the models tab to the drawing tabs."""

    models: ModelsTab
    drawing: Mapping[str, DrawingTab]
    tabs: gr.Tabs

    def connect(self) -> None:
        """Say what the buttons under a card do."""
        for name, button in self.models.uses.items():
            form = self.drawing[name].form
            inputs: list[Any] = [self.models.chosen, form.prompt, form.negative_prompt]
            done = button.click(partial(self.use, name), inputs, self._outputs(name), **QUICK)
            for tab in self.drawing.values():
                everything = tab.form.components()
                done = done.then(
                    tab.change_checkpoint, everything, [*tab.filled(), tab.offer], **QUICK
                )

    def use(self, name: str, chosen: Chosen, prompt: str, negative: str) -> Updates:
        """Put the open card to use in one of the drawing tabs, and go there."""
        tab, studio = self.drawing[name], self.models.studio
        form = tab.form
        there: Updates = {self.tabs: gr.Tabs(selected=name)}
        try:
            card = self.models.card(chosen)
        except WebuiError as error:
            return {self.models.detail: explain(error, self.models.labels.words)}
        record = card.record
        if record.kind is ModelKind.CHECKPOINT:
            choices = checkpoint_choices(studio)
            return {**there, form.checkpoint: gr.update(choices=choices, value=record.name)}
        if record.kind is ModelKind.VAE:
            choices = [*VAE_RULES, *vae_names(studio)]
            return {**there, form.vae: gr.update(choices=choices, value=record.name)}
        if record.kind is ModelKind.UPSCALER and form.hires:
            names = upscaler_names(studio)
            return {
                **there,
                form.hires.on: True,
                form.hires.upscaler: gr.update(choices=names, value=record.stem),
            }
        if record.kind in CALLED:
            call = studio.catalogue.call_name(card)
            return {
                **there,
                form.prompt: with_call(prompt or "", card, name=call),
                form.negative_prompt: with_words(negative or "", card.negative_words),
            }
        return there

    def _outputs(self, name: str) -> list[Block]:
        form = self.drawing[name].form
        hires: list[Block] = [form.hires.on, form.hires.upscaler] if form.hires else []
        fields = [form.prompt, form.negative_prompt, form.checkpoint, form.vae]
        return [self.tabs, self.models.detail, *fields, *hires]
