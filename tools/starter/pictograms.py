"""Named pictograms, cut out on transparency, read from the unpacked packages."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from PIL import Image

from tools.starter.vocabulary import CARTOON, FLAT, THREE_D, Style

SIDE: Final = 128
"""Pictograms are kept at this many pixels a side, enough for any size in a 128-pixel scene."""

UNUSED_CATEGORIES: Final = frozenset({"Flags", "People & Body", "Symbols", "Component"})
"""Left out of the autoencoder's wider diet: near-duplicates and plain signs."""


@dataclass(frozen=True, slots=True)
class PictogramShelf:
    """The folder that ``fetch`` filled."""

    packages: Path

    def by_name(self, short_name: str, style: Style = THREE_D) -> Image.Image:
        """Return a style's pictogram of that ``emoji-datasource`` short name."""
        return load(FILES[style.name](self.packages, code_points(self.packages)[short_name]))

    def everything(self) -> list[Path]:
        """List every pictogram file of the two sets that the autoencoder learns from."""
        codes = sorted(set(code_points(self.packages, skip=UNUSED_CATEGORIES).values()))
        fluent = [fluent_file(self.packages, code) for code in codes]
        noto = [noto_file(self.packages, code) for code in codes]
        return [file for file in (*fluent, *noto) if file.exists()]


@lru_cache(maxsize=4096)
def load(file: Path) -> Image.Image:
    """Read one pictogram as RGBA of ``SIDE`` pixels a side."""
    with Image.open(file) as picture:
        return picture.convert("RGBA").resize((SIDE, SIDE), Image.Resampling.LANCZOS)


@lru_cache(maxsize=2)
def code_points(packages: Path, skip: frozenset[str] = frozenset()) -> dict[str, str]:
    """Map short names to the code point sequence that names the picture files."""
    text = (packages / "emoji-datasource" / "emoji.json").read_text(encoding="utf-8")
    return {
        name: entry["unified"].lower()
        for entry in json.loads(text)
        if entry["category"] not in skip
        for name in entry["short_names"]
    }


def fluent_file(packages: Path, code: str) -> Path:
    """Return where the Fluent set keeps a code point; it drops the variation selector at times."""
    folder = packages / "fluent-emoji-3d" / "assets"
    exact = folder / f"{code}.webp"
    return exact if exact.exists() else folder / f"{code.replace('-fe0f', '')}.webp"


def twemoji_file(packages: Path, code: str) -> Path:
    """Return where the Twemoji set keeps a code point."""
    return packages / "emoji-datasource-twitter" / "img" / "twitter" / "64" / f"{code}.png"


def noto_file(packages: Path, code: str) -> Path:
    """Return where the Noto set keeps a code point."""
    return packages / "emoji-datasource-google" / "img" / "google" / "64" / f"{code}.png"


FILES: Final[Mapping[str, Callable[[Path, str], Path]]] = {
    THREE_D.name: fluent_file,
    FLAT.name: twemoji_file,
    CARTOON.name: noto_file,
}
"""Where the pictograms of each style are."""
