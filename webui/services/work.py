"""Works that draw no pictures, such as merging checkpoints: put into the queue like any job."""

import json
from typing import Any

from pydantic import TypeAdapter

from webui.jobs import works
from webui.jobs.messages import Wish
from webui.jobs.orders import WORK
from webui.jobs.queue import NewJob
from webui.jobs.views import JobState
from webui.services.generate import JobView, Office
from webui.services.imports import Imports
from webui.services.work_bench import Bench
from webui.services.work_plans import plan_work
from webui.services.work_requests import WorkRequest


class Workshop:
    """Puts works into the queue; following and stopping them is done as with pictures.

    Args:
        office: What jobs are made of.
        bench: What plans are made from.
        imports: Knows who may add model files.
    """

    def __init__(self, office: Office, bench: Bench, imports: Imports) -> None:
        self._queue = office.queue
        self._executor = office.executor
        self._bell = office.bell
        self._bench = bench
        self._imports = imports

    def order(self, request: WorkRequest, *, owner: str, key: str = "") -> JobView:
        """Settle a wish and put it into the queue; the same key twice is one job.

        Raises:
            ForbiddenError: If this person may add no model files.
            RequestError: If something is missing, unknown or outside its range.
            ModelError: If a file is refused, or the files do not go together.
            QueueFullError: If this person has too many jobs that wait or run.
            StorageError: If it cannot be written down, or the disk has no room for the result.
        """
        self.check_allowed(owner)
        known = self._queue.find_key(owner, key) if key else None
        if known is not None:
            return self._queue.view(known, owner=owner)
        adapter: TypeAdapter[Any] = TypeAdapter(type(request))
        told = {"wish": type(request).__name__, **adapter.dump_python(request, mode="json")}
        return self.submit(plan_work(request, self._bench), owner=owner, key=key, told=told)

    def check_allowed(self, person: str) -> None:
        """Check that somebody may add model files; the rule is that for bringing them.

        Raises:
            ForbiddenError: If not.
        """
        self._imports.check_allowed(person)

    def submit(
        self, work: works.Work, *, owner: str, key: str = "", told: dict[str, Any] | None = None
    ) -> JobView:
        """Put a work into the queue; the same key twice is one job.

        Args:
            work: What to do.
            owner: Whose it is.
            key: See above; empty for always a new one.
            told: What was asked, fit for JSON; None for the name of the work.

        Raises:
            QueueFullError: If this person has too many jobs that wait or run.
            StorageError: If it cannot be written down.
        """
        job = NewJob(
            kind=WORK,
            owner=owner,
            request=json.dumps(told or {"work": type(work).__name__}),
            plan=works.encode(work),
            key=key,
            yields=work.YIELDS,
        )
        job_id = self._queue.add(job)
        self._executor.wake()
        self._bell.ring()
        return self._queue.view(job_id, owner=owner)

    def pause(self, job_id: str, *, owner: str) -> JobView:
        """Let a long work save its state and wait until ``resume``.

        Raises:
            UnknownJobError: If there is none of this id, or it is somebody else's.
        """
        view = self._queue.view(job_id, owner=owner)
        self._queue.hold(job_id, held=True)
        if view.state is JobState.RUNNING:
            self._executor.ask(job_id, Wish.PAUSE)
        self._bell.ring(job_id)
        return self._queue.view(job_id, owner=owner)

    def resume(self, job_id: str, *, owner: str) -> JobView:
        """Let a work that waits go on.

        Raises:
            UnknownJobError: If there is none of this id, or it is somebody else's.
        """
        self._queue.view(job_id, owner=owner)
        self._queue.hold(job_id, held=False)
        self._executor.wake()
        self._bell.ring(job_id)
        return self._queue.view(job_id, owner=owner)
