"""Add-ons: files to call in the prompt, chosen from a list that says whether they fit."""

from dataclasses import dataclass
from typing import Any, Final

import gradio as gr

from webui.library.cards import ModelCard
from webui.library.names import own_alias
from webui.modules.errors import WebuiError
from webui.modules.layers.blocks import PRESETS
from webui.modules.types import ModelKind
from webui.services.studio import Studio
from webui.ui.labels import Labels
from webui.ui.messages import explain
from webui.ui.messages import notice as said
from webui.ui.plumbing import QUICK
from webui.ui.sections import Updates

KINDS: Final = {
    ModelKind.LORA: "LoRA",
    ModelKind.EMBEDDING: "Embedding",
    ModelKind.HYPERNETWORK: "Hypernetwork",
}
"""Kinds that prompts call, and what stands before their names in the list."""

EVERYWHERE: Final = "ALL"
"""The preset of files that act in all blocks."""

MOST_STEPS: Final = 150

LISTED: Final = 500
"""A longer list helps nobody: the models tab finds the others."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AddOnsBar:
    """The line with the list; choosing a file writes its call into the prompt.

    Attributes:
        studio: Knows the files.
        labels: For what is said of them.
        chosen: The list.
        how: What holds the next three.
        blocks: In which blocks a LoRA acts that is called now.
        start: From which share of the steps on what is called now acts.
        stop: Until which share.
    """

    studio: Studio
    labels: Labels
    chosen: gr.Dropdown
    how: gr.Accordion
    blocks: gr.Dropdown
    start: gr.Number
    stop: gr.Number

    def connect(self, prompt: gr.Textbox, checkpoint: gr.Dropdown, notice: gr.HTML) -> None:
        """Say what happens when a file is chosen."""
        words = self.labels.words

        def call(text: str, base: str, key: str | None, *how: Any) -> Updates:
            card = next((card for card in add_ons(self.studio) if _key(card) == key), None)
            if card is None:
                return {self.chosen: None}
            told = ""
            try:
                fit = self.studio.models.fit(card.record.path, base) if base else None
            except WebuiError as error:
                return {self.chosen: None, notice: explain(error, words)}
            if fit and fit.share < 1:
                part = "add_on.partly" if fit.used else "add_on.unfit"
                told = said(
                    words.html(part, name=card.record.stem, share=f"{fit.share:.0%}"),
                    words.html("add_on.why", why=fit.why),
                )
            name = self.studio.catalogue.call_name(card)
            called = with_call(text or "", card, name=name, how=how_of(card, *how))
            return {prompt: called, self.chosen: None, notice: told}

        given: list[Any] = [prompt, checkpoint, self.chosen, self.blocks, self.start, self.stop]
        self.chosen.input(call, given, [prompt, self.chosen, notice], **QUICK)

    def choices(self) -> list[tuple[str, str]]:
        """Return what the list offers now: a label and the key of each file."""
        return _choices(self.studio)


def add_ons(studio: Studio) -> list[ModelCard]:
    """Return the sound files that prompts can call."""
    found = (card for kind in KINDS for card in studio.models.add_ons(kind))
    return [card for card in found if card.problem is None]


def how_of(card: ModelCard, blocks: str | None, start: float | None, stop: float | None) -> str:
    """Return what a call says of blocks and times; nothing for a file that acts as usual.

    Args:
        card: The file.
        blocks: A preset.
        start: Share of the steps, or a number of steps above 1; likewise the next.
        stop: 1 is the end.
    """
    said = ""
    if card.record.kind is ModelKind.LORA and blocks and blocks != EVERYWHERE:
        said += f":lbw={blocks}"
    if card.record.kind in (ModelKind.LORA, ModelKind.HYPERNETWORK):
        said += f":start={start:g}" if start else ""
        said += f":stop={stop:g}" if stop not in (None, 1) else ""
    return said


def call_of(card: ModelCard, name: str = "", how: str = "") -> str:
    """Return how a prompt calls a file, as strongly as its owner likes it.

    Args:
        card: The file.
        name: By which prompts know it; without, the alias in the file or the file's own name.
        how: In which blocks and when it acts, as ``how_of`` says it.
    """
    record = card.record
    match record.kind:
        case ModelKind.LORA:
            return f"<lora:{name or own_alias(card)}:{card.weight or 1:g}{how}>"
        case ModelKind.HYPERNETWORK:
            return f"<hypernet:{record.stem}:{card.weight or 1.0}{how}>"
        case ModelKind.EMBEDDING:
            return card.word
        case _:
            return record.stem


def with_call(prompt: str, card: ModelCard, *, name: str = "", how: str = "") -> str:
    """Return the prompt with a file's call and its trigger words behind it."""
    call = " ".join(part for part in (call_of(card, name, how), card.trigger_words) if part)
    return with_words(prompt, call)


def with_words(prompt: str, words: str) -> str:
    """Return the prompt with these words behind it, unless they are there already."""
    if not words or words in prompt:
        return prompt
    return f"{prompt.rstrip()} {words}" if prompt.strip() else words


def build_add_ons(labels: Labels, studio: Studio, name: str) -> AddOnsBar:
    """Lay out the line; it is not there while there is no file to call."""
    choices = _choices(studio)
    chosen = labels.make(
        gr.Dropdown,
        {"label": "add_on.title"},
        choices=choices,
        value=None,
        visible=bool(choices),
        elem_id=f"{name}_add_ons",
        min_width=120,
    )
    how = labels.make(
        gr.Accordion,
        {"label": "add_on.how"},
        open=False,
        visible=bool(choices),
        elem_id=f"{name}_how",
    )
    with how, gr.Row():
        blocks = labels.make(
            gr.Dropdown,
            {"label": "add_on.blocks"},
            choices=list(PRESETS),
            value=EVERYWHERE,
            elem_id=f"{name}_how_blocks",
            min_width=120,
        )
        start, stop = (
            labels.make(
                gr.Number,
                {"label": key},
                value=value,
                minimum=0,
                maximum=MOST_STEPS,
                elem_id=f"{name}_how_{key.removeprefix('add_on.')}",
                min_width=100,
            )
            for key, value in (("add_on.start", 0), ("add_on.stop", 1))
        )
    return AddOnsBar(
        studio=studio,
        labels=labels,
        chosen=chosen,
        how=how,
        blocks=blocks,
        start=start,
        stop=stop,
    )


def _choices(studio: Studio) -> list[tuple[str, str]]:
    return [
        (f"{KINDS[card.record.kind]}: {card.record.stem}", _key(card))
        for card in add_ons(studio)[:LISTED]
    ]


def _key(card: ModelCard) -> str:
    return f"{card.record.kind.value}/{card.record.name}"
