"""What a model file is, in one sentence for people, and what to do with it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from webui.library.folders import FOLDERS
from webui.modules.types import ModelKind
from webui.modules.weights.describe import Facts
from webui.modules.weights.families import DRAWABLE
from webui.modules.weights.header import read_header
from webui.modules.weights.soundness import spoiled_tensors

_NAMED: Final = 3
"""How many spoiled tensors a verdict names."""


def verdict(path: Path, facts: Facts) -> tuple[str, str]:
    """Return what is to be said of a sound file, and what to do with it.

    Args:
        path: The file, whose numbers are looked at if it is not too long for that.
        facts: What it is.
    """
    if facts.kind is ModelKind.UNKNOWN:
        return _unknown(facts)
    family = f" of the family {facts.family}" if facts.family else ""
    said = f"Kind: {facts.kind}{family}."
    place = {rule.kind: rule.folder for rule in FOLDERS}.get(facts.kind)
    hint = f"Its place is {place}." if place else "There is no folder for it here."
    if facts.kind is ModelKind.CHECKPOINT and facts.family not in DRAWABLE:
        return f"{said} {_NOT_DRAWN}", _DRAWN
    spoiled = None if path.is_dir() else spoiled_tensors(path, read_header(path))
    if spoiled:
        return f"{said} {_spoiled(spoiled, facts.tensors)}", "Train it or download it again."
    return said, hint


_NOT_DRAWN: Final = "It is known by name, but not drawn with here."
_DRAWN: Final = "Choose a checkpoint of the Stable Diffusion 1 family to draw with."


def _unknown(facts: Facts) -> tuple[str, str]:
    if facts.format in ("png", "webp"):
        said = "A picture that carries no embedding."
        return said, "If it came through a site that changes pictures, get the original."
    return "A sound file of no kind that we know.", "There is no folder for it here."


def _spoiled(names: Sequence[str], total: int) -> str:
    shown = ", ".join(name[:60] for name in names[:_NAMED])
    more = ", ..." if len(names) > _NAMED else ""
    return f"A sound file, but {len(names)} of {total} tensors hold not-a-number ({shown}{more})."
