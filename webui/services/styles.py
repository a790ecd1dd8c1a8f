"""Named pieces of prompts from ``styles.csv``, as A1111 keeps them."""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from webui.modules.errors import StorageError

PLACE: Final = "{prompt}"
"""Where a style wants the prompt; without it the style follows the prompt."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Style:
    """What a style adds to the two prompts."""

    prompt: str = ""
    negative_prompt: str = ""


def read_styles(path: Path) -> dict[str, Style]:
    """Return the styles of a file by name; none if there is no file.

    Raises:
        StorageError: If the file cannot be read.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="", errors="replace") as file:
            rows = list(csv.DictReader(file))
    except FileNotFoundError:
        return {}
    except (OSError, csv.Error) as problem:
        message = f"{path} cannot be read: {problem}"
        raise StorageError(message, hint="Repair or remove it.", value=path) from problem
    return {
        name: Style(
            prompt=row.get("prompt") or row.get("text") or "",
            negative_prompt=row.get("negative_prompt") or "",
        )
        for row in rows
        if (name := row.get("name")) and not name.startswith("#")
    }


def apply_styles(text: str, pieces: Iterable[str]) -> str:
    """Return the text with each piece around it, or behind it after a comma."""
    for piece in pieces:
        if PLACE in piece:
            text = piece.replace(PLACE, text)
        else:
            text = ", ".join(part for part in (text.strip(), piece.strip()) if part)
    return text


def styled(
    prompt: str, negative_prompt: str, *, names: Iterable[str], styles: Mapping[str, Style]
) -> tuple[str, str]:
    """Return both prompts with the named styles applied; an unknown name changes nothing."""
    chosen = [styles[name] for name in names if name in styles]
    return (
        apply_styles(prompt, (style.prompt for style in chosen)),
        apply_styles(negative_prompt, (style.negative_prompt for style in chosen)),
    )
