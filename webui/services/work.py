"""Works that draw no pictures, such as merging checkpoints: put into the queue like any job."""

import json

from webui.jobs import works
from webui.jobs.orders import WORK
from webui.jobs.queue import NewJob
from webui.services.generate import JobView, Office


class Workshop:
    """Puts works into the queue; following and stopping them is done as with pictures."""

    def __init__(self, office: Office) -> None:
        self._queue = office.queue
        self._executor = office.executor
        self._bell = office.bell

    def submit(self, work: works.Work, *, owner: str, key: str = "") -> JobView:
        """Put a work into the queue; the same key twice is one job.

        Raises:
            QueueFullError: If this person has too many jobs that wait or run.
            StorageError: If it cannot be written down.
        """
        job = NewJob(
            kind=WORK,
            owner=owner,
            request=json.dumps({"work": type(work).__name__}),
            plan=works.encode(work),
            key=key,
            yields=work.YIELDS,
        )
        job_id = self._queue.add(job)
        self._executor.wake()
        self._bell.ring()
        return self._queue.view(job_id, owner=owner)
