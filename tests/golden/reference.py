"""What A1111 1.10.1 gave for the same questions, on a CPU in 32 bits with the tiny checkpoint."""

import json
import lzma
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

HERE: Final = Path(__file__).parent

ANSWERS: Final[dict[str, Any]] = json.loads(
    lzma.decompress((HERE / "reference.json.xz").read_bytes())
)
"""Prompts, tokens, schedules and timesteps, each beside what it was asked with."""

NUMBERS: Final = np.load(HERE / "reference.npz")
"""Encoded texts and noise by the key that ``ANSWERS`` gives them."""


def tensor(key: str) -> Tensor:
    """Return one of the arrays."""
    return torch.from_numpy(NUMBERS[key])
