"""Reading the little texts that lie beside weights."""

from pathlib import Path
from typing import Final

MAX_BYTES: Final = 64 * 1024
"""The longest config that lies beside a real model has about 2 KB."""


def read_small_text(path: Path) -> str:
    """Return the text of an ordinary, short file; a named pipe is not waited for.

    Raises:
        OSError: If it is missing, no file, or too long.
        UnicodeDecodeError: If it is no text.
    """
    if not path.is_file():
        message = f"{path.name} is not a file"
        raise OSError(message)
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        message = f"{path.name} is too long"
        raise OSError(message)
    return content.decode("utf-8")
