"""Who carries jobs out: one process here, or later many machines."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from webui.jobs.messages import Wish
from webui.jobs.plans import Sheet
from webui.jobs.rows import Job
from webui.jobs.views import Failure, Progress
from webui.modules.types import GenerationPlan, Picture


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """A finished picture on its way out of the worker.

    Attributes:
        job: Whose it is.
        plan: What it was drawn from.
        index: Which picture of the plan, from 0.
        number: Which picture of the job, from 0.
        picture: Its pixels.
    """

    job: Job
    plan: GenerationPlan
    index: int
    number: int
    picture: Picture


Deliver = Callable[[Delivery], str]
"""Keeps a finished picture and returns its id; called on a thread of its own, one at a time."""

Compose = Callable[[Job, Sheet], Mapping[int, str]]
"""Makes the pictures that show a finished sheet together, such as its grid, from what is kept;
returns their ids by number. Called on the same thread."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerView:
    """How the worker is.

    Attributes:
        phase: "starting", "loading", "idle", "drawing", "working" or "unusable".
        notes: What was chosen for this machine, and why.
        memory: Bytes by name, as the worker last told.
        starts: How often a worker process was started.
        failure: Why there is no engine, if there is none.
    """

    phase: str = "starting"
    notes: tuple[str, ...] = ()
    memory: tuple[tuple[str, int], ...] = ()
    starts: int = 0
    failure: Failure | None = None


class Executor(Protocol):
    """Takes jobs from the queue and carries them out."""

    def wake(self) -> None:
        """Look into the queue: there is a new job."""
        ...

    def prepare(self) -> None:
        """Bring the selected checkpoint into memory as soon as nobody waits."""
        ...

    def ask(self, job_id: str, wish: Wish) -> None:
        """Stop a running job in one of three ways; a paused work is interrupted when it goes on."""
        ...

    def progress(self, job_id: str) -> Progress | None:
        """Return how far a running job is; None if it does not run."""
        ...

    def preview(self, job_id: str) -> bytes | None:
        """Return the latest preview of a running job as PNG; None while there is none."""
        ...

    def worker(self) -> WorkerView:
        """Return how the worker is."""
        ...

    def stop(self, *, patience: float) -> None:
        """End the worker; a job that does not end within ``patience`` seconds is put back."""
        ...
