"""A model file from outside finds its place: received, looked at, filed under a safe name, or gone.

What it is decides where it goes, never what it is called. Nothing is overwritten, and the same
content is not kept twice.
"""

import logging
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from webui.library.cards import ModelCard
from webui.library.folders import FOLDERS, FolderRule
from webui.library.quarantine import (
    Arrival,
    arrival,
    put,
    require_room,
    same_bytes,
    sweep_quarantine,
    too_large,
)
from webui.library.safe_names import ending, safe_stem
from webui.modules.errors import ForbiddenError, UnsupportedModelError
from webui.modules.types import ModelKind
from webui.modules.weights.describe import Facts, describe
from webui.services.models import Models
from webui.settings import Settings

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Landed:
    """Where a file has come to lie.

    Attributes:
        kind: What it is.
        family: See ``Inspection``.
        format: How the tensors are packed.
        name: Its name in the lists of its kind.
        file: Where it lies, below the data folder, or its name if it lies elsewhere.
        size: Bytes.
        sha256: Hash of the whole file.
        already: Whether the same content was there before; then nothing was added.
        renamed: Whether another file had the wished name.
        applies: Share of its tensors that act on the asked checkpoint; None without one.
    """

    kind: str
    family: str
    format: str
    name: str
    file: str
    size: int
    sha256: str
    already: bool = False
    renamed: bool = False
    applies: float | None = None


class Imports:
    """Takes model files in.

    Args:
        settings: Where files lie, how large they may be and who may bring them.
        models: The files that are there.
    """

    def __init__(self, settings: Settings, models: Models) -> None:
        self._settings = settings
        self._models = models
        self._folder = settings.folders.cache / "quarantine"

    def sweep(self) -> None:
        """Remove what a killed server left; only at start, when nothing arrives."""
        sweep_quarantine(self._folder)

    def check_allowed(self, person: str) -> None:
        """Check that somebody may bring files.

        Raises:
            ForbiddenError: If not.
        """
        server = self._settings.server
        if not server.uploads:
            message = "this server takes no model files"
            hint = "Whoever started it can allow that with the setting server.uploads."
            raise ForbiddenError(message, hint=hint, value=person)
        if server.uploaders and person not in server.uploaders:
            message = f"{person} may not bring model files"
            hint = "Ask whoever started this server; the setting is server.uploaders."
            raise ForbiddenError(message, hint=hint, value=person)

    @contextmanager
    def receive(self, name: str, *, person: str, size: int | None = None) -> Generator[Arrival]:
        """Give a place to write a file to; leaving removes it unless ``file`` has put it away.

        Args:
            name: As the sender calls it.
            person: Who sends it.
            size: Bytes, if the sender says so.

        Raises:
            ForbiddenError: If this person may bring none.
            LimitError: If it is too large.
            StorageError: If the disk has no room.
        """
        self.check_allowed(person)
        most = self._settings.limits.max_model_bytes
        if size is not None and size > most:
            raise too_large(size, most)
        require_room(self._folder, size or 0)
        with arrival(self._folder, safe_stem(name) + ending(name), most=most) as arriving:
            yield arriving

    def file(self, arrived: Arrival, *, person: str, checkpoint: str = "") -> Landed:
        """Look at a file that has come whole, and put it into the folder of its kind.

        Args:
            arrived: The file.
            person: Who sent it.
            checkpoint: Say also how much of it acts on this one.

        Raises:
            ModelError: If it is damaged, unsafe, or of no kind that has a folder.
            UnknownNameError: If there is no such checkpoint.
            StorageError: If it cannot be put there.
        """
        arrived.close()
        facts = describe(arrived.path)
        rule = _rule(facts, arrived.path.name)
        applies = self._applies(arrived.path, checkpoint)
        twin = self._twin(facts.kind, arrived)
        if twin:
            log.info("%r brought %s again: %s", person, facts.kind, twin.record.name)
            return self._landed(facts, arrived, twin.record.path, applies=applies, already=True)
        stem = _stem(arrived.path.name, facts.kind)
        folder = self._settings.folders.data_dir / rule.folder
        told = _extension(facts, arrived.path.name, rule)
        path = put(arrived.path, folder, stem, (told, *rule.extensions))
        self._models.refresh()
        log.info("%r brought a file of kind %s: %s", person, facts.kind, path.name)
        return self._landed(facts, arrived, path, applies=applies, renamed=path.stem != stem)

    def _applies(self, path: Path, checkpoint: str) -> float | None:
        told = self._models.fit(path, checkpoint) if checkpoint else None
        return None if told is None else round(told.share, 4)

    def _twin(self, kind: ModelKind, arrived: Arrival) -> ModelCard | None:
        """Return a file of the same content, if there is one."""
        for card in self._models.add_ons(kind):
            if card.size == arrived.size and same_bytes(card.record.path, arrived.path):
                return card
        return None

    def _landed(
        self,
        facts: Facts,
        arrived: Arrival,
        path: Path,
        *,
        applies: float | None,
        already: bool = False,
        renamed: bool = False,
    ) -> Landed:
        home = self._settings.folders.data_dir
        inside = path.relative_to(home).as_posix() if path.is_relative_to(home) else path.name
        return Landed(
            kind=facts.kind.value,
            family=facts.family,
            format=facts.format,
            name=path.name,
            file=inside,
            size=arrived.size,
            sha256=arrived.sha256,
            already=already,
            renamed=renamed,
            applies=applies,
        )


def _rule(facts: Facts, name: str) -> FolderRule:
    found = next((rule for rule in FOLDERS if rule.kind is facts.kind), None)
    if found is None:
        known = facts.kind is not ModelKind.UNKNOWN
        what = f"a file of kind {facts.kind}" if known else "a sound file of no kind that we know"
        message = f"{name} is {what}, and there is no folder for it here"
        hint = "It was not kept. Checkpoints, VAEs, LoRA files, embeddings, hypernetworks, "
        raise UnsupportedModelError(
            message, hint=f"{hint}aesthetic embeddings and upscalers are.", value=name
        )
    return found


def _stem(name: str, kind: ModelKind) -> str:
    """Return the wished name without ending; no checkpoint shall look like a VAE beside one."""
    stem = name.removesuffix(ending(name)) or name
    return stem.removesuffix(".vae") if kind is ModelKind.CHECKPOINT else stem


def _extension(facts: Facts, name: str, rule: FolderRule) -> str:
    """Return the ending that tells the truth: as it was sent if it does, else the usual one."""
    told = ending(name)
    tensors = facts.format == "safetensors"
    if told in rule.extensions and (told == ".safetensors") == tensors:
        return told
    if facts.format in ("png", "webp"):
        return f".{facts.format}"
    usual = (".safetensors",) if tensors else (".pt", ".ckpt", ".pth")
    return next(extension for extension in usual if extension in rule.extensions)
