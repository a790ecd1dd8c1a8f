"""What plans of the workshop are made from: files found by name, free places, checked numbers."""

import math
from dataclasses import dataclass
from pathlib import Path

from webui.library.folders import rule
from webui.library.quarantine import require_room
from webui.library.safe_names import safe_stem
from webui.modules.errors import RangeError, RequestError, UnsupportedModelError
from webui.modules.types import ModelKind, ModelRecord
from webui.services.models import Models


@dataclass(frozen=True, kw_only=True, slots=True)
class Bench:
    """What plans are made from.

    Attributes:
        models: The files that are there.
        home: The data folder; results go into the folders of their kinds below it.
    """

    models: Models
    home: Path

    def target(self, kind: ModelKind, name: str, ending: str) -> Path:
        """Return a free place for a result.

        Args:
            kind: What it will be.
            name: As somebody wishes it; made safe.
            ending: With its dot.
        """
        folder = self.home / rule(kind).folder
        folder.mkdir(parents=True, exist_ok=True)
        stem = safe_stem(f"{name}{ending}")
        if kind is ModelKind.CHECKPOINT:
            stem = stem.removesuffix(".vae")  # it would be taken for a VAE beside a checkpoint
        number, path = 1, folder / f"{stem}{ending}"
        while path.exists():
            number += 1
            path = folder / f"{stem}-{number}{ending}"
        return path

    def checkpoint(self, name: str, what: str) -> ModelRecord:
        """Return a checkpoint of any family, also of one that is not drawn with.

        Args:
            name: Any of its names.
            what: How the wish calls it, such as ``A``.

        Raises:
            RequestError: If no name is given.
            UnknownNameError: If there is none of this name.
            ModelError: If the file is refused.
        """
        needed(name, what)
        try:
            return self.models.find_checkpoint(name)
        except UnsupportedModelError:
            card = self.models.card(ModelKind.CHECKPOINT, name)
            if card.record.kind is not ModelKind.CHECKPOINT or not card.record.family:
                raise
            return self.models.hashed(card.record)

    def file(self, kind: ModelKind, name: str, what: str) -> ModelRecord:
        """Return a file of a kind.

        Raises:
            RequestError: If no name is given.
            UnknownNameError: If there is none of this name.
            ModelError: If the file is refused.
        """
        needed(name, what)
        if kind is ModelKind.CHECKPOINT:
            return self.checkpoint(name, what)
        return self.models.add_on(kind, name)


def needed(name: str, what: str) -> None:
    """Check that a name is given.

    Raises:
        RequestError: If not; the message says for what.
    """
    if not name.strip():
        message = f"{what} is not chosen"
        raise RequestError(message, hint="Choose a file.", value=what)


def check_range(what: str, value: float, least: float, most: float) -> None:
    """Check a number.

    Raises:
        RangeError: If it is outside its range, or no number.
    """
    if not (math.isfinite(value) and least <= value <= most):
        message = f"{what} is {value}"
        bound = f"from {least:g} to {most:g}" if math.isfinite(most) else f"of {least:g} or more"
        raise RangeError(message, hint=f"Use a number {bound}.", value=value)


def check_family(first: ModelRecord, other: ModelRecord) -> None:
    """Refuse checkpoints whose tensors have different shapes, before anything is read.

    Raises:
        UnsupportedModelError: If their families say so.
    """
    one, two = (record.family.split("-")[0] for record in (first, other))
    if one and two and one != two:
        message = f"{first.name} is of the family {one} and {other.name} of {two}"
        raise UnsupportedModelError(message, hint="Choose checkpoints of one family.")


def require_room_for(target: Path, source: ModelRecord) -> None:
    """Check that the disk has room for a file as large as another.

    Raises:
        StorageError: If not.
    """
    require_room(target.parent, 0 if source.path.is_dir() else source.path.stat().st_size)
