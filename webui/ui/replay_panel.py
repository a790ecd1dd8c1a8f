"""Drawing a dropped picture again, with the receipt: both pictures, their difference, and why."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Final

import gradio as gr

from webui.jobs.views import JobView
from webui.modules.errors import WebuiError
from webui.services import replay
from webui.services.receipts import Receipt
from webui.services.studio import Studio
from webui.ui.labels import Labels
from webui.ui.messages import Words, explain, notice
from webui.ui.people import person
from webui.ui.plumbing import FOLLOWING, plain_html
from webui.ui.stage import picture_url

VERDICTS: Final = {
    "waiting": "replay.waiting",
    "failed": "replay.failed",
    "drawn": "replay.drawn",
    "identical": "replay.identical",
    "within rounding": "replay.rounding",
    "different": "replay.different",
}
"""What each verdict is called."""

REASONS: Final = {
    "model": "replay.because_model",
    "vae": "replay.because_vae",
    "setting": "replay.because_setting",
    "unknown": "replay.because_unknown",
    "prompt": "replay.because_prompt",
    "program": "replay.because_program",
    "start": "replay.because_start",
    "noise": "replay.because_noise",
    "lossy": "replay.because_lossy",
    "size": "replay.because_size",
    "precision": "replay.because_precision",
    "note": "replay.because_note",
}
"""What each kind of reason says."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplayPanel:
    """A button and what comes of it."""

    studio: Studio
    labels: Labels
    button: gr.Button
    shown: gr.HTML

    def connect(self, file: gr.File) -> None:
        """Say what happens when the button is used."""
        self.button.click(self.draw_again, file, self.shown, **FOLLOWING)

    async def draw_again(self, path: str | None, request: gr.Request) -> AsyncIterator[str]:
        """Draw the picture again and follow the job to its receipt."""
        words, owner = self.labels.words, person(request)
        if not path:
            return
        try:
            data = await asyncio.to_thread(Path(path).read_bytes)
            job = await asyncio.to_thread(
                replay.replay, self.studio, text="", picture=data, owner=owner
            )
            yield notice(words.html("replay.waiting"))
            async for view in self.studio.drawing.follow(job.id, owner=owner):
                job = view
            yield await asyncio.to_thread(self._result, job, owner)
        except WebuiError as error:
            yield explain(error, words)

    def _result(self, job: JobView, owner: str) -> str:
        if job.failure:
            return explain(job.failure, self.labels.words)
        found = replay.receipt(self.studio, job.id, owner=owner)
        pictures = self.studio.drawing.pictures(job.id, owner=owner)
        told = receipt_html(found, self.labels.words)
        return told + (_side_by_side(job.id, pictures[0].id, self.labels.words) if pictures else "")


def build_replay(labels: Labels, studio: Studio) -> ReplayPanel:
    """Lay out the button and the place below it."""
    button = labels.button("replay.button", "pnginfo_replay", visible=False)
    shown = plain_html("", elem_id="pnginfo_receipt")
    return ReplayPanel(studio=studio, labels=labels, button=button, shown=shown)


def receipt_html(found: Receipt, words: Words) -> str:
    """Return a receipt as HTML: the verdict, and what explains a difference."""
    verdict = words.html(VERDICTS[found.verdict], furthest=found.furthest or 0)
    reasons = "".join(
        f"<li>{words.html(REASONS[why.kind], name=why.name, there=why.there, here=why.here)}</li>"
        for why in found.reasons
    )
    return notice(verdict) + (f'<ul class="reasons">{reasons}</ul>' if reasons else "")


def _side_by_side(job_id: str, picture_id: str, words: Words) -> str:
    root = f"atelier/v1/replay/{job_id}"
    figures = (
        (f"{root}/original", "replay.original"),
        (picture_url(picture_id), "replay.again"),
        (f"{root}/difference", "replay.difference"),
    )
    drawn = "".join(
        f'<figure><img src="{escape(url, quote=True)}" alt=""><figcaption>{words.html(key)}'
        "</figcaption></figure>"
        for url, key in figures
    )
    return f'<div class="side_by_side">{drawn}</div>'
