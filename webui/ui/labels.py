"""Which component shows which text: noted as the page is built, used when the language changes."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import gradio as gr
from gradio.blocks import Block

from webui.ui.messages import Words

B = TypeVar("B", bound=Block)


class Labels:
    """Makes components whose texts follow the reader's language."""

    def __init__(self, words: Words) -> None:
        self.words = words
        self._shown: list[tuple[Block, Mapping[str, str]]] = []
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
        self._shown.append((component, dict(texts)))
        return component

    def components(self) -> list[Block]:
        """Return every component that shows a text."""
        return [component for component, _ in self._shown]

    def updates(self, language: str) -> dict[Block, Any]:
        """Return what changes on the page when the reader chooses this language."""
        updates: dict[Block, Any] = {}
        for component, texts in self._shown:
            said: dict[str, Any] = {
                name: self.words.say(key, language) for name, key in texts.items()
            }
            updates[component] = gr.update(**said)
        return updates
