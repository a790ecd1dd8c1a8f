"""Everything that a training needs to go on after a stop, in one file that is replaced at once."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from torch import Tensor

from webui.modules.errors import ModelFileError
from webui.modules.training.optimisers import Corrector
from webui.modules.weights.header import read_header
from webui.modules.weights.read import open_tensors
from webui.modules.weights.write import write_safetensors

FILE: Final = "state.safetensors"


@dataclass(frozen=True, kw_only=True, slots=True)
class Reached:
    """How far a training has come.

    Attributes:
        step: Steps done.
        pictures: Digest of the pictures it was trained on.
        best: The step with the best measurement so far, and that; None if nothing was measured.
        looked: Whatever was to be measured, drawn and saved at this step is done.
    """

    step: int
    pictures: str
    best: tuple[int, float] | None = None
    looked: bool = True


def save(run: Path, corrector: Corrector, reached: Reached) -> None:
    """Write the state; the one before stays until this one is whole.

    Raises:
        StorageError: If the disk is full or the folder is gone.
    """
    told = {
        "step": reached.step,
        "pictures": reached.pictures,
        "best": reached.best,
        "looked": reached.looked,
    }
    # Some optimisers let tensors share memory, which this format does not know.
    tensors = {name: tensor.detach().cpu().clone() for name, tensor in corrector.state().items()}
    write_safetensors(run / FILE, tensors, {"reached": json.dumps(told)})


def saved(run: Path) -> Reached | None:
    """Return how far a training had come when it was last saved; None if it never was.

    Raises:
        ModelFileError: If the state cannot be read.
    """
    path = run / FILE
    if not path.is_file():
        return None
    try:
        told = json.loads(read_header(path).metadata["reached"])
        best = told["best"]
        return Reached(
            step=int(told["step"]),
            pictures=str(told["pictures"]),
            best=None if best is None else (int(best[0]), float(best[1])),
            looked=bool(told.get("looked", True)),
        )
    except (KeyError, ValueError, TypeError, IndexError) as error:
        message = f"{path.name} of the training {run.name} cannot be read: {error}"
        hint = "Begin the training anew under another name."
        raise ModelFileError(message, hint=hint, value=path.name) from error


def resume(run: Path, corrector: Corrector) -> None:
    """Go on from the saved state.

    Raises:
        ModelFileError: If it is of a training with other settings.
    """
    with open_tensors(run / FILE) as file:
        state: Mapping[str, Tensor] = {name: file.read(name) for name in file.names()}
    try:
        corrector.resume(state)
    except (KeyError, IndexError, RuntimeError) as error:
        message = f"the training {run.name} was saved with other settings: {str(error)[:200]}"
        hint = "Go on with the settings it was begun with, or begin anew under another name."
        raise ModelFileError(message, hint=hint, value=run.name) from error
