"""Trainings as people see them: begun as durable jobs, followed, stopped, and their files used.

A run lies in ``training/NAME``: ``run.json`` says whose it is and which job carries it out, the
rest is the engine's (plan, state, log, samples, steps). It outlives its job and the server.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, cast

from webui.jobs.views import Failure, JobState, JobView, Progress
from webui.library.folders import resolve_inside
from webui.library.quarantine import put
from webui.library.saving import TEMPORARY_PREFIX, explained, replace_file
from webui.modules.errors import (
    JobError,
    NameTakenError,
    UnknownJobError,
    UnknownTrainingError,
    WebuiError,
)
from webui.modules.training import journal
from webui.modules.training.beside import put_beside
from webui.modules.training.plan import TrainingPlan
from webui.modules.types import ModelKind
from webui.services.generate import Drawing
from webui.services.training_plans import (
    MAY_CHANGE,
    SETS,
    School,
    check_free,
    keep_plan,
    kept_plan,
    plan_of,
)
from webui.services.training_request import TrainingRequest
from webui.services.training_settings import checked
from webui.services.work import Workshop

CARD: Final = "run.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """A training.

    Attributes:
        name: Of the run and of the file.
        kind: What is trained.
        state: "queued", "running", "paused", "done", "stopped", "failed" or "cancelled".
        created: Unix time in seconds.
        step: Steps done, as far as the log tells.
        steps: Steps of the whole training.
        job: The job that carries it out; empty if none does any more.
        progress: How far that job is.
        best: The step that measured best, if anything was measured.
        file: The finished file's name in its folder, once there is one.
        notes: What its owner should know.
        failure: Why it failed, if it did.
        plan: All that decides what comes out.
    """

    name: str
    kind: ModelKind
    state: str
    created: float
    step: int
    steps: int
    job: str = ""
    progress: Progress = field(default_factory=Progress)
    best: int | None = None
    file: str = ""
    notes: tuple[str, ...] = ()
    failure: Failure | None = None
    plan: TrainingPlan


class Runs:
    """Everything that can be done with trainings; each person reaches their own.

    Methods that name a run raise UnknownTrainingError if there is none, or it is somebody else's.
    """

    def __init__(self, workshop: Workshop, drawing: Drawing) -> None:
        self._workshop = workshop
        self._drawing = drawing

    def start(self, request: TrainingRequest, school: School, *, owner: str) -> Run:
        """Begin a training.

        Raises:
            NameTakenError: If there is something of this name already.
            RequestError: If something is unknown, outside its range, or there is no picture.
            ModelError: If the checkpoint cannot be trained on.
            QueueFullError: If this person has too many jobs.
            StorageError: If it cannot be written down.
        """
        plan = plan_of(request, school)
        check_free(plan, school)
        with explained(school.runs, needed=0):
            school.runs.mkdir(parents=True, exist_ok=True)
            try:
                plan.run.mkdir()
            except FileExistsError as error:
                message = f"there is a training {plan.name!r} already"
                raise NameTakenError(
                    message, hint="Choose another name.", value=plan.name
                ) from error
        try:
            keep_plan(plan)
            self._submit(plan, owner)
        except WebuiError:
            shutil.rmtree(plan.run, ignore_errors=True)
            raise
        return self.view(plan.name, school, owner=owner)

    def all(self, school: School, *, owner: str) -> list[Run]:
        """Return this person's trainings, newest first."""
        names = [path.name for path in school.runs.iterdir()] if school.runs.is_dir() else []
        found: list[Run] = []
        for name in names:
            try:
                found.append(self.view(name, school, owner=owner))
            except (JobError, UnknownTrainingError):
                continue  # somebody else's, just deleted, or written by another version
        return sorted(found, key=lambda run: -run.created)

    def view(self, name: str, school: School, *, owner: str) -> Run:
        """Return a training as it is now."""
        folder = self.folder(name, school, owner=owner)
        plan = kept_plan(folder)
        if plan is None:
            raise _unknown(name)
        told = _card(folder)
        job = self._job(str(told.get("job", "")), owner)
        step, best = _reached(folder)
        finished = plan.out.is_file()
        state, failure = _state(job, finished=finished, ended=step >= plan.steps)
        return Run(
            name=plan.name,
            kind=plan.kind,
            state=state,
            created=_begun(folder) if job is None else job.created,
            step=step,
            steps=plan.steps,
            job="" if job is None else job.id,
            progress=Progress() if job is None else job.progress,
            best=best,
            file=plan.out.name if finished else "",
            notes=() if job is None else job.notes,
            failure=failure,
            plan=plan,
        )

    def folder(self, name: str, school: School, *, owner: str) -> Path:
        """Return the folder of a training."""
        folder = school.runs / name
        plain = name not in ("", ".", "..", SETS) and Path(name).name == name
        plain = plain and not name.startswith(TEMPORARY_PREFIX)  # one that is being deleted
        if not plain or _card(folder).get("owner") != owner:
            raise _unknown(name)
        return folder

    def log(self, name: str, school: School, *, owner: str, after: int = 0) -> list[dict[str, Any]]:
        """Return what a training tells, without the first ``after`` lines."""
        return list(journal.read(self.folder(name, school, owner=owner), after=after))

    def file(self, name: str, inside: str, school: School, *, owner: str) -> Path:
        """Return a sample picture or a saved step of a training, by its name in the log.

        Raises:
            UnknownTrainingError: If there is none of this name.
        """
        folder = self.folder(name, school, owner=owner)
        path = resolve_inside(folder, inside)
        if path.parent.name not in (journal.SAMPLES, journal.STEPS) or not path.is_file():
            message = f"the training {name[:80]} has no file {inside[:120]!r}"
            hint = "Only the last saved steps are kept; the log names them."
            raise UnknownTrainingError(message, hint=hint, value=inside[:120])
        return path

    def stop(self, name: str, school: School, *, owner: str) -> Run:
        """End a training now; what is learnt so far becomes the file."""
        run = self._active(name, school, owner)
        self._drawing.interrupt(run.job, owner=owner)
        self._workshop.resume(run.job, owner=owner)
        return self.view(name, school, owner=owner)

    def pause(self, name: str, school: School, *, owner: str) -> Run:
        """Let a training save its state and wait."""
        self._workshop.pause(self._active(name, school, owner).job, owner=owner)
        return self.view(name, school, owner=owner)

    def resume(
        self, name: str, school: School, *, owner: str, settings: Mapping[str, Any] | None = None
    ) -> Run:
        """Let a training go on: one that waits, or one that has ended, from its last saved state.

        Args:
            name: Of the training.
            school: What it is held against.
            owner: Whose it is.
            settings: What shall be different from now on: steps, the learning rate, what is kept.

        Raises:
            RequestError: If something else shall be different, or a value does not fit.
        """
        run = self.view(name, school, owner=owner)
        plan = _changed(run.plan, settings or {})
        active = run.state in ("queued", "running", "paused")
        if active and plan == run.plan:
            self._workshop.resume(run.job, owner=owner)
        elif active:
            message = f"the training {name} has not ended, so its settings cannot change yet"
            raise JobError(message, hint="Stop it first, then go on.", value=name)
        else:
            keep_plan(plan)
            self._submit(plan, owner)
        return self.view(name, school, owner=owner)

    def cancel(self, name: str, school: School, *, owner: str) -> Run:
        """Drop a training that waits or runs; its last saved state stays."""
        self._drawing.cancel(self._active(name, school, owner).job, owner=owner)
        return self.view(name, school, owner=owner)

    def delete(self, name: str, school: School, *, owner: str) -> None:
        """Forget a training that has ended; its finished file stays where it is.

        Raises:
            JobError: If it has not ended.
        """
        run = self.view(name, school, owner=owner)
        if run.state in ("queued", "running", "paused"):
            message = f"the training {name} has not ended"
            raise JobError(message, hint="Stop it first.", value=name)
        folder = self.folder(name, school, owner=owner)
        doomed = folder.with_name(f"{TEMPORARY_PREFIX}{name}")
        with explained(folder.parent, needed=0):
            folder.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)

    def use(self, name: str, step: int, school: School, *, owner: str) -> str:
        """Put the file of a step among the models, and return its name there.

        Args:
            name: Of the training.
            step: One of those that are kept, or the last one.
            school: Has the folders.
            owner: Whose it is.

        Raises:
            UnknownTrainingError: If the file of this step is not kept.
            StorageError: If it cannot be written.
        """
        run = self.view(name, school, owner=owner)
        plan = run.plan
        source = plan.run / journal.STEPS / f"{plan.name}-{step:06d}{plan.out.suffix}"
        if not source.is_file() and run.file and step >= run.step:
            return plan.out.name
        if not source.is_file():
            message = f"the file of step {step} of {name[:80]} is not kept"
            kept = sorted(source.parent.glob(f"{plan.name}-*{plan.out.suffix}"))
            steps = ", ".join(str(int(path.stem.rpartition("-")[2])) for path in kept) or "none"
            raise UnknownTrainingError(message, hint=f"There are: {steps}.", value=step)
        wanted = plan.out.with_name(f"{plan.name}-{step}{plan.out.suffix}")
        if wanted.is_file() and wanted.read_bytes() == source.read_bytes():
            return wanted.name
        path = put(source, plan.out.parent, wanted.stem, (plan.out.suffix,))
        put_beside(path, plan, step=step)
        school.models.refresh()
        return path.name

    def _submit(self, plan: TrainingPlan, owner: str) -> None:
        job = self._workshop.submit(plan, owner=owner)
        told = {"owner": owner, "job": job.id}
        replace_file(plan.run / CARD, json.dumps(told).encode())

    def _active(self, name: str, school: School, owner: str) -> Run:
        run = self.view(name, school, owner=owner)
        if run.state not in ("queued", "running", "paused"):
            message = f"the training {name} is {run.state}"
            raise JobError(message, hint="It can be gone on with, or begun anew.", value=name)
        return run

    def _job(self, job_id: str, owner: str) -> JobView | None:
        try:
            return self._drawing.view(job_id, owner=owner)
        except UnknownJobError:
            return None


def _state(job: JobView | None, *, finished: bool, ended: bool) -> tuple[str, Failure | None]:
    """Return how a training is, from its job or, when that is forgotten, from its files."""
    if job is None:
        return ("done" if finished and ended else "stopped"), None
    if job.state is JobState.QUEUED and (job.on_hold or job.progress.phase == "paused"):
        return ("paused" if job.on_hold else "queued"), None
    if job.state is JobState.RUNNING and job.on_hold:
        return "paused", None
    if job.state is JobState.DONE and not ended:
        return "stopped", None
    return job.state.value, job.failure


def _reached(folder: Path) -> tuple[int, int | None]:
    """Return how many steps the log tells of, and the step that measured best."""
    step, best = 0, None
    for line in journal.read(folder):
        step = max(step, int(line.get("step", 0)))
        if "held_out" in line and line["step"] and (best is None or line["held_out"] < best[1]):
            best = (int(line["step"]), float(line["held_out"]))
    return step, None if best is None else best[0]


def _changed(plan: TrainingPlan, settings: Mapping[str, Any]) -> TrainingPlan:
    said = checked(plan.kind, settings)
    foreign = [name for name in said if not name.startswith(MAY_CHANGE)]
    if foreign or any(name.startswith("watch.sample.") for name in said):
        message = f"{(foreign or ['watch.sample'])[0]} cannot change in the middle of a training"
        hint = "Steps, the learning rate and what is kept can; else begin anew under another name."
        raise JobError(message, hint=hint, value=plan.name)
    watch = {
        name.removeprefix("watch."): value
        for name, value in said.items()
        if name.startswith("watch.")
    }
    rate = said.get("correction.rate", plan.correction.rate)
    return replace(
        plan,
        steps=said.get("steps", plan.steps),
        correction=replace(plan.correction, rate=rate),
        watch=replace(plan.watch, **watch),
    )


def _card(folder: Path) -> dict[str, Any]:
    try:
        told = json.loads((folder / CARD).read_bytes())
    except (OSError, ValueError):
        return {}
    return cast("dict[str, Any]", told) if isinstance(told, dict) else {}


def _begun(folder: Path) -> float:
    """Return when a training was begun or gone on with; it may be deleted at this very moment."""
    try:
        return (folder / CARD).stat().st_mtime
    except FileNotFoundError as error:
        raise _unknown(folder.name) from error


def _unknown(name: str) -> UnknownTrainingError:
    message = f"there is no training {name[:120]!r}"
    return UnknownTrainingError(message, hint="It may be somebody else's.", value=name[:120])
