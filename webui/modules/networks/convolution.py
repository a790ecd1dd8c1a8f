"""3 x 3 convolutions with weights that stay as they are, the way that multiplies least.

Large pictures go through Winograd's minimal filtering F(4 x 4, 3 x 3) (Lavin and Gray 2016,
arXiv:1509.09308): a quarter of the multiplications. Small ones become one matrix product, which
reads each weight once and in the order in which it lies. Both passes keep no inputs, for only the
inputs' gradient is ever wanted.
"""

from typing import Any, Final, cast

import torch
from torch import Tensor, nn
from torch.autograd import Function

TILE: Final = 4
"""Outputs on a side of one of Winograd's tiles; its inputs overlap by two."""

SMALL: Final = 16 * 16
"""Cells up to which a picture is unfolded into one matrix."""


def convolved(states: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return the convolution of states with a frozen 3 x 3 kernel, one cell of zeros around.

    Args:
        states: ``[batch, channels, height, width]``, float32.
        weight: ``[out, channels, 3, 3]``; it gets no gradient.
        bias: ``[out]``; neither does this.
    """
    return cast("Tensor", _Frozen.apply(states, weight, bias))


class _Frozen(Function):
    @staticmethod
    def forward(ctx: Any, states: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(weight)
        return _forward(states, weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (weight,) = cast("tuple[Tensor]", ctx.saved_tensors)
        return _backward(gradients[0], weight), None, None


def _forward(states: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    height, width = states.shape[2:]
    if height * width <= SMALL:
        columns = nn.functional.unfold(states, 3, padding=1)
        found = weight.flatten(1) @ columns
        result = found.unflatten(2, (height, width))
    elif height % TILE or width % TILE:
        return nn.functional.conv2d(states, weight, bias, padding=1)
    else:
        result = _winograd(states, _transformed(weight))
    return result if bias is None else result.add_(bias[:, None, None])


def _backward(change: Tensor, weight: Tensor) -> Tensor:
    """Return the inputs' gradient: the convolution with the kernel turned round."""
    height, width = change.shape[2:]
    if height * width <= SMALL:
        columns = weight.flatten(1).t() @ change.flatten(2)
        return nn.functional.fold(columns, (height, width), 3, padding=1)
    if height % TILE or width % TILE:
        return nn.functional.conv_transpose2d(change, weight, padding=1)
    return _winograd(change, _transformed(weight, turned=True).transpose(1, 2))


# ------------------------------------------------------------- Winograd (arXiv:1509.09308, 4.3)

_INPUT: Final = (
    (4.0, 0.0, -5.0, 0.0, 1.0, 0.0),
    (0.0, -4.0, -4.0, 1.0, 1.0, 0.0),
    (0.0, 4.0, -4.0, -1.0, 1.0, 0.0),
    (0.0, -2.0, -1.0, 2.0, 1.0, 0.0),
    (0.0, 2.0, -1.0, -2.0, 1.0, 0.0),
    (0.0, 4.0, 0.0, -5.0, 0.0, 1.0),
)
_KERNEL: Final = (
    (1 / 4, 0.0, 0.0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0.0, 0.0, 1.0),
)
_OUTPUT: Final = (
    (1.0, 1.0, 1.0, 1.0, 1.0, 0.0),
    (0.0, 1.0, -1.0, 2.0, -2.0, 0.0),
    (0.0, 1.0, 1.0, 4.0, 4.0, 0.0),
    (0.0, 1.0, -1.0, 8.0, -8.0, 1.0),
)


def _twice(matrix: tuple[tuple[float, ...], ...], like: Tensor) -> Tensor:
    """Return the matrix that transforms along both sides of a tile at once."""
    one = torch.tensor(matrix, dtype=like.dtype)
    return torch.kron(one, one)


def _transformed(weight: Tensor, *, turned: bool = False) -> Tensor:
    """Return kernels in Winograd's domain, ``[36, out, channels]``; turned by half a circle."""
    matrix = _twice(_KERNEL, weight)
    kernels = weight.reshape(-1, 9)
    found = (matrix.flip(1) if turned else matrix) @ kernels.t()
    return found.view(-1, *weight.shape[:2])


def _winograd(states: Tensor, kernels: Tensor) -> Tensor:
    """Return the convolution of states with transformed kernels ``[36, out, channels]``."""
    batch, channels, height, width = states.shape
    down, across = height // TILE, width // TILE
    padded = nn.functional.pad(states, (1, 1, 1, 1))
    of_batch, of_channel, of_row, of_cell = padded.stride()
    shape = (TILE + 2, TILE + 2, channels, batch, down, across)
    steps = (of_row, of_cell, of_channel, of_batch, TILE * of_row, TILE * of_cell)
    tiles = padded.as_strided(shape, steps).reshape(len(kernels), -1)
    inputs = (_twice(_INPUT, states) @ tiles).view(len(kernels), channels, -1)
    products = torch.bmm(kernels, inputs).flatten(1)
    outputs = (_twice(_OUTPUT, states) @ products).view(TILE, TILE, -1, batch, down, across)
    return outputs.permute(3, 2, 4, 0, 5, 1).reshape(batch, -1, height, width)
