"""Carries a training out inside the worker, with sample pictures drawn as any others."""

from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from webui.jobs import lock
from webui.modules.errors import JobError, OutOfMemoryError, StorageError
from webui.modules.training.journal import SAMPLES, Heard
from webui.modules.training.plan import TrainingPlan
from webui.modules.types import Step, StopDrawing, Tell
from webui.modules.whole import written_whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    from webui.modules.pipeline.engine import Engine
    from webui.modules.training.sitting import Watched


def carry_out_training(
    plan: TrainingPlan, engine: "Engine", tell: Tell, heard: Heard = lambda _line: None
) -> "Mapping[str, Any]":
    """Train, or go on training; see :func:`webui.modules.training.run.train`.

    Args:
        plan: The training.
        engine: Gives its device; its own weights are let go, so that the memory is free.
        tell: Hears of progress; ends the training by raising.
        heard: Hears every line of the log.

    Raises:
        JobError: If another process carries out the same training.
        OutOfMemoryError: If it does not fit; the last saved state is whole.
    """
    from webui.modules.training.company import joined

    with joined() as company, ExitStack() as held:
        company.led(lambda: held.enter_context(alone(plan)))
        return _carry_out(plan, engine, tell, heard)


@contextmanager
def alone(plan: TrainingPlan) -> Generator[None]:
    """Hold the folder of a run, so that no two processes write it.

    Raises:
        JobError: If another one does.
        StorageError: If it cannot be written to.
    """
    try:
        with lock.held(plan.run):
            yield
    except StorageError as problem:
        if not isinstance(problem.__cause__, BlockingIOError | PermissionError):
            raise
        message = f"the training {plan.name} is being carried out by another process"
        hint = "Wait until that one has ended, or stop it."
        raise JobError(message, hint=hint, value=plan.name) from problem


def _carry_out(
    plan: TrainingPlan, engine: "Engine", tell: Tell, heard: Heard
) -> "Mapping[str, Any]":
    from webui.modules.device import is_out_of_memory
    from webui.modules.pipeline.watching import draw_as_it_is
    from webui.modules.training.run import train
    from webui.modules.training.sitting import Desk

    engine.release()
    plan.out.parent.mkdir(parents=True, exist_ok=True)

    def preview(watched: "Watched") -> Sequence[str]:
        if plan.watch.sample is None:
            return ()
        folder = plan.run / SAMPLES
        folder.mkdir(parents=True, exist_ok=True)
        patience = _Patience(tell, watched.step, plan.steps)
        names: list[str] = []
        for picture in draw_as_it_is(
            plan.watch.sample, watched.checkpoint, watched.words, watched.device, patience
        ):
            name = f"{SAMPLES}/{watched.step:06d}-{picture.index}.png"
            _save(picture.rgb, (picture.width, picture.height), plan.run / name)
            names.append(name)
        patience.settle()
        return names

    try:
        return train(plan, engine.device, Desk(tell=tell, preview=preview, heard=heard))
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        message = (
            f"{plan.batch_size} pictures of {plan.data.resolution} pixels do not fit in memory"
        )
        hint = (
            "Use a smaller batch or resolution, correction.save_memory or correction.offload; the"
            " training goes on from its last saved state."
        )
        raise OutOfMemoryError(message, hint=hint, value=plan.data.resolution) from error


class _Patience:
    """Lets a sample picture end early when somebody wants the training to stop, and tells it."""

    def __init__(self, tell: Tell, step: int, steps: int) -> None:
        self._tell = tell
        self._place = (step, steps)
        self._wish: BaseException | None = None

    def __call__(self, _step: Step) -> None:
        """Stand by while a picture is drawn."""
        try:
            self._tell(*self._place, "drawing samples")
        except BaseException as wish:
            self._wish = wish
            raise StopDrawing from wish

    def settle(self) -> None:
        """Raise what was wanted."""
        if self._wish is not None:
            raise self._wish


def _save(rgb: bytes, size: tuple[int, int], path: Path) -> None:
    with written_whole(path) as unfinished:
        Image.frombytes("RGB", size, rgb).save(unfinished, format="PNG")
