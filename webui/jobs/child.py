"""One worker process seen from the server, and the job that it carries out now."""

import logging
import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

from webui.jobs.messages import FromWorker, ToWorker, Wish
from webui.jobs.pace import Pace
from webui.jobs.plans import JobPlan, Piece, Sheet
from webui.jobs.rows import Job
from webui.jobs.views import Progress
from webui.jobs.works import Work
from webui.modules.types import GenerationPlan, ModelRecord
from webui.settings import DeviceSettings

log = logging.getLogger(__name__)

Run = Callable[["Connection[FromWorker, ToWorker]", DeviceSettings], None]
"""What a worker process does with its end of the pipe."""


@dataclass(kw_only=True, slots=True, eq=False)
class Task:
    """The job that a child carries out now.

    Attributes:
        job: The job as the queue gave it out.
        plan: What the whole job draws, or which work it is.
        pieces: What is left to be drawn in this attempt; none for a work.
        pace: Measures its steps.
        progress: How far it is.
        preview: How the picture looks so far, as PNG.
        asked: How somebody wants it to stop.
        deliveries: Pictures on their way to the disk.
        began: When this attempt began, in monotonic seconds.
        taken_up: The first number above 0 that a work told in this attempt: where it went on.
    """

    job: Job
    plan: JobPlan | Work
    pieces: tuple[Piece, ...]
    pace: Pace
    progress: Progress
    preview: bytes | None = None
    asked: Wish | None = None
    deliveries: list[Future[str]] = field(default_factory=list["Future[str]"])
    began: float = field(default_factory=time.monotonic)
    taken_up: int = 0

    @property
    def work(self) -> Work | None:
        """The work, if it is one."""
        return None if isinstance(self.plan, GenerationPlan | Sheet) else self.plan


@dataclass(kw_only=True, slots=True, eq=False)
class Child:
    """A worker process.

    Attributes:
        process: The process itself.
        pipe: Our end of the pipe.
        last_heard: When it last said something, in monotonic seconds.
        ready: Whether it can take jobs.
        loading: Whether it loads a checkpoint that nobody waits for.
        holds: The checkpoint that it has in memory.
        task: The job that it carries out now.
    """

    process: SpawnProcess
    pipe: "Connection[ToWorker, FromWorker]"
    last_heard: float = field(default_factory=time.monotonic)
    ready: bool = False
    loading: bool = False
    holds: ModelRecord | None = None
    task: Task | None = None

    def tell(self, message: ToWorker) -> None:
        """Say something; a child that is gone is noticed when it is listened to."""
        try:
            self.pipe.send(message)
        except OSError:
            log.info("the worker is gone and cannot be told %s", type(message).__name__)

    def end(self) -> None:
        """Make sure that the process is gone."""
        self.pipe.close()
        self.process.kill()
        self.process.join()
        self.process.close()


def started(run: Run, device: DeviceSettings) -> Child:
    """Start a worker process; it ends by itself when our end of the pipe closes."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=run, args=(theirs, device), name="worker", daemon=True)
    process.start()
    theirs.close()
    return Child(process=process, pipe=ours)
