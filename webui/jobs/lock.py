"""One server per data dir: the second one learns who the first one is."""

import json
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from webui.modules.errors import StorageError

_FAR: Final = 1 << 20
"""Windows locks bytes against reading too, so the locked byte lies far behind the text."""


class DataDirLock:
    """A hold on a data dir; the operating system lets go of it when the process ends."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def tell_port(self, port: int) -> None:
        """Write down where this server answers, for whoever comes second."""
        text = json.dumps({"pid": os.getpid(), "port": port}).encode().ljust(64)
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        os.write(self._descriptor, text)


@contextmanager
def held(data_dir: Path) -> Generator[DataDirLock]:
    """Hold the data dir as long as the body runs.

    Raises:
        StorageError: If another server holds it, whose process and port the message names, or if
            the folder cannot be written to.
    """
    path = data_dir / "atelier.lock"
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as problem:
        message = f"{data_dir} cannot be used as data dir: {problem.strerror}"
        hint = "Choose a folder that you may write to with --data-dir."
        raise StorageError(message, hint=hint, value=data_dir) from problem
    try:
        try:
            _lock(descriptor)
        except OSError as taken:
            message = f"another server uses {data_dir}: {_holder(path)}"
            hint = "Use that one, stop it, or give this one its own --data-dir."
            raise StorageError(message, hint=hint, value=data_dir) from taken
        yield DataDirLock(descriptor)
    finally:
        os.close(descriptor)


def _holder(path: Path) -> str:
    with suppress(OSError, ValueError, KeyError, TypeError):
        told = json.loads(path.read_bytes())
        return f"process {told['pid']} on port {told['port']}"
    return "a server that is just starting"


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        os.lseek(descriptor, _FAR, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
