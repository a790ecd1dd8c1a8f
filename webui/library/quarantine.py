"""Files that come from outside: written into a place apart, looked at, then filed or gone.

What is cut off, refused or killed leaves nothing: each file has a folder of its own, which goes
when the work with it ends, and at the next start of the program at the latest.
"""

import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from webui.library.saving import TEMPORARY_PREFIX, explained, link_new, sync_folder
from webui.modules.errors import LimitError, StorageError

RESERVE_BYTES: Final = 1_000_000_000
"""So much room stays free on the disk for everything else."""

CHECK_BYTES: Final = 64_000_000
"""After so much more the room is measured again."""

COPY_BYTES: Final = 4_000_000
"""Read and written at once where a file must be copied or compared."""

_TRIES: Final = 10_000
_MODE: Final = 0o644
_BINARY: Final[int] = getattr(os, "O_BINARY", 0)


class Arrival:
    """One file on its way in.

    Args:
        path: Where it is written; the name is already the lasting one.
        most: Bytes that it may have.
    """

    def __init__(self, path: Path, *, most: int) -> None:
        self.path = path
        self.size = 0
        self._most = most
        self._digest = hashlib.sha256()
        # The mode is given here, not set later: then the system itself takes the umask off.
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, _MODE)
        self._file = os.fdopen(handle, "wb")
        self._measured = 0

    @property
    def sha256(self) -> str:
        """The hash of what has come so far."""
        return self._digest.hexdigest()

    def write(self, data: bytes) -> None:
        """Take a piece.

        Raises:
            LimitError: If the file becomes too large.
            StorageError: If the disk becomes too full.
        """
        self.size += len(data)
        if self.size > self._most:
            raise too_large(self.size, self._most)
        if self.size - self._measured >= CHECK_BYTES:
            self._measured = self.size
            require_room(self.path.parent, 0)
        with explained(self.path.parent, needed=len(data)):
            self._file.write(data)
        self._digest.update(data)

    def close(self) -> None:
        """Bring what has come onto the disk.

        Raises:
            StorageError: If that fails.
        """
        if self._file.closed:
            return
        with explained(self.path.parent, needed=self.size):
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()

    def drop(self) -> None:
        """Let go of the file without caring what becomes of it."""
        with suppress(OSError):  # what a full disk could not take is thrown away anyway
            self._file.close()


@contextmanager
def arrival(folder: Path, name: str, *, most: int) -> Generator[Arrival]:
    """Give a place for one file; leaving removes it, wherever the work with it has got to.

    Args:
        folder: The quarantine.
        name: A safe file name.
        most: Bytes that it may have.

    Raises:
        StorageError: If the folder cannot be used.
    """
    own = folder / f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}"
    with explained(folder, needed=0):
        own.mkdir(parents=True)
    try:
        with explained(folder, needed=0):
            arriving = Arrival(own / name, most=most)
        try:
            yield arriving
        finally:
            arriving.drop()
    finally:
        shutil.rmtree(own, ignore_errors=True)


def require_room(folder: Path, size: int) -> None:
    """Check that a file of this size leaves room on the disk.

    Raises:
        StorageError: If it does not.
    """
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free
    if free < size + RESERVE_BYTES:
        message = f"the disk has {free} bytes left, and {size + RESERVE_BYTES} are needed"
        raise StorageError(message, hint="Make room, then send the file again.", value=free)


def too_large(size: int, most: int) -> LimitError:
    """Return the error for a file that is larger than this server takes."""
    message = f"the file is too large: {size} bytes or more"
    hint = f"At most {most} bytes are taken; the limit is the setting limits.max_model_bytes."
    return LimitError(message, hint=hint, value=size)


def put(path: Path, folder: Path, stem: str, extensions: Sequence[str]) -> Path:
    """Give a file its lasting place, under the first free name, and return it.

    Args:
        path: The file in quarantine; it stays there.
        folder: Where it shall lie; made if it is missing.
        stem: Wished name; ``stem-2`` and so on if there is such a file.
        extensions: Its ending with the dot, then those under which the name is taken as well:
            prompts call files without their endings.

    Raises:
        StorageError: If it cannot be written.
    """
    with explained(folder, needed=path.stat().st_size):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            return _named(path, folder, stem, extensions)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
        require_room(folder, path.stat().st_size)
        source = folder / f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}.tmp"
        try:
            shutil.copyfile(path, source)
            with source.open("rb+") as file:
                os.fsync(file.fileno())
            return _named(source, folder, stem, extensions)
        finally:
            source.unlink(missing_ok=True)


def same_bytes(one: Path, other: Path) -> bool:
    """Tell whether two files hold the same; two models mostly differ in the first few bytes."""
    try:
        if one.stat().st_size != other.stat().st_size:
            return False
        with one.open("rb") as first, other.open("rb") as second:
            while piece := first.read(COPY_BYTES):
                if piece != second.read(COPY_BYTES):
                    return False
    except OSError:
        return False
    return True


def sweep_quarantine(folder: Path) -> None:
    """Remove what a killed server left; only at start, when nothing arrives."""
    shutil.rmtree(folder, ignore_errors=True)


def _named(source: Path, folder: Path, stem: str, extensions: Sequence[str]) -> Path:
    for number in range(1, _TRIES):
        name = f"{stem}-{number}" if number > 1 else stem
        if any((folder / f"{name}{extension}").exists() for extension in extensions):
            continue
        path = folder / f"{name}{extensions[0]}"
        try:
            link_new(source, path)
        except FileExistsError:
            continue
        sync_folder(folder)
        return path
    message = f"no free name for {stem!r} in {folder.name}"
    raise StorageError(message, hint="Give the file another name.", value=stem)
