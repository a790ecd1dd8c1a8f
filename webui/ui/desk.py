"""What stands on a person's desk: the job in work and the pictures that came of it, as HTML."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from webui.jobs.views import JobState, JobView
from webui.library.history import PictureView
from webui.services.generate import GENERATE
from webui.services.studio import Studio
from webui.ui import stage
from webui.ui.ablation_panel import panels
from webui.ui.messages import Words

FEWEST_SHOWN: Final = 12
"""So many pictures stand on the desk, if there are as many."""

PACE: Final = 0.4
"""Seconds between two scenes of a job: sent faster than a browser paints them, they pile up."""

MOST_SHOWN: Final = 48
"""A job that draws more than this shows its last ones; all of them are in the history."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """What the page shows of a job at one moment.

    Attributes:
        stage: The pictures, or the preview; None to leave them as they are.
        progress: The bar and its line.
        notice: What the person should know; often empty.
        busy: Whether there is something to interrupt.
        several: Whether there is a next batch to skip to.
    """

    stage: str | None
    progress: str
    notice: str = ""
    busy: bool = False
    several: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Desk:
    """One person's view of the studio."""

    studio: Studio
    words: Words
    owner: str

    def active(self) -> list[JobView]:
        """Return the person's running and waiting picture jobs, oldest first."""
        return [job for job in self.studio.drawing.active(owner=self.owner) if _draws(job)]

    def works(self) -> list[JobView]:
        """Return the person's running and waiting jobs that draw no pictures, oldest first."""
        return [job for job in self.studio.drawing.active(owner=self.owner) if not _draws(job)]

    def latest(self, *, limit: int = FEWEST_SHOWN) -> list[PictureView]:
        """Return the person's last pictures, newest first."""
        return self.studio.gallery.search(owner=self.owner, limit=limit)

    async def resume(self) -> AsyncIterator[Scene]:
        """Yield the scenes of all jobs that are in work or waiting now, one job after another.

        Those that draw come first; of the others only the progress is shown.
        """
        for job in await asyncio.to_thread(lambda: [*self.active(), *self.works()]):
            now = await asyncio.to_thread(self.studio.drawing.view, job.id, owner=self.owner)
            if not now.state.ended:
                async for scene in self.follow(job.id):
                    yield scene

    async def follow(self, job_id: str) -> AsyncIterator[Scene]:
        """Yield a scene after each change of a job, until it has ended.

        Jobs of one person take turns on the stage: a younger one waits silently for the older.
        """
        before, counted = await asyncio.to_thread(self.latest), 0
        async for job in self.studio.drawing.follow(job_id, owner=self.owner, pace=PACE):
            others = [other for other in await asyncio.to_thread(self.active) if other.id != job_id]
            if not _draws(job):
                if not others:
                    yield self._working(job)
                continue
            gives_way = not job.state.ended or job.state is JobState.CANCELLED
            if gives_way and any(other.created < job.created for other in others):
                continue
            if job.state.ended or len(job.pictures) > counted:
                counted = len(job.pictures)
                shown = min(max(counted, FEWEST_SHOWN), MOST_SHOWN)
                before = await asyncio.to_thread(self.latest, limit=shown)
            done = await asyncio.to_thread(self._shown_first, job, before)
            rest = [picture for picture in before if picture not in done]
            panels = await asyncio.to_thread(self.panels, done + rest)
            yield replace(
                self._scene(job, done, waiting=len(others)),
                stage=self._stage(job, done, done + rest, panels),
            )

    def _shown_first(self, job: JobView, pictures: list[PictureView]) -> list[PictureView]:
        """Return those pictures that this job has drawn: a grid of them, then in drawing order."""
        if not job.state.ended:
            return _of(job, pictures)
        _, grids = self.studio.drawing.results(job.id, owner=self.owner)
        shown = [grid for grid in grids if grid in pictures]
        return shown + [picture for picture in _of(job, pictures) if picture not in shown]

    def _working(self, job: JobView) -> Scene:
        return Scene(
            stage=None,
            progress=stage.progress(job, waiting=0, words=self.words),
            notice=stage.ended(job, (), self.words) if job.state.ended else "",
        )

    def panels(self, pictures: list[PictureView]) -> dict[str, str]:
        """Return what stands in the place of those pictures that tell more than they show."""
        return panels(self.studio.gallery, pictures, self.words, owner=self.owner)

    def _stage(
        self,
        job: JobView,
        done: list[PictureView],
        before: list[PictureView],
        panels: Mapping[str, str],
    ) -> str:
        if not job.state.ended:
            return stage.running(job, before, self.words, panels=panels)
        chosen = done[0].id if done else ""
        return stage.pictures_on_stage(before, self.words, chosen=chosen, panels=panels)

    def _scene(self, job: JobView, done: list[PictureView], *, waiting: int) -> Scene:
        return Scene(
            stage=None,
            progress=stage.progress(job, waiting=waiting, words=self.words),
            notice=stage.ended(job, done, self.words) if job.state.ended else "",
            busy=not job.state.ended or waiting > 0,
            several=job.state is JobState.RUNNING and job.progress.batches > 1,
        )


def _draws(job: JobView) -> bool:
    return job.kind == GENERATE


def _of(job: JobView, pictures: list[PictureView]) -> list[PictureView]:
    """Return those pictures that this job has drawn, in drawing order."""
    own = [picture for picture in pictures if picture.job_id == job.id]
    return sorted(own, key=lambda picture: picture.index)
