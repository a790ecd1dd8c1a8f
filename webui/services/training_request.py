"""What people ask for when they train, in their own words: names unresolved, numbers as typed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import yaml

from webui.modules.errors import RangeError, RequestError, StorageError, UnknownNameError
from webui.modules.types import ModelKind

MOST_BYTES: Final = 1_000_000
"""A larger settings file is no settings file."""

SHORT: Final[Mapping[str, str]] = {
    "steps": "steps",
    "lr": "correction.rate",
    "resolution": "data.resolution",
    "batch_size": "batch_size",
    "seed": "seed",
    "save_every": "watch.save_every",
}
"""Words that command line, routes and page have for single settings."""

RANK: Final[Mapping[ModelKind, str]] = {
    ModelKind.LORA: "what.rank",
    ModelKind.EMBEDDING: "what.vectors",
    ModelKind.AESTHETIC: "what.vectors",
}
"""What the word "rank" means for a kind; the others have none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingRequest:
    """A wish for a training; ``services/training_plans`` turns it into a plan.

    Attributes:
        kind: What is trained.
        name: Of the file, without ending.
        data: The folder with the pictures.
        checkpoint: Any name by which A1111 would find it; empty for the selected one.
        subject: What the pictures show: the preset that gives what is not said.
        trigger: Word that calls what is learned; put before every caption.
        settings: Everything else by dotted names, or nested as in the plan.
        pictured: The end is drawn for the file's picture, even if nothing is on the way.
    """

    kind: ModelKind
    name: str
    data: Path
    checkpoint: str = ""
    subject: str = ""
    trigger: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    pictured: bool = True


def spoken(kind: ModelKind, said: Mapping[str, Any]) -> dict[str, Any]:
    """Return short words such as ``lr`` as settings; those that are None were not said.

    Raises:
        UnknownNameError: If the kind has no such setting.
    """
    found: dict[str, Any] = {}
    for word, value in said.items():
        if value is None:
            continue
        name = RANK.get(kind) if word == "rank" else SHORT[word]
        if name is None:
            message = f"a training of kind {kind} has no rank"
            raise UnknownNameError(message, hint="Leave it out.", value="rank")
        found[name] = value
    return found


def read_settings_file(path: Path) -> dict[str, Any]:
    """Return what a YAML file of settings says; nothing in it is resolved or made.

    Raises:
        StorageError: If it cannot be read.
        RequestError: If it is no YAML mapping.
    """
    hint = "Give a YAML file with the names of the settings, such as steps: 500."
    try:
        if path.stat().st_size > MOST_BYTES:
            message = f"{path.name} has more than {MOST_BYTES} bytes"
            raise RangeError(message, hint=hint, value=path.name)
        text = path.read_text(encoding="utf-8-sig")
        events = cast("Iterator[object]", yaml.parse(text, yaml.SafeLoader))  # pyright: ignore[reportUnknownMemberType] - untyped in yaml
        aliased = any(isinstance(event, yaml.AliasEvent) for event in events)
        said: object = None if aliased else yaml.safe_load(text)
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}"
        raise StorageError(message, hint=hint, value=path) from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        message = f"{path.name} is no YAML: {str(error).splitlines()[0][:200]}"
        raise RequestError(message, hint=hint, value=path.name) from error
    if not isinstance(said, dict):
        message = f"{path.name} names no settings"
        raise RequestError(message, hint=hint, value=path.name)
    return {str(key): value for key, value in cast("dict[object, Any]", said).items()}
