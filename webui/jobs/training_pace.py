"""Takes a few real steps of a training, to know how long the whole of it will take."""

import json
import shutil
import statistics
import threading
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import psutil

from webui.jobs.trainings import carry_out_training
from webui.modules.training.pictures import MASK, look_over
from webui.modules.training.plan import MeasurePlan, TrainingPlan
from webui.modules.types import Tell
from webui.modules.whole import write_whole

if TYPE_CHECKING:
    from webui.modules.pipeline.engine import Engine

STEPS: Final = 8
"""So many steps are taken; the first ones are slower and do not count."""

WARM: Final = 2
PICTURES: Final = 4
"""So many of the pictures are brought along."""

LOOK_SECONDS: Final = 0.01
"""How often the memory is looked at."""


@dataclass(slots=True)
class _Clock:
    """When what happened, in seconds since the beginning."""

    began: float = field(default_factory=time.perf_counter)
    latents: list[float] = field(default_factory=list[float])
    lines: list[tuple[float, Mapping[str, Any]]] = field(
        default_factory=list[tuple[float, Mapping[str, Any]]]
    )

    def now(self) -> float:
        return time.perf_counter() - self.began


def measure_training(work: MeasurePlan, engine: "Engine", tell: Tell) -> Mapping[str, object]:
    """Carry out the beginning of a training in a place apart, and keep what its parts took.

    Args:
        work: What to measure, and where it is kept.
        engine: Gives its device.
        tell: Hears of progress; ends the work by raising.

    Returns:
        Seconds for the beginning, for one picture's latents, a step, a set of sample pictures, one
        measured picture and a save; ``memory`` in bytes; ``steps`` that were taken.
    """
    clock = _Clock()

    def told(number: int, total: int, text: str) -> None:
        if text.startswith("latents"):
            clock.latents.append(clock.now())
        tell(number, total, text)

    shutil.rmtree(work.place, ignore_errors=True)
    try:
        plan, pictures = _short(work)
        with _memory() as most:
            carry_out_training(
                plan, engine, told, heard=lambda line: clock.lines.append((clock.now(), line))
            )
            end = clock.now()
    finally:
        shutil.rmtree(work.place, ignore_errors=True)
    found = {**_parts(clock, end, pictures), "memory": max(most), "steps": STEPS - WARM}
    _keep(work, found)
    return found


def measured_at(file: Path) -> dict[str, dict[str, Any]]:
    """Return what was measured so far by key; a damaged file counts as nothing."""
    try:
        kept = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return cast("dict[str, dict[str, Any]]", kept) if isinstance(kept, dict) else {}


def _short(work: MeasurePlan) -> tuple[TrainingPlan, int]:
    """Return the beginning of the training, in its own place, and how many pictures it has."""
    plan = work.plan
    place = work.place / "pictures"
    place.mkdir(parents=True)
    chosen = look_over(plan.data).examples[:PICTURES]
    for number, example in enumerate(chosen):
        stem = f"{number:03d}"
        shutil.copyfile(example.path, place / f"{stem}{example.path.suffix}")
        (place / f"{stem}.txt").write_text(example.caption, encoding="utf-8")
        if example.mask is not None:
            shutil.copyfile(example.mask, place / f"{stem}{MASK}.png")
    watch = plan.watch
    short = replace(
        plan,
        run=work.place / "run",
        out=work.place / "out" / plan.out.name,
        data=replace(plan.data, folder=place, regular=None, held_out=0.0),
        correction=replace(plan.correction, warm_up=0),
        watch=replace(
            watch,
            save_every=STEPS,
            sample_every=STEPS if watch.sample else 0,
            measure_every=STEPS,
        ),
        steps=STEPS,
    )
    return short, len(chosen)


def _parts(clock: _Clock, end: float, pictures: int) -> dict[str, float]:
    """Return what each part took, from the moments at which the log told of it."""
    steps = [float(line["seconds"]) for _, line in clock.lines if "loss" in line]
    last = next(moment for moment, line in clock.lines if line.get("step") == STEPS)
    after = [moment for moment, _ in clock.lines if moment > last]
    measured, drawn = after[0], after[-1]
    first = next(moment for moment, line in clock.lines if "held_out" in line)
    coding = clock.latents[-1] - clock.latents[0] if clock.latents else 0.0
    each = coding / max(1, len(clock.latents) - 1)
    measure = (measured - last) / pictures
    return {
        "start": max(0.0, first - measure * pictures - each * len(clock.latents)),
        "latent": each,
        "step": statistics.median(steps[WARM:]),
        "sample": drawn - measured,
        "measure": measure,
        "save": end - drawn,
    }


def _keep(work: MeasurePlan, found: Mapping[str, object]) -> None:
    kept = {**measured_at(work.file), work.key: dict(found)}
    work.file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(work.file, json.dumps(kept, indent=1).encode())


@contextmanager
def _memory() -> Generator[list[int]]:
    """Look at how much memory this process has; yields a list that grows with each look."""
    process, done = psutil.Process(), threading.Event()
    most = [process.memory_info().rss]

    def look() -> None:
        while not done.wait(LOOK_SECONDS):
            most[0] = max(most[0], process.memory_info().rss)

    watcher = threading.Thread(target=look, name="memory", daemon=True)
    watcher.start()
    try:
        yield most
    finally:
        done.set()
        watcher.join()
