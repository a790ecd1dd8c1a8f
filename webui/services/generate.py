"""Wishes for pictures: submit, follow, stop, collect."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from random import Random
from typing import Final

from pydantic import TypeAdapter

from webui.jobs.bell import Bell
from webui.jobs.executor import Executor
from webui.jobs.messages import Wish
from webui.jobs.plans import JobPlan, decode, encode, picture_count
from webui.jobs.queue import NewJob, Queue
from webui.jobs.views import JobState, JobView
from webui.library.history import History, PictureView
from webui.services.requests import GenerationRequest
from webui.services.script_requests import ScriptRequest
from webui.services.scripts import Settle, sheet

__all__ = ["GENERATE", "Drawing", "JobView", "Office"]

GENERATE: Final = "generate"
"""The kind of jobs that draw pictures."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Office:
    """What picture jobs are made of."""

    queue: Queue
    executor: Executor
    bell: Bell
    history: History
    settle: Settle


class Drawing:
    """Everything that can be done with picture jobs; each person reaches their own.

    Methods that name a job raise UnknownJobError if there is none, or if it is somebody else's.
    """

    def __init__(self, office: Office, *, random: Random) -> None:
        self._queue = office.queue
        self._executor = office.executor
        self._bell = office.bell
        self._history = office.history
        self._settle = office.settle
        self._random = random

    def submit(self, request: GenerationRequest, *, owner: str, key: str = "") -> JobView:
        """Settle the request and put it into the queue; the same key twice is one job.

        Raises:
            RequestError: If something is unknown or outside its range; the message names it.
            ModelError: If the checkpoint or VAE is refused; the message says why.
            QueueFullError: If this person has too many jobs that wait or run.
            StorageError: If it cannot be written down.
        """
        return self._submit(
            request, lambda: self._settle(request, self._random), owner=owner, key=key
        )

    def submit_script(
        self, request: GenerationRequest, script: ScriptRequest, *, owner: str, key: str = ""
    ) -> JobView:
        """Put all pictures of a script into the queue as one job.

        Raises:
            RequestError: If something is unknown or outside its range; the message names it.
            LimitError: If there would be more pictures than anybody means.
            ModelError: If a checkpoint or VAE is refused; the message says why.
            QueueFullError: If this person has too many jobs that wait or run.
            StorageError: If it cannot be written down.
        """
        return self._submit(
            request,
            lambda: sheet(request, script, settle=self._settle, random=self._random),
            owner=owner,
            key=key,
        )

    def _submit(
        self, request: GenerationRequest, plan_it: Callable[[], JobPlan], *, owner: str, key: str
    ) -> JobView:
        known = self._queue.find_key(owner, key) if key else None
        if known is None:
            plan = plan_it()
            wish = TypeAdapter(GenerationRequest).dump_python(request, mode="json")
            job = NewJob(
                kind=GENERATE,
                owner=owner,
                request=json.dumps(wish),
                plan=encode(plan),
                key=key,
                notes=plan.notes,
            )
            known = self._queue.add(job)
            self._executor.wake()
            self._bell.ring()
        return self.view(known, owner=owner)

    def view(self, job_id: str, *, owner: str) -> JobView:
        """Return the job as it is now."""
        return self._with_progress(self._queue.view(job_id, owner=owner))

    def active(self, *, owner: str) -> list[JobView]:
        """Return this person's running and waiting jobs, oldest first."""
        return [self._with_progress(view) for view in self._queue.active(owner=owner)]

    def recent(self, *, owner: str, limit: int = 20) -> list[JobView]:
        """Return this person's last jobs, newest first."""
        return [self._with_progress(view) for view in self._queue.recent(owner=owner, limit=limit)]

    def wait(self, job_id: str, *, owner: str, timeout: float | None = None) -> JobView:
        """Block until the job has ended or the time is up; return the job as it is then."""
        end = None if timeout is None else _now() + timeout
        while True:
            rings = self._bell.rings
            view = self.view(job_id, owner=owner)
            left = None if end is None else end - _now()
            if view.state.ended or (left is not None and left <= 0):
                return view
            self._bell.wait(rings, timeout=left)

    async def follow(self, job_id: str, *, owner: str, pace: float = 0) -> AsyncGenerator[JobView]:
        """Yield the job at once and after each change, until it has ended.

        Args:
            job_id: The job.
            owner: Whose job it is.
            pace: Seconds that pass between two views of a job whose state stays the same; for
                whoever paints them slower than a quick painter takes its steps.
        """
        with self._bell.heard(job_id) as woken:
            last, since = None, 0.0
            while last is None or not last.state.ended:
                woken.clear()
                view = await asyncio.to_thread(self.view, job_id, owner=owner)
                early = last is not None and view.state is last.state and _now() < since + pace
                if view != last and not early:
                    yield view
                    last, since = view, _now()
                if not view.state.ended:
                    await _woken(woken, since + pace - _now() if early else None)

    def preview(self, job_id: str, *, owner: str) -> bytes | None:
        """Return the latest preview as PNG; None while there is none."""
        self._queue.view(job_id, owner=owner)
        return self._executor.preview(job_id)

    def interrupt(self, job_id: str, *, owner: str) -> None:
        """End the job now and keep what is drawn so far; a waiting job is dropped.

        A work that has paused ends with what it has saved as soon as its turn comes.
        """
        view = self._queue.view(job_id, owner=owner)
        if view.state is JobState.QUEUED and view.progress.phase != "paused":
            self.cancel(job_id, owner=owner)
        else:
            self._executor.ask(job_id, Wish.INTERRUPT)

    def skip(self, job_id: str, *, owner: str) -> None:
        """End this batch now and go on with the next."""
        self._queue.view(job_id, owner=owner)
        self._executor.ask(job_id, Wish.SKIP)

    def cancel(self, job_id: str, *, owner: str) -> None:
        """Drop the job, waiting or running."""
        self._queue.view(job_id, owner=owner)
        if self._queue.cancel(job_id):
            self._executor.ask(job_id, Wish.CANCEL)
        self._bell.ring()

    def results(self, job_id: str, *, owner: str) -> tuple[list[PictureView], list[PictureView]]:
        """Return the finished pictures of a job in drawing order, and the grids that show them."""
        kept = self.pictures(job_id, owner=owner)
        job = self._queue.get(job_id)
        if job.kind != GENERATE:
            return [], []
        count = picture_count(decode(job.plan))
        return [each for each in kept if each.index < count], [
            each for each in kept if each.index >= count
        ]

    def pictures(self, job_id: str, *, owner: str) -> list[PictureView]:
        """Return the finished pictures of a job, saved or not, in drawing order."""
        self._queue.view(job_id, owner=owner)
        return self._history.of_job(job_id, owner=owner)

    def _with_progress(self, view: JobView) -> JobView:
        if view.state is not JobState.RUNNING:
            return view
        progress = self._executor.progress(view.id)
        return view if progress is None else replace(view, progress=progress)


def _now() -> float:
    return time.monotonic()


async def _woken(event: asyncio.Event, seconds: float | None) -> None:
    """Wait for the event, or so long."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
