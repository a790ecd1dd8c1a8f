"""What people write about a model: kept in A1111's ``.json`` beside the file."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast

from webui.library.saving import replace_file
from webui.library.sidecars import MAX_BYTES, MAX_TEXT, USER
from webui.modules.errors import LimitError, ModelFileError, RangeError

KEYS: Final[Mapping[str, str]] = {
    "description": "description",
    "notes": "notes",
    "trigger_words": "activation text",
    "negative_words": "negative text",
    "base": "sd version",
    "weight": "preferred weight",
}
"""Our names, and what A1111 calls them in its files."""

MOST_WEIGHT: Final = 10.0
"""No preferred weight is further from 0."""


def save_texts(path: Path, changes: Mapping[str, object]) -> None:
    """Write some of the texts about a model; the others, and what other programs wrote, stay.

    Args:
        path: The model file, or the folder of a diffusers checkpoint.
        changes: New texts by our names; a weight is a number.

    Raises:
        LimitError: If a text is too long.
        RangeError: If a weight is no sensible number.
        ModelFileError: If the file of texts is damaged; it stays as it is.
        StorageError: If it cannot be written.
    """
    checked = {KEYS[name]: _checked(name, value) for name, value in changes.items()}
    stem = path.name if path.is_dir() else path.stem
    file = path.with_name(stem + USER)
    texts = {**_read(file), **checked}
    replace_file(file, json.dumps(texts, indent=4, ensure_ascii=False).encode("utf-8"))


def _checked(name: str, value: object) -> str | float:
    if name == "weight":
        number = float(value) if isinstance(value, int | float) else 0.0
        if not abs(number) <= MOST_WEIGHT:
            message = f"the preferred weight is {value}"
            hint = f"Enter a number from {-MOST_WEIGHT:g} to {MOST_WEIGHT:g}; 0 means as usual."
            raise RangeError(message, hint=hint, value=value)
        return number
    text = str(value)
    if len(text) > MAX_TEXT:
        message = f"the {name.replace('_', ' ')} has {len(text)} characters"
        raise LimitError(message, hint=f"At most {MAX_TEXT} are kept.", value=len(text))
    return text


def _read(file: Path) -> dict[str, Any]:
    if not file.exists():
        return {}
    try:
        if file.stat().st_size > MAX_BYTES:
            message = "too large"
            raise ValueError(message)
        said: object = json.loads(file.read_text(encoding="utf-8-sig"))
        if not isinstance(said, dict):
            message = "not texts by name"
            raise TypeError(message)
    except (OSError, ValueError, TypeError, RecursionError) as error:
        message = f"{file.name} is damaged and stays as it is: {error}"
        raise ModelFileError(message, hint="Repair or remove it.", value=file.name) from error
    return cast("dict[str, Any]", said)
