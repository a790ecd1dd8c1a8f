"""A model file as people see it: what it is, what stands beside it, why it is refused."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from webui.modules.types import ModelRecord

PICTURES: Final = frozenset({"png", "webp"})
"""Formats of pictures in which an embedding can lie."""

NO_MODEL: Final = "model.unsupported"
"""Code of the problem that a sound file of another kind has."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """Why a file is refused, in the words of ``modules/errors.py``."""

    code: str
    message: str
    hint: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelCard:
    """A model file as the page and the routes show it.

    Attributes:
        record: The file and what it is.
        format: "safetensors", "pickle", "diffusers" ...; empty when refused.
        old_hash: A1111's first kind of hash, 8 hex digits; empty for a folder.
        metadata: Free texts of a safetensors file, from strangers; long ones are left out.
        whole: Whether ``metadata`` is all of them.
        layout: A word for names and shapes of its tensors: files of one layout fit alike.
        size: Bytes; of a folder, those of its index.
        changed: Unix time in nanoseconds.
        given_title: What its maker calls it, from a file beside it; likewise the next eight.
        description: For people.
        notes: The owner's own.
        vae: VAE that this checkpoint wants: "Automatic", "None", a file name, or empty.
        suggested: Settings with which it draws well, under A1111's request field names.
        trigger_words: Words that call what it has learned.
        negative_words: Words for the negative prompt.
        weight: How strongly its owner likes it; 0 for as usual.
        base: For which kind of checkpoint it was made, as somebody says.
        preview: A picture of what it draws.
        problem: Why it is refused; None for a sound file.
    """

    record: ModelRecord
    format: str = ""
    old_hash: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    whole: bool = True
    layout: str = ""
    size: int = 0
    changed: int = 0
    given_title: str = ""
    description: str = ""
    notes: str = ""
    vae: str = ""
    suggested: Mapping[str, Any] = field(default_factory=dict[str, Any])
    trigger_words: str = ""
    negative_words: str = ""
    weight: float = 0.0
    base: str = ""
    preview: Path | None = None
    problem: Problem | None = None

    @property
    def title(self) -> str:
        """``name [shorthash]``, or the bare name before the hash is known."""
        return self.record.title

    @property
    def word(self) -> str:
        """What stands for an embedding in prompts: the file's stem, or the name in a picture."""
        named = self.metadata.get("name", "") if self.format in PICTURES else ""
        return named or self.record.stem

    @property
    def mere_picture(self) -> bool:
        """Whether this is a picture among embeddings that carries none: a preview, no model."""
        ending = self.record.path.suffix.lower().removeprefix(".")
        return self.problem is not None and ending in PICTURES and self.problem.code == NO_MODEL

    @property
    def model_name(self) -> str:
        """The name as one word: ``sub_folder_model``."""
        return str(Path(self.record.name).with_suffix("")).replace("/", "_").replace("\\", "_")
