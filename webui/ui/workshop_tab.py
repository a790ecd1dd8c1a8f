"""The workshop tab: files made out of others, followed to their end, and put to use."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any, Protocol

import gradio as gr
from gradio.blocks import Block

from webui.jobs.views import JobState, JobView
from webui.modules.errors import WebuiError
from webui.services.generate import GENERATE
from webui.services.studio import Studio
from webui.services.work_requests import WorkRequest
from webui.ui import stage
from webui.ui.labels import Labels
from webui.ui.messages import Words, explain, notice
from webui.ui.people import person
from webui.ui.plumbing import FOLLOWING, QUICK, plain_html
from webui.ui.sections import Updates
from webui.ui.workshop_convert import ConvertFields, build_convert
from webui.ui.workshop_lora import LoraFields, build_lora
from webui.ui.workshop_merge import MergeFields, build_merge


class Section(Protocol):
    """A part of the tab with a button of its own."""

    def is_complete(self, values: Mapping[Block, Any]) -> bool:
        """Tell whether every file is chosen that is needed."""
        ...

    def read(self, values: Mapping[Block, Any]) -> WorkRequest:
        """Turn what Gradio sends into a request."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkshopTab:
    """The tab.

    Attributes:
        chosen: The file that was made last: ``{"kind": ..., "name": ...}``, or empty.
        use: Puts it to use.
    """

    studio: Studio
    labels: Labels
    merge: MergeFields
    lora: LoraFields
    convert: ConvertFields
    progress: gr.HTML
    said: gr.HTML
    stop: gr.Button
    use: gr.Button
    chosen: gr.State

    # ------------------------------------------------------------------ what happens

    def outputs(self) -> list[Block]:
        """Return everything that following a work touches."""
        return [self.progress, self.said, self.stop, self.use, self.chosen]

    def offered(self) -> list[Block]:
        """Return everything that offers files."""
        return [*self.merge.offered(), *self.lora.offered(), *self.convert.offered()]

    def offer_files(self) -> Updates:
        """Return the lists of files as the folders are now."""
        sections = (self.merge, self.lora, self.convert)
        return {key: new for part in sections for key, new in part.offer(self.studio).items()}

    def connect(self, tab: gr.Tab) -> None:
        """Say what happens when something is used."""
        for section in (self.merge, self.lora, self.convert):
            section.connect()
            made = section.make.click(
                self.maker(section), section.components(), self.outputs(), **FOLLOWING
            )
            lists: list[Any] = self.offered()
            made.then(self.offer_files, None, lists, **QUICK)
        self.stop.click(self.drop, None, None, **QUICK)
        tab.select(self.resume, None, self.outputs(), **FOLLOWING)

    def maker(self, section: Section) -> Callable[..., AsyncIterator[Updates]]:
        """Return what happens when the button of a section is pressed."""

        async def make(values: dict[Block, Any], request: gr.Request) -> AsyncIterator[Updates]:
            owner, words = person(request), self.labels.words
            if not section.is_complete(values):
                said = notice(words.html("workshop.choose"), kind="error")
                yield {self.said: said}
                return
            try:
                wish = section.read(values)
                job = await asyncio.to_thread(self.studio.workshop.order, wish, owner=owner)
            except WebuiError as error:
                yield {self.said: explain(error, words)}
                return
            async for updates in self.follow(job.id, owner):
                yield updates

        return make

    async def resume(self, request: gr.Request) -> AsyncIterator[Updates]:
        """Follow what is in work when somebody comes to the tab."""
        owner = person(request)
        yield {self.stop: gr.skip()}  # of a stream that says nothing Gradio would empty everything
        for job in await asyncio.to_thread(self._works, owner):
            async for updates in self.follow(job.id, owner):
                yield updates

    async def follow(self, job_id: str, owner: str) -> AsyncIterator[Updates]:
        """Yield what changes on the page until a work has ended."""
        words = self.labels.words
        async for job in self.studio.drawing.follow(job_id, owner=owner):
            done = job.state is JobState.DONE and "name" in job.result
            yield {
                self.progress: stage.progress(job, waiting=0, words=words),
                self.said: said_at_end(job, words) if job.state.ended else "",
                self.stop: gr.update(visible=not job.state.ended),
                self.use: gr.update(visible=done),
                self.chosen: {key: str(job.result.get(key, "")) for key in ("kind", "name")}
                if done
                else {},
            }

    def drop(self, request: gr.Request) -> None:
        """Drop what this person has in work or waiting here; nothing of it is kept."""
        owner = person(request)
        for job in self._works(owner):
            self.studio.drawing.cancel(job.id, owner=owner)

    def _works(self, owner: str) -> list[JobView]:
        jobs = self.studio.drawing.active(owner=owner)
        return [job for job in jobs if job.kind != GENERATE and not job.yields]


def said_at_end(job: JobView, words: Words) -> str:
    """Return what came of a work: the file and what to know of it, or why there is none."""
    if job.failure:
        return explain(job.failure, words)
    if job.state is not JobState.DONE or "name" not in job.result:
        return notice(words.html("workshop.dropped"))
    result = job.result
    kept = result.get("keeps")
    facts = {**result, "keeps": f"{kept:.0%}"} if isinstance(kept, float | int) else result
    told = [
        words.html(f"workshop.result_{key}", value=facts[key])
        for key in ("layers", "rank", "keeps")
        if key in facts
    ]
    notes = "".join(notice(escape(note)) for note in job.notes)
    made = words.html("workshop.made", name=result["name"])
    return notice(made, " · ".join(told)) + notes


def build_workshop(labels: Labels, studio: Studio, tab: gr.Tab) -> WorkshopTab:
    """Lay out the tab and say what happens in it."""
    with gr.Row(elem_id="workshop"):
        with gr.Column(elem_id="workshop_wish"), gr.Tabs(elem_id="workshop_ways"):
            with labels.make(gr.Tab, {"label": "workshop.merge"}, id="merge"):
                merge = build_merge(labels, studio)
            with labels.make(gr.Tab, {"label": "workshop.lora_tab"}, id="lora"):
                lora = build_lora(labels, studio)
            with labels.make(gr.Tab, {"label": "workshop.convert"}, id="convert"):
                convert = build_convert(labels, studio)
        with gr.Column(elem_id="workshop_result"):
            plain_html(f"<p>{labels.words.html('workshop.hint')}</p>", elem_id="workshop_hint")
            progress = plain_html("", elem_id="workshop_progress")
            said = plain_html("", elem_id="workshop_said")
            with gr.Row(elem_id="workshop_uses"):
                use = labels.button(
                    "workshop.use", "workshop_use", visible=False, variant="primary"
                )
                stop = labels.button("workshop.stop", "workshop_stop", visible=False)
    workshop = WorkshopTab(
        studio=studio, labels=labels, merge=merge, lora=lora, convert=convert, progress=progress,
        said=said, stop=stop, use=use, chosen=gr.State({}),
    )  # fmt: skip
    workshop.connect(tab)
    return workshop
