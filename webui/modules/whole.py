"""Files that are there whole or not at all: written under another name, then moved in one go."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkstemp

from webui.modules.errors import StorageError


@contextmanager
def written_whole(path: Path) -> Generator[Path]:
    """Give a file to write to that takes its name when the body has ended well.

    Raises:
        StorageError: If it cannot be written. Nothing is left behind then.
    """
    try:
        number, name = mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        os.close(number)
        try:
            yield Path(name)
            _settle(Path(name), path)
        finally:
            Path(name).unlink(missing_ok=True)  # gone already if all went well
    except OSError as error:
        message = f"{path.name} cannot be written: {error}"
        hint = "Free some space or choose another folder."
        raise StorageError(message, hint=hint, value=path.name) from error


def write_whole(path: Path, data: bytes) -> None:
    """Write bytes; an older file of this name is replaced at once.

    Raises:
        StorageError: If it cannot be written. Nothing is left behind then.
    """
    with written_whole(path) as unfinished:
        unfinished.write_bytes(data)


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
