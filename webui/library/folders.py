"""Where each kind of model lives, and which files count."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from webui.modules.errors import ForbiddenError
from webui.modules.types import ModelKind

DIFFUSERS_INDEX: Final = "model_index.json"
"""The file that makes a folder a diffusers checkpoint."""

PREVIEW_EXTENSIONS: Final = (".png", ".jpg", ".jpeg", ".webp", ".gif")
"""Pictures that may stand beside a model file and show what it draws."""

MAX_DEPTH: Final = 16
"""Folders deeper than this are not looked into; a link in a circle ends here at the latest."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FolderRule:
    """One kind's place under the data folder.

    Attributes:
        kind: What lives there.
        folder: Relative to the data folder, with forward slashes.
        extensions: File endings that count, lower case.
    """

    kind: ModelKind
    folder: str
    extensions: tuple[str, ...]


FOLDERS: Final = (
    FolderRule(
        kind=ModelKind.CHECKPOINT,
        folder="models/Stable-diffusion",
        extensions=(".safetensors", ".ckpt"),
    ),
    FolderRule(
        kind=ModelKind.VAE,
        folder="models/VAE",
        extensions=(".safetensors", ".ckpt", ".pt", ".bin"),
    ),
    FolderRule(
        kind=ModelKind.AESTHETIC,
        folder="models/VAE",
        extensions=(".safetensors", ".pt", ".bin"),
    ),
    FolderRule(
        kind=ModelKind.LORA,
        folder="models/Lora",
        extensions=(".safetensors", ".ckpt", ".pt"),
    ),
    FolderRule(
        kind=ModelKind.HYPERNETWORK,
        folder="models/hypernetworks",
        extensions=(".pt", ".safetensors"),
    ),
    FolderRule(
        kind=ModelKind.EMBEDDING,
        folder="embeddings",
        extensions=(".safetensors", ".pt", ".bin", ".png", ".webp"),
    ),
    FolderRule(
        kind=ModelKind.UPSCALER,
        folder="models/ESRGAN",
        extensions=(".safetensors", ".pt", ".pth"),
    ),
)
"""A1111's folders, so that an existing tree can be used as it is.

Two kinds may share a folder: a file there belongs to the kind that its tensors say, and one of
neither kind is a problem of the first.
"""

ModelFolders = Mapping[ModelKind, tuple[Path, ...]]
"""The folders of each kind; the first is ours to write to."""


def rule(kind: ModelKind) -> FolderRule:
    """Return the place and the endings of a kind."""
    return next(entry for entry in FOLDERS if entry.kind is kind)


def is_vae_name(name: str) -> bool:
    """Tell whether a file beside a checkpoint is its VAE: ``model.vae.safetensors``."""
    return Path(Path(name).stem).suffix.lower() == ".vae"


def resolve_inside(root: Path, name: str) -> Path:
    """Return the real path of a name under a folder; the folder itself may be a link.

    Raises:
        ForbiddenError: If the path leads out of the folder, by dots, as an absolute path, through
            a link, or by a name that the system cannot hold.
    """
    message = f"{name[:200]!r} leads out of the folder {root.name}"
    hint = "Use a plain name without dots and slashes at its start."
    try:
        base = root.resolve()
        path = (base / name).resolve()
    except (OSError, ValueError, RuntimeError) as error:
        raise ForbiddenError(message, hint=hint, value=name[:200]) from error
    if path != base and base not in path.parents:
        raise ForbiddenError(message, hint=hint, value=name[:200])
    return path
