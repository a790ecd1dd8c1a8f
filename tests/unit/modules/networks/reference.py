"""What spandrel 0.4.2 and tomesd 0.1.3 gave for the same weights and tokens."""

from pathlib import Path
from typing import Final

import numpy as np

ENLARGING: Final = np.load(Path(__file__).parents[3] / "golden" / "enlarging.npz")
"""Enlarged pictures by network, and merged and unmerged tokens by rows, columns and ratio."""
