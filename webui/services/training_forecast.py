"""How long a training will take and how much memory it needs: measured here, with these settings.

Nothing is guessed from a table of other machines. A few real steps are taken once for each set of
settings that decides about speed, as a job of its own; what was measured is kept and used again.
"""

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Any, Final

from webui.jobs.training_pace import measured_at
from webui.jobs.views import JobState
from webui.jobs.works import encode
from webui.modules.training.plan import MeasurePlan, TrainingPlan
from webui.services.training_settings import flat
from webui.services.work import Workshop
from webui.settings import Settings

FILE: Final = "forecasts.json"

DECIDES_NOTHING: Final = (
    "name", "run", "out", "seed", "steps", "vae", "data.folder", "data.regular", "data.trigger",
    "data.template", "data.repeats", "data.held_out", "data.flip", "data.shuffle_tags",
    "data.keep_tags", "data.drop_tags", "data.drop_captions", "data.regular_weight", "data.masks",
    "base.path", "base.config", "correction.rate", "correction.shape", "noise",
    "correction.warm_up", "correction.restarts", "correction.weight_decay", "correction.clip",
    "correction.text_rate", "watch.save_every", "watch.keep", "watch.sample_every",
    "watch.measure_every", "watch.sample",
)  # fmt: skip
"""Settings that a step's time does not depend on."""

MEASURED_PICTURES: Final = 8
"""At most so many pictures are measured on, as in the engine."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Forecast:
    """What a training will need.

    Attributes:
        job: The job that measures; empty when that is done.
        seconds: For the whole training; None while nothing was measured.
        step_seconds: For one step.
        sample_seconds: For one set of sample pictures.
        memory: Bytes that the process which trains had at most.
        measured_steps: So many steps were taken to know that.
        basis: One sentence for people.
    """

    job: str = ""
    seconds: float | None = None
    step_seconds: float | None = None
    sample_seconds: float | None = None
    memory: int | None = None
    measured_steps: int = 0
    basis: str


class Forecasts:
    """What was measured on this machine.

    Args:
        settings: Where it is kept, and what computes.
        workshop: Measures.
    """

    def __init__(self, settings: Settings, workshop: Workshop) -> None:
        self._settings = settings
        self._workshop = workshop
        self._file = settings.folders.training / FILE

    def forecast(self, plan: TrainingPlan, *, pictures: int, owner: str) -> Forecast:
        """Tell what a training needs, or begin to measure it.

        Args:
            plan: The training.
            pictures: How many it has.
            owner: Who asks.

        Raises:
            QueueFullError: If this person has too many jobs.
            StorageError: If the job cannot be written down.
        """
        key = self._key(plan)
        measured = measured_at(self._file).get(key)
        if measured is None:
            place = self._settings.folders.cache / "measured" / key[:16]
            work = MeasurePlan(plan=plan, place=place, file=self._file, key=key)
            job = self._workshop.submit(work, owner=owner, key=f"measure {key}")
            if job.state is JobState.FAILED or job.state is JobState.CANCELLED:
                job = self._workshop.submit(work, owner=owner)
            basis = "A few real steps are being taken on this machine."
            return Forecast(job=job.id, basis=basis)
        return told(plan, measured, pictures)

    def _key(self, plan: TrainingPlan) -> str:
        device = self._settings.device
        text = f"{device.device} {device.precision} {device.threads} {_decisive(plan)}"
        return hashlib.sha256(text.encode()).hexdigest()


def told(plan: TrainingPlan, measured: dict[str, Any], pictures: int) -> Forecast:
    """Return the forecast that follows from what was measured.

    Args:
        plan: The training.
        measured: From ``jobs.trainings.measure_training``.
        pictures: How many it has.
    """
    watch = plan.watch

    def times(every: int) -> int:
        return 1 + -(-plan.steps // every) if every else 0

    samples = (times(watch.sample_every) or 1) if watch.sample else 0
    held_out = min(MEASURED_PICTURES, max(1, int(pictures * plan.data.held_out) or pictures))
    latents = pictures * (2 if plan.data.flip else 1)
    seconds = (
        measured["start"]
        + measured["latent"] * latents
        + measured["step"] * plan.steps
        + measured["sample"] * samples
        + measured["measure"] * held_out * times(watch.measure_every)
        + measured["save"] * -(-plan.steps // watch.save_every)
    )
    count = int(measured["steps"])
    return Forecast(
        seconds=round(seconds, 1),
        step_seconds=round(measured["step"], 4),
        sample_seconds=round(measured["sample"], 3),
        memory=int(measured["memory"]),
        measured_steps=count,
        basis=f"Measured on this machine in {count} real steps with these settings, while nothing"
        " else was asked of it. Other jobs in between make it longer.",
    )


def _decisive(plan: TrainingPlan) -> str:
    sample = plan.watch.sample
    drawn = None
    if sample is not None:
        drawn = (len(sample.prompts), sample.width, sample.height, sample.sampling.steps)
    bare = replace(plan, watch=replace(plan.watch, sample=None))
    kept = dict(flat(json.loads(encode(bare))["plan"]))
    decisive = {
        name: value
        for name, value in kept.items()
        if not any(name == other or name.startswith(f"{other}.") for other in DECIDES_NOTHING)
    }
    return json.dumps([decisive, drawn], sort_keys=True)
