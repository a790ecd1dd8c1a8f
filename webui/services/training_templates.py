"""Sentences that pictures are put into while something is trained, named as A1111 names them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from webui.library.folders import resolve_inside
from webui.modules.errors import UnknownNameError

FOLDER: Final = "textual_inversion_templates"
"""Files of one's own, one sentence a line, below the data folder."""

MOST_BYTES: Final = 100_000

_ART: Final = ("painting", "rendering", "cropped painting", "clean painting", "dark painting",
               "picture", "cool painting", "bright painting", "good painting", "rich painting",
               "nice painting", "small painting", "large painting")  # fmt: skip
_SIGHTS: Final = ("photo", "rendering", "cropped photo", "close-up photo", "bright photo",
                  "dark photo", "good photo", "cool photo", "nice photo", "rendition")  # fmt: skip

SHIPPED: Final[Mapping[str, tuple[str, ...]]] = {
    "none.txt": ("picture",),
    "style.txt": tuple(f"a {kind}, art by [name]" for kind in _ART),
    "style_filewords.txt": tuple(f"a {kind} of [filewords], art by [name]" for kind in _ART),
    "subject.txt": tuple(f"a {kind} of a [name]" for kind in _SIGHTS),
    "subject_filewords.txt": tuple(f"a {kind} of a [name], [filewords]" for kind in _SIGHTS),
    "hypernetwork.txt": tuple(f"a {kind} of a [filewords]" for kind in _SIGHTS),
}
"""Sentences of the same make as those that A1111 ships, in our own words."""


def lines_of(name: str, data_dir: Path) -> tuple[str, ...]:
    """Return the sentences of a template: one's own file, or a shipped one.

    Raises:
        UnknownNameError: If there is none of this name.
    """
    own = resolve_inside(data_dir / FOLDER, name or ".")
    if own.is_file() and own.stat().st_size <= MOST_BYTES:
        text = own.read_text(encoding="utf-8-sig", errors="replace")
        lines = tuple(line.strip() for line in text.splitlines() if line.strip())
        if lines:
            return lines
    if name not in SHIPPED:
        message = f"there is no template {name[:100]!r}"
        raise UnknownNameError(message, hint=f"There are: {', '.join(SHIPPED)}.", value=name[:100])
    return SHIPPED[name]
