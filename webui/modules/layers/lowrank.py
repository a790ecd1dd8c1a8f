"""Changes of weights as products of two thin matrices: found, and made thinner.

The best such product of a given rank comes from the singular value decomposition (Eckart and Young
1936). Which rank is enough is told by rules of kohya's scripts (github.com/kohya-ss/sd-scripts,
``networks/resize_lora.py``).
"""

from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor

from webui.modules.types import RankRule

KERNEL: Final = 4
"""Axes of a convolution's weight."""

NOUGHT: Final = 1e-12
"""Singular values below this share of the largest are none: the rounding of 64 bits."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Factors:
    """A change of one weight: ``up @ down``.

    Attributes:
        up: ``[rows, rank]``.
        down: ``[rank, columns]``.
        kept: Share of the change's Frobenius norm that the product has.
    """

    up: Tensor
    down: Tensor
    kept: float = 1.0

    @property
    def rank(self) -> int:
        """How many dimensions there are."""
        return self.up.shape[1]


def factors_of(change: Tensor, rule: RankRule) -> Factors:
    """Return the best low-rank form of a change.

    Args:
        change: ``[rows, columns]``, float32.
        rule: How many dimensions.
    """
    return _cut(*_decomposed(change), rule)


def thinner(up: Tensor, down: Tensor, rule: RankRule) -> Factors:
    """Return the best form of a product with fewer dimensions; the product itself is never built.

    Args:
        up: ``[rows, rank]``, float32, strengths included.
        down: ``[rank, columns]``, float32.
        rule: How many dimensions to keep.
    """
    left, inner_up = _orthogonal(up)
    right, inner_down = _orthogonal(down.T)
    inside, singular, outside = _decomposed(inner_up @ inner_down.T)
    return _cut(left @ inside, singular, outside @ right.T, rule)


def _decomposed(matrix: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return ``U [rows, n]``, singular values ``[n]``, the largest first, and ``V^T [n, columns]``.

    By the eigenvectors of ``A^T A`` in 64 bits: for the wide matrices of real networks that takes a
    third of the usual time, and ``A V V^T`` is ``A`` to the last digit of 32 bits.
    """
    rows, columns = matrix.shape
    if rows < columns:
        left, singular, right = _decomposed(matrix.T)
        return right.T, singular, left.T
    wide = matrix.double()
    library: Any = torch.linalg  # its types are partial
    squares, vectors = library.eigh(wide.T @ wide)
    singular = squares.clamp(min=0).sqrt().flip(0)
    right = vectors.flip(1)
    left = torch.where(singular > NOUGHT * singular[0], (wide @ right) / singular, 0.0)
    return left.to(matrix.dtype), singular.to(matrix.dtype), right.T.to(matrix.dtype)


def _orthogonal(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Return ``Q`` with orthonormal columns and ``R`` with ``Q R = matrix``."""
    library: Any = torch.linalg  # its types are partial
    columns, rest = library.qr(matrix)
    return columns, rest


def _cut(left: Tensor, singular: Tensor, right: Tensor, rule: RankRule) -> Factors:
    rank = chosen_rank(singular, rule)
    roots = singular[:rank].sqrt()
    norm = float(singular.square().sum())
    return Factors(
        up=left[:, :rank] * roots,
        down=roots[:, None] * right[:rank],
        kept=float(singular[:rank].square().sum()) / norm if norm else 1.0,
    )


def chosen_rank(singular: Tensor, rule: RankRule) -> int:
    """Return how many dimensions a rule keeps; at least one.

    Args:
        singular: Singular values, the largest first.
        rule: Which rule.
    """
    rank = len(singular)
    if rule.by == "sv_ratio":
        rank = int((singular * rule.value >= singular[0]).sum())
    elif rule.by == "sv_fro":
        rank = _reaching(singular.double().square(), rule.value**2)
    elif rule.by == "sv_cumulative":
        rank = _reaching(singular.double(), rule.value)
    most = min(rule.most or len(singular), len(singular))
    return max(1, min(rank, most))


def _reaching(parts: Tensor, share: float) -> int:
    """Return how many parts, from the first, hold this share of their sum."""
    total = parts.sum()
    return len(parts) if total == 0 else int((parts.cumsum(0) < share * total).sum()) + 1


def lora_parts(
    found: Factors, weight: torch.Size | tuple[int, ...], dtype: torch.dtype
) -> dict[str, Tensor]:
    """Return a change as the parts that files have: for a convolution, a kernel and one of 1 x 1.

    Args:
        found: The change.
        weight: Shape of the weight that it changes.
        dtype: Number format of the file.
    """
    up, down = found.up, found.down
    if len(weight) == KERNEL:
        up, down = up[:, :, None, None], down.reshape(-1, *weight[1:])
    return {
        "lora_up.weight": up.to(dtype).contiguous(),
        "lora_down.weight": down.to(dtype).contiguous(),
        "alpha": torch.tensor(float(found.rank), dtype=dtype),
    }
