"""Putting a model file to use from its card: into a prompt, into the picker, into a list."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr
from gradio.blocks import Block

from webui.library.cards import ModelCard
from webui.modules.errors import WebuiError
from webui.modules.types import ModelKind
from webui.ui.add_ons_bar import KINDS as CALLED
from webui.ui.add_ons_bar import with_call, with_words
from webui.ui.drawing_fields import VAE_RULES
from webui.ui.drawing_tab import DrawingTab, checkpoint_choices, upscaler_names, vae_names
from webui.ui.extension_fields import file_names
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
            self.connect_button(button, name, self.models.chosen)

    def connect_button(self, button: gr.Button, name: str, chosen: gr.State) -> None:
        """Let a button put a file to use.

        Args:
            button: The button.
            name: The drawing tab that it leads to.
            chosen: Which file: ``{"kind": ..., "name": ...}``.
        """
        form = self.drawing[name].form
        inputs: list[Any] = [chosen, form.prompt, form.negative_prompt]
        done = button.click(partial(self.use, name), inputs, self._outputs(name), **QUICK)
        for tab in self.drawing.values():
            everything: Any = tab.form.components()
            touched: list[Any] = [*tab.filled(), tab.offer]
            done = done.then(tab.change_checkpoint, everything, touched, **QUICK)

    def use(self, name: str, chosen: Chosen, prompt: str, negative: str) -> Updates:
        """Put the open card to use in one of the drawing tabs, and go there."""
        tab, studio = self.drawing[name], self.models.studio
        form = tab.form
        there: Updates = {self.tabs: gr.Tabs(selected=name)}
        try:
            card = self.models.card(chosen)
        except WebuiError as error:
            return {self.models.detail: explain(error, self.models.labels.words)}
        match card.record.kind:
            case ModelKind.CHECKPOINT | ModelKind.VAE | ModelKind.UPSCALER:
                return {**there, **self._chosen(card, tab)}
            case kind if kind in CALLED:
                call = studio.catalogue.call_name(card)
                return {
                    **there,
                    form.prompt: with_call(prompt or "", card, name=call),
                    form.negative_prompt: with_words(negative or "", card.negative_words),
                }
            case _:
                return {**there, **self._switched_on(card, tab)}

    def _chosen(self, card: ModelCard, tab: DrawingTab) -> Updates:
        """Choose a file in the list of its kind."""
        form, studio, record = tab.form, self.models.studio, card.record
        if record.kind is ModelKind.CHECKPOINT:
            choices = checkpoint_choices(studio)
            return {form.checkpoint: gr.update(choices=choices, value=record.name)}
        if record.kind is ModelKind.VAE:
            choices = [*VAE_RULES, *vae_names(studio)]
            return {form.vae: gr.update(choices=choices, value=record.name)}
        if not form.hires:
            return {}
        names = upscaler_names(studio)
        return {
            form.hires.on: True,
            form.hires.upscaler: gr.update(choices=names, value=record.stem),
        }

    def _switched_on(self, card: ModelCard, tab: DrawingTab) -> Updates:
        """Switch the extensions on that draw with files of this kind."""
        updates: Updates = {}
        for section in tab.form.extensions:
            for setting, part in zip(section.section.settings, section.settings, strict=True):
                if setting.kind is card.record.kind:
                    names = file_names(setting, self.models.studio)
                    updates[part] = gr.update(choices=names, value=card.record.stem)
                    updates[section.on] = True
                    updates[section.place] = gr.update(visible=True)
        return updates

    def _outputs(self, name: str) -> list[Block]:
        form = self.drawing[name].form
        hires: list[Block] = [form.hires.on, form.hires.upscaler] if form.hires else []
        fields = [form.prompt, form.negative_prompt, form.checkpoint, form.vae]
        extensions = [
            part
            for section in form.extensions
            for part in (section.place, section.on, *section.settings)
        ]
        return [self.tabs, self.models.detail, *fields, *hires, *extensions]
