"""One sitting of a training: from the saved state to the end or the next stop."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from webui.modules.device import Device
from webui.modules.errors import StorageError
from webui.modules.networks.checkpoint import Checkpoint
from webui.modules.text.learned import LearnedWords
from webui.modules.training import export, state
from webui.modules.training.beside import put_beside
from webui.modules.training.buckets import Order, Size
from webui.modules.training.company import Company
from webui.modules.training.journal import STEPS, Heard, Journal
from webui.modules.training.learned import Learned
from webui.modules.training.loop import Course, Lesson, measure, train_step
from webui.modules.training.optimisers import Corrector
from webui.modules.training.pictures import Example
from webui.modules.training.plan import TrainingPlan
from webui.modules.training.state import Reached
from webui.modules.types import PauseWork, StopDrawing, Tell

MEASURED: Final = 8
"""At most so many pictures are measured on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Watched:
    """What a sample picture is drawn with: the painter as it is at this step.

    Attributes:
        checkpoint: The painter, wearing what is learned.
        words: What prompts can name.
        device: Where it is, and in which number format.
        step: Steps done.
    """

    checkpoint: Checkpoint
    words: LearnedWords
    device: Device
    step: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Desk:
    """Who stands beside a training.

    Attributes:
        tell: Hears of progress; ends the training by raising.
        preview: Draws sample pictures into the folder of the run and returns their names there.
        heard: Hears every line of the log.
    """

    tell: Tell
    preview: Callable[[Watched], Sequence[str]]
    heard: Heard


class Sitting:
    """Takes the steps of a training that are left.

    Args:
        plan: The training.
        desk: Who hears of it.
        learned: What is corrected.
        watched: The painter that wears it.
        company: Who trains along.
    """

    def __init__(
        self, plan: TrainingPlan, desk: Desk, learned: Learned, watched: Watched, company: Company
    ) -> None:
        self._plan = plan
        self._desk = desk
        self._learned = learned
        self._watched = watched
        self._company = company
        factors = {
            name: learned.factor(name, plan.correction.text_rate) for name in learned.parameters
        }
        self._corrector = Corrector(learned.parameters, factors, plan.correction)
        self._notes: list[str] = []

    def go(
        self, course: Course[Any], pairs: Sequence[tuple[Example, Size]], pictures: str
    ) -> Mapping[str, Any]:
        """Take the steps that are left, and write the file.

        Args:
            course: What is shown.
            pairs: The pictures and their sizes.
            pictures: Digest of the pictures.
        """
        plan, led = self._plan, self._company.led
        held_out = _held_out(pairs, plan)
        shown = [place for place in range(len(pairs)) if place not in held_out]
        order = Order(pairs, shown, plan)
        measured = held_out or shown[:MEASURED]
        samples = course.measured(measured) if plan.watch.measure_every else []
        self._reached = self._begin(pictures)
        journal = Journal(plan.run, heard=self._desk.heard)
        led(lambda: journal.go_on(self._reached.step))
        loss = 0.0
        try:
            if not self._reached.looked:
                led(lambda: self._look(journal, course, samples))
            while self._reached.step < plan.steps:
                led(lambda: self._told("training"))
                began = time.perf_counter()
                lesson = train_step(
                    self._reached.step, course, self._corrector, order, plan, self._company
                )
                loss = lesson.loss
                self._reached = replace(self._reached, step=lesson.step, looked=False)
                seconds = time.perf_counter() - began
                led(partial(journal.tell, _line(lesson, seconds)))
                led(lambda: self._look(journal, course, samples))
        except (StopDrawing, PauseWork) as wish:
            if self._reached.step:
                self._save()
            if self._reached.step == 0 or isinstance(wish, PauseWork):
                raise
        led(self._finish)
        return {
            "path": str(plan.out),
            "step": self._reached.step,
            "loss": loss,
            "best": self._reached.best[0] if self._reached.best else None,
            "notes": self._notes,
        }

    def _begin(self, pictures: str) -> Reached:
        """Return how far the training is, and bring back all that belongs to it."""
        reached = state.saved(self._plan.run)
        if reached is None:
            return Reached(step=0, pictures=pictures, looked=False)
        state.resume(self._plan.run, self._corrector)
        if reached.pictures != pictures:
            self._notes.append("pictures or captions have changed since the training began")
        return replace(reached, pictures=pictures)

    def _look(self, journal: Journal, course: Course[Any], samples: Sequence[Any]) -> None:
        """Measure, draw sample pictures and save where it is time for that."""
        watch, step = self._plan.watch, self._reached.step
        if samples and self._due(watch.measure_every):
            wrong = measure(course, samples, lambda: self._told("measuring"))
            journal.tell({"step": step, "held_out": wrong})
            best = self._reached.best
            if step and (best is None or wrong < best[1]):
                self._reached = replace(self._reached, best=(step, wrong))
        shown = self._due(watch.sample_every) or step == self._plan.steps
        if watch.sample is not None and shown:
            self._told("drawing samples")
            with self._corrector.averaged():
                names = self._desk.preview(replace(self._watched, step=step))
            journal.tell({"step": step, "samples": list(names)})
        self._reached = replace(self._reached, looked=True)
        if step and self._due(watch.save_every):
            self._save()
            if step < self._plan.steps:
                self._keep(journal)

    def _finish(self) -> None:
        """Write the file, and beside it what tells of it."""
        self._write(self._plan.out)
        try:
            put_beside(self._plan.out, self._plan, step=self._reached.step)
        except StorageError as problem:
            self._notes.append(f"the file is whole, but {problem}")

    def _due(self, every: int) -> bool:
        step = self._reached.step
        return every > 0 and (step % every == 0 or step == self._plan.steps)

    def _told(self, what: str) -> None:
        self._desk.tell(self._reached.step, self._plan.steps, what)

    def _save(self) -> None:
        if self._company.leads:
            state.save(self._plan.run, self._corrector, self._reached)

    def _keep(self, journal: Journal) -> None:
        """Write what can be used already; of such files in between only the last ones stay."""
        step, name, ending = self._reached.step, self._plan.name, self._plan.out.suffix
        path = self._plan.run / STEPS / f"{name}-{step:06d}{ending}"
        self._write(path)
        journal.tell({"step": step, "file": f"{STEPS}/{path.name}"})
        steps = sorted((self._plan.run / STEPS).glob(f"*-??????{ending}"))
        for old in steps[: -self._plan.watch.keep or None]:
            old.unlink()

    def _write(self, path: Path) -> None:
        tensors = self._learned.tensors(self._corrector.finished)
        shape, reached = self._watched.checkpoint.architecture, self._reached
        export.write(path, tensors, self._plan, shape, step=reached.step, pictures=reached.pictures)


def _line(lesson: Lesson, seconds: float) -> Mapping[str, float]:
    return {
        "step": lesson.step,
        "loss": lesson.loss,
        "rate": lesson.rate,
        "length": lesson.length,
        "seconds": round(seconds, 4),
        "waited": round(lesson.waited, 4),
    }


def _held_out(pairs: Sequence[tuple[Example, Size]], plan: TrainingPlan) -> list[int]:
    """Return the places of pictures that are kept to measure with, chosen by their content."""
    own = [place for place, (example, _) in enumerate(pairs) if not example.regular]
    count = min(int(len(own) * plan.data.held_out), len(own) - 1, MEASURED)
    return sorted(sorted(own, key=lambda place: pairs[place][0].digest)[:count])
