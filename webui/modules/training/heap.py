"""Memory that is given back is kept for the next step, where the system lets us say so."""

import ctypes
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final

_TRIM_THRESHOLD: Final = -1
_MMAP_MAX: Final = -4
"""Names of switches of the GNU C library's allocator (``mallopt(3)``)."""

_MMAP_THRESHOLD: Final = -3

_USUAL_PIECES: Final = 65536
_USUAL_LARGE: Final = 32 * 1024 * 1024
_USUAL_TRIM: Final = 2 * _USUAL_LARGE
"""What the allocator comes to by itself in a process that works with large pieces; once it has
been told anything, it no longer learns."""

_NEVER: Final = 2**31 - 1


@contextmanager
def kept_heap() -> Generator[None]:
    """Let every tensor's memory be used again until the end of the block.

    Otherwise each large tensor is fresh memory, which the system hands out page by page: for what
    adds two tensors this takes longer than the adding. Where there is no such allocator, nothing
    is done.
    """
    library = _library()
    if library is None:
        yield
        return
    library.mallopt(_MMAP_MAX, 0)
    library.mallopt(_TRIM_THRESHOLD, _NEVER)
    try:
        yield
    finally:
        library.mallopt(_MMAP_MAX, _USUAL_PIECES)
        library.mallopt(_MMAP_THRESHOLD, _USUAL_LARGE)
        library.mallopt(_TRIM_THRESHOLD, _USUAL_TRIM)
        library.malloc_trim(0)


def _library() -> Any:
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "mallopt") and hasattr(library, "malloc_trim") else None
