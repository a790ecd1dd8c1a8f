"""Beside a model card: the button that explains the file, and the explanation."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from webui.jobs.views import JobState, JobView
from webui.modules.errors import WebuiError
from webui.modules.types import ModelKind
from webui.services.explaining import EXPLAINED, ExplainRequest, order_explanation
from webui.services.studio import Studio
from webui.ui import stage
from webui.ui.explain_shown import Told, explanation
from webui.ui.labels import Labels
from webui.ui.messages import Words, explain, notice
from webui.ui.models_tab import Chosen, ModelsTab
from webui.ui.people import person
from webui.ui.plumbing import FOLLOWING, QUICK, plain_html
from webui.ui.sections import Updates


@dataclass(frozen=True, kw_only=True, slots=True)
class ExplainPanel:
    """The button, a text to compare with, and where the answer stands."""

    studio: Studio
    labels: Labels
    button: gr.Button
    text: gr.Textbox
    shown: gr.HTML

    def clear(self, chosen: Chosen) -> Updates:
        """Make ready for another card."""
        kind = chosen.get("kind", "")
        return {
            self.button: gr.update(visible=kind in {each.value for each in EXPLAINED}),
            self.text: gr.update(visible=kind == ModelKind.AESTHETIC.value),
            self.shown: "",
        }

    async def explain(
        self, chosen: Chosen, base: str | None, text: str | None, request: gr.Request
    ) -> AsyncIterator[str]:
        """Explain the card that is open."""
        words, owner = self.labels.words, person(request)

        def order() -> JobView:
            wish = ExplainRequest(
                kind=ModelKind(chosen.get("kind", "unknown")),
                name=chosen.get("name", ""),
                checkpoint=base or "",
                prompt=text or "",
            )
            return order_explanation(wish, self.studio, owner=owner)

        async for shown in followed(order, self.studio, words, owner, explanation):
            yield shown


async def followed(
    order: Callable[[], JobView],
    studio: Studio,
    words: Words,
    owner: str,
    show: Callable[[Told, Words], str],
) -> AsyncIterator[str]:
    """Put a work into the queue and yield what the page shows of it until it has ended.

    Args:
        order: Puts it there.
        studio: The services.
        words: What the page says.
        owner: Whose work it is.
        show: Turns its result into HTML.
    """
    try:
        job = await asyncio.to_thread(order)
    except WebuiError as error:
        yield explain(error, words)
        return
    async for view in studio.drawing.follow(job.id, owner=owner):
        if not view.state.ended:
            yield stage.progress(view, waiting=0, words=words)
        elif view.failure:
            yield explain(view.failure, words)
        elif view.state is JobState.DONE and view.result:
            yield show(view.result, words)
        else:
            yield notice(words.html("explain.dropped"))


def build_explain(labels: Labels, studio: Studio, models: ModelsTab) -> ExplainPanel:
    """Lay the panel out beside a card and say what happens in it."""
    with models.beside:
        with gr.Row(elem_id="explain_ask"):
            text = labels.make(
                gr.Textbox,
                {"placeholder": "explain.text"},
                show_label=False,
                container=False,
                visible=False,
                elem_id="explain_text",
            )
            button = labels.button("explain.explain", "model_explain", visible=False, size="sm")
        shown = plain_html("", elem_id="explained")
    panel = ExplainPanel(studio=studio, labels=labels, button=button, text=text, shown=shown)
    given: Any = [models.chosen, models.checkpoint, text]
    button.click(panel.explain, given, shown, **FOLLOWING)
    models.chosen.change(panel.clear, models.chosen, [button, text, shown], **QUICK)
    return panel
