"""What a worker is told to do for a job, and what is known of the job meanwhile."""

from typing import Final

from webui.jobs import works
from webui.jobs.child import Task
from webui.jobs.messages import Carry, Draw
from webui.jobs.pace import Pace
from webui.jobs.plans import Sheet, batch_count, decode, pieces_left, plans_of
from webui.jobs.rows import Job
from webui.jobs.views import Progress

WORK: Final = "work"
"""The kind of jobs that draw no pictures."""


def taken_up(job: Job) -> Task:
    """Return what is left to do of a job.

    Raises:
        JobError: If another version of the program wrote it down.
    """
    if job.kind == WORK:
        work, progress = works.decode(job.plan), Progress(phase="working")
        return Task(job=job, plan=work, pieces=(), pace=Pace(batches=1), progress=progress)
    plan = decode(job.plan)
    pieces = pieces_left(plan, job.done)
    batches = sum(map(batch_count, plans_of(plan)))
    before = batches - sum(batch_count(piece.left) for piece in pieces)
    return Task(
        job=job,
        plan=plan,
        pieces=pieces,
        pace=Pace(batches=batches, batches_before=before),
        progress=Progress(batches=batches, fraction=before / batches, phase="loading"),
    )


def order_of(task: Task, *, previews: bool) -> Draw | Carry:
    """Return what the worker is told.

    Args:
        task: What is left to do.
        previews: Whether anybody wants to see pictures grow.
    """
    if task.work is not None:
        return Carry(job_id=task.job.id, work=task.work)
    return Draw(
        job_id=task.job.id,
        plans=tuple(piece.left for piece in task.pieces),
        chained=isinstance(task.plan, Sheet) and task.plan.chained,
        previews=previews,
    )
