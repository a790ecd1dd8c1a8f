"""What people write about a model file: shown in the models tab and kept beside the file."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.blocks import Block

from webui.library.cards import ModelCard
from webui.modules.errors import WebuiError
from webui.services.studio import Studio
from webui.ui.labels import Labels
from webui.ui.messages import explain, notice
from webui.ui.plumbing import QUICK, plain_html
from webui.ui.sections import Updates


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelTexts:
    """The fields; hidden while no card is open."""

    studio: Studio
    labels: Labels
    panel: gr.Accordion
    trigger_words: gr.Textbox
    negative_words: gr.Textbox
    weight: gr.Number
    notes: gr.Textbox
    description: gr.Textbox
    save: gr.Button
    said: gr.HTML

    def fields(self) -> dict[str, Block]:
        """Return the fields by the names that the catalogue knows them by."""
        return {
            "trigger_words": self.trigger_words,
            "negative_words": self.negative_words,
            "weight": self.weight,
            "notes": self.notes,
            "description": self.description,
        }

    def outputs(self) -> list[Block]:
        """Return everything that changes with the card that is open."""
        return [self.panel, self.said, *self.fields().values()]

    def fill(self, card: ModelCard) -> Updates:
        """Show what is written about a card."""
        return {
            self.panel: gr.update(visible=True),
            self.said: "",
            **{field: getattr(card, name) for name, field in self.fields().items()},
        }

    def hide(self) -> Updates:
        """Show nothing."""
        return {self.panel: gr.update(visible=False), self.said: ""}

    def connect(
        self,
        card: Callable[[dict[str, str]], ModelCard],
        chosen: gr.State,
        show: Callable[[dict[str, str], str, dict[str, str]], Updates],
        asked: list[Block],
        opened: list[Block],
    ) -> None:
        """Say what happens when the texts are saved.

        Args:
            card: Finds the card that is open.
            chosen: Which one that is.
            show: Shows it anew.
            asked: The checkpoint in use.
            opened: What is shown anew.
        """
        names = list(self.fields())

        def save(which: dict[str, str], base: str | None, *values: Any) -> Updates:
            words = self.labels.words
            told = dict(zip(names, values, strict=True))
            try:
                found = card(which)
                changes = {
                    name: value if value is not None else 0.0
                    for name, value in told.items()
                    if value != getattr(found, name)
                }
                self.studio.catalogue.write(found.record.kind, found.record.name, changes)
            except WebuiError as error:
                return {self.said: explain(error, words)}
            shown = show(which, base or "", which)
            return {**shown, self.said: notice(words.html("models.saved"))}

        self.save.click(save, [chosen, *asked, *self.fields().values()], opened, **QUICK)


def build_texts(labels: Labels, studio: Studio) -> ModelTexts:
    """Lay out the fields."""
    with labels.make(
        gr.Accordion, {"label": "models.texts"}, visible=False, open=False, elem_id="model_texts"
    ) as panel:
        trigger = labels.make(gr.Textbox, {"label": "models.trigger"}, elem_id="model_trigger")
        negative = labels.make(gr.Textbox, {"label": "models.negative"}, elem_id="model_negative")
        weight = labels.make(
            gr.Number, {"label": "models.weight", "info": "models.weight_note"},
            value=0, elem_id="model_weight",
        )  # fmt: skip
        notes = labels.make(gr.Textbox, {"label": "models.notes"}, lines=3, elem_id="model_notes")
        description = labels.make(
            gr.Textbox, {"label": "models.description"}, lines=3, max_lines=10,
            elem_id="model_description",
        )  # fmt: skip
        save = labels.make(gr.Button, {"value": "models.save"}, elem_id="model_save", size="sm")
        said = plain_html("", elem_id="model_saved")
    return ModelTexts(
        studio=studio, labels=labels, panel=panel, trigger_words=trigger, negative_words=negative,
        weight=weight, notes=notes, description=description, save=save, said=said,
    )  # fmt: skip
