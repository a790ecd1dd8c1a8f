"""Snapshots of jobs: what the page and the HTTP routes see; looking never disturbs the job."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class JobState(StrEnum):
    """Where a job is in its life."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Tell whether nothing more will happen."""
        return self in (JobState.DONE, JobState.FAILED, JobState.CANCELLED)


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """Why a job failed, in the words of ``modules/errors.py``."""

    code: str
    message: str
    hint: str
    value: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """How far a running job is.

    Attributes:
        step: Steps taken in the current batch, or of a work that draws nothing.
        steps: Steps of the current batch or of the work.
        batch: Which batch, from 0.
        batches: Batches of the job.
        fraction: Share of the whole job that is done, 0 to 1.
        eta_seconds: Expected time to the end; None while nothing has been measured.
        preview_version: Grows with each new preview picture; 0 when there is none.
        phase: What is going on: "waiting", "loading", "drawing", "saving"; of a work also
            "working" and "paused".
        text: What a work is at now: a name of a layer or a file.
    """

    step: int = 0
    steps: int = 0
    batch: int = 0
    batches: int = 1
    fraction: float = 0.0
    eta_seconds: float | None = None
    preview_version: int = 0
    phase: str = "waiting"
    text: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class JobView:
    """A job as its owner sees it.

    Attributes:
        id: 128 random bits as hex.
        kind: "generate" for pictures, "work" for what draws none.
        owner: Login name; "local" on loopback without logins.
        state: Where it is in its life.
        position: Jobs that run before this one; 0 when it is next or running.
        created: Unix time in seconds; likewise started and ended, None before.
        attempts: How often a worker has begun it.
        progress: How far it is.
        pictures: Ids of the finished pictures in the history, in drawing order.
        notes: What the person should know.
        failure: Why it failed; None unless it did.
        yields: Whether it is a long work that pauses while others have something to do.
        result: What a work has brought: numbers, texts and lists by name.
        on_hold: Whether it waits until somebody wants it to go on.
    """

    id: str
    kind: str
    owner: str
    state: JobState
    position: int = 0
    created: float
    started: float | None = None
    ended: float | None = None
    attempts: int = 0
    progress: Progress = Progress()
    pictures: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    failure: Failure | None = None
    yields: bool = False
    result: Mapping[str, object] = field(default_factory=dict[str, object])
    on_hold: bool = False
