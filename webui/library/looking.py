"""What lies in a model folder and below it: one look at each folder, no file opened.

A look tells names, times and sizes. Two looks side by side tell what is new, changed or gone.
"""

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from webui.library.folders import DIFFUSERS_INDEX, MAX_DEPTH

Stamp = tuple[int, int]
"""By which a changed file is noticed: its time in nanoseconds, and its size."""

GONE: Final[Stamp] = (0, 0)
"""Stamp of a file that is not there."""

SETTLED_NS: Final = 50_000_000
"""Two changes of a folder within this time may carry the same time; file systems tick slowly."""

_SHADOW: Final = "._"
"""Beginning of the names under which macOS keeps its own notes beside files."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shelf:
    """One folder as it was seen.

    Attributes:
        path: As it is reached; a link stays a link.
        inside: The same below the model folder, with forward slashes and one at its end, or empty.
        modified: When something came or went, in nanoseconds.
        files: Stamps of the files that matter, by name.
        model: Whether the folder itself is a model: a diffusers checkpoint.
    """

    path: str
    inside: str
    modified: int
    files: Mapping[str, Stamp]
    model: bool = False


def look(root: Path, endings: Collection[str]) -> list[Shelf]:
    """Return a folder and every folder below it, each real one once.

    Args:
        root: Where to begin; it may be missing.
        endings: What file names may end with, lower case, such as ``.safetensors``.
    """
    return list(_look(str(root), "", frozenset(endings), seen=set(), depth=0))


def still(shelves: Collection[Shelf]) -> bool:
    """Tell whether no file has come or gone since; a file written anew is not noticed."""
    return all(_folder_stamp(shelf.path)[0] == shelf.modified for shelf in shelves)


def stamp(path: str) -> Stamp:
    """Return the stamp of a file, or of what tells a diffusers checkpoint; may be ``GONE``."""
    there = Path(path)
    try:
        status = (there / DIFFUSERS_INDEX if there.is_dir() else there).stat()
    except (OSError, ValueError):
        return GONE
    return status.st_mtime_ns, status.st_size


def split_name(name: str) -> tuple[str, str]:
    """Return a file name without its ending, and the ending with its dot; both may be empty."""
    stem, dot, ending = name.rpartition(".")
    return (stem, dot + ending) if stem else (name, "")


def settled(shelves: Collection[Shelf], *, now: int) -> bool:
    """Tell whether the folders' times are old enough to be trusted; ``now`` in nanoseconds.

    A model folder that is missing has no time that could tell when it comes.
    """
    return bool(shelves) and all(shelf.modified + SETTLED_NS < now for shelf in shelves)


def _look(
    path: str, inside: str, endings: frozenset[str], *, seen: set[tuple[int, int]], depth: int
) -> Iterator[Shelf]:
    modified, real = _folder_stamp(path)
    if not modified or real in seen or depth >= MAX_DEPTH:
        return
    seen.add(real)
    files: dict[str, Stamp] = {}
    below: list[str] = []
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                _sort_in(entry, endings, files, below)
    except OSError:
        return
    model = DIFFUSERS_INDEX in files
    yield Shelf(path=path, inside=inside, modified=modified, files=files, model=model)
    if not model:
        for name in sorted(below):
            yield from _look(
                f"{path}{os.sep}{name}", f"{inside}{name}/", endings, seen=seen, depth=depth + 1
            )


def _sort_in(
    entry: "os.DirEntry[str]", endings: frozenset[str], files: dict[str, Stamp], below: list[str]
) -> None:
    name = entry.name
    try:
        name.encode()
        matters = name == DIFFUSERS_INDEX or split_name(name)[1].lower() in endings
        if matters and entry.is_file() and not name.startswith(_SHADOW):
            status = entry.stat()
            files[name] = (status.st_mtime_ns, status.st_size)
        elif entry.is_dir():
            below.append(name)
    except (OSError, UnicodeEncodeError):
        return  # it went away meanwhile, or its disk did, or its name is no text


def _folder_stamp(path: str) -> tuple[int, tuple[int, int]]:
    """Return when a folder changed, 0 if there is none, and which one it really is."""
    try:
        status = Path(path).stat()
    except (OSError, ValueError):
        return 0, (0, 0)
    return status.st_mtime_ns, (status.st_dev, status.st_ino)
