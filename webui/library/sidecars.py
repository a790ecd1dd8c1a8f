"""What people put beside a model file: notes, suggested settings, a preview, an LDM config."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from webui.library.folders import PREVIEW_EXTENSIONS

MAX_BYTES: Final = 1024**2
"""A larger file beside a model is left unread."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sidecars:
    """What stands beside one model file; all of it is data from strangers, to be shown as text.

    Attributes:
        description: For people, from the ``.json`` or else a ``.txt``.
        notes: The owner's own.
        vae: VAE that this checkpoint wants: "Automatic", "None", a file name, or empty.
        suggested: Settings with which it draws well, under A1111's request field names.
        trigger_words: Words that call what it has learned.
        preview: A picture of what it draws.
        config: The same-stem ``.yaml``.
    """

    description: str = ""
    notes: str = ""
    vae: str = ""
    suggested: Mapping[str, Any] = field(default_factory=dict[str, Any])
    trigger_words: str = ""
    preview: Path | None = None
    config: Path | None = None


def read_sidecars(path: Path) -> Sidecars:
    """Return what stands beside a model file; what cannot be read is left out."""
    said = _json(_beside(path, ".json"))
    suggested = said.get("suggested")
    config = _beside(path, ".yaml")
    return Sidecars(
        description=_text(said, "description") or _description(path),
        notes=_text(said, "notes"),
        vae=_text(said, "vae"),
        suggested=cast("dict[str, Any]", suggested) if isinstance(suggested, dict) else {},
        trigger_words=_text(said, "activation text"),
        preview=_preview(path),
        config=config if path.is_file() and config.is_file() else None,
    )


def _beside(path: Path, ending: str) -> Path:
    stem = path.name if path.is_dir() else path.stem
    return path.with_name(stem + ending)


def _preview(path: Path) -> Path | None:
    for extension in PREVIEW_EXTENSIONS:
        for candidate in (_beside(path, extension), _beside(path, f".preview{extension}")):
            if candidate != path and candidate.is_file():
                return candidate
    return None


def _description(path: Path) -> str:
    for candidate in (_beside(path, ".txt"), _beside(path, ".description.txt")):
        text = _read(candidate)
        if text:
            return text
    return ""


def _json(path: Path) -> dict[str, Any]:
    try:
        said: object = json.loads(_read(path) or "{}")
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", said) if isinstance(said, dict) else {}


def _text(said: Mapping[str, Any], key: str) -> str:
    value = said.get(key)
    return value if isinstance(value, str) else ""


def _read(path: Path) -> str:
    try:
        if not path.is_file() or path.stat().st_size > MAX_BYTES:
            return ""
        return path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError:
        return ""
