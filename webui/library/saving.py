"""Finished pictures as files: numbered, dated, whole or not there, never over another file."""

import errno
import os
import re
import secrets
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from webui.library.folders import resolve_inside
from webui.library.naming import NamedPicture, file_stem, folder_parts
from webui.library.picture_text import encode, file_extension
from webui.modules.errors import StorageError
from webui.modules.types import GenerationPlan, Picture

TEMPORARY_PREFIX: Final = ".atelier-"
"""Beginning of the name of a file that is still being written."""

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FORBIDDEN: Final = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
_NO_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
_NUMBER: Final = re.compile(r"(\d+)(?=[-.])")
_MODE: Final = 0o644
_TRIES: Final = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class SavingRules:
    """How pictures are named and packed; A1111's options of the same meaning.

    Attributes:
        extension: "png", "jpg", "webp" or "avif" (samples_format).
        quality: Of all but png (jpeg_quality).
        pattern: Of the file name; empty for A1111's own (samples_filename_pattern).
        use_folders: Sort into sub-folders (save_to_dirs).
        folder_pattern: Of the sub-folder (directories_filename_pattern).
        add_number: Begin with a running number (save_images_add_number).
        words: How many words ``[prompt_words]`` keeps (directories_max_prompt_words).
        with_text: Put the infotext into the file (enable_pnginfo).
    """

    extension: str = "png"
    quality: int = 80
    pattern: str = ""
    use_folders: bool = True
    folder_pattern: str = "[date]"
    add_number: bool = True
    words: int = 8
    with_text: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class FinishedPicture:
    """A picture with all that its file needs.

    Attributes:
        picture: Finished pixels.
        plan: What was drawn.
        infotext: Its settings as text.
        moment: When it was finished, in the server's time zone.
        user: Who asked for it.
    """

    picture: Picture
    plan: GenerationPlan
    infotext: str
    moment: datetime
    user: str = ""


def save(finished: FinishedPicture, *, folder: Path, rules: SavingRules) -> Path:
    """Write a picture below a folder, such as ``outputs/txt2img-images``, and return its path.

    The file appears at once and whole, under a name that no other file had.

    Raises:
        StorageError: If the disk is full or the folder cannot be written to.
        PictureError: If there is no such format.
        ForbiddenError: If a link inside the folder leads out of it.
    """
    picture = finished.picture
    extension = file_extension(rules.extension, width=picture.width, height=picture.height)
    text = finished.infotext if rules.with_text else ""
    data = encode(picture, text, extension=extension, quality=rules.quality)
    subject = NamedPicture(
        picture=picture,
        plan=finished.plan,
        moment=finished.moment,
        user=finished.user,
        words=rules.words,
    )
    parts = folder_parts(rules.folder_pattern or "[prompt_words]", subject)
    inside = "/".join(parts) if rules.use_folders else ""
    target = resolve_inside(folder, inside or ".")
    usual = "[seed]" if rules.use_folders else "[seed]-[prompt_spaces]"
    stem = file_stem(rules.pattern or usual, subject)
    with explained(target, needed=len(data)):
        target.mkdir(parents=True, exist_ok=True)
        temporary = _write_temporary(target, data)
        try:
            return _publish(temporary, stem, extension=extension, numbered=rules.add_number)
        finally:
            temporary.unlink(missing_ok=True)


def replace_file(path: Path, data: bytes) -> None:
    """Write a whole file in place of an old one; after a crash one of the two is there, whole.

    Raises:
        StorageError: If the disk is full or the folder cannot be written to.
    """
    with explained(path.parent, needed=len(data)):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = _write_temporary(path.parent, data)
        try:
            temporary.replace(path)
            sync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def sweep(folder: Path, *, before: float) -> int:
    """Remove half files that a killed server left below a folder; returns how many.

    Args:
        folder: One of our own folders.
        before: Only files changed earlier than this Unix time in seconds.
    """
    removed = 0
    for path in folder.rglob(f"{TEMPORARY_PREFIX}*.tmp"):
        try:
            if path.is_file() and path.stat().st_mtime < before:
                path.unlink()
                removed += 1
        except OSError:
            continue
    return removed


def _write_temporary(folder: Path, data: bytes) -> Path:
    path = folder / f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}.tmp"
    # The mode is given here, not set later: then the system itself takes the umask off.
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), _MODE)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return path


def _publish(temporary: Path, stem: str, *, extension: str, numbered: bool) -> Path:
    """Give the file its lasting name: the first free one."""
    folder = temporary.parent
    first = _next_number(folder) if numbered else 0
    for number in range(first, first + _TRIES):
        path = folder / f"{_name(stem, number, numbered=numbered)}.{extension}"
        try:
            link_new(temporary, path)
        except FileExistsError:
            continue
        sync_folder(folder)
        return path
    message = f"no free name for a picture {stem!r} in {folder.name}"
    raise StorageError(message, hint="Clear the folder or change the pattern.", value=folder)


def _name(stem: str, number: int, *, numbered: bool) -> str:
    if numbered:
        return f"{number:05}-{stem}" if stem else f"{number:05}"
    return f"{stem or 'picture'}-{number}" if number else stem or "picture"


def link_new(temporary: Path, path: Path) -> None:
    """Give a file a name that no other file has.

    Raises:
        OSError: If there is such a file, or the folder cannot be written to.
    """
    try:
        os.link(temporary, path)
    except OSError as error:
        if isinstance(error, FileExistsError) or error.errno not in _NO_LINKS:
            raise
        # FAT knows no second names: reserve the name, then move onto it.
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE))
        temporary.replace(path)


def _next_number(folder: Path) -> int:
    numbers = (_NUMBER.match(entry.name) for entry in os.scandir(folder))
    return max((int(match[1]) for match in numbers if match), default=-1) + 1


def sync_folder(folder: Path) -> None:
    """Bring the names of a folder onto the disk."""
    if os.name == "nt":
        return  # Windows cannot open a folder, and keeps its entries without being asked
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def explained(folder: Path, *, needed: int) -> Generator[None]:
    """Say in words what went wrong with a folder.

    Raises:
        StorageError: Instead of what the system says.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            message = f"the disk is full: {needed} bytes needed, {_free(folder)} free in {folder}"
            hint = "Make room, then try again; nothing else was changed."
        elif error.errno in _FORBIDDEN:
            message = f"the folder {folder} cannot be written to ({error.strerror})"
            hint = "Allow writing there, or choose another data folder with --data-dir."
        else:
            message = f"the folder {folder} cannot be used ({error.strerror})"
            hint = "Look whether the disk is connected and the folder is there."
        raise StorageError(message, hint=hint, value=folder) from error


def _free(folder: Path) -> int:
    for candidate in (folder, *folder.parents):
        if candidate.exists():
            return shutil.disk_usage(candidate).free
    return 0
