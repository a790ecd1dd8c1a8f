"""A training without server, queue or page: in this process, told line by line."""

import signal
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from webui.jobs.trainings import carry_out_training
from webui.jobs.worker import build_engine
from webui.modules.training.journal import Heard
from webui.modules.training.pictures import look_over
from webui.modules.training.plan import TrainingPlan
from webui.modules.types import StopDrawing
from webui.services.training_plans import (
    School,
    check_free,
    gone_on,
    keep_plan,
    kept_plan,
    plan_of,
)
from webui.services.training_request import TrainingRequest, read_settings_file, spoken
from webui.services.training_settings import flat
from webui.settings import DeviceSettings

if TYPE_CHECKING:
    from webui.modules.training.company import Company

IN_FILE = ("preset", "trigger", "checkpoint")
"""What a settings file may say beside the settings themselves."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Spoken:
    """What a command line says of a training.

    Attributes:
        request: Kind, name and pictures.
        words: Short words for settings, such as ``lr``; None for those that were not said.
        file: Settings as YAML; what the command line says goes before it.
    """

    request: TrainingRequest
    words: Mapping[str, Any]
    file: Path | None = None


def request_from(said: Spoken) -> TrainingRequest:
    """Return the wish of a command line.

    Raises:
        RequestError: If the settings file, or one of the settings, has no meaning.
        StorageError: If the file cannot be read.
    """
    request = said.request
    written = {} if said.file is None else read_settings_file(said.file)
    beside = {name: str(written.pop(name)) for name in IN_FILE if name in written}
    settings = {**dict(flat(written)), **spoken(request.kind, said.words)}
    # A picture can take longer than a hundred steps: here only who asks for some gets them.
    pictured = any(name.startswith("watch.sample") for name in settings)
    settings = settings if pictured else {**settings, "watch.sample_every": 0}
    return TrainingRequest(
        kind=request.kind,
        name=request.name,
        data=request.data,
        checkpoint=request.checkpoint or beside.get("checkpoint", ""),
        subject=beside.get("preset", ""),
        trigger=beside.get("trigger", ""),
        settings=settings,
        pictured=pictured and settings.get("watch.sample_every") != 0,
    )


@contextmanager
def together() -> Generator["Company"]:
    """Join the processes that torch's launcher has started with this one, if it has any.

    Yields:
        Which of them this one is; the first one writes files and says what there is to say.
    """
    from webui.modules.training.company import joined

    with joined() as company:
        yield company


def agreed_plan(
    request: TrainingRequest, school: School, company: "Company", *, resume: bool
) -> TrainingPlan:
    """Return the plan that all processes carry out; the first one writes it down.

    Raises:
        WebuiError: As ``plan_to_carry_out``, in the first process.
        StopDrawing: In the others, if the first one could not.
    """
    found: list[TrainingPlan] = []
    company.led(lambda: found.append(plan_to_carry_out(request, school, resume=resume)))
    if found:
        return found[0]
    plan = plan_of(request, school)
    return gone_on(kept_plan(plan.run) or plan, plan)


def plan_to_carry_out(request: TrainingRequest, school: School, *, resume: bool) -> TrainingPlan:
    """Return the plan of a new training, or of one that goes on.

    Raises:
        NameTakenError: If there is something of this name and it shall not go on.
        RequestError: If something is unknown, outside its range, or has changed since it began.
        ModelError: If the checkpoint cannot be trained on.
    """
    plan = plan_of(request, school)
    kept = kept_plan(plan.run) if resume else None
    if kept is None:
        check_free(plan, school)
        keep_plan(plan)
        return plan
    return gone_on(kept, plan)


def troubles(plan: TrainingPlan) -> list[str]:
    """Return what should be known of the pictures before it starts."""
    return [trouble.text for trouble in look_over(plan.data).troubles]


def train(plan: TrainingPlan, device: DeviceSettings, say: Heard) -> Mapping[str, Any]:
    """Carry out a plan; Ctrl-C stops and saves.

    Args:
        plan: The training.
        device: What computes.
        say: Hears each line of the log.

    Returns:
        ``path`` of the finished file, ``step``, ``loss``, ``seconds``, ``stopped``, and what else
        the training tells.

    Raises:
        WebuiError: See ``modules.training.run.train``.
        StopDrawing: If it was stopped before its first step.
    """
    began = time.monotonic()
    engine, _ = build_engine(device)
    with _polite_interrupts() as stopped:

        def tell(_number: int, _total: int, _text: str) -> None:
            if stopped:
                raise StopDrawing

        result = carry_out_training(plan, engine, tell, heard=say)
    seconds = round(time.monotonic() - began, 3)
    return {**result, "seconds": seconds, "stopped": bool(stopped)}


@contextmanager
def _polite_interrupts() -> Generator[list[int]]:
    """Let the first Ctrl-C, or a polite ``kill``, be a wish to stop and save; the second one ends.

    Yields:
        A list that is empty until somebody has wished it.
    """
    pressed: list[int] = []

    def note(number: int, _frame: object) -> None:
        pressed.append(number)
        signal.signal(number, signal.default_int_handler)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield pressed
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
