"""Named pieces of prompts from ``styles.csv``, as A1111 keeps them.

The columns are ``name, prompt, negative_prompt``; very old files say ``text`` for ``prompt``. Other
files beside it whose names begin alike, such as ``styles_animals.csv``, are read as well.
"""

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from webui.library.saving import replace_file
from webui.modules.errors import ForbiddenError, RangeError, StorageError
from webui.services import limits as allowed
from webui.settings import Folders, Settings

PLACE: Final = "{prompt}"
"""Where a style wants the prompt; without it the style follows the prompt."""

COLUMNS: Final = ("name", "prompt", "negative_prompt")

MAX_NAME: Final = 200
"""Longest name of a style, in characters."""

DIVIDER_WIDTH: Final = 40

_COMMA: Final = ", "


@dataclass(frozen=True, kw_only=True, slots=True)
class Style:
    """What a style adds to the two prompts."""

    prompt: str = ""
    negative_prompt: str = ""


# Files ------------------------------------------------------------------------------------------


def styles_file(folders: Folders) -> Path:
    """Return where styles are kept."""
    return folders.data_dir / "styles.csv"


def keep_style(settings: Settings, name: str, style: Style) -> None:
    """Save a style for everybody, if this server allows it.

    Raises:
        ForbiddenError: If the settings of this server are frozen.
        LimitError: If a prompt is too long.
        RangeError: If the name is empty, too long or one that files cannot keep.
        StorageError: If a file cannot be read or written.
    """
    if settings.frozen_options:
        message = "the styles of this server are frozen"
        raise ForbiddenError(message, hint="Start it without --freeze-settings.")
    allowed.text("prompt", style.prompt, settings.limits)
    allowed.text("negative_prompt", style.negative_prompt, settings.limits)
    save_style(styles_file(settings.folders), name, style)


def style_files(path: Path) -> list[Path]:
    """Return the files of styles that are there: the named one, then those beside it."""
    beside = sorted(path.parent.glob(f"{path.stem}*{path.suffix}"))
    return [file for file in (path, *(other for other in beside if other != path)) if file.exists()]


def read_styles(path: Path) -> dict[str, Style]:
    """Return the styles by name; none if there is no file, the last one of equal names.

    Raises:
        StorageError: If a file cannot be read.
    """
    return {name: style for file in style_files(path) for name, style in _styles_in(file).items()}


def listed_styles(path: Path) -> list[tuple[str, Style | None]]:
    """Return names and styles as A1111 lists them: several files have a heading each.

    Raises:
        StorageError: If a file cannot be read.
    """
    files = style_files(path)
    listed: list[tuple[str, Style | None]] = []
    for file in files:
        if len(files) > 1:
            listed.append((f" {file.stem.upper()} ".center(DIVIDER_WIDTH, "-"), None))
        listed += _styles_in(file).items()
    return listed


def save_style(path: Path, name: str, style: Style) -> None:
    """Write a style into the file that has this name, or else into the named one.

    What the file was before lies beside it as ``.bak``; after a crash one of the two is whole.

    Raises:
        RangeError: If the name is empty, too long or one that files cannot keep.
        StorageError: If a file cannot be read or written.
    """
    name = name.strip()
    if not name or len(name) > MAX_NAME or name.startswith("#") or not name.isprintable():
        message = f"a style cannot be called {name[:80]!r}"
        hint = f"Use 1 to {MAX_NAME} letters on one line that do not begin with #."
        raise RangeError(message, hint=hint, value=name[:80])
    holding = (file for file in style_files(path) if name in _styles_in(file))
    target = next(holding, path)
    rows = _rows(target)
    new = {"name": name, "prompt": style.prompt, "negative_prompt": style.negative_prompt}
    places = [place for place, row in enumerate(rows) if row.get("name") == name]
    if places:
        rows[places[-1]] |= new
    else:
        rows.append(dict(new))
    if target.exists():
        replace_file(target.with_name(f"{target.name}.bak"), _bytes_of(target))
    replace_file(target, _as_csv(rows))


def _styles_in(file: Path) -> dict[str, Style]:
    return {
        name: Style(
            prompt=row.get("prompt") or row.get("text") or "",
            negative_prompt=row.get("negative_prompt") or "",
        )
        for row in _rows(file)
        if (name := row.get("name")) and not name.startswith("#")
    }


def _rows(file: Path) -> list[dict[str, str]]:
    if not file.exists():
        return []
    text = _bytes_of(file).decode("utf-8-sig", errors="replace")
    try:
        read: list[dict[Any, Any]] = list(csv.DictReader(io.StringIO(text, newline="")))
    except csv.Error as problem:
        message = f"{file} cannot be read: {problem}"
        raise StorageError(message, hint="Repair or remove it.", value=file) from problem
    return [{str(key): value or "" for key, value in row.items() if key} for row in read]


def _bytes_of(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as problem:
        message = f"{file} cannot be read: {problem}"
        raise StorageError(message, hint="Repair or remove it.", value=file) from problem


def _as_csv(rows: list[dict[str, str]]) -> bytes:
    others = {column: None for row in rows for column in row if column not in (*COLUMNS, "text")}
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=[*COLUMNS, *others], extrasaction="ignore")
    writer.writeheader()
    for row in rows:
        writer.writerow({**row, "prompt": row.get("prompt") or row.get("text") or ""})
    return text.getvalue().encode("utf-8-sig")


# Into prompts -----------------------------------------------------------------------------------


def apply_styles(text: str, pieces: Iterable[str]) -> str:
    """Return the text with each piece around it, or behind it after a comma."""
    for piece in pieces:
        if PLACE in piece:
            text = piece.replace(PLACE, text)
        else:
            text = _COMMA.join(part for part in (text.strip(), piece.strip()) if part)
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


# Out of prompts ---------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Unstyled:
    """Two prompts without the styles that were found in them, in the order of their use."""

    prompt: str
    negative_prompt: str
    names: tuple[str, ...] = ()


def without_styles(prompt: str, negative_prompt: str, *, styles: Mapping[str, Style]) -> Unstyled:
    """Take every style out that both prompts end with, or that stands around them.

    The style that was applied last is found first, so that the names come back in their order.
    """
    left = {name: style for name, style in styles.items() if style != Style()}
    names: list[str] = []
    while step := _one_less(prompt, negative_prompt, left):
        name, prompt, negative_prompt = step
        names.append(name)
        del left[name]
    return Unstyled(prompt=prompt, negative_prompt=negative_prompt, names=tuple(reversed(names)))


def _one_less(
    prompt: str, negative_prompt: str, styles: Mapping[str, Style]
) -> tuple[str, str, str] | None:
    """Return the first style that is found, and both prompts without it."""
    for name, style in styles.items():
        shorter = _without(prompt, style.prompt)
        shorter_negative = _without(negative_prompt, style.negative_prompt)
        if shorter is not None and shorter_negative is not None:
            return name, shorter, shorter_negative
    return None


def pasted_styles(
    fields: dict[str, Any], *, rule: str, styles: Mapping[str, Style]
) -> dict[str, Any]:
    """Return the fields of a pasted request with its styles found, as ``infotext_styles`` says.

    Args:
        fields: Fields of a request, with both prompts.
        rule: "Ignore" leaves all as it is, "Discard" takes styles out of the prompts, "Apply" also
            chooses them, even if there are none, and "Apply if any" only if there are some.
        styles: All styles by name.
    """
    if rule == "Ignore":
        return fields
    told = (fields.get("prompt", ""), fields.get("negative_prompt", ""))
    found = without_styles(*told, styles=styles)
    fields = {**fields, "prompt": found.prompt, "negative_prompt": found.negative_prompt}
    if rule == "Apply" or (rule == "Apply if any" and found.names):
        fields["styles"] = found.names
    return fields


def _without(text: str, piece: str) -> str | None:
    """Return the text without the piece of a style; None if it does not hold it."""
    bare, piece = text.strip(), piece.strip()
    if not piece:
        return text
    before, place, after = piece.partition(PLACE)
    if place:
        whole = len(bare) >= len(before) + len(after)
        around = whole and bare.startswith(before) and bare.endswith(after)
        return bare[len(before) : len(bare) - len(after)] if around else None
    return bare.removesuffix(piece).removesuffix(_COMMA) if bare.endswith(piece) else None
