"""Names and shapes of a file's tensors as one short word: files of one layout fit alike."""

import hashlib
from collections.abc import Mapping
from typing import Final

from webui.modules.weights.header import TensorFacts

LENGTH: Final = 12
"""Bytes of the word; a library of a million files has no two layouts under one."""


def layout_of(tensors: Mapping[str, TensorFacts]) -> str:
    """Return the same word for equal names and shapes, in any order and of any type."""
    lines = sorted(f"{name}\0{facts.shape}" for name, facts in tensors.items())
    return hashlib.blake2b("\n".join(lines).encode(), digest_size=LENGTH).hexdigest()
