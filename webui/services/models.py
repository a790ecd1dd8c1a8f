"""The model files of this server, found by any name that A1111 would understand."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from webui.library.index import ModelCard
from webui.modules.types import ModelRecord


@dataclass(frozen=True, kw_only=True, slots=True)
class Suggested:
    """Settings with which a checkpoint draws well; the page's first values."""

    width: int = 512
    height: int = 512
    steps: int = 20
    guidance: float = 7.0
    sampler: str = "DPM++ 2M"
    scheduler: str = "Automatic"


@dataclass(frozen=True, kw_only=True, slots=True)
class Inspection:
    """What a file is; the fields of ``inspect --json``."""

    path: str
    kind: str = "unknown"
    family: str = ""
    format: str = ""
    sha256: str = ""
    trigger_words: tuple[str, ...] = ()
    applies: float | None = None
    verdict: str = ""
    hint: str = ""
    error: Mapping[str, str] | None = None


class Models:
    """Everything that can be asked about model files."""

    def checkpoints(self) -> list[ModelCard]:
        """Return the checkpoints in A1111's order."""
        raise NotImplementedError

    def vaes(self) -> list[ModelCard]:
        """Return the VAE files."""
        raise NotImplementedError

    def refresh(self) -> None:
        """Look at the folders again, now."""
        raise NotImplementedError

    def find_checkpoint(self, name: str) -> ModelRecord:
        """Return the checkpoint of this name, hash or title; UnknownNameError if there is none."""
        raise NotImplementedError

    def find_vae(self, name: str, *, checkpoint: ModelRecord) -> ModelRecord | None:
        """Return the VAE file to use; None for the one baked into the checkpoint."""
        raise NotImplementedError

    def suggested(self, checkpoint: ModelRecord) -> Suggested:
        """Return the settings with which this checkpoint draws well."""
        raise NotImplementedError

    def inspect(self, path: Path, *, checkpoint: str | None = None) -> Inspection:
        """Tell what a file is; a refused file has ``error`` set, nothing is raised."""
        raise NotImplementedError
