"""What server and worker say to each other through the pipe: small frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from webui.jobs.views import Failure
from webui.jobs.works import Work
from webui.modules.types import GenerationPlan, ModelRecord, Picture


class Wish(StrEnum):
    """How a person, or the supervisor, wants a running job to stop."""

    INTERRUPT = "interrupt"
    """End the job and keep what is drawn so far."""
    SKIP = "skip"
    """End this batch and go on with the next."""
    CANCEL = "cancel"
    """Drop the job."""
    PAUSE = "pause"
    """Let others have the worker for a while; only long works are asked for it."""


# ------------------------------------------------------------------ server to worker


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """Bring this checkpoint into memory while nobody waits."""

    checkpoint: ModelRecord


@dataclass(frozen=True, kw_only=True, slots=True)
class Draw:
    """Draw these plans, one after the other.

    Attributes:
        job_id: Whose progress it is.
        plans: What to draw.
        chained: Each plan but the first starts from the last picture of the plan before.
        previews: Whether anybody wants to see how it goes.
    """

    job_id: str
    plans: tuple[GenerationPlan, ...]
    chained: bool = False
    previews: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Carry:
    """Carry out a work that draws no pictures."""

    job_id: str
    work: Work


@dataclass(frozen=True, kw_only=True, slots=True)
class Ask:
    """Somebody wants this job to stop."""

    job_id: str
    wish: Wish


ToWorker = Load | Draw | Carry | Ask

# ------------------------------------------------------------------ worker to server


@dataclass(frozen=True, kw_only=True, slots=True)
class Ready:
    """The engine is there; ``notes`` tell what was chosen for this machine, and why."""

    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Unusable:
    """There is no engine on this machine with these settings."""

    failure: Failure


@dataclass(frozen=True, kw_only=True, slots=True)
class Beat:
    """The process is alive; memory in bytes by name."""

    memory: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Faulty:
    """An extension has failed while drawing and is switched off."""

    extension: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Stepped:
    """One denoising step has been taken; the numbers of ``modules.types.Step``.

    Batches are counted over all plans of the order.
    """

    job_id: str
    number: int
    total: int
    batch: int
    batches: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Previewed:
    """How the picture looks so far."""

    job_id: str
    png: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawn:
    """One picture is finished; ``plan`` is the place of its plan in the order."""

    job_id: str
    plan: int = 0
    picture: Picture


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """How far a work is, and what it is at now."""

    job_id: str
    number: int
    total: int
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Carried:
    """A work is over.

    Attributes:
        job_id: Which job.
        result: What it has brought: numbers, texts and lists by name.
        interrupted: Somebody asked for its end.
    """

    job_id: str
    result: Mapping[str, object]
    interrupted: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Paused:
    """A long work has saved what it has and lets others have the worker."""

    job_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """The job is over.

    Attributes:
        job_id: Which job.
        interrupted: Somebody asked for it.
        notes: Plans of a sheet that could not be drawn, and why.
    """

    job_id: str
    interrupted: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Failed:
    """The job cannot be done; ``details`` is the traceback for the log, if it was a surprise."""

    job_id: str
    failure: Failure
    details: str = ""


FromWorker = (
    Ready
    | Unusable
    | Beat
    | Faulty
    | Stepped
    | Previewed
    | Drawn
    | Told
    | Carried
    | Paused
    | Ended
    | Failed
)
