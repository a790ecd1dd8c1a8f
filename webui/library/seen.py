"""Which of the files in a folder are models, and what stands beside each; no file opened."""

import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from webui.library.folders import DIFFUSERS_INDEX, PREVIEW_EXTENSIONS
from webui.library.looking import GONE, Shelf, Stamp, split_name, stamp
from webui.library.sidecars import ENDINGS, SAYING, SUFFIXES

_KNOWN: Final = frozenset(ENDINGS)
_NO_ENDINGS: Final[Mapping[str, Stamp]] = {}


class Seen(NamedTuple):
    """A model file as a look at its folder tells it; there are ten thousand, so it is a tuple.

    Attributes:
        path: The file, or the folder of a diffusers checkpoint.
        file: The same as a path.
        name: The same below the model folder, with forward slashes.
        stem: File name without ending; of a folder, all of it.
        stamp: By which a changed file is noticed.
        beside: Stamps of the files beside it, by their endings.
    """

    path: str
    file: Path
    name: str
    stem: str
    stamp: Stamp
    beside: Mapping[str, Stamp]

    @property
    def is_folder(self) -> bool:
        """Whether this is a diffusers checkpoint."""
        return self.path.endswith(self.stem)

    @property
    def beside_stamp(self) -> str:
        """By which a changed text beside it is noticed; empty where there is none."""
        if not self.beside:
            return ""
        texts = ((ending, self.beside[ending]) for ending in SAYING if ending in self.beside)
        return " ".join(f"{ending}:{modified}:{size}" for ending, (modified, size) in texts)


def models_in(shelf: Shelf, extensions: Collection[str]) -> Iterator[Seen]:
    """Yield the model files of one folder, or the folder itself if it is a model.

    A picture with the name of a model file is that file's preview and no model itself.
    """
    if shelf.model:
        yield _folder(shelf)
        return
    beside = _by_stem(shelf.files)
    folder = Path(shelf.path)
    split = {name: split_name(name) for name in shelf.files}
    shown = {
        stem
        for stem, extension in split.values()
        if extension.lower() in extensions and extension.lower() not in PREVIEW_EXTENSIONS
    }
    for name, (stem, extension) in split.items():
        if extension.lower() not in extensions:
            continue
        others = beside.get(stem, _NO_ENDINGS)
        if extension.lower() in PREVIEW_EXTENSIONS:
            if stem in shown or stem.removesuffix(".preview") in shown:
                continue
            others = {ending: found for ending, found in others.items() if ending != extension}
        path = f"{shelf.path}{os.sep}{name}"
        yield Seen(path, folder / name, shelf.inside + name, stem, shelf.files[name], others)


def _by_stem(files: Mapping[str, Stamp]) -> dict[str, dict[str, Stamp]]:
    """Sort the files that stand beside models by the name of the model."""
    found: dict[str, dict[str, Stamp]] = {}
    for name, told in files.items():
        stem, extension = split_name(name)
        if extension not in SUFFIXES:
            continue
        if extension in _KNOWN:
            found.setdefault(stem, {})[extension] = told
        bare, middle = split_name(stem)
        if middle + extension in _KNOWN:
            found.setdefault(bare, {})[middle + extension] = told
    return found


def _folder(shelf: Shelf) -> Seen:
    path = Path(shelf.path)
    others = {ending: stamp(f"{path}{ending}") for ending in ENDINGS}
    return Seen(
        str(path),
        path,
        shelf.inside.rstrip("/") or path.name,
        path.name,
        shelf.files[DIFFUSERS_INDEX],
        {ending: told for ending, told in others.items() if told != GONE},
    )
