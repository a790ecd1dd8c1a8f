"""A model file written whole: under another name first, then put in its place in one move."""

import os
from collections.abc import Mapping
from pathlib import Path
from tempfile import mkstemp

from safetensors import SafetensorError
from safetensors.torch import save_file  # pyright: ignore[reportUnknownVariableType] - its types are partial
from torch import Tensor

from webui.modules.errors import StorageError


def write_safetensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]
) -> None:
    """Write tensors and texts as ``.safetensors``; an older file of this name is replaced at once.

    Raises:
        StorageError: If the folder is missing or read-only, or the disk is full. Nothing is left
            behind then, and an older file stays as it was.
    """
    try:
        number, name = mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        os.close(number)
        try:
            whole = {key: tensor.contiguous() for key, tensor in tensors.items()}
            save_file(whole, name, dict(metadata))
            _settle(Path(name), path)
        finally:
            Path(name).unlink(missing_ok=True)  # gone already if all went well
    except (OSError, SafetensorError) as error:
        message = f"{path.name} cannot be written: {error}"
        hint = "Free some space or choose another folder."
        raise StorageError(message, hint=hint, value=path.name) from error


def _settle(written: Path, path: Path) -> None:
    """Make sure that the bytes are on the disk before the name points to them."""
    umask = os.umask(0)
    os.umask(umask)
    written.chmod(0o666 & ~umask)
    with written.open("rb") as file:
        os.fsync(file.fileno())
    written.replace(path)
    if hasattr(os, "O_DIRECTORY"):
        folder = os.open(path.parent, os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
