"""Which component shows which text: noted as the page is built, used when the language changes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import gradio as gr
from gradio.blocks import Block

from webui.ui.messages import LANGUAGES, Words

B = TypeVar("B", bound=Block)


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """One component with the texts that it shows.

    Attributes:
        texts: Text keys by property.
        choices: Text keys of its choices, with the value of each.
    """

    component: Block
    texts: Mapping[str, str]
    choices: Mapping[str, str] = field(default_factory=dict[str, str])


class Labels:
    """Makes components whose texts follow the reader's language."""

    def __init__(self, words: Words) -> None:
        self.words = words
        self._shown: list[Shown] = []
        self._paint = words.for_gradio()

    def make(self, kind: Callable[..., B], texts: Mapping[str, str], **options: Any) -> B:
        """Make a component.

        Args:
            kind: Its class, such as ``gr.Slider``.
            texts: Which of its properties shows which text, such as ``{"label": "form.steps"}``.
            options: Its other properties.
        """
        shown = {name: self._paint(key) for name, key in texts.items()}
        component = kind(**shown, **options)
        self._shown.append(Shown(component=component, texts=dict(texts)))
        return component

    def make_choice(
        self,
        kind: Callable[..., B],
        texts: Mapping[str, str],
        choices: Mapping[str, str],
        **options: Any,
    ) -> B:
        """Make a component that offers a few choices, each with a text of its own.

        Args:
            kind: Its class, such as ``gr.Radio``.
            texts: Which of its properties shows which text.
            choices: The value of each choice by the key of its text.
            options: Its other properties.
        """
        shown = {name: self._paint(key) for name, key in texts.items()}
        first = next(iter(LANGUAGES))
        component = kind(choices=self._choices(choices, first), **shown, **options)
        self._shown.append(Shown(component=component, texts=dict(texts), choices=dict(choices)))
        return component

    def button(self, key: str, elem_id: str, **options: Any) -> gr.Button:
        """Make a button that is as narrow as its text."""
        return self.make(gr.Button, {"value": key}, elem_id=elem_id, min_width=0, **options)

    def components(self) -> list[Block]:
        """Return every component that shows a text."""
        return [shown.component for shown in self._shown]

    def updates(self, language: str) -> dict[Block, Any]:
        """Return what changes on the page when the reader chooses this language."""
        updates: dict[Block, Any] = {}
        for shown in self._shown:
            said: dict[str, Any] = {
                name: self.words.say(key, language) for name, key in shown.texts.items()
            }
            if shown.choices:
                said["choices"] = self._choices(shown.choices, language)
            updates[shown.component] = gr.update(**said)
        return updates

    def _choices(self, choices: Mapping[str, str], language: str) -> list[tuple[str, str]]:
        return [(self.words.say(key, language), value) for key, value in choices.items()]
