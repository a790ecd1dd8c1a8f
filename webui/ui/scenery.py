"""What all drawing tabs have before their eyes: pictures, progress, a notice, and how to stop."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.blocks import Block

from webui.jobs.views import JobState, JobView
from webui.modules.errors import WebuiError
from webui.services.requests import GenerationRequest
from webui.services.script_requests import ScriptRequest
from webui.services.studio import Studio
from webui.ui import stage
from webui.ui.desk import Desk, Scene
from webui.ui.labels import Labels
from webui.ui.messages import explain
from webui.ui.people import person
from webui.ui.plumbing import QUICK, board, plain_html
from webui.ui.sections import Updates


@dataclass(frozen=True, kw_only=True, slots=True)
class Scenery:
    """One person's desk as it stands on the page; both drawing tabs share it.

    Attributes:
        interrupts: The buttons that end a job, one in each tab, by the tab's name.
        skips: The buttons that end a batch.
    """

    studio: Studio
    labels: Labels
    stage: gr.HTML
    progress: gr.HTML
    notice: gr.HTML
    interrupts: Mapping[str, gr.Button]
    skips: Mapping[str, gr.Button]

    def connect(self) -> None:
        """Say what happens when something is used."""
        for button in self.interrupts.values():
            button.click(self.stop, None, None, **QUICK)
        for button in self.skips.values():
            button.click(self.next_batch, None, None, **QUICK)
        self.progress.clear(self.cancel_waiting, None, None, **QUICK)

    def outputs(self) -> list[Block]:
        """Return everything that a scene touches."""
        buttons = (*self.interrupts.values(), *self.skips.values())
        return [self.stage, self.progress, self.notice, *buttons]

    async def draw(
        self,
        wishes: Sequence[GenerationRequest],
        owner: str,
        *,
        script: ScriptRequest | None = None,
    ) -> AsyncIterator[Updates]:
        """Put wishes into the queue and follow them to their pictures, one after another.

        Args:
            wishes: Each becomes a job.
            owner: Whose jobs they are.
            script: Makes each wish a sheet of many pictures.
        """
        jobs: list[str] = []
        refused = ""
        for wish in wishes:
            try:
                job = await asyncio.to_thread(self._submit, wish, script, owner)
            except WebuiError as error:
                refused = explain(error, self.labels.words)
                yield {self.notice: refused}
                break
            jobs.append(job.id)
        for job_id in jobs:
            async for scene in self.desk(owner).follow(job_id):
                updates = self.show(scene)
                yield {**updates, self.notice: refused + scene.notice}

    def _submit(self, wish: GenerationRequest, script: ScriptRequest | None, owner: str) -> JobView:
        drawing = self.studio.drawing
        if script is None:
            return drawing.submit(wish, owner=owner)
        return drawing.submit_script(wish, script, owner=owner)

    async def arrive(self, request: gr.Request) -> AsyncIterator[Updates]:
        """Show a visitor the desk as it was left: the last pictures, and the job in work."""
        desk = self.desk(person(request))
        pictures = await asyncio.to_thread(desk.latest)
        panels = await asyncio.to_thread(desk.panels, pictures)
        failure = self.studio.worker().failure
        yield {
            self.stage: stage.pictures_on_stage(pictures, self.labels.words, panels=panels),
            self.notice: explain(failure, self.labels.words) if failure else "",
        }
        async for scene in desk.resume():
            yield self.show(scene)

    def stop(self, request: gr.Request) -> None:
        """End the job in work now and keep what is drawn; drop it if it has not begun."""
        owner = person(request)
        for job in self.desk(owner).active()[:1]:
            waits = job.state is JobState.QUEUED
            end = self.studio.drawing.cancel if waits else self.studio.drawing.interrupt
            end(job.id, owner=owner)

    def next_batch(self, request: gr.Request) -> None:
        """End this batch now and go on with the next."""
        owner = person(request)
        for job in self.desk(owner).active()[:1]:
            self.studio.drawing.skip(job.id, owner=owner)

    def cancel_waiting(self, request: gr.Request) -> None:
        """Drop all waiting jobs; the one in work goes on."""
        owner = person(request)
        for job in self.desk(owner).active():
            if job.state is JobState.QUEUED:
                self.studio.drawing.cancel(job.id, owner=owner)

    def desk(self, owner: str) -> Desk:
        """Return what stands on this person's desk."""
        return Desk(studio=self.studio, words=self.labels.words, owner=owner)

    def show(self, scene: Scene) -> Updates:
        """Return what changes on the page for a scene."""
        return {
            self.stage: gr.skip() if scene.stage is None else scene.stage,
            self.progress: scene.progress,
            self.notice: scene.notice,
            **{button: gr.update(visible=scene.busy) for button in self.interrupts.values()},
            **{button: gr.update(visible=scene.several) for button in self.skips.values()},
        }


def build_scenery(labels: Labels, studio: Studio, *, names: Sequence[str]) -> Scenery:
    """Make the pieces for these tabs; each is rendered by the layout where it shall stand."""

    def button(name: str, key: str, elem_id: str, width: int) -> gr.Button:
        options: dict[str, Any] = {"visible": False, "min_width": width, "scale": 1}
        return labels.make(
            gr.Button, {"value": key}, elem_id=f"{name}_{elem_id}", render=False, **options
        )

    return Scenery(
        studio=studio,
        labels=labels,
        stage=board(stage.invitation(labels.words), elem_id="stage", render=False),
        progress=board("", elem_id="progress", render=False),
        notice=plain_html("", elem_id="notice", render=False),
        interrupts={name: button(name, "action.interrupt", "interrupt", 80) for name in names},
        skips={name: button(name, "action.skip", "skip", 64) for name in names},
    )
